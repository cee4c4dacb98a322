"""`mailroom up`: everything on one machine, on real embedded servers, watched over until Ctrl-C.

A part that ends by itself is started again. When this process dies, even by `kill -9`, the kernel ends all of them;
started again on the same data folder, everything goes on where it was.
"""

import json
import os
import secrets
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from cli.edge import write_edge
from cli.first_token import first_token
from cli.signals import stop_on_signals
from config.descriptions import DESCRIPTIONS
from config.reading import dotenv_of
from config.settings import BadSettings, Settings, read_settings
from local.binaries import HAPROXY, BinaryMissing, find
from local.children import Child, ChildFailed
from local.log_rotation import rotate
from local.ports import free_port
from local.private_files import write_private
from local.servers import Servers
from mailroom.assembly.database import prepare_database
from mailroom.domain.errors import Unavailable
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.services.operations import sign_in_links
from mailroom.services.operations.token_check import token_id_of

_HEALTHY_S: Final = 60.0
_BEYOND_A_CALL_S: Final = 20.0  # a sender that drains lets its calls end, and records their outcomes
_SECRETS: Final = ("secret_key", "mailgun_api_key", "mailgun_signing_key")
_HAPROXY: Final = "haproxy"
_LOGS_S: Final = 5.0  # between two looks at how large the logs are
_AGAIN_S: Final = (0.5, 1, 2, 5, 10)  # pauses before a part that keeps ending is started again
console = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class PartProcess:
    """One process of ours: how it is started, and how often it had to be started again."""

    name: str
    arguments: list[str]
    log: Path
    environment: dict[str, str]
    program: tuple[str, ...] = (sys.executable, "-m", "cli.main")
    child: Child | None = None
    failures: int = 0

    def start(self) -> Child:
        command = [*self.program, *self.arguments]
        self.child = Child(self.name, command, log=self.log, env=self.environment)
        return self.child


def run_all(data: Path, *, senders: int, simulator: bool, edge: bool = False) -> int:
    """Until a signal comes. Returns the exit status."""
    stop = threading.Event()
    stop_on_signals(stop)
    data = data.absolute()
    _keep_to_ourselves(data)
    parts: list[PartProcess] = []
    servers: Servers | None = None
    grace_s = _BEYOND_A_CALL_S
    try:
        _say("starting mongod, etcd and redis-server")
        servers = Servers.start(data, ask_password=True)
        environment = _environment(data, servers, simulator=simulator, edge=edge)
        simulator = simulator and "mailgun" in read_settings(environment).sending.providers
        _keep_environment(data, environment)
        grace_s += read_settings(environment).sending.call_timeout_s
        parts = _parts(data, environment, senders=senders, simulator=simulator)
        if edge:
            parts += _edge(data, environment)
        _start(parts, environment, simulator=simulator)
        _warn_of_dotenv(environment, simulator=simulator)
        _greet(data, environment, senders=senders, simulator=simulator, edge=edge)
        _watch(parts, servers, stop)
    except (BadSettings, BinaryMissing, ChildFailed, Unavailable) as error:
        console.print(f"[red]Mailroom did not start:[/red]\n{error}", markup=True)
        return 1
    finally:
        _stop(parts, servers, grace_s=grace_s)
    return 0


def _keep_to_ourselves(data: Path) -> None:
    """Keep the data folder, with everything in it already, from other users of this machine."""
    os.umask(0o077)
    data.mkdir(parents=True, exist_ok=True)
    for path in (data, *data.rglob("*")):
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(0o700 if path.is_dir() else 0o600)


