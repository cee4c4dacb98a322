"""Mails that came back as events of the mails that we sent: the same mail gives the same event, however often it is
read."""

import hashlib
import json
from datetime import datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

from mailroom.domain.events import Event
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.instants import to_instant
from mailroom.domain.reports import WITHOUT_WEBHOOKS
from mailroom.domain.returned_mail.judging import Judgement
from mailroom.domain.returned_mail.reading import header

_OLDEST: Final = timedelta(days=30)  # a server gives up after five
_KEPT: Final = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")


def event_of(
    judgement: Judgement,
    mail: Message,
    raw: bytes,
    *,
    address: str,
    run: RunId,
    dispatch: DispatchId | None,
    now: datetime,
) -> Event:
    """What this mail says of our mail of this run to this address, as an event. `raw`: the mail as it was read."""
    itself = header(mail, "Message-ID") or hashlib.sha256(raw).hexdigest()
    parts = (run, address, judgement.kind, itself)
    document = {name: header(mail, name) for name in _KEPT} | {"words": judgement.words}
    return Event(
        id=f"{WITHOUT_WEBHOOKS}/{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()}",
        provider=WITHOUT_WEBHOOKS,
        kind=judgement.kind,
        at=_time_of(mail, now),
        recipient=address,
        run_id=run,
        dispatch_id=dispatch,
        raw=json.dumps(document),
        hard=judgement.hard,
        code=judgement.code,
        reason=judgement.words,
    )


def _time_of(mail: Message, now: datetime) -> datetime:
    """The mail's own date, unless it is not to be believed."""
    try:
        date = to_instant(parsedate_to_datetime(header(mail, "Date")))
    except (ValueError, TypeError, OverflowError):
        return now
    return date if now - _OLDEST <= date <= now else now
