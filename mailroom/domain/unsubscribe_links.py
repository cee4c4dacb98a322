"""Links by which a reader leaves a topic, made for each mail of a topic: `<public URL>/u/<token>`.

The token alone tells who leaves what, and from which mail: it works for as long as its key is known, whatever else has
been removed. Nobody can read or make one without the key (AES-SIV, RFC 5297), so an address never shows in logs of
proxies. The same mail always has the same link.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailroom.domain.ids import RunId

PATH: Final = "/u/"
_PURPOSE: Final = b"mailroom unsubscribe links"
_FIRST_FORM: Final = b"\x01"
_LONGEST: Final = 2_048  # characters of a token


@dataclass(frozen=True, slots=True)
class Membership:
    """A reader, the topic, and the run or single mail whose mail carries the link."""

    address: str
    topic: str
    run: RunId


class UnsubscribeLinks:
    """Makes and reads links. Thread-safe."""

    def __init__(self, public_url: str, keys: Sequence[str], *, retired: Sequence[str] = ()) -> None:
        """`keys`: those in use, the first makes links. `retired`: keys that make none, but whose links still work."""
        self._base = f"{public_url}{PATH}"
        self._ciphers = [_cipher(key) for key in (*keys, *retired)]

    def url(self, membership: Membership) -> str:
        fields = (membership.topic, membership.run, membership.address)
        sealed = self._ciphers[0].encrypt("\0".join(fields).encode(), [_FIRST_FORM])
        return self._base + base64.urlsafe_b64encode(_FIRST_FORM + sealed).decode().rstrip("=")

    @property
    def example(self) -> str:
        """What a link looks like; it leads to nobody's."""
        return f"{self._base}example"

    def read(self, token: str) -> Membership | None:
        """The membership that a token of ours names; None for any other text."""
        if len(token) > _LONGEST:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        for cipher in self._ciphers:
            try:
                topic, run, address = cipher.decrypt(raw[1:], [raw[:1]]).decode().split("\0")
            except (InvalidTag, ValueError):
                continue
            return Membership(address, topic, RunId(run))
        return None


def _cipher(key: str) -> AESSIV:
    return AESSIV(HKDF(SHA256(), length=64, salt=None, info=_PURPOSE).derive(key.encode()))
