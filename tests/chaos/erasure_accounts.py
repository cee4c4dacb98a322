"""What was asked for about persons who are erased, and what must follow from it: no servers here."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from tests.chaos.rounds import AskedRun
from tests.chaos.stories import Finding, Wrong
from tests.chaos.witness import Copy


@dataclass(slots=True)
class ErasureAccount:
    """An erasure: when it was asked for first, when promised, when the driver saw that it was done, and since when it
    is, as the product has it in the end. 0: not yet."""

    asked: float = 0.0
    promised: float = 0.0
    seen_done: float = 0.0
    done: float = 0.0


@dataclass(frozen=True, slots=True)
class ErasureRun:
    """A run to people of whom some are erased. `taken`: when providers took each one's mails; `unknown`: of whom nobody
    knows whether they got it."""

    asked: AskedRun
    people: Sequence[str]
    gone: Mapping[str, ErasureAccount]
    taken: Mapping[str, Sequence[float]]
    unknown: Set[str] = field(default_factory=frozenset)

    @property
    def recipients(self) -> tuple[int, int]:
        """The least and the most that it can have."""
        may_be_out = [one for one in self.gone.values() if one.asked and one.asked < self.asked.promised]
        are_out = [one for one in self.gone.values() if one.seen_done and one.seen_done < self.asked.asked]
        return len(self.people) - len(may_be_out), len(self.people) - len(are_out)


def judge_run(run: ErasureRun, *, unknown: Wrong) -> Iterator[Finding]:
    """`unknown`: what it is that a mail of this run is unknown."""
    for address in run.people:
        where, taken = f"{run.asked.id} {address}", run.taken.get(address, ())
        if len(taken) > 1:
            yield Finding(Wrong.DOUBLED, f"{where}: {len(taken)} times")
        if account := run.gone.get(address):
            yield from _after(where, taken, account)
            if taken and account.seen_done and account.seen_done < run.asked.asked:
                yield Finding(Wrong.WRONG, f"{where}: was erased before the run was asked for")
        elif not taken and address in run.unknown:
            yield Finding(unknown, where)
        elif not taken:
            yield Finding(Wrong.LOST, f"{where}: others were erased")


def judge_pair(
    copies: Sequence[Copy], *, mail: str, gone: str, account: ErasureAccount, other: str
) -> Iterator[Finding]:
    """A single mail to somebody who is erased and to somebody else."""
    for address in (gone, other):
        taken = [copy.at for copy in copies if copy.address == address]
        where = f"{mail} {address}"
        if len(taken) > 1:
            yield Finding(Wrong.DOUBLED, f"{where}: {len(taken)} times")
        if address == gone:
            yield from _after(where, taken, account)
        elif not taken:
            yield Finding(Wrong.LOST, f"{where}: the other recipient was erased")


def _after(where: str, taken: Sequence[float], account: ErasureAccount) -> Iterator[Finding]:
    if not account.done:
        yield Finding(Wrong.WRONG, f"{where}: is not erased")
    elif late := [at for at in taken if at > account.done]:
        yield Finding(Wrong.WRONG, f"{where}: {late[0] - account.done:.3f} s after the erasure was done")
