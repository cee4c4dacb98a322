"""Identity: a repeated request gets the same id, so that its result can exist only once.

Only this module, and `lane_names.py` for lanes, builds and parses ids. They are safe in URLs, headers and log lines.
"""

import hashlib
import secrets
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
SegmentId = NewType("SegmentId", str)
ErasureId = NewType("ErasureId", str)
ClaimId = NewType("ClaimId", str)
Lane = NewType("Lane", str)
Token = NewType("Token", int)

_EMAIL: Final = "em_"
_SEGMENT: Final = "seg_"
_REVISIONS: Final = 2**40  # more than etcd counts in a lifetime


def new_schedule_id() -> ScheduleId:
    return ScheduleId(f"sch_{secrets.token_hex(9)}")


def keyed_schedule_id(owner: str, key: str) -> ScheduleId:
    """The schedule that this token owner creates under this Idempotency-Key."""
    return ScheduleId(f"sch_{_digest('schedule', owner, key)[:18]}")


def due_run_id(schedule_id: ScheduleId, due_at: datetime) -> RunId:
    return RunId(f"{schedule_id}-{compact(due_at)}")


def asked_run_id(schedule_id: ScheduleId, owner: str, key: str) -> RunId:
    """A run-now of this token owner. Its namespace is separate from due runs."""
    return RunId(f"{schedule_id}-now-{_digest('run-now', owner, key)[:16]}")


def again_run_id(source: RunId, owner: str, key: str) -> RunId:
    """A resend by this token owner to the recipients that the source run did not reach."""
    return RunId(f"{again_run_prefix(source)}{_digest('run-again', source, owner, key)[:16]}")


def again_run_prefix(source: RunId) -> str:
    """The common prefix of the ids of all resends of this run."""
    return f"{schedule_of_run(source)}-again-{_digest('run-again', source)[:10]}-"


def again_email_id(source: EmailId, owner: str, key: str) -> EmailId:
    """A resend by this token owner to the recipients that the source mail did not reach."""
    return EmailId(f"{again_email_prefix(source)}{_digest('email-again', source, owner, key)[:16]}")


def again_email_prefix(source: EmailId) -> str:
    """The common prefix of the ids of all resends of this mail."""
    return f"{_EMAIL}a{_digest('email-again', source)[:12]}"


def new_email_id(now: datetime) -> EmailId:
    """A new id that sorts by its creation time, so that indexes grow at their end."""
    return EmailId(f"{_EMAIL}{int(now.timestamp() * 1000):011x}{secrets.token_hex(7)}")


def keyed_email_id(owner: str, key: str) -> EmailId:
    """The mail that this token owner submits under this Idempotency-Key."""
    return EmailId(f"{_EMAIL}k{_digest('email', owner, key)[:24]}")


def confirmation_key(topic: str, key: str, asked_at_ms: int) -> str:
    """The Idempotency-Key of the mail that asks this folded address to confirm what it asked for at this time."""
    return f"confirm/{topic}/{asked_at_ms}/{_digest('confirm', key)[:24]}"


def run_of_email(email_id: EmailId) -> RunId:
    """A single mail takes the place of a run: the ids of its messages and its dispatch begin with the mail's id."""
    return RunId(email_id)


def is_email(run_id: RunId) -> bool:
    """True if the id belongs to a single mail, not to a run."""
    return run_id.startswith(_EMAIL)


def dispatch_id(run_id: RunId, chunk: int) -> DispatchId:
    return DispatchId(f"{run_id}-d{chunk:05d}")


def group_dispatch_id(run_id: RunId, group: str) -> DispatchId:
    """The dispatch of a group. For runs whose members may differ when they are planned again after a restore."""
    return DispatchId(f"{run_id}-d{group}")


def slice_dispatch_id(run_id: RunId, chunk: int, slice_: datetime) -> DispatchId:
    """A dispatch of the slice of recipients for whom the wall time of the run comes at this instant."""
    return DispatchId(f"{run_id}-d{chunk:05d}z{slice_:%d%H%M}")


def domain_dispatch_id(batch: DispatchId, domain: str) -> DispatchId:
    """The dispatch of a batch's recipients of this domain, where the domain has shares of its own."""
    return DispatchId(f"{batch}m{short_digest(domain)}")


