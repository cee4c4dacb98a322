"""Everything that Mailroom refuses, and why.

MailroomError
├── InvalidInput            one or more fields are wrong; carries a Fault for each
├── NotFound                ScheduleNotFound, RunNotFound, MessageNotFound, DispatchNotFound, EmailNotFound,
│                           AudienceNotFound, SuppressionNotFound, ProviderNotFound, LimitNotFound,
│                           TemplateNotFound, TokenNotFound
├── Conflict                the thing is not in a state that allows this
│   ├── ScheduleNotActive, ScheduleNotPaused, ScheduleEnded, SchedulePaused
│   ├── RuleNotComputable, PlanningBehind
│   ├── RunEnded, RunPaused, RunNotPaused, RunUnderWay
│   ├── NobodyLeft, ForgottenMeanwhile
│   ├── DispatchNotUnknown, EmailUnderWay, EmailGone
│   └── SendingStopped      a person has stopped all sending
├── IdempotencyMismatch     the same key came with another body
├── StaleEdit               the version that the caller saw is no longer the current one
├── AccessRefused           no token, a wrong or expired one
│   ├── ScopeMissing        the token does not carry the scope
│   └── NotTheOwner         the thing belongs to another token's owner
├── TooMany                 a caller has used up a limit
├── StaleToken              a newer holder has taken the lane: stop work on it
├── StoreRestored           a store was put back to an older copy: nothing is decided until it is put right
├── CannotBeKnown           no store remembers it, and a person must decide
├── MisconfiguredStore      a server's own settings would break a promise: a sender does not start
└── Unavailable             a server we need is away; the same call may succeed later
    └── TakesNoWrites       it answers, but refuses to write: full, or read-only
"""

import math
from dataclasses import dataclass
from datetime import timedelta


class MailroomError(Exception):
    """Base of all that Mailroom raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field: where it is (`recurrence.expression`, `recipients[2].address`) and what is wrong."""

    path: str
    message: str


class InvalidInput(MailroomError):
    """What was handed in is refused as a whole; nothing of it was stored."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))


class NotFound(MailroomError):
    """There is no such thing, or it is not the caller's to see."""

    noun = "thing"

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__(f"there is no {self.noun} {id_}")


class ScheduleNotFound(NotFound):
    noun = "schedule"


class RunNotFound(NotFound):
    noun = "run"


class MessageNotFound(NotFound):
    noun = "message"


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


class LimitNotFound(NotFound):
    noun = "rate limit"


class TokenNotFound(NotFound):
    noun = "token"


class Conflict(MailroomError):
    """The thing exists, but not in a state that allows what was asked."""


class ScheduleNotActive(Conflict):
    """Raised by what only an active schedule can do (pause, skip the next)."""


class ScheduleNotPaused(Conflict):
    """Raised on resuming what is not paused."""


class ScheduleEnded(Conflict):
    """Raised on changing or running a schedule that is finished or archived."""


class SchedulePaused(Conflict):
    """Raised on running a paused schedule now without `even_if_paused`."""

    def __init__(self, schedule: str) -> None:
        super().__init__(f"schedule {schedule} is paused; say even_if_paused to run it all the same")


class SendingStopped(Conflict):
    """Raised while all sending is stopped, by actions that call a provider at once, such as a test of its webhooks."""


class RuleNotComputable(Conflict):
    """Raised on resuming, skipping or looking ahead of a schedule whose stored rule cannot be computed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the schedule's rule cannot be computed: {why}; give it another recurrence")


class PlanningBehind(Conflict):
    """Raised on changing a schedule that has too many instants due and not planned yet."""


class RunEnded(Conflict):
    """Raised on cancelling, pausing or resuming a run that is finished, cancelled or skipped."""


class RunNotPaused(Conflict):
    """Raised on resuming a run that is not paused."""


class RunPaused(Conflict):
    """Raised on pausing a run that is paused already."""


class RunUnderWay(Conflict):
    """Raised on asking for what needs a run to be through."""


class NobodyLeft(Conflict):
    """Raised on sending again where everybody was reached, or is carried by another run or mail."""


class ForgottenMeanwhile(Conflict):
    """Raised on sending again where a restored MongoDB has forgotten that it was done: ask with the key of then."""


class DispatchNotUnknown(Conflict):
    """Raised on saying what became of a dispatch that is known, or can still be found out."""

    def __init__(self, dispatch: str, why: str) -> None:
        self.dispatch = dispatch
        super().__init__(f"dispatch {dispatch} cannot be resolved: {why}")


class EmailUnderWay(Conflict):
    """Raised on cancelling a single mail that is sent, or whose call is under way."""


class EmailGone(Conflict):
    """Raised on sending a single mail again whose content is not kept any more."""


class IdempotencyMismatch(MailroomError):
    """The Idempotency-Key was used before with another body."""


class StaleEdit(MailroomError):
    """The edit names a version that is not the current one; read again, then edit."""


class AccessRefused(MailroomError):
    """No valid token was presented."""


class ScopeMissing(AccessRefused):
    """The token is valid, but does not carry the scope that this call needs."""

    def __init__(self, *any_of: str) -> None:
        self.scopes = any_of
        super().__init__(f"this token does not carry the scope {' or '.join(repr(scope) for scope in any_of)}")


class NotTheOwner(AccessRefused):
    """The thing belongs to another token's owner; its owner and `admin` may change it."""


class TooMany(MailroomError):
    """A caller has used up a limit; the same call may succeed after `retry_after`."""

    def __init__(self, why: str, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        super().__init__(why)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, at least one."""
        return max(1, math.ceil(self.retry_after.total_seconds()))


class StaleToken(MailroomError):
    """A newer holder has taken the lane; whoever catches this stops work on it."""

    def __init__(self, lane: str, token: int) -> None:
        self.lane, self.token = lane, token
        super().__init__(f"token {token} of {lane} is not the highest")


class StoreRestored(MailroomError):
    """MongoDB was put back to an older copy; senders hold until `mailroom doctor --after-restore`."""


class CannotBeKnown(MailroomError):
    """What would have to be known is remembered nowhere, and a person must decide."""


class MisconfiguredStore(MailroomError):
    """A server is set up in a way that would break a promise."""


class Unavailable(MailroomError):
    """A server that we need did not answer in its time; nothing was changed that is not said."""


class TakesNoWrites(Unavailable):
    """A server answers, but refuses to write. `why` is in words of ours, which anybody may read."""

    def __init__(self, store: str, why: str) -> None:
        self.why = why
        super().__init__(f"{store} takes no writes: {why}")
