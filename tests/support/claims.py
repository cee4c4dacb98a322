"""Claims of stored dispatches."""

from msgspec.structs import replace

from mailroom.domain.dispatches.model import Claimant, Claimed
from mailroom.domain.ids import Lane, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.planning import asked_runs
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import expand_all, hold

_SOMEBODY = Claimant("s", "m", "mailgun", "mg.example.com")


def a_claim(db: Db, count: int, **changes: object) -> Claimed:
    """Of a run's only dispatch. `changes`: of the schedule's draft."""
    schedule = stored_schedule(db, recipients=recipients(count), **changes)
    asked_runs.run_now(db, schedule.id, owner="tests", key="k")
    held = hold(db, schedule.id)
    expand_all(db, held)
    lanes = {schedule_lane(schedule.id): held[schedule.id]}
    now = server_now(db)
    waiting = claimable(db, lanes, now=now, room=Room(10, 10**6, 10**6))
    (claimed,) = claims.claim(db, waiting, lanes, _SOMEBODY, now=now)
    return claimed


def a_claimed_mail(db: Db, *, by: str = _SOMEBODY.sender) -> Claimed:
    """The only single mail's dispatch, claimed by this sender."""
    doc = db.dispatches.find_one({})
    assert doc
    held = {Lane(doc["lane"]): Token(1)}
    lanes.raise_tokens(db, held, "tests", now=server_now(db))
    now = server_now(db)
    waiting = claimable(db, held, now=now, room=Room(10, 10**6, 10**6))
    (claimed,) = claims.claim(db, waiting, held, replace(_SOMEBODY, sender=by), now=now)
    return claimed
