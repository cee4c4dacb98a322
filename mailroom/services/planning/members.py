"""The recipients of a run: the members of its audience, or the recipients that an earlier run did not reach."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailroom.domain.audiences import Recipient
from mailroom.domain.ids import AudienceId, RunId, address_digest_of
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import Run
from mailroom.domain.spans import Group, group_of
from mailroom.storage.database import Db
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import audiences

_OLD_GROUP: Final = 3  # hexadecimal digits of the digest that name the group in runs that have no number of groups
_GROUPED_PAGE: Final = 2 * CHUNK_RECIPIENTS  # a group that is a little larger than a batch still stands whole in a page


@dataclass(frozen=True, slots=True)
class Member:
    """One recipient. `place` is what planning goes on after; `missed` the message that did not reach them.

    `group` decides the dispatch of a resent member, and names it. It depends only on the address and on the run's
    number of groups, so replanning after a restore puts each member into the same dispatch. None for ordinary
    audiences, where the position decides.
    """

    place: str
    recipient: Recipient
    group: Group | str | None = None
    missed: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The members that come next, groups whole, and whether there are more after them."""

    members: Sequence[Member]
    more: bool


def next_members(db: Db, batch: Sequence[Run]) -> dict[RunId, Page]:
    """For each run the members that come next, as many as a chunk takes."""
    found = {run.id: _unreached(db, run, run.source) for run in batch if run.source}
    of_audiences = [run for run in batch if not run.source]
    if len(of_audiences) == 1:
        (run,) = of_audiences
        recipients = audiences.after(db, _audience(run), run.planned_through, CHUNK_RECIPIENTS + 1)
        return found | {run.id: Page(_members(recipients[:CHUNK_RECIPIENTS]), len(recipients) > CHUNK_RECIPIENTS)}
    whole = audiences.whole_small_ones(db, [_audience(run) for run in of_audiences])
    return found | {
        run.id: Page(_members(r for r in whole[_audience(run)] if r.key > run.planned_through), more=False)
        for run in of_audiences
    }


def whole_groups(members: Sequence[Member], count: int) -> int:
    """How many of the first `count` members can be taken without cutting a group in two; the first group at least."""
    if count >= len(members) or not members[count].group:
        return count
    cut = members[count].group
    before = next(n for n, member in enumerate(members) if member.group == cut)
    return before or next((n for n, member in enumerate(members) if member.group != cut), len(members))


def _members(recipients: Iterable[Recipient]) -> list[Member]:
    return [Member(recipient.key, recipient) for recipient in recipients]


def _unreached(db: Db, run: Run, source: RunId) -> Page:
    """With what their audience knows of them; an address that is not in it has at least its name."""
    rows, more = unreached.left(db, source, after=run.planned_through, limit=_GROUPED_PAGE)
    bare = [Recipient(row["address"], row["name"]) for row in rows]
    known = audiences.some(db, _audience(run), [recipient.key for recipient in bare])
    members = [
        Member(row["_id"], known.get(r.key, r), _group(run, source, address_digest_of(row["_id"])), row)
        for row, r in zip(rows, bare, strict=True)
    ]
    if more:  # the last group may go on in the next page
        members = members[: whole_groups(members, len(members) - 1)]
    return Page(members, more)


def _group(run: Run, source: RunId, digest: str) -> Group | str:
    return group_of(source, run.groups, digest) if run.groups else digest[:_OLD_GROUP]


def _audience(run: Run) -> AudienceId:
    if run.audience is None:
        raise LookupError(f"run {run.id} has no audience")
    return run.audience
