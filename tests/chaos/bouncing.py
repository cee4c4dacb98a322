"""Mails by SMTP that come back: a mail server writes to their return paths, into a mailbox that senders read, while
these and the mailbox's own server are killed.

A schedule runs every few seconds. Of each run's mails the driver lets some come back, each with words of its own kind
(bounces.py): for good, for now, as a delay; some of them twice, as a server does that got no answer. And one comes to a
return path that nobody was given. Each must count once, and the forged ones never; whose mailbox does not exist gets no
mail of a run that was asked for after the driver saw the suppression.
"""

import contextlib
import imaplib
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.chaos import reported, witness
from tests.chaos.bounces import Bounce, BouncedRun, Returned, forged, judge_run, judge_suppressions
from tests.chaos.rounds import AskedRun, Round
from tests.chaos.stories import Finding, Gap, Story, Told
from tests.chaos.witness import Copy
from tests.support.dovecot import Dovecot
from tests.support.smtp_backup import SmtpBackup
from tests.support.system import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.chaos.world import World

MARK: Final = "bouncing"  # the subject of its mails
_PEOPLE: Final = 20
_EVERY_S: Final = 12.0  # a run
_FIRST_S: Final = 2.0  # from a run's promise until the first of its mails come back
_LAST_S: Final = 60.0  # then those come back that were taken by then
_MOST_HARD: Final = 12  # of the people: the others go on getting mail
_OF_A_RUN: Final = (Returned.HARD, Returned.HARD, Returned.SOFT, Returned.DELAY, Returned.FORGED)
SETTINGS: Final = {"MAILROOM_SMTP_RETURN_PATH": "bounces@example.org", "MAILROOM_MAILBOX_EVERY": "1"}


@dataclass(slots=True)
class BounceRound(Round):
    """A run, and what came back of it."""

    run: AskedRun = field(default_factory=lambda: AskedRun("", ""))
    bounces: list[Bounce] = field(default_factory=list)


