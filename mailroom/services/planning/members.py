"""The recipients of a run: the contacts of its audiences, or the recipients that an earlier run did not reach."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import Struct

from mailroom.domain.audience_versions import Selection
from mailroom.domain.audiences import Recipient
from mailroom.domain.dispatches.spans import Group, group_of
from mailroom.domain.ids import MessageId, RunId, address_digest_of
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.runs import Run
from mailroom.services.audiences.selecting import Selected, next_of, rest_of
from mailroom.services.planning.windows import Windows
from mailroom.storage.audiences import members as stored_members
from mailroom.storage.database import Db
from mailroom.storage.messages import unreached

_OLD_GROUP: Final = 3  # hexadecimal digits of the digest that name the group in runs that have no number of groups
_GROUPED_PAGE: Final = 2 * CHUNK_RECIPIENTS  # a group slightly larger than a batch still fits whole into a page


class Member(Struct, frozen=True):
    """A recipient of a run. `place`: planning resumes after it. `missed`: the message that did not reach the recipient.

    `group` decides the dispatch of a resent member, and names it. It depends only on the address and on the run's
    number of groups, so replanning after a restore puts each member into the same dispatch. None for ordinary
    audiences, where the position decides.

    `slice`: of a run in each recipient's own time: the instant at which the recipient is to get it.
    """

    place: str
    recipient: Recipient
    group: Group | str | None = None
    missed: MessageId | None = None
    slice: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The next members, with whole groups. `through`: the place up to which everybody was looked at; `more`: whether
    anybody is left to look at; `goes_on`: whether the slice of the last member has more of them."""

    members: Sequence[Member]
    through: str
    more: bool
    goes_on: bool = False


def next_members(db: Db, batch: Sequence[Run], windows: Windows) -> dict[RunId, Page]:
    """The next members of each run, as many as a chunk takes."""
    pages = {run.id: _unreached(db, run, run.source) for run in batch if run.source}
    pages |= {run.id: _of_slices(windows, run, run.recipient_time) for run in batch if run.recipient_time}
    of_audiences = [run for run in batch if run.id not in pages]
    if len(of_audiences) == 1:
        (run,) = of_audiences
        return pages | {run.id: _page(next_of(db, run.goes_to, after=run.planned_through, at=run.due_at))}
    every = dict.fromkeys(one for run in of_audiences for one in run.goes_to.lists)
    whole = stored_members.whole_small_ones(db, list(every))
    return pages | {
        run.id: _page(rest_of(db, run.goes_to, whole, after=run.planned_through, at=run.due_at)) for run in of_audiences
    }


def whole_groups(members: Sequence[Member], count: int) -> int:
    """The number of members, at most `count`, that cuts no group in two; but at least the whole first group."""
    if count >= len(members) or not members[count].group:
        return count
    cut = members[count].group
    before = next(n for n, member in enumerate(members) if member.group == cut)
    return before or next((n for n, member in enumerate(members) if member.group != cut), len(members))


def _of_slices(windows: Windows, run: Run, own: RecipientTime) -> Page:
    found = windows.next_page(run, own)
    members = [Member(str(place), one, slice=own.slice_of(one.time_zone)) for place, one in found.recipients]
    return Page(members, str(found.through), found.more, found.goes_on)


def _page(found: Selected) -> Page:
    members = [Member(recipient.key, recipient) for recipient in found.recipients]
    return Page(members, found.through, found.more)


def _unreached(db: Db, run: Run, source: RunId) -> Page:
    """The next recipients that `source` did not reach, with their audience's data; without it, address and name
    only."""
    resendable = unreached.left(db, source, after=run.planned_through, limit=_GROUPED_PAGE)
    bare = [Recipient(message.address, message.name) for message in resendable.messages]
    recipients = _known(db, run.goes_to, [recipient.key for recipient in bare])
    members = [
        Member(message.id, recipients.get(r.key, r), _group(run, source, address_digest_of(message.id)), message.id)
        for message, r in zip(resendable.messages, bare, strict=True)
    ]
    if resendable.more:  # the last group may continue on the next page
        members = members[: whole_groups(members, len(members) - 1)]
    return Page(members, members[-1].place if members else run.planned_through, resendable.more)


def _known(db: Db, selection: Selection, keys: Iterable[str]) -> dict[str, Recipient]:
    """What the lists know of these folded addresses, each by the first list that does."""
    found: dict[str, Recipient] = {}
    for one in selection.lists:
        if missing := [key for key in keys if key not in found]:
            found |= stored_members.some(db, one, missing)
    return found


def _group(run: Run, source: RunId, digest: str) -> Group | str:
    return group_of(source, run.groups, digest) if run.groups else digest[:_OLD_GROUP]