def _environment(data: Path, servers: Servers, *, simulator: bool, edge: bool) -> dict[str, str]:
    """The settings of all parts: the user's own, and for the rest what fits this machine. Secrets are made once and
    kept in the data folder, for nobody else to read."""
    kept = _kept_secrets(data)
    # Only for this machine: who runs it for others runs the parts.
    ours = {"MAILROOM_SECRET_KEY": kept["secret_key"], "MAILROOM_BIND": "127.0.0.1"}
    theirs = {**dotenv_of(Path(".env")), **os.environ}
    environment = {**ours, **theirs, **servers.environment}
    if edge:
        environment.setdefault(
            "MAILROOM_PUBLIC_URL", f"https://localhost:{environment.get('MAILROOM_EDGE_API_PORT', '8443')}"
        )
        environment.setdefault("MAILROOM_TRUSTED_PROXIES", "127.0.0.1")
    environment.setdefault("MAILROOM_PUBLIC_URL", f"http://localhost:{environment.get('MAILROOM_API_PORT', '5000')}")
    if simulator:
        port = theirs.get("MAILROOM_SIMULATOR_PORT") or str(_port_of_choice(8025))
        for name in ("MAILGUN_API_KEY_FILE", "MAILGUN_SIGNING_KEY_FILE"):  # a file would win over the simulator's key
            environment.pop(name, None)
        environment |= {
            "MAILROOM_SIMULATOR_PORT": port,
            "MAILGUN_BASE_URL": f"http://127.0.0.1:{port}",
            "MAILGUN_DOMAIN": theirs.get("MAILGUN_DOMAIN", "mg.example.com"),
            "MAILGUN_API_KEY": kept["mailgun_api_key"],
            "MAILGUN_SIGNING_KEY": kept["mailgun_signing_key"],
        }
        environment["MAILROOM_FEED_PRIVATE_HOSTS"] = _with_its_feeds(theirs, port)
    settings = read_settings(environment)
    ports = {"API": settings.web.api_port, "WEB": settings.web.web_port}
    if edge:
        found = settings.edge
        ports |= {"WEBHOOKS": settings.web.webhooks_port, "EDGE_API": found.api_port}
        ports |= {"EDGE_WEB": found.web_port, "EDGE_STATUS": found.status_port}
    for name, number in ports.items():
        _check_port(f"MAILROOM_{name}_PORT", number)
    return environment


def _with_its_feeds(theirs: Mapping[str, str], port: str) -> str:
    """The private hosts of the settings, and the simulator, whose feeds can be tried."""
    named = theirs.get("MAILROOM_FEED_PRIVATE_HOSTS") or "none"
    ours = f"127.0.0.1:{port}, localhost:{port}"
    return ours if named == "none" else f"{named}, {ours}"


def _kept_secrets(data: Path) -> dict[str, str]:
    """The folder's secrets, made at the first start. Secrets that a later version needs are added when it starts."""
    path = data / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in _SECRETS if name not in kept]
    if missing:
        kept |= {name: secrets.token_urlsafe(32) for name in missing}
        write_private(path, json.dumps(kept))
    return kept


def _warn_of_dotenv(environment: dict[str, str], *, simulator: bool) -> None:
    """Who tries Mailroom out may have made a `.env` for Compose, and forgotten it."""
    if not dotenv_of(Path(".env")):
        return
    names = [name for name in read_settings(environment).sending.providers if not (simulator and name == "mailgun")]
    leaves = f", and mail may leave this machine by {', '.join(names)}" if names else ""
    console.print(f"[yellow]The settings in .env are used too{leaves}.[/yellow]")


def _keep_environment(data: Path, environment: dict[str, str]) -> None:
    """Our settings as a file for the shell, so that other commands find this system."""
    ours = {name: value for name, value in environment.items() if name.removesuffix("_FILE") in DESCRIPTIONS}
    absolute = {name: str(Path(value).absolute()) for name, value in ours.items() if name.endswith("_FILE") and value}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted((ours | absolute).items())]
    write_private(data / "env", "".join(lines))


