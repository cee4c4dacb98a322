"""Where the three stores are, and the files for TLS to them.

The files become options of the URLs, so that a store's URL is all that its client needs.
"""

import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from config.reading import Reader, url_of
from mailroom.coordination.redis_url import sentinel_url


@dataclass(frozen=True, slots=True)
class Stores:
    """URLs; they may carry passwords."""

    mongo_url: str = field(repr=False)
    etcd_urls: tuple[str, ...] = field(repr=False)
    redis_url: str = field(repr=False)


# The names of the options for authorities, own certificate, and its key. MongoDB wants both in one file.
_MONGO: Final = {"CA": "tlsCAFile", "CERT": "tlsCertificateKeyFile"}
_ETCD: Final = {"CA": "ca", "CERT": "cert", "KEY": "key"}
_REDIS: Final = {"CA": "ssl_ca_certs", "CERT": "ssl_certfile", "KEY": "ssl_keyfile"}


def read_stores(read: Reader) -> Stores:
    """The stores' URLs with the files for TLS. Each file must exist and hold what it is for."""
    mongo_url = read.url("MAILROOM_MONGO_URL", "mongodb", "mongodb+srv")
    etcd_urls = read.urls("MAILROOM_ETCD_URL", "http", "https")
    redis_url = read.checked("MAILROOM_REDIS_URL", _redis_url, "")
    of_mongo, of_etcd, of_redis = (
        _files(read, *each) for each in (("MONGO", _MONGO), ("ETCD", _ETCD), ("REDIS", _REDIS))
    )
    if of_etcd and not all(url.startswith("https:") for url in etcd_urls):
        read.faults.append("MAILROOM_ETCD_URL is wrong: with files for TLS each URL must be https://")
    if of_redis and redis_url and not redis_url.startswith(("rediss:", "rediss+")):
        read.faults.append("MAILROOM_REDIS_URL is wrong: with files for TLS it must be rediss:// or rediss+sentinel://")
    if of_mongo and _tls_of(mongo_url) == "false":
        read.faults.append("MAILROOM_MONGO_URL is wrong: with files for TLS it must not have tls=false")
    elif of_mongo and not _tls_of(mongo_url):
        of_mongo = {"tls": "true", **of_mongo}
    return Stores(
        mongo_url=_with_options(mongo_url, of_mongo),
        etcd_urls=tuple(_with_options(url, of_etcd) for url in etcd_urls),
        redis_url=_with_options(redis_url, of_redis),
    )


def _tls_of(mongo_url: str) -> str:
    """What the URL says of TLS; nothing if it does not speak of it."""
    options = {name.lower(): value for name, value in parse_qsl(urlsplit(mongo_url).query)}
    return (options.get("tls") or options.get("ssl") or "").lower()


def _redis_url(raw: str) -> str:
    return raw if sentinel_url(raw) else url_of(raw, ("redis", "rediss", "unix"))


def _files(read: Reader, store: str, options: dict[str, str]) -> dict[str, str]:
    """The paths that are given, by the names of their options."""
    paths = {what: read.optional(f"MAILROOM_{store}_{what}") for what in options}
    if paths["CA"]:
        read.checked(f"MAILROOM_{store}_CA", _check_authorities, None)
    if paths["CERT"]:
        read.checked(f"MAILROOM_{store}_CERT", lambda path: _check_certificate(path, paths.get("KEY", "")), None)
    elif paths.get("KEY"):
        read.faults.append(f"MAILROOM_{store}_CERT is missing: MAILROOM_{store}_KEY is its key")
    return {options[what]: path for what, path in paths.items() if path}


def _check_authorities(path: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        raise ValueError(path) from error


def _check_certificate(path: str, key: str) -> None:
    try:
        # A key with a passphrase is refused: nobody is there to type it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, key or None, password="")
    except OSError as error:
        raise ValueError(path) from error


def _with_options(url: str, options: dict[str, str]) -> str:
    if not options:
        return url
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(options, quote_via=quote)]))
    return urlunsplit(parts._replace(path=parts.path or "/", query=query))
