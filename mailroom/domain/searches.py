"""What is looked for in a list. None is anything."""

from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.ids import RunId


@dataclass(frozen=True, slots=True)
class EmailSearch:
    """Among single mails. `since` is included, `until` is not."""

    recipient: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterSearch:
    """Among dead letters. `single`: of single mails, or of campaigns."""

    run_id: RunId | None = None
    single: bool | None = None
    code: int | None = None
