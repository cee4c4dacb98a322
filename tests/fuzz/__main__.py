"""`make fuzz`: schemathesis over all operations of the API, on real servers, with a table of what each answered.

python -m tests.fuzz [--cases 20000] [--seed N] [--folder DIR]
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from local.servers import Servers
from tests.fuzz.calling import Tally
from tests.fuzz.fuzzing import Fuzzing
from tests.support.system import a_system

_NO_LIMITS = {"MAILROOM_REPORTS_PER_MINUTE": "none", "MAILROOM_REQUESTS_PER_MINUTE": "none"}


def fuzz(folder: Path, servers: Servers, *, cases: int, seed: int) -> Tally:
    """A whole system but for senders: what is handed in waits. Without limits of callers."""
    with a_system(folder, servers, database=f"fuzz_{secrets.token_hex(4)}", **_NO_LIMITS) as system:
        system.start_simulator()
        system.start_api()
        return Fuzzing(system, seed=seed).run(cases)


def main() -> int:
    read = argparse.ArgumentParser(prog="python -m tests.fuzz")
    read.add_argument("--cases", type=int, default=20_000, help="that count: without 401, 404 and 429")
    read.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    asked = read.parse_args()
    print(f"seed {asked.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Servers.start(Path(folder) / "servers") as servers:
        tally = fuzz(Path(folder) / "system", servers, cases=asked.cases, seed=asked.seed)
    print("\n".join(tally.table()))
    for (operation, status), requests in tally.broken.items():
        print(f"\n{status} {len(requests)} times at {' '.join(operation)}, such as:")
        print("\n".join(f"  {request}" for request in requests[:3]))
    for line in tally.one_sided():
        print(f"too seldom {line}")
    print(f"\n{tally.counted:,} cases in {time.monotonic() - began:.0f} s, seed {asked.seed}")
    return 1 if tally.broken or tally.one_sided() else 0


if __name__ == "__main__":
    sys.exit(main())
