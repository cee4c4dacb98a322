"""Questions to Mailgun's log about calls in doubt, by Message-Id.

Source: documentation.mailgun.com, "Events" (read 2026-11): filters take `OR`; `next` is always there, so a page
without items is the end; entries become visible late and out of order; the log goes back at least a day.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import requests

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.doubts import Traces
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.providers.base import Answer

_NAME: Final = re.compile(r"[A-Za-z0-9._+=@-]{1,250}")  # only characters without a meaning in a query
_TIMEOUT_S: Final = 15
_PAGE: Final = 300
# Each recipient of an accepted call has one of these events. Opens and clicks would only add pages.
_PROVING: Final = "accepted OR delivered OR failed OR rejected"
_MOST_PAGES: Final = 200
_MOST_PAGES_OF_ALL: Final = 100_000


def ask(
    base_url: str,
    api_key: str,
    account: str,
    dispatches: Sequence[DispatchId],
    control: str | None,
    told_as: Mapping[DispatchId, Sequence[str]] = MappingProxyType({}),
) -> Answer:
    """Every entry of the log about these dispatches, and whether it shows the control. `told_as`: other names from
    webhooks; an entry under such a name counts only if it carries the dispatch's id itself. Raises Unavailable."""
    named = {rfc_message_id(dispatch, account): dispatch for dispatch in dispatches}
    hinted = {name for names in told_as.values() for name in names if _NAME.fullmatch(name)} - named.keys()
    wanted = [*named, *sorted(hinted), *([control] if control else [])]
    seen: dict[DispatchId, set[str]] = {dispatch: set() for dispatch in dispatches}
    accepted: dict[DispatchId, dict[int, str]] = {dispatch: {} for dispatch in dispatches}
    control_seen = False
    query = {"message-id": " OR ".join(f'"{message_id}"' for message_id in wanted), "limit": str(_PAGE)}
    query["event"] = _PROVING
    for event in _events(base_url, api_key, account, query, most_pages=_MOST_PAGES):
        message_id = _message_id(event)
        control_seen = control_seen or (control is not None and message_id == control)
        dispatch = named.get(message_id) or (_own(event) if message_id in hinted else None)
        if dispatch not in seen:
            continue
        if isinstance(event.get("recipient"), str):
            seen[dispatch].add(fold(event["recipient"]))
        accepted[dispatch][_attempt(event)] = message_id
    traces = {dispatch: Traces(frozenset(seen[dispatch]), accepted[dispatch]) for dispatch in dispatches}
    return Answer(traces, control_seen)


def accepted_since(base_url: str, api_key: str, account: str, since: datetime) -> Iterator[tuple[DispatchId, str]]:
    """All our calls that the log shows as accepted: pairs of dispatch and recipient. Raises Unavailable."""
    query = {"event": "accepted", "begin": f"{since.timestamp():.0f}", "ascending": "yes", "limit": str(_PAGE)}
    for event in _events(base_url, api_key, account, query, most_pages=_MOST_PAGES_OF_ALL):
        variables, recipient = event.get("user-variables"), event.get("recipient")
        dispatch = variables.get("dispatch") if isinstance(variables, dict) else None
        if isinstance(dispatch, str) and isinstance(recipient, str):
            yield DispatchId(dispatch), recipient


def make_control(base_url: str, api_key: str, account: str) -> str:
    """A mail in Mailgun's test mode: accepted and logged, not sent. Returns its Message-Id. Raises Unavailable."""
    message_id = f"control-{secrets.token_hex(8)}.mailroom@{account}"
    form = {
        "from": f"mailroom@{account}",
        "to": f"mailroom@{account}",
        "subject": "Is the log complete?",
        "text": "A control of Mailroom's, in test mode: it is not sent.",
        "o:testmode": "yes",
        "h:Message-Id": f"<{message_id}>",
    }
    try:
        answer = requests.post(
            f"{base_url}/v3/{account}/messages",
            data=form,
            auth=("api", api_key),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
        )
        answer.raise_for_status()
        if not isinstance(answer.json().get("id"), str):
            raise ValueError("an answer without an id")
    except (requests.RequestException, ValueError, AttributeError) as error:
        raise Unavailable(f"Mailgun did not take a control: {error}") from error
    return message_id


def _events(
    base_url: str, api_key: str, account: str, query: dict[str, str], *, most_pages: int
) -> Iterator[dict[str, Any]]:
    url, asked = f"{base_url}/v3/{account}/events", query
    for _ in range(most_pages):
        items, following = _page(url, asked, api_key)
        if not items:
            return
        yield from items
        # The request carries our key: it goes to this host only.
        if not following.startswith(f"{base_url}/"):
            raise Unavailable("Mailgun's next page leads elsewhere")
        url, asked = following, {}
    raise Unavailable(f"Mailgun's log has no end after {most_pages} pages")


def _page(url: str, query: dict[str, str], api_key: str) -> tuple[list[dict[str, Any]], str]:
    try:
        answer = requests.get(url, params=query, auth=("api", api_key), timeout=_TIMEOUT_S, allow_redirects=False)
        answer.raise_for_status()
        body = answer.json()
        items, following = body["items"], body["paging"]["next"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"Mailgun's log did not answer: {error}") from error
    if not isinstance(items, list) or not isinstance(following, str) or not all(isinstance(i, dict) for i in items):
        raise Unavailable("Mailgun's log answered in another shape")
    return items, following


def _message_id(event: dict[str, Any]) -> str:
    message = event.get("message")
    headers = message.get("headers") if isinstance(message, dict) else None
    found = headers.get("message-id") if isinstance(headers, dict) else None
    return found.strip("<>") if isinstance(found, str) else ""


def _own(event: dict[str, Any]) -> DispatchId | None:
    """The dispatch's id from the variables of the mail; None without one."""
    variables = event.get("user-variables")
    dispatch = variables.get("dispatch") if isinstance(variables, dict) else None
    return DispatchId(dispatch) if isinstance(dispatch, str) else None


def _attempt(event: dict[str, Any]) -> int:
    """The attempt from the variables of the mail; 0 if the log does not show it."""
    variables = event.get("user-variables")
    attempt = variables.get("attempt") if isinstance(variables, dict) else None
    return int(attempt) if isinstance(attempt, str) and attempt.isdigit() and len(attempt) < 10 else 0
