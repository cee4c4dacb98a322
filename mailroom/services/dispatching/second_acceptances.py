"""The alarm for a dispatch that a provider accepted twice: it must never happen, so nobody may miss it.

The fence (lua/close.lua) and the stored dispatch (storage/dispatches/outcomes.py) each find a second acceptance by
themselves: two senders that record at the same moment may each raise the alarm. `config/prometheus/alerts.yml` pages
somebody.
"""

from collections.abc import Collection

import structlog

from mailroom.domain.ids import DispatchId
from mailroom.watching.sending import accepted_twice

log = structlog.get_logger()


def alarm(dispatches: Collection[DispatchId]) -> None:
    """Count these dispatches as accepted twice, and log each."""
    accepted_twice(len(dispatches))
    for dispatch in dispatches:
        log.error("accepted_twice", dispatch_id=dispatch)
