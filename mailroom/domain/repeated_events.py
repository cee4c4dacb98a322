"""An event that comes twice: it is applied once, and a replayed request is refused.

Providers deliver a webhook again until it is answered, with the same event's id. A one-time token comes with one event
only; with another event it was copied.
"""

from collections.abc import Sequence
from enum import StrEnum

from mailroom.domain.events import Event


class Intake(StrEnum):
    """The answer to an event that was handed in."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # stored already: answer as if it were new
    REPLAYED = "replayed"  # its one-time token was used with another event: refuse


def sort_out(batch: Sequence[Event], stored: set[str], used: dict[str, str]) -> list[Intake]:
    """The answer to each event. `stored`: the ids of events that are stored, and `used`: the event of each one-time
    token; both grow by this batch."""
    return [_answer(event, stored, used) for event in batch]


def _answer(event: Event, stored: set[str], used: dict[str, str]) -> Intake:
    if event.replay_key:
        if used.get(event.replay_key, event.id) != event.id:
            return Intake.REPLAYED
        used[event.replay_key] = event.id  # a redelivery's own token as well
    if event.id in stored:
        return Intake.DUPLICATE
    stored.add(event.id)
    return Intake.STORED
