"""What happened to one message: every step of the dispatches that carried it, and every event about it, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.storage import events
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.dispatches import trails
from mailroom.storage.messages import document as messages


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """`what` happened at `at`; `dispatch` is None for what the provider told; the details are words and numbers."""

    at: datetime
    what: str
    dispatch: DispatchId | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    message: Mapping[str, Any]
    steps: list[TimelineStep]


def story_of(db: Db, message_id: MessageId) -> Story:
    """Raises MessageNotFound."""
    message = messages.get(db, message_id)
    return Story(message, steps_of_messages(db, [message]))


def steps_of_messages(db: Db, some: Sequence[Mapping[str, Any]]) -> list[TimelineStep]:
    """The steps of these messages together; a call that carried several of them is told once."""
    steps: list[TimelineStep] = []
    carriers: set[str] = set()
    for message in some:
        steps += _events(db, message)
        carrier = message.get("dispatch_id") or message.get("left_dispatch")
        while carrier is not None and carrier not in carriers:
            carriers.add(carrier)
            dispatch = dispatch_queries.get(db, DispatchId(carrier))
            steps += _calls(dispatch)
            carrier = dispatch.get("parent")
    return sorted(steps, key=lambda step: step.at)


def _events(db: Db, message: Mapping[str, Any]) -> Iterator[TimelineStep]:
    for event in events.of_message(db, message["_id"]):
        details = {name: event[name] for name in ("code", "reason") if event.get(name)}
        yield TimelineStep(event["at"], event["kind"], None, {"address": message["address"]} | details)


def _calls(dispatch: Mapping[str, Any]) -> Iterator[TimelineStep]:
    for step in trails.steps_of(dispatch):
        details = {name: value for name, value in step.items() if name not in ("at", "step")}
        yield TimelineStep(step["at"], step["step"], DispatchId(dispatch["_id"]), details)
