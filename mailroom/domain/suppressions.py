"""Suppressions: addresses that must not get mail, by scope.

An address has at most one entry for each scope. `all` forbids every mail, for instance if the mailbox does not exist.
`campaigns` forbids campaigns, and single mails with a topic: a reader who leaves all of them still gets a requested
password reset. The id of a topic forbids campaigns and single mails of this topic.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address, fold
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.events import Event, SuppressionReason, suppresses

ALL: Final = "all"
CAMPAIGNS: Final = "campaigns"
SCOPES: Final = (ALL, CAMPAIGNS)
OF_CAMPAIGNS: Final = frozenset(SCOPES)  # the scopes that forbid a campaign's mail
OF_SINGLE_MAILS: Final = frozenset({ALL})
BY_HAND: Final = "manual"  # the reason if a person adds an address without a reason
MAX_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Entry:
    """The reason and start of a suppression for one scope. `told_by`: the event or the person that caused it."""

    scope: str
    reason: str
    since: datetime
    note: str = ""
    told_by: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address and its entries, the widest scope first."""

    address: str
    entries: Sequence[Entry]

    @property
    def reason(self) -> str:
        return self.entries[0].reason

    @property
    def since(self) -> datetime:
        return max(entry.since for entry in self.entries)


def scope_of(reason: str) -> str:
    """The default scope of a reason. It also applies to stored entries from before the introduction of scopes."""
    of_campaigns = {SuppressionReason.COMPLAINED, SuppressionReason.UNSUBSCRIBED}
    return CAMPAIGNS if reason in of_campaigns else ALL


def entry_of(event: Event) -> Entry | None:
    """The suppression that an event causes for its address, or None."""
    reason = suppresses(event)
    if reason is None or not event.recipient:
        return None
    return Entry(event.scope or scope_of(reason), reason, event.at, event.note, event.id)


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.scope != ALL, entry.scope != CAMPAIGNS, entry.scope))


def forbidden(entries: Sequence[Entry], scopes: Collection[str]) -> str | None:
    """The reason that forbids mail of these scopes, or None."""
    return next((entry.reason for entry in in_order(entries) if entry.scope in scopes), None)


def spellings(key: str) -> list[str]:
    """A folded address and its older keys, from before domains were folded to ASCII and needless quotes were removed.
    Events had brought addresses in these spellings."""
    local, _, domain = key.rpartition("@")
    keys = [key]
    if "xn--" in domain:
        with suppress(UnicodeError):  # the domain has no Unicode form, so no other spelling
            keys.append(f"{local}@{domain.encode('ascii').decode('idna')}")
    if local.startswith('"') and local.endswith('"') and len(local) > 2:
        keys += [f"{local[1:-1]}@{spelling.rpartition('@')[2]}" for spelling in tuple(keys)]
    return keys


def check_entry(
    raw: Mapping[str, object], *, by: str, now: datetime, topics: Collection[str] = (), path: str = ""
) -> tuple[str, Entry]:
    """Check an entry that a person adds, by form or by file. `topics`: the ids of those that there are. Returns (the
    folded address, its entry). Raises InvalidInput with every fault."""
    faults: list[Fault] = []
    reason, scope = str(raw.get("reason") or "").strip(), str(raw.get("scope") or "").strip()
    try:
        address = fold(check_address(str(raw.get("address") or "")))
    except InvalidAddress as error:
        address = ""
        faults.append(Fault(f"{path}address", str(error)))
    if len(reason) > MAX_REASON or not reason.isprintable():
        faults.append(Fault(f"{path}reason", f"at most {MAX_REASON} printable characters"))
    if scope and scope not in SCOPES and scope not in topics:
        faults.append(Fault(f"{path}scope", f"one of {', '.join(SCOPES)}, or the id of a topic"))
    if faults:
        raise InvalidInput(*faults)
    reason = reason or BY_HAND
    return address, Entry(scope or scope_of(reason), reason, now, "", by)
