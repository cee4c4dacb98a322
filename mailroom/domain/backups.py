"""A backup of the database: what stands in it, and what its restore can and cannot know."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.doubts import Timing

FORM: Final = 1  # of a backup's folder


@dataclass(frozen=True, slots=True)
class CopiedCollection:
    """One collection of a backup: the number of its documents, and the SHA-256 of their bytes."""

    documents: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: the whole database at one moment."""

    database: str
    copied_at: datetime  #: by MongoDB's clock; what was stored before is in it
    schema: int  #: see domain/schema.py
    mark: int  #: the high-water mark at that moment
    version: str  #: of the package that made it
    collections: Mapping[str, CopiedCollection]

    @property
    def documents(self) -> int:
        return sum(copied.documents for copied in self.collections.values())


def why_logs_cannot_tell(copied_at: datetime | None, lost_at: datetime, timing: Timing, *, now: datetime) -> str | None:
    """The reason why the providers' logs do not show every acceptance between a copy and a loss; None if they do.

    `copied_at`: None for a copy from before senders first ran, of which nothing was ever sent.
    """
    if copied_at is not None and copied_at < now - timing.log_retention:
        return f"the providers' logs do not go back to the copy of {copied_at:%Y-%m-%d %H:%M} UTC"
    complete_at = timing.decisive_from(lost_at)
    if now < complete_at:
        return f"the providers' logs are complete only from {complete_at:%Y-%m-%d %H:%M:%S} UTC on"
    return None
