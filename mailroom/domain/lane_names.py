"""Lanes: each schedule has one of its own, and single mails share a fixed number.

One sender at a time holds a lane. The same mail always has the same lane, so its calls have one order of tokens.
"""

import zlib
from typing import Final

from mailroom.domain.ids import EmailId, Lane, ScheduleId

MAIL_LANES: Final = "mail/"
SCHEDULE_LANES: Final = "schedule/"


def mail_lane(email_id: EmailId, lanes: int) -> Lane:
    """One of the lanes `mail/0` to `mail/<lanes - 1>`, always the same for the same mail."""
    return Lane(f"{MAIL_LANES}{zlib.crc32(email_id.encode()) % lanes}")


def mail_lanes(lanes: int) -> list[Lane]:
    return [Lane(f"{MAIL_LANES}{number}") for number in range(lanes)]


def schedule_of_lane(lane: Lane) -> ScheduleId | None:
    """The schedule whose lane this is; None for a lane of single mails."""
    return ScheduleId(lane.removeprefix(SCHEDULE_LANES)) if lane.startswith(SCHEDULE_LANES) else None


def schedule_lane(schedule_id: ScheduleId) -> Lane:
    return Lane(f"{SCHEDULE_LANES}{schedule_id}")
