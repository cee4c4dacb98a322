"""Segments of audiences: made, looked through, counted, deleted."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId, SegmentId, is_segment, new_segment_id
from mailroom.domain.limits import MAX_AUDIENCE_VARIABLES
from mailroom.domain.segments.model import Segment, check_filter
from mailroom.services.audiences.lists import faults_of_name
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import segments
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


def create(db: Db, audience: AudienceId, *, name: str, filter_: str, by: str, events_kept: timedelta) -> Segment:
    """Save a segment. `events_kept`: as of `check`. Raises AudienceNotFound, InvalidInput with every fault,
    Unavailable."""
    faults = faults_of_name(name)
    try:
        check(db, audience, filter_, events_kept=events_kept)
    except InvalidInput as error:
        raise InvalidInput(*faults, *error.faults) from None
    if faults:
        raise InvalidInput(*faults)
    made = Segment(new_segment_id(), audience, name.strip(), filter_.strip(), server_now(db))
    segments.add(db, made, by=by)
    log.info("segment_made", segment_id=made.id, audience_id=audience, by=by)
    return made


def check(db: Db, audience: AudienceId, filter_: str, *, events_kept: timedelta) -> None:
    """`events_kept`: for how long events are kept. Raises AudienceNotFound; InvalidInput for a filter that cannot be
    read, asks for earlier events, or names a merge field that no contact of the audience has."""
    audiences.get(db, audience)
    if not audiences.count_names(db, audience, most=MAX_AUDIENCE_VARIABLES):
        raise InvalidInput(Fault("filter", "this audience has too many different merge fields for filters"))
    check_filter(filter_, audiences.names(db, audience), events_kept=events_kept)


def get(db: Db, segment_id: str) -> Segment:
    """Raises SegmentNotFound."""
    return segments.get(db, SegmentId(segment_id))


def page(db: Db, audience: AudienceId, *, after: str, limit: int) -> list[Segment]:
    """The segments of an audience. Raises AudienceNotFound."""
    audiences.get(db, audience)
    return segments.page(db, audience, after=after, limit=limit)


def of_all(db: Db, audiences_: Sequence[AudienceId], *, limit: int) -> list[Segment]:
    """Segments of these audiences, by audience and id, at most `limit`."""
    return segments.of_all(db, audiences_, limit=limit)


def drop(db: Db, segment_id: str, *, by: str) -> None:
    """Delete a segment: no schedule can name it any more. Those that do still go to it. Raises SegmentNotFound."""
    segments.drop(db, SegmentId(segment_id))
    log.info("segment_deleted", segment_id=segment_id, by=by)


def unsaved(db: Db, audience: AudienceId, filter_: str, *, events_kept: timedelta) -> ListChoice:
    """Whom a filter would find. Raises AudienceNotFound, InvalidInput."""
    check(db, audience, filter_, events_kept=events_kept)
    return ListChoice(audience, None, filter_.strip())


def choice(db: Db, id_: str) -> ListChoice:
    """What the id of an audience or of a segment stands for. Raises AudienceNotFound, SegmentNotFound."""
    if is_segment(id_):
        found = segments.get(db, SegmentId(id_))
        return ListChoice(found.audience, found.id, found.filter)
    return ListChoice(audiences.get(db, AudienceId(id_)).id)
