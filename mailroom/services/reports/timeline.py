"""What happened to one message: every step of the dispatches that carried it, and every event about it, in order."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.dispatches.calls import newest_claimant
from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.erasures import ERASED, ERASURE
from mailroom.domain.ids import DispatchId, MessageId
from mailroom.domain.messages.model import StoredMessage
from mailroom.storage import events
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.messages import document as messages


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """`what` happened at `at`; `dispatch` is None for an event of the provider; the details are words and numbers."""

    at: datetime
    what: str
    dispatch: DispatchId | None
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Story:
    """`worker` is the sender that has the message, or had it last; None if no sender had it yet."""

    message: StoredMessage
    steps: list[TimelineStep]
    worker: str | None


def story_of(db: Db, message_id: MessageId) -> Story:
    """Raises MessageNotFound."""
    message = messages.get(db, message_id)
    carriers = _carriers(db, [message])
    return Story(message, _steps(db, [message], carriers), newest_claimant(carriers))


def steps_of_messages(db: Db, of: Sequence[StoredMessage]) -> list[TimelineStep]:
    """The steps of these messages together; a call that carried several of them stands once."""
    return _steps(db, of, _carriers(db, of))


def _carriers(db: Db, of: Sequence[StoredMessage]) -> Collection[Dispatch]:
    """The dispatches that carried these messages, those that were split included."""
    carriers: dict[DispatchId, Dispatch] = {}
    for message in of:
        carrier = message.dispatch_id or message.left_dispatch
        while carrier is not None and carrier not in carriers:
            carriers[carrier] = dispatch_queries.get(db, carrier)
            carrier = carriers[carrier].parent or carriers[carrier].elsewhere_of
    # A first dispatch comes before its parts, where both have a step of the same moment.
    return list(reversed(carriers.values()))


def _steps(db: Db, of: Sequence[StoredMessage], carriers: Iterable[Dispatch]) -> list[TimelineStep]:
    reported = [step for message in of for step in _events(db, message)]
    made = [step for dispatch in carriers for step in _calls(dispatch)]
    if not any(message.address == ERASED for message in of):
        made = [step for step in made if step.what != ERASURE]  # it was another recipient of the same request
    return sorted([*reported, *made], key=lambda step: step.at)


def _events(db: Db, message: StoredMessage) -> Iterator[TimelineStep]:
    for event in events.of_message(db, message.id):
        words = {"code": event.code, "reason": event.reason}
        details = {"address": message.address} | {name: value for name, value in words.items() if value}
        yield TimelineStep(event.at, event.kind, None, details)


def _calls(dispatch: Dispatch) -> Iterator[TimelineStep]:
    for step in dispatch.trail:
        yield TimelineStep(step.at, step.step, dispatch.id, step.facts)
