"""The exceptions that Mailroom raises on purpose.

MailroomError
├── InvalidInput            one or more fields are wrong; carries a Fault for each
├── NotFound                ScheduleNotFound, RunNotFound, RunFeedNotFound, MessageNotFound, DispatchNotFound,
│                           MessageContentNotFound,
│                           EmailNotFound, AudienceNotFound, ContactNotFound, SuppressionNotFound,
│                           ProviderNotFound, LimitNotFound, SegmentNotFound, TemplateNotFound, TopicNotFound,
│                           TemplateVersionNotFound, TokenNotFound, ErasureNotFound
├── Conflict                the resource is not in a state that allows the request
│   ├── ScheduleNotActive, ScheduleNotPaused, ScheduleNotArchived, ScheduleEnded, SchedulePaused
│   ├── RuleNotComputable, PlanningBehind
│   ├── RunEnded, RunPaused, RunNotPaused, RunUnderWay
│   ├── NobodyLeft, ForgottenMeanwhile
│   ├── DispatchNotUnknown, EmailUnderWay, EmailGone
│   ├── TopicExists         another topic has the id
│   ├── ContentWithoutTopic a resend would carry no link to leave the topic
│   ├── SendersTooOld       a process that does not know a rule may still run
│   └── SendingStopped      a person has stopped all sending
├── IdempotencyMismatch     the same key came with another body
├── StaleEdit               the version that the caller saw is not the current version
├── AccessRefused           no token, or a wrong or expired token
│   ├── ScopeMissing        the token does not carry the scope
│   └── NotTheOwner         the resource belongs to another token's owner
├── TooMany                 a caller has used up a limit
├── StaleToken              a newer holder has taken the lane: stop work on it
├── StoreRestored           a store was put back to an older copy: no decision is made before recovery
├── CannotBeKnown           no store has the answer, and a person must decide
├── RestoreUnfinished       a restore into the database is under way, or was cut off: nothing starts
├── BackupRefused           a backup cannot be made there, is damaged, or cannot be restored there
├── DatabaseTooNew          a release that is more than one ahead has changed the database: nothing starts
├── MisconfiguredStore      a server's own settings would break a promise: a sender does not start
└── Unavailable             a server we need is away; the same call may succeed later
    ├── TakesNoWrites       it answers, but refuses to write: full, or read-only
    ├── MailboxAway         a mailbox cannot be read: bounces wait there, and nothing is lost
    ├── BodiesAway          S3 is away, where large bodies lie: mails with one wait, all others go on
    └── RedisChanged        Redis has forgotten, or failed over, since the claim
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


class MailroomError(Exception):
    """Base class of the exceptions that Mailroom raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A wrong field: its path (`recurrence.expression`, `recipients[2].address`) and the message."""

    path: str
    message: str


class InvalidInput(MailroomError):
    """The input is refused as a whole; nothing of it was stored."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))


class NotFound(MailroomError):
    """The resource does not exist, or the caller may not see it."""

    noun = "thing"

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__(f"there is no {self.noun} {id_}")


class ScheduleNotFound(NotFound):
    noun = "schedule"


class RunNotFound(NotFound):
    noun = "run"


class RunFeedNotFound(NotFound):
    noun = "feed of run"


class MessageNotFound(NotFound):
    noun = "message"


class MessageContentNotFound(NotFound):
    """A run sends nothing to this recipient, who is suppressed, or lacks a value; or they were erased since."""

    noun = "content of message"


class DispatchNotFound(NotFound):
    noun = "dispatch"


class EmailNotFound(NotFound):
    noun = "mail"


class SuppressionNotFound(NotFound):
    noun = "suppression of"


class AudienceNotFound(NotFound):
    noun = "audience"


class ProviderNotFound(NotFound):
    noun = "provider"


class TemplateNotFound(NotFound):
    noun = "template"


class TemplateVersionNotFound(NotFound):
    noun = "version"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{version} of template {name}")


class TopicNotFound(NotFound):
    noun = "topic"


class ContactNotFound(NotFound):
    noun = "contact"


class ErasureNotFound(NotFound):
    noun = "erasure of"


class SegmentNotFound(NotFound):
    noun = "segment"


class LimitNotFound(NotFound):
    noun = "rate limit"


class TokenNotFound(NotFound):
    noun = "token"


class Conflict(MailroomError):
    """The resource exists, but its state does not allow the request."""


class ScheduleNotActive(Conflict):
    """Raised by operations that need an active schedule (pause, skip the next)."""


class ScheduleNotPaused(Conflict):
    """Raised on resuming a schedule that is not paused."""


class ScheduleNotArchived(Conflict):
    """Raised on restoring a schedule that is not archived."""


class ScheduleEnded(Conflict):
    """Raised on changing or running a schedule that is finished or archived."""


class SchedulePaused(Conflict):
    """Raised on running a paused schedule now without `even_if_paused`."""

    def __init__(self, schedule: str) -> None:
        super().__init__(f"schedule {schedule} is paused; say even_if_paused to run it all the same")


class SendingStopped(Conflict):
    """Raised while all sending is stopped, by actions that call a provider at once, such as a test of its webhooks."""


