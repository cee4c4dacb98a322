"""Read the mailboxes that bounces and unsubscribes come to, as IMAP URLs (RFC 5092 has the form)."""

import ssl
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from config.reading import Reader
from mailroom.domain.imap_places import ImapPlace
from mailroom.domain.return_paths import check_return_path

EXAMPLE: Final = "imaps://user:password@imap.example.org/INBOX"
_TLS: Final = ("implicit", "starttls", "none")
_PORTS: Final = {"implicit": 993, "starttls": 143, "none": 143}
_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """Where bounces of mail by SMTP go, and the mailboxes that are read for them, and for who unsubscribes by mail."""

    return_path: str  # '': the From address is the envelope's sender
    mailboxes: tuple[ImapPlace, ...]
    every: timedelta


def read_returned_mail(read: Reader) -> ReturnedMail:
    """Faults are added to the reader's."""
    none: tuple[ImapPlace, ...] = ()
    return ReturnedMail(
        return_path=read.checked("MAILROOM_SMTP_RETURN_PATH", check_return_path, "")
        if read.is_set("MAILROOM_SMTP_RETURN_PATH", "none")
        else "",
        mailboxes=read.each_fault("MAILROOM_MAILBOXES", _places, none)
        if read.is_set("MAILROOM_MAILBOXES", "none")
        else none,
        every=timedelta(seconds=read.number("MAILROOM_MAILBOX_EVERY", int, 1, 900)),
    )


def _places(raw: str) -> tuple[tuple[ImapPlace, ...], list[str]]:
    """The places, and every fault, in words that show no password."""
    places: list[ImapPlace] = []
    faults: list[str] = []
    urls = [part.strip() for part in raw.split(",")]
    if len(urls) > _MOST:
        return (), [f"at most {_MOST} mailboxes"]
    for number, url in enumerate(urls, 1):
        try:
            places.append(_place(urlsplit(url)))
        except ValueError as error:
            faults.append(f"mailbox {number}: {error}; expected a URL such as {EXAMPLE}")
    return tuple(places), faults


def _place(url: SplitResult) -> ImapPlace:
    """Raises ValueError with the reason, in words that show no password."""
    options = parse_qs(url.query)
    tls = "implicit" if url.scheme == "imaps" else options.get("tls", ["starttls"])[0]
    if url.scheme not in ("imap", "imaps") or tls not in _TLS or options.keys() - {"tls", "ca"}:
        raise ValueError("its scheme is imaps or imap, its options are tls and ca")
    try:
        port = url.port or _PORTS[tls]
    except ValueError:
        raise ValueError("its port is none") from None
    host, user, password = url.hostname or "", unquote(url.username or ""), unquote(url.password or "")
    if not host or not user or not password:
        raise ValueError("it names a host, a user and a password; a comma or an @ in these is written %2C and %40")
    if not all(text.isascii() and text.isprintable() for text in (user, password)):
        raise ValueError("user and password are printable ASCII")
    if tls == "none" and not _is_this_host(host):
        raise ValueError("without TLS it may only be on this host")
    ca = options.get("ca", [""])[0]
    if ca:
        _check_ca(ca)
    folder = unquote(url.path.strip("/")) or "INBOX"
    if not (folder.isascii() and folder.isprintable()):
        raise ValueError("its folder is written in ASCII: modified UTF-7")
    return ImapPlace(host, port, tls, user, password, folder, ca)


def _is_this_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_ca(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        raise ValueError("its ca is the path of a PEM file with certificates") from None