def child_dispatch_id(parent: DispatchId, messages: Sequence[MessageId]) -> DispatchId:
    """A part of a split dispatch. The id follows from its messages: the same split gives the same children."""
    return DispatchId(f"{root_of(parent)}.{digest_of_messages(messages)[:12]}")


def elsewhere_dispatch_id(first: DispatchId) -> DispatchId:
    """The dispatch that carries a single mail on at another provider, while its first dispatch is in doubt. It is no
    part of the first."""
    root, _, part = first.partition(".")
    return DispatchId(f"{root}x{part}")


def root_of(dispatch: DispatchId) -> DispatchId:
    """The planned dispatch: for a part, the dispatch that was split; otherwise the dispatch itself."""
    return DispatchId(dispatch.partition(".")[0])


def run_of_dispatch(dispatch: DispatchId) -> RunId:
    """The run or single mail of a dispatch."""
    return RunId(dispatch.rpartition("-d")[0])


def short_dispatch(dispatch: DispatchId, run_id: RunId) -> str:
    """The id of a dispatch without its run's, for vendors that bring back short texts only."""
    return dispatch.removeprefix(run_id)


def whole_dispatch(short: str, run_id: RunId) -> DispatchId:
    """The dispatch of this run that `short_dispatch` was made of."""
    return DispatchId(f"{run_id}{short}" if short.startswith("-") else short)


def schedule_of_run(run_id: RunId) -> ScheduleId:
    """The schedule of a run, however the run was made."""
    return ScheduleId(run_id.partition("-")[0])


def dispatch_range(run_id: RunId) -> tuple[str, str]:
    """The exclusive bounds of the ids of all dispatches of a run."""
    return f"{run_id}-d", f"{run_id}-e"


def dispatches_of_schedule(schedule_id: ScheduleId) -> tuple[str, str]:
    """The exclusive bounds of the ids of all dispatches of all runs of a schedule."""
    return f"{schedule_id}-", f"{schedule_id}."


def message_id(run_id: RunId, address: str) -> MessageId:
    """The id of a message: unique for a run and a folded address. It sorts under its run."""
    return MessageId(f"{run_id}/{_digest('message', fold(address))[:20]}")


def run_of_message(message: MessageId) -> RunId:
    """The run or single mail of a message."""
    return RunId(message.rpartition("/")[0])


def address_digest_of(message: MessageId) -> str:
    """The part of a message's id that names its address; the same in every run."""
    return message.rpartition("/")[2]


def rfc_message_id(dispatch: DispatchId, domain: str) -> str:
    """The Message-Id header's value without brackets: one per dispatch, the same for all its attempts."""
    return f"{dispatch}.mailroom@{domain}"


def dispatch_of_rfc_message_id(message_id: str) -> DispatchId | None:
    """The dispatch that this Message-Id was made for; None if the id is not ours."""
    name, mark, _ = message_id.strip("<>").partition(".mailroom@")
    return DispatchId(name) if name and mark and not name.startswith("control-") else None


def new_segment_id() -> SegmentId:
    return SegmentId(f"{_SEGMENT}{secrets.token_hex(9)}")


def is_segment(id_: str) -> bool:
    """True for the id of a segment, among ids of audiences and segments."""
    return id_.startswith(_SEGMENT)


def new_audience_id() -> AudienceId:
    return AudienceId(f"aud_{secrets.token_hex(9)}")


def new_erasure_id() -> ErasureId:
    return ErasureId(f"era_{secrets.token_hex(9)}")


def new_claim_id() -> ClaimId:
    return ClaimId(secrets.token_hex(12))


def make_token(epoch: int, revision: int) -> Token:
    """The fencing token of a lane: it grows with etcd's revision, and with the epoch after etcd was restored."""
    return Token(epoch * _REVISIONS + revision)


def epoch_of(token: int) -> int:
    """The epoch in which a token was made."""
    return token // _REVISIONS


def revision_of(token: Token) -> int:
    """The create revision of the lane's key in etcd, as contained in the token."""
    return token % _REVISIONS


def digest_of_messages(ids: Sequence[MessageId]) -> str:
    """A digest of the set of recipients of a dispatch. Calls with different digests are different dispatches."""
    return _digest(*sorted(ids))[:24]


def short_digest(*parts: str) -> str:
    """Names a set of texts within one run, where their length has no bound."""
    return _digest(*parts)[:8]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