def _check_port(setting: str, port: int) -> None:
    """Raises ChildFailed while somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ChildFailed(f"port {port} is taken: set {setting} to another one") from None


def _port_of_choice(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
    return wanted


def _parts(data: Path, environment: dict[str, str], *, senders: int, simulator: bool) -> list[PartProcess]:
    def part(name: str, *arguments: str, **own: str) -> PartProcess:
        return PartProcess(name, list(arguments), data / "logs" / f"{name}.log", environment | own)

    parts = []
    if simulator:
        port = environment["MAILROOM_SIMULATOR_PORT"]
        parts.append(part("simulator", "simulator", "--port", port, "--data", str(data / "simulator")))
    parts += [part("api", "api"), part("web", "web")]
    first_port = read_settings(environment).sending.port
    for number in range(1, senders + 1):
        own = {"MAILROOM_SENDER_PORT": str(first_port + number - 1)} if first_port else {}
        parts.append(part(f"sender-{number}", "sender", **own))
    return parts


def _edge(data: Path, environment: dict[str, str]) -> list[PartProcess]:
    """HAProxy, and a process for the webhooks that it leads there."""
    haproxy = (str(find(HAPROXY)), "-db", "-f")
    here = dict.fromkeys(("api", "web", "webhooks"), "127.0.0.1")
    config = write_edge(data / "edge", read_settings(environment), hosts=here, now=datetime.now(UTC))
    logs = data / "logs"
    return [
        PartProcess("webhooks-in", ["webhooks-in"], logs / "webhooks-in.log", environment),
        PartProcess(_HAPROXY, [str(config)], logs / f"{_HAPROXY}.log", environment, haproxy),
    ]


def _start(parts: list[PartProcess], environment: dict[str, str], *, simulator: bool) -> None:
    settings = read_settings(environment)
    prepare_database(settings)
    _say("starting " + ", ".join(part.name for part in parts))
    for part in parts:
        part.start()
    for part in parts:
        if part.child is not None and (url := _health_url(part.name, environment)):
            part.child.wait_until(_answers(url), timeout_s=_HEALTHY_S)
    if simulator:
        mailgun = settings.mailgun
        target = MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
        # Past the edge, whose certificate the simulator would not believe.
        apart = any(part.name == "webhooks-in" for part in parts)
        port = settings.web.webhooks_port if apart else settings.web.api_port
        target.push(f"http://127.0.0.1:{port}/webhooks/mailgun")


def _health_url(name: str, environment: dict[str, str]) -> str | None:
    settings = read_settings(environment)
    web = settings.web
    ports = {"api": web.api_port, "web": web.web_port, "webhooks-in": web.webhooks_port}
    ports[_HAPROXY] = settings.edge.status_port
    if name == "simulator":
        return f"http://127.0.0.1:{environment['MAILROOM_SIMULATOR_PORT']}/simulator/health"
    return f"http://127.0.0.1:{ports[name]}/health" if name in ports else None


def _answers(url: str) -> Callable[[], bool]:
    def healthy() -> bool:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own URL
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return healthy


def _greet(data: Path, environment: dict[str, str], *, senders: int, simulator: bool, edge: bool) -> None:
    settings = read_settings(environment)
    token = first_token(data / "admin-token", prepare_database(settings), name="mailroom up")
    pages, api = _addresses(settings, edge=edge)
    rows = [("Pages", pages), ("API", f"{api}/v1"), ("API docs", f"{api}/docs")]
    if simulator:
        rows.append(("Inbox", f"http://localhost:{environment['MAILROOM_SIMULATOR_PORT']}/inbox"))
    rows += [
        ("Senders", str(senders)),
        ("Data", str(data)),
        ("Logs", str(data / "logs")),
        *_ways_in(environment, token, pages),
    ]
    console.print("\nMailroom is up.\n", style="bold green")
    for name, value in rows:
        console.print(f"  {name:8} {value}", soft_wrap=True)
    console.print(f"\n  {token}\n", style="bold", soft_wrap=True)
    console.print(f"`mailroom` commands find this system in a terminal after:  . {data / 'env'}", soft_wrap=True)
    console.print("Ctrl-C ends it; the data stays.\n")


def _addresses(settings: Settings, *, edge: bool) -> tuple[str, str]:
    """Of the pages and the API, for a browser on this machine."""
    if edge:
        return f"https://localhost:{settings.edge.web_port}", f"https://localhost:{settings.edge.api_port}"
    return f"http://localhost:{settings.web.web_port}", f"http://localhost:{settings.web.api_port}"


def _ways_in(environment: dict[str, str], token: str, pages: str) -> list[tuple[str, str]]:
    """How to sign in: by a link, only where a person reads this at a terminal, or by the token that follows. A link in
    a log file would sign in the first reader of the file."""
    if not sys.stderr.isatty():
        return [("Sign in", "with this token:")]
    settings = read_settings(environment)
    now = datetime.now(UTC)
    secret = sign_in_links.create(prepare_database(settings), token_id_of(token), now=now)
    minutes = int(sign_in_links.LIFETIME.total_seconds() / 60)
    return [
        ("Sign in", f"{pages}/sign-in/link?secret={secret}"),
        ("", f"(works once, within {minutes} minutes), or with this token:"),
    ]


def _watch(parts: list[PartProcess], servers: Servers, stop: threading.Event) -> None:
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


def _stop(parts: list[PartProcess], servers: Servers | None, *, grace_s: float) -> None:
    """Senders first, all at once, until they have drained; then the edge, which lets requests in hand be answered; then
    what these talked to; the servers last."""
    senders = [part for part in parts if part.name.startswith("sender")]
    if any(part.child is not None and part.child.alive() for part in senders):
        _say(f"ending; calls in hand may take up to {grace_s:.0f} s")
    edge = [part for part in parts if part.name == _HAPROXY]
    others = [part for part in parts if part not in senders + edge]
    # At SIGTERM HAProxy breaks off what is in hand.
    for group, by in ((senders, signal.SIGTERM), (edge, signal.SIGUSR1), (others, signal.SIGTERM)):
        running = [part.child for part in group if part.child is not None]
        for child in running:
            if child.alive():
                child.process.send_signal(by)
        for child in running:
            child.stop(grace_s=grace_s, by=by)
    if servers is not None:
        servers.stop()
    if parts:
        console.print("[dim]ended; the data stays[/dim]")


def _say(words: str) -> None:
    console.print(f"[dim]{words} …[/dim]")
