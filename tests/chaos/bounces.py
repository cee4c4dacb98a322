"""Bounces that came back to a mailbox, and what must follow from them: no servers here."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.rounds import AskedRun
from tests.chaos.stories import Finding, Wrong
from tests.support.returned_mails import dsn


class Returned(StrEnum):
    """What a mail server says to a return path of ours, in words that it may say."""

    HARD = "there is no such mailbox"
    SOFT = "the mailbox is full"
    DELAY = "not delivered yet"
    FORGED = "to a return path that nobody was given"


_WORDS = {
    Returned.HARD: ("failed", "5.1.1", "550 5.1.1 User unknown"),
    Returned.SOFT: ("failed", "5.2.2", "552 5.2.2 Mailbox full"),
    Returned.DELAY: ("delayed", "4.4.1", "451 4.4.1 Connection timed out"),
    Returned.FORGED: ("failed", "5.1.1", "550 5.1.1 User unknown"),
}
#: The kind of the event that follows; None: nothing does.
EVENTS = {Returned.HARD: "bounced", Returned.SOFT: "bounced", Returned.DELAY: "deferred", Returned.FORGED: None}


@dataclass(frozen=True, slots=True)
class Bounce:
    """What came back of a run's mail to an address. `path`: its return path."""

    run: str
    address: str
    path: str
    what: Returned

    def mail(self) -> bytes:
        """The same each time: a server that gets no answer sends it again."""
        action, status, words = _WORDS[self.what]
        id_ = hashlib.sha256(f"{self.run} {self.address} {self.what}".encode()).hexdigest()[:24]
        return dsn(self.path, action=action, status=status, words=words, id_=id_)


def forged(path: str) -> str:
    """The return path with the first letter of its signed name changed."""
    local, _, token = path.partition("+")
    return f"{local}+{'a' if token[0] != 'a' else 'b'}{token[1:]}"


@dataclass(frozen=True, slots=True)
class BouncedRun:
    """A run whose mails came back in part. `taken`: when providers took each recipient's mails; `unknown`: of whom
    nobody knows; `events`: how many events of each kind the product has of each recipient; `bounced`: by its report."""

    asked: AskedRun
    people: Sequence[str]
    taken: Mapping[str, Sequence[float]]
    events: Mapping[tuple[str, str], int]
    bounced: int
    unknown: Set[str] = field(default_factory=frozenset)


def judge_run(
    run: BouncedRun, bounces: Sequence[Bounce], known: Mapping[str, float], *, unknown: Wrong
) -> Iterator[Finding]:
    """`bounces`: all that came back, of whatever run. `known`: since when the driver saw that an address is suppressed.
    `unknown`: what it is that a mail of this run is unknown."""
    hard = {one.address for one in bounces if one.what is Returned.HARD}
    for address in run.people:
        where, taken = f"{run.asked.id} {address}", run.taken.get(address, ())
        if len(taken) > 1:
            yield Finding(Wrong.DOUBLED, f"{where}: {len(taken)} times")
        if taken and 0 < known.get(address, 0.0) < run.asked.asked:
            yield Finding(Wrong.WRONG, f"{where}: had bounced before the run was asked for")
        if not taken and address not in hard:
            yield Finding(unknown, where) if address in run.unknown else Finding(Wrong.LOST, f"{where}: never bounced")
    yield from _counted(run, [one for one in bounces if one.run == run.asked.id])


def _counted(run: BouncedRun, own: Sequence[Bounce]) -> Iterator[Finding]:
    wanted = {(one.address, kind): 1 for one in own if (kind := EVENTS[one.what])}
    for address, kind in {**wanted, **run.events}:
        found, due = run.events.get((address, kind), 0), wanted.get((address, kind), 0)
        if found != due:
            yield Finding(Wrong.WRONG, f"{run.asked.id} {address}: {found} events '{kind}', not {due}")
    bounced = sum(kind == "bounced" for _, kind in wanted)
    if run.bounced != bounced:
        yield Finding(Wrong.WRONG, f"report of {run.asked.id}: {run.bounced} bounced, not {bounced}")


def judge_suppressions(people: Sequence[str], bounces: Sequence[Bounce], suppressed: Set[str]) -> Iterator[Finding]:
    """Those whose mailbox does not exist are suppressed, and nobody else."""
    hard = {one.address for one in bounces if one.what is Returned.HARD}
    for address in people:
        if (address in hard) != (address in suppressed):
            yield Finding(Wrong.WRONG, f"{address} {'bounced and is not' if address in hard else 'is'} suppressed")
