"""The audit trail of a dispatch, in the collection `dispatches` (see document.py): steps pushed, read, and cut off."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mailroom.domain.dispatches.model import TrailStep
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import RunId, dispatch_range
from mailroom.storage.database import Db, Document

_MOST_STEPS: Final = 200
_THROUGH: Final = [DispatchState.ACCEPTED, DispatchState.FAILED, DispatchState.CANCELLED, DispatchState.SPLIT]


def steps_of(doc: Mapping[str, Any]) -> tuple[TrailStep, ...]:
    """The whole audit trail in order: every step with its time and facts, acceptances among them."""
    steps = [TrailStep(entry["at"], entry["step"], _facts(entry)) for entry in doc["trail"]]
    for entry in doc.get("accepted", ()):
        if not entry.get("by"):  # a person's word is a step of its own
            found = entry.get("found", False)
            steps.append(TrailStep(entry["at"], "found in the provider's log" if found else "accepted", _facts(entry)))
    return tuple(sorted(steps, key=lambda step: step.at))


def _facts(entry: Mapping[str, Any]) -> Document:
    return {name: value for name, value in entry.items() if name not in ("at", "step", "found")}


def a_step(at: datetime, step: str, **facts: Any) -> Document:
    return {"at": at, "step": step} | {name: value for name, value in facts.items() if value is not None}


def onto_trail(at: datetime, step: str, **facts: Any) -> Document:
    """The `$push` of a step. Only the newest steps stay, so that no trail can outgrow its document."""
    return {"$each": [a_step(at, step, **facts)], "$slice": -_MOST_STEPS}


def cut(db: Db, runs: Sequence[RunId]) -> int:
    """Remove the trails of these runs' or mails' dispatches that are through. Acceptances stay: they are facts.
    Returns the number of trails removed."""
    count = 0
    for run_id in runs:
        low, high = dispatch_range(run_id)
        with_trail = {"_id": {"$gt": low, "$lt": high}, "state": {"$in": _THROUGH}, "trail.0": {"$exists": True}}
        count += db.dispatches.update_many(with_trail, {"$set": {"trail": []}}).modified_count
    return count
