"""Return paths: the envelope sender of each mail by SMTP, to which a server sends its bounce (VERP).

`bounces@example.org` becomes `bounces+<token>@example.org`. The token names the message, and is signed: nobody who was
not sent the mail can make one. It has lower-case letters and digits only, because servers may change the case.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailroom.domain.ids import RunId
from mailroom.domain.packed_ids import MOST_BYTES, MessageName, pack, unpack

_PURPOSE: Final = b"mailroom return paths"
# Who guesses needs a mail for each guess, and 2^47 of them on average.
_SIGNATURE_BYTES: Final = 6
_MOST_TOKEN: Final = -(-(MOST_BYTES + _SIGNATURE_BYTES) * 8 // 5)
_MOST_LOCAL: Final = 64  # octets of a local part: RFC 5321 4.5.3.1.1
#: Characters before the `@` of the address without a token.
MOST_OWN: Final = _MOST_LOCAL - len("+") - _MOST_TOKEN
_TOKENS: Final = re.compile(rb"\+([a-z2-7]{20,%d})@" % _MOST_TOKEN, re.IGNORECASE)
_MOST_LOOKED_AT: Final = 200  # of one mail


class ReturnPaths:
    """Makes and reads return paths. Thread-safe."""

    def __init__(self, address: str, keys: Sequence[str], *, retired: Sequence[str] = ()) -> None:
        """`address`: as the setting has it; '' makes none, and reads them all the same. `keys`: those in use, the first
        signs. `retired`: keys that sign nothing, but whose return paths are read."""
        self._local, _, self._domain = address.rpartition("@")
        self._keys = [_derived(key) for key in (*keys, *retired)]

    def of(self, run: RunId, address: str) -> str:
        """The return path of the mail of this run to this address."""
        packed = pack(run, address)
        if packed is None:
            return f"{self._local}@{self._domain}"
        token = base64.b32encode(packed + _signature(self._keys[0], packed)).decode().rstrip("=").lower()
        return f"{self._local}+{token}@{self._domain}"

    def find(self, text: bytes) -> MessageName | None:
        """The message that the first return path of ours in this text names; None without one. A foreign one, or one
        with a wrong signature, counts as none."""
        seen: set[bytes] = set()
        for match in _TOKENS.finditer(text):
            token = match[1].upper()
            if token in seen:
                continue
            if name := self._read(token):
                return name
            seen.add(token)
            if len(seen) >= _MOST_LOOKED_AT:
                break
        return None

    def _read(self, token: bytes) -> MessageName | None:
        try:
            raw = base64.b32decode(token + b"=" * (-len(token) % 8))
        except binascii.Error:
            return None
        packed, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        signed = [hmac.compare_digest(_signature(key, packed), signature) for key in self._keys]
        return unpack(packed) if any(signed) else None


def check_return_path(raw: str) -> str:
    """The address, in the form in which it is stored. Raises ValueError: its own part is too long for a token beside
    it, or has a `+`."""
    local, _, domain = raw.strip().rpartition("@")
    if not re.fullmatch(rf"[A-Za-z0-9._-]{{1,{MOST_OWN}}}", local) or not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", domain):
        raise ValueError(raw)
    return f"{local}@{domain.lower()}"


def _signature(key: bytes, packed: bytes) -> bytes:
    return hmac.digest(key, packed, sha256)[:_SIGNATURE_BYTES]


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
