"""Events that providers tell of an address, and that may forbid mailing it."""

from datetime import datetime
from typing import Any, Final

from mailroom.domain.events import EventKind
from mailroom.services.feedback.intake import take_in
from mailroom.storage.database import Db
from tests.support.builders import NOW, an_event

BO: Final = "bo@example.org"


def take_in_event(db: Db, kind: EventKind, id_: str = "e", at: datetime = NOW, **changes: Any) -> None:
    """Take in an event about Bo, if `changes` name no other recipient."""
    take_in(db, [an_event(kind, id_=id_, recipient=changes.pop("recipient", BO), at=at, **changes)], now=NOW)
