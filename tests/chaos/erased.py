"""Persons who are erased while runs to them are planned and sent, and mails to them and to others wait.

A round has a schedule with a list of its own. Half of its people are erased, in an order that the seed decides: before
the run is asked for, right after it, and one while a single mail to them and to somebody else goes out. Once all of
these erasures are done, the schedule runs again: that one must go to the others alone.

The driver holds this to its own account: nobody else is doubled or lost; who is erased gets each mail at most once, and
nothing after the erasure is done; each report adds up, and counts what the providers took.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.chaos import reported, witness
from tests.chaos.erasure_accounts import ErasureAccount, ErasureRun, judge_pair, judge_run
from tests.chaos.rounds import AskedRun, Round, Step
from tests.chaos.stories import Finding, Gap, Story, Told, Wrong
from tests.chaos.witness import Copy
from tests.support.system import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.chaos.world import World

MARK: Final = "erased"  # the subject of the runs' mails, and the beginning of the single mails'
_PEOPLE: Final = 8  # of a round
_GONE: Final = 4  # of these
_EVERY_S: Final = 10.0  # a round


@dataclass(slots=True)
class ErasureRound(Round):
    """`mail`: the key, and subject, of the single mail to the first of the `gone` and to `other`; `handed_in`: when it
    was promised."""

    schedule: str = ""
    people: list[str] = field(default_factory=list)
    gone: dict[str, ErasureAccount] = field(default_factory=dict)
    mail: str = ""
    other: str = ""
    handed_in: float = 0.0
    first: AskedRun = field(default_factory=lambda: AskedRun("", ""))
    second: AskedRun = field(default_factory=lambda: AskedRun("", ""))


class Erased(Story):
    """Goes through its rounds; each round's schedule is made between the faults."""

    name_shown = "persons who are erased"

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(world, rng)
        self.rounds: list[ErasureRound] = []
        self._next = 0.0

    def step(self) -> None:
        for one in self.rounds:
            one.proceed()

    def beat(self) -> None:
        """Begin the next round, if it is time. No copy lacks its schedule: a list that is made again is another one."""
        if time.time() < self._next:
            return
        self._next = time.time() + _EVERY_S
        number = len(self.rounds)
        people = [f"g{number}-{n}@example.org" for n in range(_PEOPLE)]
        key = f"{MARK}-{number}"
        schedule = wait_for(lambda: self._made(key, people), within_s=60, what="a round's schedule is promised")
        new = ErasureRound(mail=key, other=f"other-{number}@example.org", people=people)
        new.gone = {address: ErasureAccount() for address in self.rng.sample(people, _GONE)}
        new.first, new.second = AskedRun(schedule, f"{key}-1"), AskedRun(schedule, f"{key}-2")
        meanwhile = [partial(self._erase, address, account) for address, account in new.gone.items()]
        meanwhile.append(partial(self.run_now, new.first))
        self.rng.shuffle(meanwhile)
        new.then(partial(self._hand_in, new), *meanwhile)
        new.then(*(partial(self._is_done, address, account) for address, account in new.gone.items()))
        new.then(partial(self.run_now, new.second))
        with self.at_rest:
            self.rounds.append(new)

    def ask_again(self, gap: Gap) -> None:
        """In the order in which it was promised, with the same keys."""
        with self.at_rest:
            for _, again in sorted(self._promised(since=gap.copied_at), key=lambda one: one[0]):
                wait_for(again, within_s=60, what="what was promised of erasures is promised again")

    def waiting(self) -> Counter[str]:
        open_ = self.world.system.db.erasures.count_documents({"state": {"$ne": "done"}})
        return +Counter({"erasures": open_, "rounds of erasures": sum(bool(one.left) for one in self.rounds)})

    def judge(self, every: Sequence[Copy]) -> Iterator[Finding]:
        taken = witness.by_run(copy for copy in every if copy.subject == MARK)
        for one in self.rounds:
            if one.left:
                yield Finding(Wrong.WRONG, f"the round of {one.mail} did not come to its end")
                continue
            for address, account in one.gone.items():
                account.done = self._done_at(address)
            for asked in (one.first, one.second):
                run = ErasureRun(
                    asked, one.people, one.gone, taken.get(asked.id, {}), reported.unknown_of(self.world, asked.id)
                )
                unknown = self.unknown_to(asked.began)
                yield from judge_run(run, unknown=unknown)
                yield from reported.judge(
                    self.world,
                    asked.id,
                    recipients=run.recipients,
                    taken=run.taken,
                    in_a_gap=unknown is Wrong.ACCOUNTED,
                )
            gone, account = next(iter(one.gone.items()))
            pair = [copy for copy in every if copy.subject == one.mail]
            yield from judge_pair(pair, mail=one.mail, gone=gone, account=account, other=one.other)
        yield from self._named_still()

    def told(self, every: Sequence[Copy]) -> Told:
        mails = sum(copy.subject.startswith(MARK) for copy in every)
        return Told(2 * len(self.rounds), mails, sum(len(one.gone) for one in self.rounds), "erasures")

    def _promised(self, *, since: float) -> Iterator[tuple[float, Step]]:
        """What was promised since then, each with when it was."""
        for one in self.rounds:
            if one.handed_in >= since:
                yield one.handed_in, partial(self._hand_in, one)
            for run in (one.first, one.second):
                if run.promised >= since:
                    yield run.promised, partial(self.run_now, run)
            for address, account in one.gone.items():
                if account.promised >= since:
                    yield account.promised, partial(self._erase, address, account)

    def _named_still(self) -> Iterator[Finding]:
        """Mails and events that still name somebody who is erased."""
        gone = [address for one in self.rounds for address in one.gone]
        db = self.world.system.db
        for doc in [*db.messages.find({"address": {"$in": gone}}), *db.events.find({"recipient": {"$in": gone}})]:
            yield Finding(Wrong.WRONG, f"{doc['_id']} names somebody who is erased")

    def _made(self, key: str, people: Sequence[str]) -> str:
        """The id of a round's schedule; '' if it was not promised, this time."""
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        body = {
            "name": key,
            "from": f"Ann <ann@{DOMAIN}>",
            "subject": MARK,
            "text": "Hello",
            "recipients": [{"address": address} for address in people],
            "recurrence": {"kind": "once", "at": far, "time_zone": "UTC"},
        }
        answer = self.ask("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": key})
        return str(answer.json()["id"]) if answer is not None and answer.status_code in (200, 201) else ""

    def _hand_in(self, one: ErasureRound) -> bool:
        mail = {
            "from": f"Shop <shop@{DOMAIN}>",
            "to": list(one.gone)[:1],
            "bcc": [one.other],
            "subject": one.mail,
            "text": "Hello",
            "idempotency_key": one.mail,
        }
        answer = self.ask("POST", "/v1/emails/batch", json={"emails": [mail]})
        if answer is None or not answer.ok or answer.json()["items"][0]["code"] != 202:
            return False
        one.handed_in = time.time()
        return True

    def _erase(self, address: str, account: ErasureAccount) -> bool:
        account.asked, account.seen_done = account.asked or time.time(), 0.0
        answer = self.ask("POST", f"/v1/contacts/{address}/erase")
        if answer is None or answer.status_code not in (200, 202):
            return False
        account.promised = time.time()
        return True

    def _is_done(self, address: str, account: ErasureAccount) -> bool:
        answer = self.ask("GET", f"/v1/contacts/{address}/erasure")
        if answer is None or answer.status_code != 200 or answer.json()["state"] != "done":
            return False
        account.seen_done = time.time()
        return True

    def _done_at(self, address: str) -> float:
        answer = self.world.system.call("GET", f"/v1/contacts/{address}/erasure")
        done_at = answer.json().get("done_at") if answer.status_code == 200 else None
        return datetime.fromisoformat(done_at).timestamp() if done_at else 0.0
