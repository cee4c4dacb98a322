"""Tokens for links in mails: they hold a few texts, encrypted and signed (AES-SIV, RFC 5297).

Nobody can read or make one without the key, so an address never shows in logs of proxies. Each purpose has a key of its
own, made of the secret key: a token of one purpose is nothing to another. The same texts always give the same token.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FIRST_FORM: Final = b"\x01"
_LONGEST: Final = 2_048  # characters of a token


class TokenSeal:
    """Makes and reads the tokens of one purpose. Thread-safe."""

    def __init__(self, purpose: str, keys: Sequence[str], *, retired: Sequence[str] = ()) -> None:
        """`keys`: those in use, the first makes tokens. `retired`: keys that make none, but whose tokens are read."""
        self._ciphers = [_cipher(key, purpose) for key in (*keys, *retired)]

    def token_of(self, *texts: str) -> str:
        """The token of these texts, none of which may hold a NUL."""
        sealed = self._ciphers[0].encrypt("\0".join(texts).encode(), [_FIRST_FORM])
        return base64.urlsafe_b64encode(_FIRST_FORM + sealed).decode().rstrip("=")

    def texts_of(self, token: str) -> list[str] | None:
        """The texts of a token that one of the keys has made; None for any other text."""
        if len(token) > _LONGEST:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(raw[1:], [raw[:1]]).decode().split("\0")
            except (InvalidTag, ValueError):
                continue
        return None


def _cipher(key: str, purpose: str) -> AESSIV:
    return AESSIV(HKDF(SHA256(), length=64, salt=None, info=purpose.encode()).derive(key.encode()))
