"""Events in the traces of the mails that they are about."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from mailroom.domain.errors import Unavailable
from mailroom.domain.events import Event
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries
from mailroom.watching import traces

log = structlog.get_logger()


def trace_events(db: Db, stored: Sequence[Event], *, now: datetime) -> None:
    """Record these events, which were stored just now, each linked with the request that brought it."""
    dispatches = {event.dispatch_id for event in stored if event.dispatch_id}
    if not traces.is_on() or not dispatches:
        return
    try:
        trace_of = queries.traces_of(db, dispatches)
    except Unavailable as error:
        # The events are stored: the provider must not be asked for them again.
        log.warning("events_not_traced", count=len(stored), error=str(error))
        return
    for event in stored:
        if trace := trace_of.get(event.dispatch_id, "") if event.dispatch_id else "":
            facts: traces.Facts = {"provider": event.provider, "lag_s": (now - event.at).total_seconds()}
            traces.step(trace, f"event {event.kind}", facts, seconds=0.0, linked=traces.current())
