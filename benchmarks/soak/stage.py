"""The processes, started as an operator starts them: API, pages, webhooks' intake, two senders, and the witness."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.children import Child
from local.ports import free_port
from local.servers import Servers
from tests.support.system import System

SENDERS: Final = 2


class Processes(System):
    """A system whose processes are not forked from one that has the code in memory: what they hold is their own."""

    def start(self, name: str, module: str, *arguments: str, **settings: str) -> Child:
        command = [sys.executable, "-m", module, *arguments]
        child = Child(name, command, log=self.folder / "logs" / f"{name}.log", env={**self.environment, **settings})
        self.children.append(child)
        return child


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs. `ours` and `stores` are process ids by name, `scraped` the ports of each job of Prometheus."""

    system: Processes
    ours: dict[str, int]
    stores: dict[str, int]
    scraped: dict[str, list[int]]


@contextmanager
def a_stage(folder: Path) -> Iterator[Stage]:
    with Servers.start(folder / "servers") as servers:
        system = Processes(folder / "system", servers, database="soak")
        try:
            yield _started(system, servers)
        finally:
            system.close()


def _started(system: Processes, servers: Servers) -> Stage:
    system.start_simulator()
    parts = {
        "api": system.start_api(webhooks=False),
        "web": system.start_web(),
        "webhooks-in": system.start_webhooks_in(),
    }
    target = {"provider": "mailgun", "url": system.webhooks_url}
    system.call("POST", "/v1/webhook-targets", json=target).raise_for_status()
    ports = [free_port() for _ in range(SENDERS)]
    for number, port in enumerate(ports, start=1):
        parts[f"sender {number}"] = system.start_senders(1, MAILROOM_SENDER_PORT=str(port))[0]
    return Stage(
        system,
        {name: child.pid for name, child in parts.items()},
        {child.name: child.pid for child in servers.children()},
        {"api": [system.api_port], "web": [system.web_port], "webhooks": [system.webhooks_port], "sender": ports},
    )
