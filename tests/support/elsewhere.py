"""A single mail whose first call is in doubt, and providers that are asked about it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.doubts import Timing, Traces, Unaskable
from mailroom.domain.dispatches.elsewhere import GOES_ELSEWHERE_AFTER
from mailroom.domain.dispatches.model import Claimant, Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InDoubt
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.ids import DispatchId, EmailId, Lane, Token
from mailroom.providers.base import Answer
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.dispatching.elsewhere import move_elsewhere
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.outcomes import record
from mailroom.services.mails import view
from mailroom.services.mails.accept import Outbox
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reconciliation.reconcile import reconcile
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import queries as dispatch_queries

ORDER = ["mailgun", "smtp"]
SECOND = timedelta(seconds=1)
NO_TIME = Timing(call_timeout=SECOND, idle_limit=SECOND, settle=SECOND, log_retention=timedelta(days=1))


class Mail:
    """A mail at hand, and the sender that has its lane."""

    def __init__(self, db: Db, fences: Fences, *, on_doubt: str = "elsewhere", **fields: Any) -> None:
        draft = EmailDraft(
            **{"sender": "a@mg.example.com", "to": ["bo@example.org"], "subject": "s", "text": "t", **fields},
            on_doubt=on_doubt,
        )
        self.db, self.fences = db, fences
        self.id = Outbox(db, lanes=4).hand_in(draft, owner="ann").id
        doc = db.dispatches.find_one({"run_id": self.id})
        assert doc
        self.lane = Lane(doc["lane"])
        self.first = DispatchId(doc["_id"])
        self.second = DispatchId(f"{self.first}x")
        # Redis is shared with other tests, whose senders held the same lane.
        self.held = {self.lane: Token(fences.seen_token(self.lane) + 1)}
        lanes.raise_tokens(db, self.held, "tests", now=server_now(db))
        fences.enter(self.held)

    @property
    def work(self) -> LaneWork:
        return LaneWork(self.db, self.fences, self.held, "tests")

    def claim(self, provider: str = "mailgun") -> Claimed:
        now = server_now(self.db)
        waiting = claimable(self.db, self.held, now=now, room=Room(10, 10**6, 10**6))
        claimant = Claimant("tests", self.fences.redis_identity(), provider, "account")
        (claimed,) = claims.claim(self.db, waiting, self.held, claimant, now=now)
        return claimed

    def call(self, provider: str = "mailgun") -> Claimed:
        """Claim it, and cross its fence: from here on it may have gone out."""
        claimed = self.claim(provider)
        assert cross_fences(self.fences, [claimed]).go == [claimed]
        return claimed

    def record(self, claimed: Claimed, outcome: Any) -> None:
        record(
            self.db, self.fences, [CallResult(claimed, outcome)], delays=Delays([SECOND] * 2), now=server_now(self.db)
        )

    def lose_its_answer(self, provider: str = "mailgun") -> Claimed:
        claimed = self.call(provider)
        self.record(claimed, InDoubt("500", 500))
        return claimed

    def age(self, by: timedelta = GOES_ELSEWHERE_AFTER, *, of: DispatchId | None = None) -> None:
        """Let the doubt be older: of the first dispatch, or of this one."""
        earlier = {name: {"$subtract": [f"${name}", int(by.total_seconds() * 1000)]} for name in _TIMES}
        moved = {name: {"$ifNull": [at, "$$REMOVE"]} for name, at in earlier.items()}
        self.db.dispatches.update_one({"_id": of or self.first}, [{"$set": moved}])

    def move(self, order: Sequence[str] = ORDER) -> int:
        return move_elsewhere(self.work, order, now=server_now(self.db))

    def go_elsewhere(self) -> Claimed:
        """The claim of its first dispatch, which is in doubt."""
        claimed = self.lose_its_answer()
        self.age()
        assert self.move() == 1
        return claimed

    def accepted_elsewhere(self) -> None:
        """Its second call is answered with yes."""
        self.record(self.call("smtp"), Accepted("250 ok"))

    def ask(self, adapter: Any, *, unaskable: Unaskable = Unaskable.HOLD) -> None:
        self.age(timedelta(hours=1))
        policy = Policy(NO_TIME, Delays([timedelta()] * 3), unaskable)
        reconcile(self.work, {adapter.name: adapter}, policy, now=server_now(self.db))

    def state(self, dispatch: DispatchId) -> str:
        return str(dispatch_queries.get(self.db, dispatch).state)

    @property
    def shown(self) -> view.EmailView:
        return view.get(self.db, EmailId(self.id))

    @property
    def status(self) -> str:
        return str(self.shown.state)


_TIMES = ("in_doubt_at", "may_move", "called_since", "not_before")


class Log:
    """A provider whose complete log shows these recipients of every dispatch."""

    name, askable = "mailgun", True

    def __init__(self, *seen: str) -> None:
        self._traces = Traces(frozenset(seen), {1: "found"} if seen else {})

    def ask(self, account: str, ids: Sequence[DispatchId], control: str | None) -> Answer:
        return Answer(dict.fromkeys(ids, self._traces), control_seen=True)

    def make_control(self, account: str) -> str:
        return "control"

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch


class Slow(Log):
    """While it is asked, the mail goes elsewhere."""

    def __init__(self, mail: Mail, *seen: str) -> None:
        super().__init__(*seen)
        self._mail = mail

    def ask(self, account: str, ids: Sequence[DispatchId], control: str | None) -> Answer:
        assert self._mail.move() == 1
        return super().ask(account, ids, control)


class Silent:
    """A provider without a log."""

    name, askable = "mailgun", False
