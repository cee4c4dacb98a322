"""Identity: the same thing asked twice gets the same id, so that it can exist only once.

Ids are made here and taken apart here, and nowhere else. They are safe in URLs, headers and log lines.
"""

import hashlib
import secrets
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NewType

from mailroom.domain.addresses import fold
from mailroom.domain.instants import compact

EmailId = NewType("EmailId", str)
ScheduleId = NewType("ScheduleId", str)
RunId = NewType("RunId", str)
DispatchId = NewType("DispatchId", str)
MessageId = NewType("MessageId", str)
AudienceId = NewType("AudienceId", str)
ClaimId = NewType("ClaimId", str)
Lane = NewType("Lane", str)
Token = NewType("Token", int)

MAIL_LANES: Final = "mail/"
SCHEDULE_LANES: Final = "schedule/"
_EMAIL: Final = "em_"
_REVISIONS: Final = 2**40  # more than etcd counts in a lifetime


def new_schedule_id() -> ScheduleId:
    return ScheduleId(f"sch_{secrets.token_hex(9)}")


def keyed_schedule_id(owner: str, key: str) -> ScheduleId:
    """The schedule that this token owner asked for under this Idempotency-Key."""
    return ScheduleId(f"sch_{_digest('schedule', owner, key)[:18]}")


def due_run_id(schedule_id: ScheduleId, due_at: datetime) -> RunId:
    return RunId(f"{schedule_id}-{compact(due_at)}")


def asked_run_id(schedule_id: ScheduleId, owner: str, key: str) -> RunId:
    """A run that somebody asked for now; a namespace of its own, apart from due runs."""
    return RunId(f"{schedule_id}-now-{_digest('run-now', owner, key)[:16]}")


def again_run_id(source: RunId, owner: str, key: str) -> RunId:
    """A run to those whom another one did not reach, as somebody asked for it."""
    return RunId(f"{again_run_prefix(source)}{_digest('run-again', source, owner, key)[:16]}")


def again_run_prefix(source: RunId) -> str:
    """How the ids of all runs begin that go to those whom this one did not reach."""
    return f"{source.partition('-')[0]}-again-{_digest('run-again', source)[:10]}-"


def again_email_id(source: EmailId, owner: str, key: str) -> EmailId:
    """A mail to those recipients whom another one did not reach, as somebody asked for it."""
    return EmailId(f"{again_email_prefix(source)}{_digest('email-again', source, owner, key)[:16]}")


def again_email_prefix(source: EmailId) -> str:
    """How the ids of all mails begin that go to those whom this one did not reach."""
    return f"{_EMAIL}a{_digest('email-again', source)[:12]}"


def new_email_id(now: datetime) -> EmailId:
    """Sorts by the time of its making, so that indexes grow at their end."""
    return EmailId(f"{_EMAIL}{int(now.timestamp() * 1000):011x}{secrets.token_hex(7)}")


def keyed_email_id(owner: str, key: str) -> EmailId:
    """The mail that this token owner handed over under this Idempotency-Key."""
    return EmailId(f"{_EMAIL}k{_digest('email', owner, key)[:24]}")


def run_of_email(email_id: EmailId) -> RunId:
    """A single mail stands in the place of a run: its messages and its dispatch are named by it."""
    return RunId(email_id)


def is_email(run_id: RunId) -> bool:
    """True for what is no run, but a single mail."""
    return run_id.startswith(_EMAIL)


def mail_lane(email_id: EmailId, lanes: int) -> Lane:
    """One of the lanes `mail/0` to `mail/<lanes - 1>`, always the same for the same mail."""
    return Lane(f"{MAIL_LANES}{zlib.crc32(email_id.encode()) % lanes}")


def mail_lanes(lanes: int) -> list[Lane]:
    return [Lane(f"{MAIL_LANES}{number}") for number in range(lanes)]


def dispatch_id(run_id: RunId, chunk: int) -> DispatchId:
    return DispatchId(f"{run_id}-d{chunk:05d}")


def group_dispatch_id(run_id: RunId, group: str) -> DispatchId:
    """Of a run whose members may be known otherwise when it is planned again: named by the group that they are in."""
    return DispatchId(f"{run_id}-d{group}")


def child_dispatch_id(parent: DispatchId, messages: Sequence[MessageId]) -> DispatchId:
    """A part of a dispatch that was split, named by whom it goes to: splitting it so again gives the same children."""
    return DispatchId(f"{root_of(parent)}.{digest_of_messages(messages)[:12]}")


def root_of(dispatch: DispatchId) -> DispatchId:
    """The dispatch that was planned: of a part, the one that was split; of any other, itself."""
    return DispatchId(dispatch.partition(".")[0])


def run_of_dispatch(dispatch: DispatchId) -> RunId:
    """The run or single mail that a dispatch is of."""
    return RunId(dispatch.rpartition("-d")[0])


def dispatch_range(run_id: RunId) -> tuple[str, str]:
    """The ids of all dispatches of a run lie between these two."""
    return f"{run_id}-d", f"{run_id}-e"


def message_id(run_id: RunId, address: str) -> MessageId:
    """One message a run and folded address; it sorts under its run."""
    return MessageId(f"{run_id}/{_digest('message', fold(address))[:20]}")


def run_of_message(message: MessageId) -> RunId:
    """The run or single mail that a message is of."""
    return RunId(message.rpartition("/")[0])


def address_digest_of(message: MessageId) -> str:
    """The part of a message's id that names its address; the same in every run."""
    return message.rpartition("/")[2]


def rfc_message_id(dispatch: DispatchId, domain: str) -> str:
    """The Message-Id header's value without brackets: one per dispatch, the same for all its attempts."""
    return f"{dispatch}.mailroom@{domain}"


def dispatch_of_rfc_message_id(message_id: str) -> DispatchId | None:
    """The dispatch that this Message-Id was made for; None if it is not one of ours."""
    name, mark, _ = message_id.strip("<>").partition(".mailroom@")
    return DispatchId(name) if name and mark and not name.startswith("control-") else None


def new_audience_id() -> AudienceId:
    return AudienceId(f"aud_{secrets.token_hex(9)}")


def new_claim_id() -> ClaimId:
    return ClaimId(secrets.token_hex(12))


def schedule_of_lane(lane: Lane) -> ScheduleId | None:
    """The schedule whose lane this is; None for a lane of single mails."""
    return ScheduleId(lane.removeprefix(SCHEDULE_LANES)) if lane.startswith(SCHEDULE_LANES) else None


def schedule_lane(schedule_id: ScheduleId) -> Lane:
    return Lane(f"{SCHEDULE_LANES}{schedule_id}")


def make_token(epoch: int, revision: int) -> Token:
    """The fencing token of a lane: it grows with etcd's revision, and with the epoch where etcd lost its memory."""
    return Token(epoch * _REVISIONS + revision)


def epoch_of(token: int) -> int:
    """The epoch in which a token was made."""
    return token // _REVISIONS


def revision_of(token: Token) -> int:
    """The create revision, in etcd, of the lane's key that a token was made from."""
    return token % _REVISIONS


def digest_of_messages(ids: Sequence[MessageId]) -> str:
    """Names a dispatch's content by whom it goes to: two calls with another digest are not the same dispatch."""
    return _digest(*sorted(ids))[:24]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
