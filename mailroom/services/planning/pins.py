"""Pin who a run goes to: each of its audiences as of its beginning, in the transaction that decides the run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mailroom.domain.audience_versions import AudienceVersion, Selection
from mailroom.domain.ids import AudienceId
from mailroom.domain.runs import Run, RunState
from mailroom.storage.audiences import versions
from mailroom.storage.audiences.versions import Counted
from mailroom.storage.database import Db, Session


def pinned(db: Db, runs: Sequence[Run], *, session: Session) -> list[Run]:
    """The runs, each with its audiences as of its beginning, and with the number of their contacts. A record of a
    decision not to run stays as it is."""
    planned = [run for run in runs if run.state is RunState.PLANNING]
    wanted = {(one.audience, run.starts_at) for run in planned for one in _every(run.goes_to)}
    known = versions.as_of(db, wanted, session=session) if wanted else {}
    return [_pinned(run, known) if run.state is RunState.PLANNING else run for run in runs]


def _every(selection: Selection) -> Sequence[AudienceVersion]:
    return [*selection.lists, *selection.excluded]


def _at(lists: Sequence[AudienceVersion], known: Sequence[Counted]) -> tuple[AudienceVersion, ...]:
    return tuple(replace(one, at=counted.version.at) for one, counted in zip(lists, known, strict=True))


def _pinned(run: Run, known: Mapping[tuple[AudienceId, datetime], Counted]) -> Run:
    selection = run.goes_to
    lists = [known[one.audience, run.starts_at] for one in selection.lists]
    excluded = [known[one.audience, run.starts_at] for one in selection.excluded]
    as_of = Selection(_at(selection.lists, lists), _at(selection.excluded, excluded))
    # A resend goes to those whom another run did not reach, with the data that these lists have of them.
    members = run.recipients if run.source else sum(one.contacts for one in lists)
    return replace(run, selection=as_of, recipients=members)
