"""The URL of a Redis that Sentinels watch: `redis+sentinel://[user:password@]host1:26379,host2:26379/name/0`.

User, password, database and options are those of the Redis servers; `name` is the Sentinels' name for their master.
`sentinel_username` and `sentinel_password` among the options are for the Sentinels. `rediss+sentinel://` means TLS to
both. Other URLs name one server, and are the client library's own.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

_SCHEMES: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}  # and that of the servers
_PORT: Final = 26379
_MOST_DATABASES: Final = 1_000
_OF_SENTINELS: Final = frozenset(["sentinel_username", "sentinel_password"])
OF_TLS: Final = frozenset(["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])  # the library's names


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of such a URL."""

    sentinels: tuple[tuple[str, int], ...]  # (host, port)
    service: str
    server: str = field(repr=False)  # a URL of the library's for any of the servers; its host means nothing
    username: str | None = None  # of the Sentinels
    password: str | None = field(default=None, repr=False)


def sentinel_url(url: str) -> SentinelUrl | None:
    """The parts of the URL; None for a URL of one server. Raises ValueError for a wrong one."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return None
    credentials, at, hosts = parts.netloc.rpartition("@")
    query = parts.query.replace("+", "%2B")  # a plus in a password is meant as it stands
    options = parse_qs(query, strict_parsing=bool(query), keep_blank_values=True)
    if set(options) - _OF_SENTINELS - OF_TLS or any(len(values) > 1 for values in options.values()):
        raise ValueError("unknown options")
    service, database = _service_and_database(parts)
    of_servers = urlencode({name: values[0] for name, values in options.items() if name not in _OF_SENTINELS})
    return SentinelUrl(
        sentinels=tuple(_host_and_port(host.strip()) for host in hosts.split(",")),
        service=service,
        server=f"{_SCHEMES[parts.scheme]}://{credentials}{at}any/{database}?{of_servers}",
        username=options.get("sentinel_username", [None])[0],
        password=options.get("sentinel_password", [None])[0],
    )


def _service_and_database(parts: SplitResult) -> tuple[str, int]:
    service, _, database = parts.path.removeprefix("/").partition("/")
    if not service or not 0 <= int(database or 0) < _MOST_DATABASES:
        raise ValueError("no name of a master, or a wrong database")
    return unquote(service), int(database or 0)


def _host_and_port(written: str) -> tuple[str, int]:
    parts = urlsplit(f"//{written}")
    if not parts.hostname or parts.path:
        raise ValueError("a Sentinel without a host")
    return parts.hostname, parts.port or _PORT
