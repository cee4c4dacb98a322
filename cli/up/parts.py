"""The processes of `mailroom up`, and their start."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from cli.edge import write_edge
from cli.up.console import say
from cli.up.environment import LocalSystem
from local.binaries import HAPROXY, find
from local.children import Child
from local.forked import ForkedChild, ForkServer
from mailroom.assembly.providers import build_target

_HEALTHY_S: Final = 60.0
HAPROXY_PART: Final = "haproxy"


@dataclass(slots=True)
class PartProcess:
    """One process of ours: how it is started, and how often it had to be started again. It is forked by `forks`, or has
    a program of its own."""

    name: str
    arguments: list[str]
    log: Path
    environment: dict[str, str]
    forks: ForkServer
    program: tuple[str, ...] = ()
    child: Child | None = None
    failures: int = 0

    def start(self) -> Child:
        name, log, env = self.name, self.log, self.environment
        if self.program:
            self.child = Child(name, [*self.program, *self.arguments], log=log, env=env)
        else:
            self.child = ForkedChild(name, "cli.main", self.arguments, log=log, env=env, server=self.forks)
        return self.child


def parts_of(system: LocalSystem, forks: ForkServer) -> list[PartProcess]:
    """All processes, in the order of their start."""
    parts = []
    if system.simulator:
        folder = str(system.data / "simulator")
        parts.append(_part(system, forks, "simulator", "simulator", "--port", system.simulator_port, "--data", folder))
    parts += [_part(system, forks, "api", "api"), _part(system, forks, "web", "web")]
    first_port = system.settings.sending.port
    for number in range(1, system.senders + 1):
        own = {"MAILROOM_SENDER_PORT": str(first_port + number - 1)} if first_port else {}
        parts.append(_part(system, forks, f"sender-{number}", "sender", **own))
    return parts + (_edge(system, forks) if system.edge else [])


def _edge(system: LocalSystem, forks: ForkServer) -> list[PartProcess]:
    """HAProxy, and a process for the webhooks that it leads there."""
    here = dict.fromkeys(("api", "web", "webhooks"), "127.0.0.1")
    config = write_edge(system.data / "edge", system.settings, hosts=here, now=datetime.now(UTC))
    haproxy = replace(_part(system, forks, HAPROXY_PART, str(config)), program=(str(find(HAPROXY)), "-db", "-f"))
    return [_part(system, forks, "webhooks-in", "webhooks-in"), haproxy]


def _part(system: LocalSystem, forks: ForkServer, name: str, *arguments: str, **own: str) -> PartProcess:
    return PartProcess(
        name, list(arguments), system.data / "logs" / f"{name}.log", {**system.environment, **own}, forks
    )


def start(parts: list[PartProcess], system: LocalSystem) -> None:
    """Raises ChildFailed if a part does not answer in time."""
    say("starting " + ", ".join(part.name for part in parts))
    for part in parts:
        part.start()
    for part in parts:
        if part.child is not None and (url := _health_url(part.name, system)):
            part.child.wait_until(_answers(url), timeout_s=_HEALTHY_S)
    if system.simulator:
        # Past the edge, whose certificate the simulator would not believe.
        web = system.settings.web
        port = web.webhooks_port if system.edge else web.api_port
        build_target(system.settings, "mailgun").push(f"http://127.0.0.1:{port}/webhooks/mailgun", instead_of="")


def _health_url(name: str, system: LocalSystem) -> str | None:
    web = system.settings.web
    ports = {"api": web.api_port, "web": web.web_port, "webhooks-in": web.webhooks_port}
    ports[HAPROXY_PART] = system.settings.edge.status_port
    if name == "simulator":
        return f"http://127.0.0.1:{system.simulator_port}/simulator/health"
    return f"http://127.0.0.1:{ports[name]}/health" if name in ports else None


def _answers(url: str) -> Callable[[], bool]:
    def healthy() -> bool:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own URL
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return healthy
