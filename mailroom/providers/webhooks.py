"""What a provider's webhooks are to us: deliveries that are verified first, and then parsed into events."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.events import Event


class WebhookRefused(Exception):
    """A delivery that is not taken in. The message is for the provider; `code` names the reason."""

    code: str


class BadSignature(WebhookRefused):
    """The signature fits none of our keys, or it is not signed by the provider, or not for us."""

    code = "bad_signature"


class Stale(WebhookRefused):
    """The signature fits, but it is older than any retry, or from the future."""

    code = "stale"


class Malformed(WebhookRefused):
    """This is no event of the provider's; sending it again would not help."""

    code = "malformed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came. Header names are in lower case."""

    body: bytes
    headers: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """The document of a delivery that the provider has signed. `at`: the time for events that have none."""

    document: Any
    at: datetime


class WebhookFace(ABC):
    """The webhooks of one account at one provider."""

    name: str
    # HTTP status of a refusal after which the provider does not send the delivery again.
    refused_for_good: int = 400
    # A delivery holds one event and a one-time token, which is the event's replay key. If another event comes with a
    # known token, somebody replays the token.
    one_event: bool = False

    @abstractmethod
    def verify(self, delivery: Delivery) -> Verified:
        """Check the signature over the bytes as they came. Raises WebhookRefused, or Unavailable if the check itself
        cannot be made now."""

    def confirm(self, verified: Verified) -> None:  # noqa: B027  (most providers never ask)
        """Answer the provider's question whether we want its webhooks, if this is that question. Raises Malformed, or
        Unavailable."""

    @abstractmethod
    def parse(self, verified: Verified) -> Sequence[Event]:
        """The events; none if the delivery is about no mail. Raises Malformed."""
