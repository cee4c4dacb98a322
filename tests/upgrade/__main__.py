"""`python -m tests.upgrade`: replace every process of an earlier version by one of this checkout, in mid-campaign, and
count. Exit 1 if a mail is doubled or lost, or a version could not work with what the other one had stored.

--from WHEEL_OR_GIT_REV   the earlier version; by default the last release of another schema
--recipients N            people of each campaign; campaigns follow one another for as long as it takes
--back                    and then back again, to the earlier version
--kill                    processes end by SIGKILL instead of SIGTERM
--control                 to a version that does not find the earlier one's fences, by SIGKILL; exit 1 if none doubles
--json FILE               where the verdict goes
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from local.servers import Servers
from tests.support.system import a_system
from tests.upgrade import verdict
from tests.upgrade.rolling import SETTINGS, Rolling
from tests.upgrade.verdict import Verdict
from tests.upgrade.versions import CONTROL, THIS, Version, installed

#: The last commit before databases had a schema number.
BEFORE: Final = "a9c69b7"
_MOST_SHOWN: Final = 20
console = Console(stderr=True)


def run(folder: Path, old: Version, to: Sequence[Version], *, recipients: int, by: signal.Signals) -> Verdict:
    """One run on servers of its own, which begins with an empty database of the old version."""
    with (
        Servers.start(folder / "servers") as servers,
        a_system(folder / "system", servers, database="upgrade", **SETTINGS) as system,
        console.status("starting") as status,
    ):
        system.db.client.drop_database(system.db.name)  # what this version has prepared
        rolling = Rolling(system, recipients=recipients, say=status.update)
        return rolling.run(old, [(version, by) for version in to])


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--from", dest="source", default=BEFORE, metavar="WHEEL_OR_GIT_REV")
    arguments.add_argument("--recipients", type=int, default=400)
    arguments.add_argument("--back", action="store_true")
    arguments.add_argument("--kill", action="store_true")
    arguments.add_argument("--control", action="store_true")
    arguments.add_argument("--json", type=Path, default=Path("data/upgrade.json"))
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailroom-upgrade-"))
    with console.status(f"installing {options.source}"):
        old = installed(options.source, Path("data/upgrade") / Path(options.source).stem)
    to = [CONTROL if options.control else THIS, *([old] if options.back else [])]
    by = signal.SIGKILL if options.kill or options.control else signal.SIGTERM
    found = run(folder, old, to, recipients=options.recipients, by=by)
    for table in verdict.tables(found):
        console.print(table)
    for what, ids in found.wrong.items():
        for id_ in ids[:_MOST_SHOWN]:
            console.print(f"{what}: {id_}", style="red", markup=False)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(verdict.as_json(found))
    is_well = bool(found.doubled) if options.control else found.holds
    if is_well:
        shutil.rmtree(folder)
    else:
        console.print(f"logs and stores are kept in {folder}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
