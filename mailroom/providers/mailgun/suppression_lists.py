"""Mailgun's own lists of addresses that get nothing from a domain: read page by page, and added to by the thousand.

Source: documentation.mailgun.com, "Suppressions" (read 2026-12): pages go on from an address, and `next` leads to an
empty page at the end; an array of at most 1,000 records is taken as a whole or refused as a whole; a record that is
there already is written again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import requests

from mailroom.domain.errors import Unavailable
from mailroom.domain.instants import to_instant

MOST_A_CALL: Final = 1_000
_TIMEOUT_S: Final = 20
_MOST_WORDS: Final = 500
_EVERY_MAIL: Final = "*"  # the tag of an unsubscribe from everything


class MailgunList(StrEnum):
    BOUNCES = "bounces"
    COMPLAINTS = "complaints"
    UNSUBSCRIBES = "unsubscribes"


class RecordsRefused(Exception):
    """Mailgun refuses these records: at least one of them is bad."""


@dataclass(frozen=True, slots=True)
class ListedAddress:
    """A record of a list. `words`: of a bounce, its error. `tags`: of an unsubscribe; `*` means every mail."""

    address: str
    at: datetime | None
    code: int | None = None
    words: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListPage:
    """`last`: the address after which the next page begins; None at the end of the list. `unread`: records of a shape
    that is not known."""

    records: Sequence[ListedAddress]
    last: str | None
    unread: int = 0


class MailgunLists:
    """The lists of one domain. Each method raises Unavailable."""

    def __init__(self, *, base_url: str, domain: str, api_key: str) -> None:
        self.domain = domain
        self._root, self._auth = f"{base_url}/v3/{domain}", ("api", api_key)

    def page(self, of: MailgunList, *, after: str) -> ListPage:
        """The records after this address, in Mailgun's order; after '' the first ones."""
        query = {"limit": str(MOST_A_CALL)} | ({"page": "next", "address": after} if after else {})
        answer = self._ask("GET", of, params=query)
        items = answer.get("items")
        if not isinstance(items, list):
            raise Unavailable(f"Mailgun's list of {of} answered in another shape")
        if not items:
            return ListPage([], None)
        records = [record for item in items if (record := _record(item))]
        if not records:
            raise Unavailable(f"Mailgun's list of {of} answered in another shape")
        last = records[-1].address
        if last == after:
            raise Unavailable(f"Mailgun's list of {of} does not go on after a page")
        return ListPage(records, last, len(items) - len(records))

    def add(self, of: MailgunList, records: Sequence[ListedAddress]) -> None:
        """Add at most MOST_A_CALL records, all of them or none. Raises RecordsRefused."""
        self._ask("POST", of, json=[_document(of, record) for record in records])

    def _ask(self, verb: str, of: MailgunList, **rest: Any) -> Mapping[str, Any]:
        try:
            answer = requests.request(
                verb, f"{self._root}/{of}", auth=self._auth, timeout=_TIMEOUT_S, allow_redirects=False, **rest
            )
            if verb == "POST" and answer.status_code == 400:
                raise RecordsRefused(answer.text[:_MOST_WORDS])
            if answer.status_code in (401, 403):
                raise Unavailable("Mailgun refuses the key: its lists want an account key, not a sending key")
            answer.raise_for_status()
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Unavailable(f"Mailgun's list of {of} did not answer: {error}") from error
        if not isinstance(body, dict):
            raise Unavailable(f"Mailgun's list of {of} answered in another shape")
        return body


def _record(item: object) -> ListedAddress | None:
    if not isinstance(item, dict) or not isinstance(address := item.get("address"), str):
        return None
    code, tags = str(item.get("code") or ""), item.get("tags")
    return ListedAddress(
        address=address,
        at=_time_of(item.get("created_at")),
        code=int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None,
        words=str(item.get("error") or "")[:_MOST_WORDS],
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )


def _document(of: MailgunList, record: ListedAddress) -> dict[str, object]:
    document: dict[str, object] = {"address": record.address}
    if record.at:
        document["created_at"] = format_datetime(record.at.astimezone(UTC))
    if of is MailgunList.BOUNCES:
        document |= {"code": str(record.code or 550), "error": record.words}
    if of is MailgunList.UNSUBSCRIBES:
        document["tags"] = list(record.tags or (_EVERY_MAIL,))
    return document


def _time_of(raw: object) -> datetime | None:
    try:
        return to_instant(parsedate_to_datetime(str(raw)))
    except (ValueError, TypeError, OverflowError):
        return None
