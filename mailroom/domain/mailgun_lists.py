"""What Mailgun's own lists say in our terms, and which of our suppressions they can say.

Mailgun's lists forbid every mail of the domain to an address, single mails included. So only a suppression with the
scope `all` means the same there; that a reader has left all campaigns is told to Mailgun only where a setting says so.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

from mailroom.domain.bounces import Blame, blame
from mailroom.domain.events import SuppressionReason
from mailroom.domain.suppressions import ALL, CAMPAIGNS, Entry

BOUNCES: Final = "bounces"
COMPLAINTS: Final = "complaints"
UNSUBSCRIBES: Final = "unsubscribes"
LISTS: Final = (BOUNCES, COMPLAINTS, UNSUBSCRIBES)
EVERY_TAG: Final = "*"
#: Of the setting: which of our suppressions go to Mailgun.
NOTHING, OF_ALL_MAIL, OF_CAMPAIGNS_TOO = "none", "all", "campaigns"
PUSHES: Final = (NOTHING, OF_ALL_MAIL, OF_CAMPAIGNS_TOO)
_TOLD_BY: Final = "mailgun list"
_NOTE: Final = "from Mailgun's list"


def entries_of_record(
    of: str, *, at: datetime, code: int | None, words: str, tags: Sequence[str], topics: Collection[str]
) -> list[Entry]:
    """The suppressions of a record of this list; none for a bounce that blames something else than the address, and for
    an unsubscribe from tags that are no topics of ours. `topics`: the ids of all."""

    def entry(scope: str, reason: SuppressionReason) -> Entry:
        return Entry(scope, reason, at, _NOTE, _TOLD_BY)

    if of == BOUNCES:
        return [] if blame(code, "", words) is Blame.ELSE else [entry(ALL, SuppressionReason.BOUNCED)]
    if of == COMPLAINTS:
        return [entry(CAMPAIGNS, SuppressionReason.COMPLAINED)]
    if not tags or EVERY_TAG in tags:
        return [entry(CAMPAIGNS, SuppressionReason.UNSUBSCRIBED)]
    return [entry(tag, SuppressionReason.UNSUBSCRIBED) for tag in dict.fromkeys(tags) if tag in topics]


def lists_of(entries: Sequence[Entry], pushes: str) -> Iterator[tuple[str, Entry]]:
    """The lists that these entries of an address belong on, each with the entry that says so."""
    for entry in entries:
        if pushes == NOTHING or (entry.scope != ALL and (entry.scope != CAMPAIGNS or pushes != OF_CAMPAIGNS_TOO)):
            continue
        match entry.reason:
            case SuppressionReason.BOUNCED:
                yield BOUNCES, entry
            case SuppressionReason.COMPLAINED:
                yield COMPLAINTS, entry
            case _:
                yield UNSUBSCRIBES, entry
