"""Take a rule in only once every process that must know it does."""

from typing import Final

from mailroom.domain.sender_rules import KNOWN_SINCE, MAY_WAKE_FOR, OF_EVERY_PART, SenderRule, require_known
from mailroom.storage import workers
from mailroom.storage.database import Db, server_now

_MOST: Final = 100


def require(db: Db, rule: SenderRule) -> None:
    """Raises SendersTooOld while a process that does not know the rule, and must, may run; and Unavailable.

    Only senders that check in are seen: those of the first versions do not. A sender that starts later is not seen
    either; so nobody may go back to an earlier version while something is stored under the rule.
    """
    now = server_now(db)
    below = workers.parts_below if rule in OF_EVERY_PART else workers.senders_below
    require_known(rule, below(db, KNOWN_SINCE[rule], since=now - MAY_WAKE_FOR, limit=_MOST), now=now)
