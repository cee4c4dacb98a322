"""The mail that every benchmark posts: twelve fields as Mailgun's form has them, about 1.6 kB as multipart.

Only the dispatch id differs from mail to mail, and it has a fixed width: a ready request is its two halves and the id.
"""

import json
from typing import Final

DOMAIN: Final = "mg.example.org"
PATH: Final = f"/v3/{DOMAIN}/messages"
BOUNDARY: Final = "5f0c2ab4e97d4c3fb1d6a7c8e9f01234"
CONTENT_TYPE: Final = f"multipart/form-data; boundary={BOUNDARY}"
# Of the key `key`; the stub does not look, but every client carries it.
AUTHORIZATION: Final = "Basic YXBpOmtleQ=="
_LINE: Final = "Hello %recipient.name%, your order is on its way and should be with you within two days."


def dispatch_id(number: int) -> str:
    return f"dsp_{number:012d}"


def fields(number: int) -> list[tuple[str, str]]:
    """The form's fields, in order."""
    dispatch = dispatch_id(number)
    return [
        ("from", f"Ann <ann@{DOMAIN}>"),
        ("to", "Reader <reader@example.org>"),
        ("subject", "%recipient.name%, your order is on its way"),
        ("text", "\n".join([_LINE] * 2)),
        ("html", "\n".join([f"<p>{_LINE}</p>"] * 3)),
        ("h:Message-Id", f"<{dispatch}@{DOMAIN}>"),
        ("v:run", "run_000000000001"),
        ("v:dispatch", dispatch),
        ("v:attempt", "1"),
        ("o:tag", "orders"),
        ("o:tracking-opens", "yes"),
        ("recipient-variables", json.dumps({"reader@example.org": {"name": "Reader"}})),
    ]


def body(number: int) -> bytes:
    """The whole multipart body, put together from ready halves."""
    id_ = b"dsp_%012d" % number
    return _HALVES[0] + id_ + _HALVES[1] + id_ + _HALVES[2]


def _multipart(number: int) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields(number)
    ]
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()


_HALVES: Final = _multipart(0).split(dispatch_id(0).encode())
LENGTH: Final = len(_multipart(0))


def headers() -> dict[str, str]:
    """What each client sends beside Host and Content-Length."""
    return {
        "Authorization": AUTHORIZATION,
        "Accept": "application/json",
        "User-Agent": "bench",
        "Content-Type": CONTENT_TYPE,
    }


def head(host: str) -> bytes:
    """A whole request's head; the body follows it."""
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}", f"Content-Length: {LENGTH}"]
    lines += [f"{name}: {value}" for name, value in headers().items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
