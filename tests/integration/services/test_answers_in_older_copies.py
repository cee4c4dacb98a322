"""The answer to a call without some of its recipients, where MongoDB was put back to a copy from before that call:
there they are still among its recipients, and nobody may take them for mailed."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from local.ports import free_port
from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import Accepted, InPart, Outcome, Refusal, Refused
from mailroom.domain.errors import Unavailable
from mailroom.services.dispatching.exclusions import leave_out
from mailroom.storage.database import Db, Document, server_now
from mailroom.storage.messages import document as messages
from tests.support.claims import a_claim
from tests.support.lines import TAKEN, Line

BEFORE_THE_CLAIM: Document = {"state": "pending", "attempt": 0, "claim_id": "", "token": 0}
BEFORE_IT_WAS_LEFT_OUT: Document = {}
IN_DOUBT_SINCE: Document = {"state": "in_doubt"}


@dataclass
class Copy:
    """Of the documents of a run's only dispatch."""

    db: Db
    dispatch: Document
    messages: list[Document]

    @classmethod
    def of(cls, db: Db) -> "Copy":
        dispatch = db.dispatches.find_one({})
        assert dispatch
        return cls(db, dispatch, list(db.messages.find()))

    def put_back(self, changes: Document) -> None:
        self.db.dispatches.replace_one({}, self.dispatch | changes)
        for doc in self.messages:
            self.db.messages.replace_one({"_id": doc["_id"]}, doc)


@dataclass
class Call:
    """A call for two of three recipients, under way. `copy`: from before the third was left out."""

    claimed: Claimed
    copy: Copy

    @property
    def addresses(self) -> list[str]:
        return sorted(doc["address"] for doc in self.copy.messages)


@pytest.fixture
def call(db: Db, line: Line) -> Call:
    claimed = a_claim(db, 3)
    _, redis_identity = line.fences.enter({claimed.claim.lane: claimed.claim.token})
    claimed = replace(claimed, claim=replace(claimed.claim, redis_identity=redis_identity))
    mails, copy = messages.of_dispatches(db, [claimed.id]), Copy.of(db)
    out = mails[claimed.id][0].address
    db.suppressions.insert_one({"_id": out, "reason": "complained", "since": server_now(db)})
    ((called,), _) = leave_out(db, [claimed], mails)
    assert line.cross([called]).go
    return Call(called, copy)


def stored(db: Db) -> tuple[str, list[str]]:
    """The state of the dispatch, and those of its messages."""
    dispatch: Any = db.dispatches.find_one({})
    return dispatch["state"], sorted(doc["state"] for doc in db.messages.find())


def test_without_a_restore_those_who_stayed_are_sent(db: Db, line: Line, call: Call) -> None:
    line.record([call.claimed], TAKEN)

    assert stored(db) == ("accepted", ["sent", "sent", "suppressed"])


@pytest.mark.parametrize("copy", [BEFORE_THE_CLAIM, BEFORE_IT_WAS_LEFT_OUT, IN_DOUBT_SINCE])
def test_an_acceptance_is_kept_by_the_fence_alone(db: Db, line: Line, call: Call, copy: Document) -> None:
    call.copy.put_back(copy)
    before = stored(db)

    line.record([call.claimed], TAKEN)

    assert stored(db) == before
    assert before[1] == ["queued"] * 3
    fences, _ = line.fences.read([(call.claimed.claim.lane, call.claimed.id)])
    assert fences[call.claimed.id].state is FenceState.DONE


def test_an_acceptance_of_a_part_marks_nobody(db: Db, line: Line, call: Call) -> None:
    call.copy.put_back(BEFORE_IT_WAS_LEFT_OUT)
    refused = {call.addresses[2]: Refused(Refusal.PERMANENT, "550 no such user")}

    line.record([call.claimed], InPart("<id@mg.example.com>", refused))

    assert stored(db) == ("sending", ["queued"] * 3)


def test_while_redis_is_away_too_the_answer_waits(db: Db, line: Line, call: Call) -> None:
    call.copy.put_back(BEFORE_THE_CLAIM)
    away = Line(db, Fences(f"redis://127.0.0.1:{free_port()}", of=db.name), line.holds)

    with pytest.raises(Unavailable):
        away.record([call.claimed], TAKEN)

    assert stored(db) == ("pending", ["queued"] * 3)


@pytest.mark.parametrize("outcome", [TAKEN, Accepted("")])
def test_a_late_acceptance_beside_a_later_claim_is_a_fact(db: Db, line: Line, call: Call, outcome: Outcome) -> None:
    call.copy.put_back({"attempt": 2, "claim_id": "later"})

    line.record([call.claimed], outcome)

    assert stored(db) == ("accepted", ["sent"] * 3)
