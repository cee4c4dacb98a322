"""MongoDB put back to an older copy, and what puts that right."""

import shutil
import subprocess
import sys
from pathlib import Path

from local.servers import Servers
from tests.support.system import System, wait_for

QUICK = {"MAILROOM_CALL_TIMEOUT": "1", "MAILROOM_IDLE_LIMIT": "1", "MAILROOM_SETTLE": "2"}


def put_mongodb_aside(servers: Servers, copy: Path) -> None:
    assert servers.mongod is not None
    servers.mongod.kill()
    shutil.copytree(servers.folder / "mongo", copy)
    servers.start_mongod()
    servers.wait_until_healthy()


def put_mongodb_back(servers: Servers, copy: Path) -> None:
    assert servers.mongod is not None
    servers.mongod.kill()
    shutil.rmtree(servers.folder / "mongo")
    shutil.copytree(copy, servers.folder / "mongo")
    servers.start_mongod()
    servers.wait_until_healthy()


def put_right(system: System) -> str:
    """`doctor --after-restore`, as soon as the provider's log is complete. Returns what it said."""
    said = ""

    def done() -> bool:
        nonlocal said
        # The simulator's log is complete at once.
        found = doctor(system, "--after-restore", **QUICK)
        said = found.stdout
        return found.returncode == 0

    wait_for(done, within_s=60, what="MongoDB is put right")
    return said


def doctor(system: System, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "doctor", *arguments],
        env={**system.environment, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
