"""The interface for setting a vendor's webhook target, and for trying it with a test event."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import requests

from mailroom.domain.errors import Unavailable
from mailroom.providers.parsing import excerpt

_TIMEOUT_S: Final = 15


class NoTestEvent(Exception):
    """The vendor has no call that makes it send a test event: the next mail's events show whether webhooks arrive."""


def same_but_mark(one: str, other: str) -> bool:
    """True if two addresses are equal up to their query, which holds the mark of a push."""
    return one.partition("?")[0] == other.partition("?")[0]


def not_taken(vendor: str, error: Exception) -> Unavailable:
    """The error of a target that the vendor did not take, with the vendor's words if it has answered."""
    answer = error.response if isinstance(error, requests.RequestException) else None
    words = f"{error}: {excerpt(answer.content)}" if answer is not None else str(error)
    return Unavailable(f"{vendor} did not take the webhook target: {words}")


def ask_json(vendor: str, method: str, url: str, body: Any, *, headers: Mapping[str, str]) -> dict[str, Any]:
    """A call about webhooks that the vendor answers with a JSON object. Raises Unavailable, with the vendor's words."""
    try:
        answer = requests.request(method, url, json=body, headers=headers, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return dict(answer.json())
    except (requests.RequestException, ValueError, TypeError) as error:
        raise not_taken(vendor, error) from error


class Target(Protocol):
    """The webhook target of one account. Both methods raise Unavailable, with the vendor's words."""

    def push(self, url: str, *, instead_of: str) -> None:
        """Set this URL as a target for all events that we read, in place of our earlier one (`instead_of`, '' for
        none). Targets of others stay."""
        ...

    def ask_for_event(self, url: str, name: str) -> bool:
        """Ask the vendor to send a test event to the URL. True if that event will carry `name` as its run's id. Raises
        NoTestEvent if the vendor has no call for that."""
        ...
