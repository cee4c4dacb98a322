"""`python -m tests.recount`: a campaign that six providers carry in turn, each until it has its share and then is down.
Every copy is read back as its recipient reads it. Exit 1 if one is lost, doubled, or has a link of somebody else's.

--recipients N  100,000 by default
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from local.servers import Servers
from mailroom.assembly.links import build_links
from mailroom.domain.ids import ScheduleId
from tests.recount.copies import LINKED, TOPIC, Recount, recount
from tests.recount.providers import Providers, the_vendors
from tests.support.campaigns import a_campaign, dispatch_states, finished
from tests.support.system import System, a_system
from tests.support.topics import a_topic

console = Console(stderr=True)
_SENDERS: Final = 2
_STANDS_STILL_S: Final = 180.0
# What waits for another provider is tried again at once: only that would make the run last for an hour.
_SETTINGS: Final = {"MAILROOM_RETRY_DELAYS": ",".join(["1"] * 20)}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--recipients", type=int, default=100_000)
    options = arguments.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailroom-recount-")))
        servers = stack.enter_context(Servers.start(folder / "servers"))
        vendors, smtp, settings = stack.enter_context(the_vendors())
        made = a_system(folder / "system", servers, database="recount", **settings, **_SETTINGS)
        providers = Providers(stack.enter_context(made), vendors, smtp)
        found = run(providers, options.recipients)
    _tell(found, options.recipients)
    return 0 if found.holds else 1


def run(providers: Providers, recipients: int) -> Recount:
    system = providers.system
    system.start_simulator()
    a_topic(system.db, TOPIC)
    with console.status("storing the list"):
        schedule = a_campaign(system, recipients, topic=TOPIC, **LINKED)
    system.start_senders(_SENDERS)
    _carry(providers, schedule, recipients)
    with _bar() as shown:
        task, links = shown.add_task("recount", total=recipients), build_links(system.settings.web)
        return recount(providers.copies(), links, recipients=recipients, advance=lambda n: shown.advance(task, n))


def _carry(providers: Providers, schedule: ScheduleId, recipients: int) -> None:
    """Until the run is finished: whoever has its share goes down. Raises AssertionError if nothing moves any more."""
    shares, system = recipients / len(providers.carried()), providers.system
    down, before, moved_at = set[str](), 0, time.monotonic()
    with _bar() as shown:
        task = shown.add_task("carried", total=recipients)
        while not finished(system, schedule):
            carried = providers.carried()
            for name, count in carried.items():
                if count >= shares and name not in down and name != "smtp":
                    providers.take_down(name)
                    down.add(name)
            if (now := sum(carried.values())) != before:
                before, moved_at = now, time.monotonic()
            shown.update(task, completed=now, description=", ".join(f"{n} {c:,}" for n, c in carried.items()))
            _assert_moves(system, moved_at)
            time.sleep(0.1)


def _assert_moves(system: System, moved_at: float) -> None:
    stood_s = time.monotonic() - moved_at
    assert stood_s < _STANDS_STILL_S, f"nothing went out for {stood_s:.0f} s: {dict(dispatch_states(system))}"


def _bar() -> Progress:
    return Progress(
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=console, transient=True
    )


def _tell(found: Recount, recipients: int) -> None:
    carried = ", ".join(f"{name} {count:,}" for name, count in found.copies.items())
    print(f"{recipients:,} recipients; carried by {carried}")
    print(f"lost {found.lost:,}, doubled {found.doubled:,}, with a fault: {dict(found.wrong) or 'none'}")
    for copy in found.examples:
        print(copy)


if __name__ == "__main__":
    sys.exit(main())
