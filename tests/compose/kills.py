"""One container killed or stopped, and what came of it."""

import time
from typing import Any

from tests.compose.engine import Project
from tests.compose.leaders import leader
from tests.support.system import wait_for

LEADING = ("mongo", "etcd", "redis")
_PAUSE_S = 5.0
Done = tuple[tuple[float, float], dict[str, Any]]  # from when until when it was killed, and figures


def kill(project: Project, kind: str) -> Done:
    """SIGKILL; of a store the member that leads, and then another one must lead. Then its start, as Docker would do it
    by itself, but later."""
    was = leader(project, kind) if kind in LEADING else kind
    victim = project.containers(was)[0]
    began = time.monotonic()
    project.kill(victim)
    ended, figures = time.monotonic(), {"killed": victim}
    if kind in LEADING:
        other = wait_for(lambda: _another(project, kind, was), within_s=60, what=f"another {kind} leads")
        figures |= {"leads instead": other, "after s": round(time.monotonic() - began, 1)}
    time.sleep(_PAUSE_S)
    project.start(victim)
    project.wait_until_healthy(victim, within_s=120)
    return (began, ended), figures


def stop(project: Project, kind: str) -> Done:
    """As in a rolling restart."""
    victim = project.containers(kind)[0]
    began = time.monotonic()
    project.stop(victim)
    ended = time.monotonic()
    project.start(victim)
    project.wait_until_healthy(victim, within_s=120)
    return (began, ended), {"stopped": victim}


def _another(project: Project, kind: str, was: str) -> str:
    now = leader(project, kind)
    return now if now != was else ""
