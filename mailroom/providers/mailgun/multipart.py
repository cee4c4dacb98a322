"""Multipart forms (RFC 7578) as Mailgun takes them, written as bytes: each call builds a form."""

import secrets
from collections.abc import Iterable
from typing import Final

# Random, so that no mail's text can hold it; one for all calls of a process, so that equal parts are encoded once.
_BOUNDARY: Final = secrets.token_hex(16)
CONTENT_TYPE: Final = f"multipart/form-data; boundary={_BOUNDARY}"
END: Final = f"--{_BOUNDARY}--\r\n".encode()
_QUOTED: Final = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}  # as browsers do, RFC 7578 section 2


def fields(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Plain fields, by name and value; encoded as one text. No name may hold a quote or a line break."""
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    return "".join([f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in pairs]).encode()


def file(name: str, filename: str, content_type: str, content: bytes) -> bytes:
    """One file. Without a filename Mailgun would drop it silently."""
    quoted = filename.translate(_QUOTED)
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{quoted}"\r\n'
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode() + content + b"\r\n"
