"""Whom a run goes to: the members of its audience, or those whom an earlier run did not reach."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailroom.domain.audiences import Recipient
from mailroom.domain.ids import AudienceId, RunId
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import Run
from mailroom.storage import audiences, unreached
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Member:
    """One recipient. `place` is what planning goes on after; `missed` the message that did not reach them."""

    place: str
    recipient: Recipient
    missed: Mapping[str, Any] | None = None


def next_members(db: Db, batch: Sequence[Run]) -> dict[RunId, list[Member]]:
    """For each run the members that come next, one more than a chunk takes: it tells whether there are more."""
    found = {run.id: _unreached(db, run) for run in batch if run.source}
    of_audiences = [run for run in batch if not run.source]
    if len(of_audiences) == 1:
        (run,) = of_audiences
        page = audiences.after(db, _audience(run), run.planned_through, CHUNK_RECIPIENTS + 1)
        return found | {run.id: list(_members(page))}
    whole = audiences.whole_small_ones(db, [_audience(run) for run in of_audiences])
    return found | {
        run.id: list(_members(r for r in whole[_audience(run)] if r.key > run.planned_through)) for run in of_audiences
    }


def _members(recipients: Any) -> Iterator[Member]:
    return (Member(recipient.key, recipient) for recipient in recipients)


def _unreached(db: Db, run: Run) -> list[Member]:
    """With what their audience knows of them; an address that is not in it has at least its name."""
    if run.source is None:
        return []
    rows = unreached.page(db, run.source, after=run.planned_through, limit=CHUNK_RECIPIENTS + 1, left=True)
    bare = [Recipient(row["address"], row["name"]) for row in rows]
    known = audiences.some(db, _audience(run), [recipient.key for recipient in bare])
    return [Member(row["_id"], known.get(r.key, r), row) for row, r in zip(rows, bare, strict=True)]


def _audience(run: Run) -> AudienceId:
    if run.audience is None:
        raise LookupError(f"run {run.id} has no audience")
    return run.audience
