"""`mailroom up`: everything on one machine, on real embedded servers, watched over until Ctrl-C.

A part that ends by itself is started again. When this process dies, even by `kill -9`, the kernel ends all of them;
started again on the same data folder, everything goes on where it was.
"""

import json
import os
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from cli.signals import stop_on_signals
from config.descriptions import DESCRIPTIONS
from config.reading import dotenv_of
from config.settings import BadSettings, read_settings
from local.binaries import BinaryMissing
from local.children import Child, ChildFailed, free_port
from local.log_rotation import rotate
from local.private_files import write_private
from local.servers import Servers
from mailroom.assembly import prepare_database
from mailroom.domain.errors import AccessRefused, Unavailable
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.services.operations import tokens as token_service

_HEALTHY_S: Final = 60.0
_BEYOND_A_CALL_S: Final = 20.0  # a sender that drains lets its calls end, and writes down what came of them
_SECRETS: Final = ("secret_key", "mailgun_api_key", "mailgun_signing_key")
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
    child: Child | None = None
    failures: int = 0

    def start(self) -> Child:
        command = [sys.executable, "-m", "cli.main", *self.arguments]
        self.child = Child(self.name, command, log=self.log, env=self.environment)
        return self.child


def run_all(data: Path, *, senders: int, simulator: bool) -> int:
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
        environment = _environment(data, servers, simulator=simulator)
        simulator = simulator and "mailgun" in read_settings(environment).sending.providers
        _keep_environment(data, environment)
        grace_s += read_settings(environment).sending.call_timeout_s
        parts = _parts(data, environment, senders=senders, simulator=simulator)
        _start(parts, environment, simulator=simulator)
        _greet(data, environment, senders=senders, simulator=simulator)
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


def _environment(data: Path, servers: Servers, *, simulator: bool) -> dict[str, str]:
    """The settings of all parts: the user's own, and for the rest what fits this machine. Secrets are made once and
    kept in the data folder, for nobody else to read."""
    kept = _kept_secrets(data)
    # Only for this machine: who runs it for others runs the parts.
    ours = {"MAILROOM_SECRET_KEY": kept["secret_key"], "MAILROOM_BIND": "127.0.0.1"}
    theirs = {**dotenv_of(Path(".env")), **os.environ}
    environment = {**ours, **theirs, **servers.environment}
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
    web = read_settings(environment).web
    _check_port("MAILROOM_API_PORT", web.api_port)
    _check_port("MAILROOM_WEB_PORT", web.web_port)
    return environment


def _kept_secrets(data: Path) -> dict[str, str]:
    """The folder's secrets, made at the first start. Secrets that a later version needs are added when it starts."""
    path = data / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in _SECRETS if name not in kept]
    if missing:
        kept |= {name: secrets.token_urlsafe(32) for name in missing}
        write_private(path, json.dumps(kept))
    return kept


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
    def part(name: str, *arguments: str) -> PartProcess:
        return PartProcess(name, list(arguments), data / "logs" / f"{name}.log", environment)

    parts = []
    if simulator:
        port = environment["MAILROOM_SIMULATOR_PORT"]
        parts.append(part("simulator", "simulator", "--port", port, "--data", str(data / "simulator")))
    parts += [part("api", "api"), part("web", "web")]
    return parts + [part(f"sender-{number}", "sender") for number in range(1, senders + 1)]


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
        target.push(f"http://127.0.0.1:{settings.web.api_port}/webhooks/mailgun")


def _health_url(name: str, environment: dict[str, str]) -> str | None:
    settings = read_settings(environment)
    ports = {"api": settings.web.api_port, "web": settings.web.web_port}
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


def _greet(data: Path, environment: dict[str, str], *, senders: int, simulator: bool) -> None:
    settings = read_settings(environment)
    token = _admin_token(data, environment)
    rows = [
        ("Pages", f"http://localhost:{settings.web.web_port}"),
        ("API", f"http://localhost:{settings.web.api_port}/v1   (reference: /docs)"),
    ]
    if simulator:
        rows.append(("Inbox", f"http://localhost:{environment['MAILROOM_SIMULATOR_PORT']}/inbox"))
    rows += [
        ("Senders", str(senders)),
        ("Data", str(data)),
        ("Logs", str(data / "logs")),
        ("Sign in", "with the token"),
    ]
    console.print("\nMailroom is up.\n", style="bold green")
    for name, value in rows:
        console.print(f"  {name:8} {value}", soft_wrap=True)
    console.print(f"\n  {token}\n", style="bold", soft_wrap=True)
    console.print(f"Other commands find this system with:  . {data / 'env'}", soft_wrap=True)
    console.print("Ctrl-C ends it; the data stays.\n")


def _admin_token(data: Path, environment: dict[str, str]) -> str:
    """The token that was made at the first start, or a new one where it is gone or revoked."""
    path = data / "admin-token"
    db = prepare_database(read_settings(environment))
    now = datetime.now(UTC)
    if path.exists():
        token = path.read_text().strip()
        try:
            token_service.authenticate(db, token, now=now)
        except AccessRefused:
            path.unlink()
        else:
            return token
    token = token_service.create_token(db, name="mailroom up", scopes=["admin"], now=now)
    write_private(path, token + "\n")
    return token


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
    """Senders first, all at once, until they have drained; then what they talked to; the servers last."""
    senders = [part for part in parts if part.name.startswith("sender")]
    if any(part.child is not None and part.child.alive() for part in senders):
        _say(f"ending; calls in hand may take up to {grace_s:.0f} s")
    for group in (senders, [part for part in parts if part not in senders]):
        running = [part.child for part in group if part.child is not None]
        for child in running:
            if child.alive():
                child.process.terminate()
        for child in running:
            child.stop(grace_s=grace_s)
    if servers is not None:
        servers.stop()


def _say(words: str) -> None:
    console.print(f"[dim]{words} …[/dim]")
