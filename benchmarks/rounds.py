"""Rounds of several contenders, taken in turn: what disturbs the machine for a while disturbs all of them alike."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.quiet import WAIT_S, Others, wait_until_quiet

_TRIAL_MAILS: Final = 2_000
_FEWEST: Final = 500
_MOST_TRIES: Final = 4
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's round: mails per second at the stub, and microseconds of CPU per mail by who spent them."""

    mails: int
    rate: float
    doubled: int
    cpu_us: Mapping[str, float]
    disturbed: bool = False


Contender = Callable[[int], Round]  # sends that many mails


def interleaved(
    contenders: Mapping[str, Contender], *, rounds: int, seconds: float, console: Console
) -> dict[str, list[Round]]:
    """Each contender once a round, every other round backwards. A trial before the first says how many mails fill
    `seconds`; it also warms the disk's cache, and is not counted."""
    mails: dict[str, int] = {}
    for name, contender in contenders.items():
        mails[name] = max(_FEWEST, int(_undisturbed(contender, _TRIAL_MAILS, console).rate * seconds))
        console.log(f"{name}: {mails[name]:,} mails a round")
    found: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in names:
            found[name].append(_undisturbed(contenders[name], mails[name], console))
            console.log(f"round {number + 1}, {name}: {found[name][-1].rate:,.0f} mails/s")
    return found


def _undisturbed(contender: Contender, mails: int, console: Console) -> Round:
    """A round during which nobody else worked; after a few disturbed ones, the last of them."""
    found, quiet = undisturbed(lambda: contender(mails), console)
    return found if quiet else replace(found, disturbed=True)


def undisturbed(
    measure: Callable[[], T], console: Console, *, tries: int = _MOST_TRIES, wait_s: float = WAIT_S
) -> tuple[T, bool]:
    """What was measured while nobody else worked, and true; after so many disturbed tries the last, and false."""
    for _ in range(tries):
        wait_until_quiet(console, wait_s)
        others = Others()
        found = measure()
        if others.quiet():
            return found, True
        console.log(f"disturbed: others used {others.cores():.2f} cores: {found}")
    return found, False


def summary(found: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, object]]:
    """Per contender the median and the span of its rates, the median CPU per mail, and each round as it was."""
    return {
        name: {
            "median": round(statistics.median(each.rate for each in rounds)),
            "least": round(min(each.rate for each in rounds)),
            "most": round(max(each.rate for each in rounds)),
            "doubled": sum(each.doubled for each in rounds),
            "disturbed": sum(each.disturbed for each in rounds),
            "cpu_us": {
                part: round(statistics.median(each.cpu_us[part] for each in rounds)) for part in rounds[0].cpu_us
            },
            "rounds": [asdict(each) for each in rounds],
        }
        for name, rounds in found.items()
    }


def table(found: Mapping[str, Mapping[str, object]]) -> Table:
    shown = Table("who", "mails/s", "least", "most", "doubled", "disturbed rounds", "CPU us a mail")
    for name, row in sorted(found.items(), key=lambda item: -int(str(item[1]["median"]))):
        columns = ("median", "least", "most", "doubled", "disturbed", "cpu_us")
        shown.add_row(name, *(str(row[column]) for column in columns))
    return shown
