"""`python -m tests.compose [host] [cluster]`: each file from nothing to a mail delivered and opened, then killings."""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from cli.cluster import keep_secrets
from tests.compose.engine import Project
from tests.compose.kills import kill, stop
from tests.compose.load import doubled, under_load
from tests.compose.trying import Client, caught_by_smtp, delivered_and_opened, scraped

_SCALED: Final = "tests/compose/scaled.yml"
_DEV: Final = "docker-compose.dev.yml"
_PROCESSES: Final = {"api": 2, "web": 2, "webhooks": 2, "sender": 3, "edge": 1}
FILES: Final = {
    "host": ("docker-compose.yml", _DEV, _SCALED),
    "cluster": ("docker-compose.cluster.yml", _DEV, _SCALED),
}
OURS: Final = ("api", "web", "webhooks", "sender", "edge")
KILLED: Final = {"host": OURS, "cluster": (*OURS, "mongo", "etcd", "redis", "sentinel-1")}
# A doubt is settled within the test; the simulator's log is complete at once.
_SETTINGS: Final = {"MAILROOM_SETTLE": "10", "MAILROOM_CALL_TIMEOUT": "10"}
_COUNTED_S: Final = 180.0


def run(name: str, folder: Path) -> dict[str, Any]:
    secrets = folder / "secrets"
    project = Project(f"mailroom-{name}", FILES[name], folder, **_SETTINGS, MAILROOM_SECRETS=str(secrets))
    if name == "cluster":
        keep_secrets(secrets, project.env_file, now=datetime.now(UTC))
    project.down()
    began = time.monotonic()
    try:
        project.up(within_s=300)
        project.wait_until_healthy(within_s=300)
        healthy_s = time.monotonic() - began
        client = Client(project, folder)
        delivered_and_opened(client)
        told: dict[str, Any] = {
            "containers": len(project.containers()),
            "healthy after s": round(healthy_s),
            "opened after s": round(time.monotonic() - began),
        }
        caught_by_smtp(client)
        told["Prometheus reads"] = scraped(_PROCESSES)
        for kind in KILLED[name]:
            told[f"killed {kind}"] = shown(under_load(client, partial(kill, project, kind), within_s=_COUNTED_S))
        told["stopped api"] = shown(under_load(client, partial(stop, project, "api"), within_s=_COUNTED_S))
        told["ledger"] = balance(project)
        told["doubled of all"] = doubled(client)
        return told
    except BaseException:
        for container in project.containers():
            print(f"== {container}\n{project.logs(container)}", file=sys.stderr)
        raise
    finally:
        project.down()


def balance(project: Project) -> str:
    """The word of `doctor --ledger`. Raises RuntimeError where something is not accounted for."""
    said = project.execute(project.containers("api")[0], "mailroom", "doctor", "--ledger")
    return said.strip().rpartition("\n")[2]


def shown(figures: dict[str, Any]) -> dict[str, Any]:
    """At once: a run takes minutes."""
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def is_wrong(figures: dict[str, Any]) -> bool:
    return bool(
        figures["lost"]
        or figures["doubled"]
        or figures["failed for good"]
        or figures["failed otherwise, without a key"]
    )


def main() -> int:
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or FILES:
            told = run(name, Path(folder))
            print(json.dumps({name: told}, indent=2))
            wrong |= bool(told["doubled of all"])
            wrong |= any(is_wrong(figures) for what, figures in told.items() if what.startswith(("killed", "stopped")))
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
