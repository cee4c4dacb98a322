"""`python -m tests.compose [host] [cluster]`: each file from nothing to a mail delivered and opened, then killings."""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.compose.engine import Project
from tests.compose.trying import Client, delivered_and_opened, under_load

_SCALED: Final = "tests/compose/scaled.yml"
FILES: Final = {
    "host": ("docker-compose.yml", "docker-compose.dev.yml", _SCALED),
}
KILLED: Final = {
    "host": ("api", "web", "webhooks", "sender"),
}
_PAUSE_S: Final = 5.0


def run(name: str, folder: Path) -> dict[str, object]:
    project = Project(f"mailroom-{name}", FILES[name], folder)
    project.down()
    began = time.monotonic()
    try:
        project.up()
        project.wait_until_healthy(within_s=300)
        healthy_s = time.monotonic() - began
        client = Client(project, folder)
        delivered_and_opened(client)
        told: dict[str, object] = {
            "containers": len(project.containers()),
            "healthy after s": round(healthy_s),
            "opened after s": round(time.monotonic() - began),
        }
        for service in KILLED[name]:
            told[f"killed {service}"] = under_load(client, lambda one=service: kill_one(project, one), within_s=120)
        told["stopped api"] = under_load(client, lambda: stop_one(project, "api"), within_s=120)
        return told
    except BaseException:
        for container in project.containers():
            print(f"== {container}\n{project.logs(container)}", file=sys.stderr)
        raise
    finally:
        project.down()


def kill_one(project: Project, service: str) -> None:
    """SIGKILL, a pause, and its start: as Docker would do it by itself, but later."""
    victim = project.containers(service)[0]
    project.kill(victim)
    time.sleep(_PAUSE_S)
    project.start(victim)
    time.sleep(_PAUSE_S)


def stop_one(project: Project, service: str) -> None:
    """As in a rolling restart."""
    victim = project.containers(service)[0]
    project.stop(victim)
    project.start(victim)
    time.sleep(_PAUSE_S)


def main() -> int:
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or FILES:
            told = run(name, Path(folder))
            print(json.dumps({name: told}, indent=2))
            for figures in told.values():
                if isinstance(figures, dict):
                    wrong |= bool(figures["lost"] or figures["doubled"] or figures["failed for good"])
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
