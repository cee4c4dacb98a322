"""Links by which a reader confirms a subscription that was asked for by a form: `<public URL>/c/<token>`.

The token alone tells who asked for what, when, and how long the link works. Only who reads the mail has it. It is of
another purpose than a token to unsubscribe: neither is taken for the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.ids import EmailId, confirmation_key, keyed_email_id
from mailroom.domain.sealed_tokens import TokenSeal

PATH: Final = "/c/"
#: In place of a token's owner: of mails that Mailroom sends by itself. No token has such an id.
OWNER: Final = "mailroom/subscribe"
_PURPOSE: Final = "mailroom confirmation links"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_TEXTS: Final = 5  # of a token


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """What was asked for by a form. `address`: in the form to send to. `name`: '' where none was given. `asked_at`: in
    whole milliseconds. `until`: when the link of its mail ends."""

    address: str
    topic: str
    name: str
    asked_at: datetime
    until: datetime

    @property
    def key(self) -> str:
        """The Idempotency-Key of its mail: the same request has one mail."""
        return confirmation_key(self.topic, fold(self.address), _ms_of(self.asked_at))

    @property
    def mail(self) -> EmailId:
        return keyed_email_id(OWNER, self.key)


class ConfirmLinks:
    """Makes and reads links. Thread-safe."""

    def __init__(self, public_url: str, keys: Sequence[str]) -> None:
        """`keys`: those in use, the first makes links. Retired keys are of no use here: the links end within weeks,
        and who has an old key must not subscribe others."""
        self._base, self._seal = f"{public_url}{PATH}", TokenSeal(_PURPOSE, keys)

    def url(self, asked: SubscriptionRequest) -> str:
        times = (str(_ms_of(asked.asked_at)), str(_ms_of(asked.until)))
        return self._base + self._seal.token_of(asked.topic, *times, asked.name, asked.address)

    def read(self, token: str) -> SubscriptionRequest | None:
        """The request that a token of ours names, ended or not; None for any other text."""
        texts = self._seal.texts_of(token)
        if texts is None or len(texts) != _TEXTS:
            return None
        topic, asked_at, until, name, address = texts
        return SubscriptionRequest(address, topic, name, _time_of(asked_at), _time_of(until))


def _ms_of(time: datetime) -> int:
    return (time - _EPOCH) // _MS


def _time_of(ms: str) -> datetime:
    return _EPOCH + int(ms) * _MS