class Bouncing(Story):
    """Lets mails come back until it is told to finish; begins no run after it was told to end."""

    name_shown = "mails by SMTP that come back"

    def __init__(self, world: "World", rng: random.Random, backup: SmtpBackup, mailbox: Dovecot) -> None:
        super().__init__(world, rng)
        self._backup, self._mailbox = backup, mailbox
        self.people = [f"b{number}@example.org" for number in range(_PEOPLE)]
        self.rounds: list[BounceRound] = []
        self.known: dict[str, float] = {}  # since when the driver saw that an address is suppressed
        self._schedule, self._next, self._begins = "", 0.0, True

    def prepare(self) -> None:
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        body = {
            "name": MARK,
            "from": f"Ann <ann@{DOMAIN}>",
            "subject": MARK,
            "text": "Hello",
            "recipients": [{"address": address} for address in self.people],
            "recurrence": {"kind": "once", "at": far, "time_zone": "UTC"},
        }
        made = self.world.system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": MARK})
        self._schedule = made.json()["id"]

    def step(self) -> None:
        if self._begins and time.time() >= self._next:
            self._next = time.time() + _EVERY_S
            new = BounceRound(run=AskedRun(self._schedule, f"{MARK}-{len(self.rounds)}"))
            new.then(partial(self.run_now, new.run), partial(self._come_back, new))
            self.rounds.append(new)
        for one in self.rounds:
            one.proceed()

    def end(self) -> None:
        self._begins = False

    def put_back(self, gap: Gap) -> None:
        self.known = {address: since for address, since in self.known.items() if since < gap.copied_at}

    def ask_again(self, gap: Gap) -> None:
        """Runs with their keys. When their mails stand again, the mails of the mailbox are marked as unread, as the
        documents say: what was read since the copy is lost."""
        with self.at_rest:
            again = [one.run for one in self.rounds if one.run.promised >= gap.copied_at]
            for run in again:
                wait_for(partial(self.run_now, run), within_s=60, what="the run is promised again")
            ids = [run.id for run in again]
            wait_for(lambda: self._stand(ids), within_s=60, what="the runs are planned again")
            self._mailbox.mark_unread()
            for one in self.rounds:
                hard = [bounce.address for bounce in one.bounces if bounce.what is Returned.HARD]
                one.then(*(partial(self._is_known, address) for address in hard if address not in self.known))

    def waiting(self) -> Counter[str]:
        flags = self._mailbox.flags()
        unread = sum(not one & {"\\Seen", "\\Flagged"} for one in flags)
        return +Counter(
            {"mails in the mailbox": unread, "rounds of bounces": sum(bool(one.left) for one in self.rounds)}
        )

    def judge(self, every: Sequence[Copy]) -> Iterator[Finding]:
        taken = witness.by_run(copy for copy in every if copy.subject == MARK)
        bounces = [bounce for one in self.rounds for bounce in one.bounces]
        for asked in (one.run for one in self.rounds if one.run.id):
            run = BouncedRun(
                asked=asked,
                people=self.people,
                taken=taken.get(asked.id, {}),
                events=self._events_of(asked.id),
                bounced=reported.report_of(self.world, asked.id)["bounced"] or 0,
                unknown=reported.unknown_of(self.world, asked.id),
            )
            yield from judge_run(run, bounces, self.known, unknown=self.unknown_to(asked.began))
        yield from judge_suppressions(self.people, bounces, {one for one in self.people if self._is_suppressed(one)})

    def told(self, every: Sequence[Copy]) -> Told:
        mails = sum(copy.subject == MARK for copy in every)
        return Told(len(self.rounds), mails, sum(len(one.bounces) for one in self.rounds), "mails came back")

    def _come_back(self, one: BounceRound) -> bool:
        """Choose those of the run's mails that come back, once the server has taken enough of them."""
        if time.time() < one.run.promised + _FIRST_S:
            return False
        gone = {bounce.address for other in self.rounds for bounce in other.bounces if bounce.what is Returned.HARD}
        paths = {
            taken.recipients[0]: taken.sender
            for taken in list(self._backup.server.taken)
            if self._backup.run_of(taken) == one.run.id and taken.recipients[0] not in gone
        }
        kinds = [kind for kind in _OF_A_RUN if kind is not Returned.HARD or len(gone) < _MOST_HARD]
        if len(paths) < len(kinds) and time.time() < one.run.promised + _LAST_S:
            return False
        chosen = self.rng.sample(sorted(paths), min(len(kinds), len(paths)))
        for kind, address in zip(kinds, chosen, strict=False):
            path = forged(paths[address]) if kind is Returned.FORGED else paths[address]
            bounce = Bounce(one.run.id, address, path, kind)
            one.bounces.append(bounce)
            one.then(*[partial(self._put, bounce)] * self.rng.choice((1, 1, 2)))
        hard = [bounce.address for bounce in one.bounces if bounce.what is Returned.HARD]
        one.then(*(partial(self._is_known, address) for address in hard))
        return True

    def _put(self, bounce: Bounce) -> bool:
        """False if the mailbox's server did not say that it has the mail; it may have it all the same."""
        with contextlib.suppress(imaplib.IMAP4.error, OSError, AssertionError):
            self._mailbox.put(bounce.mail())
            return True
        return False

    def _is_known(self, address: str) -> bool:
        if address not in self.known and self._is_suppressed(address):
            self.known[address] = time.time()
        return address in self.known

    def _is_suppressed(self, address: str) -> bool:
        answer = self.ask("GET", f"/v1/suppressions/{address}")
        return answer is not None and answer.status_code == 200

    def _events_of(self, run: str) -> Counter[tuple[str, str]]:
        rows = self.world.system.db.events.find({"run_id": run}, {"recipient": 1, "kind": 1})
        return Counter((doc["recipient"], doc["kind"]) for doc in rows)

    def _stand(self, runs: Sequence[str]) -> bool:
        planned = {"_id": {"$in": list(runs)}, "state": {"$nin": ["planning"]}}
        return bool(self.world.system.db.runs.count_documents(planned) == len(set(runs)))
