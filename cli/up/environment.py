"""The settings of all parts of `mailroom up`, its data folder, and the secrets in it."""

import json
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.descriptions import DESCRIPTIONS
from config.reading import dotenv_of
from config.settings import Settings, read_settings
from local.children import ChildFailed
from local.ports import free_port
from local.private_files import write_private
from local.servers import Servers

_SECRETS: Final = ("secret_key", "mailgun_api_key", "mailgun_signing_key")
_SIMULATOR_PORT: Final = 8025


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """What `mailroom up` runs: its folder, the settings of all parts, and which parts there are."""

    data: Path
    environment: Mapping[str, str]
    settings: Settings
    senders: int
    simulator: bool
    edge: bool

    @property
    def simulator_port(self) -> str:
        return self.environment["MAILROOM_SIMULATOR_PORT"]


def system_of(servers: Servers, *, senders: int, simulator: bool, edge: bool) -> LocalSystem:
    """Raises BadSettings, and ChildFailed if a port is taken. A simulator only where Mailgun is a provider."""
    data = servers.folder
    environment = _environment(data, servers, simulator=simulator, edge=edge)
    settings = read_settings(environment)
    _require_free_ports(settings, edge=edge)
    simulator = simulator and "mailgun" in settings.sending.providers
    return LocalSystem(data, environment, settings, senders, simulator, edge)


def _environment(data: Path, servers: Servers, *, simulator: bool, edge: bool) -> dict[str, str]:
    """The settings of all parts: the user's own, and for the rest what fits this machine. Secrets are made once and
    kept in the data folder, for nobody else to read."""
    kept = _kept_secrets(data)
    # Only for this machine: who runs it for others runs the parts.
    ours = {"MAILROOM_SECRET_KEY": kept["secret_key"], "MAILROOM_BIND": "127.0.0.1"}
    theirs = {**dotenv_of(Path(".env")), **os.environ}
    environment = {**ours, **theirs, **servers.environment}
    if edge:
        port = environment.get("MAILROOM_EDGE_API_PORT", "8443")
        environment.setdefault("MAILROOM_PUBLIC_URL", f"https://localhost:{port}")
        environment.setdefault("MAILROOM_TRUSTED_PROXIES", "127.0.0.1")
    environment.setdefault("MAILROOM_PUBLIC_URL", f"http://localhost:{environment.get('MAILROOM_API_PORT', '5000')}")
    if simulator:
        for name in ("MAILGUN_API_KEY_FILE", "MAILGUN_SIGNING_KEY_FILE"):  # a file would win over the simulator's key
            environment.pop(name, None)
        environment |= _simulated(theirs, kept)
    return environment


def _simulated(theirs: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """The settings by which the simulator stands in Mailgun's place."""
    port = theirs.get("MAILROOM_SIMULATOR_PORT") or str(_SIMULATOR_PORT if _is_free(_SIMULATOR_PORT) else free_port())
    return {
        "MAILROOM_SIMULATOR_PORT": port,
        "MAILGUN_BASE_URL": f"http://127.0.0.1:{port}",
        "MAILGUN_DOMAIN": theirs.get("MAILGUN_DOMAIN", "mg.example.com"),
        "MAILGUN_API_KEY": kept["mailgun_api_key"],
        "MAILGUN_SIGNING_KEY": kept["mailgun_signing_key"],
        "MAILROOM_FEED_PRIVATE_HOSTS": _with_its_feeds(theirs, port),
    }


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


def keep_environment(system: LocalSystem) -> None:
    """Our settings as a file for the shell, so that other commands find this system."""
    ours = {name: value for name, value in system.environment.items() if name.removesuffix("_FILE") in DESCRIPTIONS}
    absolute = {name: str(Path(value).absolute()) for name, value in ours.items() if name.endswith("_FILE") and value}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted((ours | absolute).items())]
    write_private(system.data / "env", "".join(lines))


def _require_free_ports(settings: Settings, *, edge: bool) -> None:
    """Raises ChildFailed while somebody else listens on a port of a part."""
    web, of_edge = settings.web, settings.edge
    ports = {"API": web.api_port, "WEB": web.web_port}
    if edge:
        ports |= {"WEBHOOKS": web.webhooks_port, "EDGE_API": of_edge.api_port}
        ports |= {"EDGE_WEB": of_edge.web_port, "EDGE_STATUS": of_edge.status_port}
    for name, port in ports.items():
        if not _is_free(port):
            raise ChildFailed(f"port {port} is taken: set MAILROOM_{name}_PORT to another one")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
