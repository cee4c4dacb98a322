"""What happened to one message: every step of the dispatches that carried it, and every event about it, in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.storage import dispatches, events, messages
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Step:
    """`what` happened at `at`; `dispatch` is None for what the provider told; the details are words and numbers."""

    at: datetime
    what: str
    dispatch: DispatchId | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    message: Mapping[str, Any]
    steps: list[Step]


def story_of(db: Db, message_id: MessageId) -> Story:
    """Raises MessageNotFound."""
    message = messages.get(db, message_id)
    steps = [
        Step(event["at"], event["kind"], None, {name: event[name] for name in ("code", "reason") if event.get(name)})
        for event in events.of_message(db, message_id)
    ]
    carrier = message.get("dispatch_id") or message.get("left_dispatch")
    while carrier is not None:
        dispatch = dispatches.get(db, DispatchId(carrier))
        for step in dispatches.steps_of(dispatch):
            details = {name: value for name, value in step.items() if name not in ("at", "step")}
            steps.append(Step(step["at"], step["step"], DispatchId(carrier), details))
        carrier = dispatch.get("parent")
    return Story(message, sorted(steps, key=lambda step: step.at))
