"""What happens in a sender, as metrics (see mailroom/watching). Each function counts its arguments, and does nothing
else."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.emails.model import kind_and_priority
from mailroom.services.dispatching.fences import Crossing
from mailroom.watching import sending


def count_crossing(crossing: Crossing) -> None:
    """Count the answers of the fences."""
    sending.fences_answered("go", len(crossing.go))
    sending.fences_answered("called_before", len(crossing.called_before))
    sending.fences_answered("split_before", len(crossing.split_before))
    sending.fences_answered("stale", len(crossing.stale))
    sending.fences_answered("held", len(crossing.held))
    sending.fences_answered("forgotten", len(crossing.forgotten))


def count_call(claimed: Claimed, outcome: Outcome, *, seconds: float) -> None:
    """Count a call to a provider that has ended."""
    word = outcome_word(outcome)
    if word != Refusal.NOT_CALLED:
        sending.call_ended(claimed.provider, word, seconds=seconds)


def count_mails(results: Iterable[CallResult]) -> None:
    """Count the mails of dispatches that have ended, called or not."""
    mails: Counter[tuple[str, str]] = Counter()
    for result in results:
        claimed, outcome = result.claimed, result.outcome
        if isinstance(outcome, InPart):
            mails[claimed.provider, "accepted"] += max(0, claimed.messages - len(outcome.refused))
            mails.update((claimed.provider, _word_of_mail(refused)) for refused in outcome.refused.values())
        else:
            word = _word_of_mail(outcome) if claimed.messages == 1 else outcome_word(outcome)
            mails[claimed.provider, word] += claimed.messages
    for (provider, word), count in mails.items():
        sending.mails_ended(provider, word, count)


def _word_of_mail(outcome: Outcome) -> str:
    """Of a mail that had the outcome to itself. What refuses its recipient refuses it for good, while a batch goes on
    in halves."""
    word = outcome_word(outcome)
    return Refusal.PERMANENT if word == Refusal.RECIPIENT else word


def note_lateness(claimed: Claimed, outcome: Outcome, due_at: datetime | None) -> None:
    """Note how late a dispatch was accepted, by this host's clock. `due_at`: None if that is not known."""
    if due_at is not None and isinstance(outcome, Accepted | InPart):
        kind, priority = kind_and_priority(claimed.rank)
        sending.accepted_late(kind, priority, datetime.now(UTC) - due_at)


def outcome_word(outcome: Outcome) -> str:
    """The label of an outcome: `accepted`, `in_part`, `in_doubt`, `called_before`, or a word of Refusal."""
    match outcome:
        case Refused():
            return outcome.kind
        case InDoubt():
            return "in_doubt" if outcome.crossed_by is None else "called_before"
        case InPart():
            return "in_part"
        case Accepted():
            return "accepted" if outcome.attempt is None else "called_before"
