"""Runs one duty of a thread: a lane that was lost, or a bug, stops no other duty."""

from collections.abc import Callable
from datetime import datetime

import structlog

from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import Lane, Token
from sender.in_flight import InFlight
from sender.restore_guard import RestoreGuard

log = structlog.get_logger()


def run_duty(duty: Callable[[datetime], int], now: datetime, *, in_flight: InFlight, guard: RestoreGuard) -> int:
    """Run the duty, and return how much it did. A lost lane is dropped, and of a MongoDB that seems restored another
    check is asked for: each counts as 1, so that the caller goes on at once. A bug is logged, and counts as 0. Raises
    Unavailable, after asking for a check."""
    try:
        return duty(now)
    except StaleToken as error:
        log.warning("lane_lost", lane=error.lane, token=error.token)
        in_flight.drop_stale({Lane(error.lane): Token(error.token)})
        return 1
    except StoreRestored as error:
        log.warning("nothing_decided", why=str(error))
        guard.recheck()
        return 1
    except Unavailable:
        guard.recheck()  # the MongoDB that comes back may be an older copy
        raise
    except Exception:
        # Every dispatch in flight is guarded by its claim and its fence, so it is safe to go on.
        log.exception("duty_failed", duty=duty.__name__)
        return 0
