"""Watch over the parts and the servers of `mailroom up`: what ends is started again."""

import threading
import time
from typing import Final

from cli.up.console import console
from cli.up.parts import PartProcess
from local.log_rotation import rotate
from local.servers import Servers

_LOGS_S: Final = 5.0  # between two looks at how large the logs are
_AGAIN_S: Final = (0.5, 1, 2, 5, 10)  # pauses before a part that keeps ending is started again


def watch(parts: list[PartProcess], servers: Servers, stop: threading.Event) -> None:
    """Start again what has ended, with growing pauses; the servers too, on their old ports and data."""
    due: dict[str, float] = {}
    look_at_logs = 0.0
    while not stop.wait(0.3):
        if time.monotonic() >= look_at_logs:
            look_at_logs = time.monotonic() + _LOGS_S
            for log in servers.folder.glob("logs/*.log"):
                rotate(log)
        for part in parts:
            if part.child is None or part.child.alive():
                continue
            if part.name not in due:
                pause = _AGAIN_S[min(part.failures, len(_AGAIN_S) - 1)]
                due[part.name] = time.monotonic() + pause
                part.failures += 1
                console.print(f"[yellow]{part.name} ended; its log: {part.log}; again in {pause} s[/yellow]")
            elif time.monotonic() >= due[part.name]:
                del due[part.name]
                part.start()
        for child, again in (
            (servers.mongod, servers.start_mongod),
            (servers.etcd, servers.start_etcd),
            (servers.redis, servers.start_redis),
        ):
            if child is not None and not child.alive():
                console.print(f"[yellow]{child.name} ended; starting it again[/yellow]")
                again()
