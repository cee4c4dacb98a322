"""The processes that work here: who each one is, what it says when it checks in, and when it counts as silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import Lane

CHECK_IN_S: Final = 10.0  # the longest time between two check-ins of a process that is well
SILENT_AFTER: Final = timedelta(seconds=30)  # three check-ins were missed: it does no work, or cannot reach MongoDB
MOST_LANES_SHOWN: Final = 100


class WorkerKind(StrEnum):
    API = "api"
    WEB = "web"
    WEBHOOKS = "webhooks-in"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What stays the same of a process for as long as it runs."""

    id: str  #: unique among all processes that ever run; a sender's claims name it
    kind: WorkerKind
    host: str
    address: str  #: the IP address by which the host reaches MongoDB; '' if it is not known
    pid: int
    version: str
    protocol: int  #: see sender_rules.py
    since: datetime  #: when the process began, by MongoDB's clock


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process says of itself when it checks in."""

    lanes: Sequence[Lane] = ()  #: the lanes that a sender holds
    in_flight: int = 0  #: dispatches that a sender has claimed and not recorded; requests that another is answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process as of its last check-in. A field is None if a process of an earlier version did not tell it."""

    id: str
    kind: str  #: a word of WorkerKind, or of a later version
    host: str | None
    address: str | None
    pid: int | None
    version: str | None
    protocol: int | None
    since: datetime | None
    last_check_in: datetime
    check_ins: int | None
    lanes: tuple[Lane, ...]  #: the first MOST_LANES_SHOWN
    lanes_count: int
    in_flight: int | None