class ContentWithoutTopic(Conflict):
    """Raised on resending a run with its own content, which lacks the topic that its schedule has by now."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the schedule has the topic {topic} by now; resend the run with the newest content")


class TopicExists(Conflict):
    """Raised on creating a topic whose id another topic has."""


class SendersTooOld(Conflict):
    """Raised on storing something under a rule that a process of an earlier version would break, while one may run."""

    _MOST_NAMED = 5

    def __init__(self, rule: str, senders: Sequence[str]) -> None:
        named = ", ".join(senders[: self._MOST_NAMED])
        more = f" and {len(senders) - self._MOST_NAMED} more" if len(senders) > self._MOST_NAMED else ""
        super().__init__(f"{rule} is not taken in while processes run that do not know it: {named}{more}")


class RuleNotComputable(Conflict):
    """Raised on resuming, skipping or looking ahead of a schedule whose stored rule cannot be computed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the schedule's rule cannot be computed: {why}; give it another recurrence")


class PlanningBehind(Conflict):
    """Raised on changing a schedule that has too many due instants without a plan."""


class RunEnded(Conflict):
    """Raised on cancelling, pausing or resuming a run that is finished, cancelled or skipped."""


class RunNotPaused(Conflict):
    """Raised on resuming a run that is not paused."""


class RunPaused(Conflict):
    """Raised on pausing a run that is already paused."""


class RunUnderWay(Conflict):
    """Raised by operations that need a run without open dispatches."""


class NobodyLeft(Conflict):
    """Raised on a resend if every recipient was reached, or is carried by another run or mail."""

    def __init__(self, source: str) -> None:
        super().__init__(f"{source} has no recipient left to resend to")


class ForgottenMeanwhile(Conflict):
    """Raised on a resend if a restored MongoDB has lost an earlier resend: repeat it with the earlier key."""


class DispatchNotUnknown(Conflict):
    """Raised on resolving a dispatch whose outcome is known, or can still be reconciled."""

    def __init__(self, dispatch: str, why: str) -> None:
        self.dispatch = dispatch
        super().__init__(f"dispatch {dispatch} cannot be resolved: {why}")


class EmailUnderWay(Conflict):
    """Raised on cancelling a single mail that was sent, or whose call is under way."""


class EmailGone(Conflict):
    """Raised on resending a single mail whose content is no longer stored."""


class IdempotencyMismatch(MailroomError):
    """The Idempotency-Key was used before with another body."""


class StaleEdit(MailroomError):
    """The edit names a version other than the current version; read again, then edit."""


class AccessRefused(MailroomError):
    """No valid token was presented."""


class ScopeMissing(AccessRefused):
    """The token is valid, but does not carry the scope that this call needs."""

    def __init__(self, *any_of: str) -> None:
        self.scopes = any_of
        super().__init__(f"this token does not carry the scope {' or '.join(repr(scope) for scope in any_of)}")


class NotTheOwner(AccessRefused):
    """The resource belongs to another token's owner. Only that owner and `admin` may change it."""


class TooMany(MailroomError):
    """A caller has used up a limit; the same call may succeed after `retry_after`."""

    def __init__(self, why: str, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        super().__init__(why)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, at least 1."""
        return max(1, math.ceil(self.retry_after.total_seconds()))


class StaleToken(MailroomError):
    """A newer holder has taken the lane; the code that catches this stops work on the lane."""

    def __init__(self, lane: str, token: int) -> None:
        self.lane, self.token = lane, token
        super().__init__(f"token {token} of {lane} is not the highest")


class StoreRestored(MailroomError):
    """MongoDB was put back to an older copy; senders hold until `mailroom doctor --after-restore`."""


class CannotBeKnown(MailroomError):
    """No store has the information that the decision needs; a person must decide."""


class RestoreUnfinished(MailroomError):
    """A restore into the database is under way, or was cut off: run it again."""

    def __init__(self) -> None:
        super().__init__("a restore into this database is not finished: wait for it, or run mailroom restore again")


class BackupRefused(MailroomError):
    """A backup cannot be made in this folder, is damaged, or cannot be restored into this database."""


class DatabaseTooNew(MailroomError):
    """A release that is more than one ahead has changed the database."""

    def __init__(self, stored: int, most: int) -> None:
        super().__init__(
            f"the database has schema {stored}, and this version reads up to {most}: start a newer version on it"
        )


class MisconfiguredStore(MailroomError):
    """A server's settings would break a promise."""


class Unavailable(MailroomError):
    """A required server did not answer in time. A write may or may not have happened, unless the
    raising function says otherwise."""


class RedisChanged(Unavailable):
    """Redis has lost its memory, or failed over, since the claim; nothing of the claim may be called."""


class MailboxAway(Unavailable):
    """A mailbox cannot be read, or refuses us. What comes meanwhile waits there."""


class BodiesAway(Unavailable):
    """S3 is away, or refuses us; large bodies lie there. All work without one goes on."""


class TakesNoWrites(Unavailable):
    """A server answers, but refuses to write. `why` is our own text, and safe to show to any caller."""

    def __init__(self, store: str, why: str) -> None:
        self.why = why
        super().__init__(f"{store} takes no writes: {why}")
