"""Links by which a reader leaves a topic, made for each mail of a topic: `<public URL>/u/<token>`.

The token alone tells who leaves what, and from which mail: it works for as long as its key is known, whatever else has
been removed. Nobody can read or make one without the key. The same mail always has the same link.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from mailroom.domain.ids import RunId
from mailroom.domain.sealed_tokens import TokenSeal

PATH: Final = "/u/"
_EXAMPLE: Final = "example"
_PURPOSE: Final = "mailroom unsubscribe links"
_TEXTS: Final = 3  # of a token
# Characters of both links in one header: a line has at most 998 (RFC 5322 2.1.1), and no link is broken in two.
_MOST_IN_A_LINE: Final = 900


class Membership(Struct, frozen=True):
    """A reader, the topic, and the run or single mail whose mail carries the link."""

    address: str
    topic: str
    run: RunId


class UnsubscribeLinks:
    """Makes and reads links. Thread-safe."""

    def __init__(self, public_url: str, keys: Sequence[str], *, retired: Sequence[str] = (), mailbox: str = "") -> None:
        """`keys`: those in use, the first makes links. `retired`: keys that make none, but whose links still work.
        `mailbox`: the address to which a reader may write instead; '' for none."""
        self._base = f"{public_url}{PATH}"
        self._seal = TokenSeal(_PURPOSE, keys, retired=retired)
        self._mailto = f"mailto:{quote(mailbox, safe='@')}?subject=unsubscribe-" if mailbox else ""

    def url(self, membership: Membership) -> str:
        return self._base + self._seal.token_of(membership.topic, membership.run, membership.address)

    @property
    def by_mail(self) -> bool:
        """True if readers may also write to a mailbox."""
        return bool(self._mailto)

    def mailto(self, url: str) -> str:
        """The link by which the reader of this URL of ours leaves by mail: its subject holds the same token. Empty
        without a mailbox, and where both links would be too long for one header."""
        link = f"{self._mailto}{url.removeprefix(self._base)}"
        return link if self._mailto and len(url) + len(link) <= _MOST_IN_A_LINE else ""

    @property
    def example(self) -> str:
        """What a link looks like; it leads to nobody's."""
        return f"{self._base}{_EXAMPLE}"

    def is_example(self, token: str) -> bool:
        """True for the token of `example`."""
        return token == _EXAMPLE

    def read(self, token: str) -> Membership | None:
        """The membership that a token of ours names; None for any other text."""
        texts = self._seal.texts_of(token)
        if texts is None or len(texts) != _TEXTS:
            return None
        topic, run, address = texts
        return Membership(address, topic, RunId(run))
