"""A batch of single mails: each is read and answered by itself, so that a wrong one concerns no other."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from marshmallow import ValidationError

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.errors import Fault, InvalidInput, MailroomError
from mailroom.domain.limits import MAX_IDEMPOTENCY_KEY, MAX_MAILS
from mailroom.services.mails.accept import AcceptedMail, Outbox
from scheduler_api.arguments import with_those_of_the_domain
from scheduler_api.problems import faults_of, problem_body
from scheduler_api.reading import Unread, read_in_parts
from scheduler_api.schemas import email_drafts, stand_ins
from scheduler_api.schemas import emails as schemas

_MOST_OF_A_KEY: Final = MAX_IDEMPOTENCY_KEY - len(f"#{MAX_MAILS}")
_KEYED: Final = email_drafts.KeyedEmailIn()  # made once: a schema takes longer to make than a mail to check
KeyedDraft = tuple[EmailDraft, str | None]  # with its Idempotency-Key
HandIn = Callable[[Sequence[KeyedDraft]], Sequence[AcceptedMail | Exception]]


def read_batch(raw: bytes) -> Any:
    """The batch as JSON; a mail that cannot be read is set aside. Raises Unreadable."""
    return read_in_parts(raw, "emails", MAX_MAILS)


def answers(outbox: Outbox, mails: Sequence[Any], *, key: str | None, hand_in: HandIn) -> list[dict[str, Any]]:
    """Hand these mails in. Returns for each in turn its `code`, and its id or the problem.

    `key`: the Idempotency-Key of the whole batch; it holds for each mail by its place, unless the mail has one of its
    own. Raises InvalidInput for a key that is too long, and what `hand_in` raises.
    """
    if key and len(key) > _MOST_OF_A_KEY:
        raise InvalidInput(Fault("Idempotency-Key", f"of a batch: at most {_MOST_OF_A_KEY} characters"))
    budget = TemplateBudget()
    read = [_read(outbox, raw, f"{key}#{index}" if key else None, budget) for index, raw in enumerate(mails)]
    taken = iter(hand_in([one for one in read if not isinstance(one, InvalidInput)]))
    return [_answer(one if isinstance(one, InvalidInput) else next(taken)) for one in read]


def _read(outbox: Outbox, raw: Any, key: str | None, budget: TemplateBudget) -> KeyedDraft | InvalidInput:
    """`budget` bounds the cost of all refused mails of a batch."""
    if isinstance(raw, Unread):
        return InvalidInput(Fault("body", f"cannot be read as JSON: {raw.why}"))
    try:
        loaded = _KEYED.load(raw)
    except ValidationError as error:
        return InvalidInput(*_all_faults(outbox, error, raw, budget))
    own_key = loaded.pop("idempotency_key", key)
    return email_drafts.draft(loaded), own_key


def _all_faults(outbox: Outbox, error: ValidationError, asked: Any, budget: TemplateBudget) -> list[Fault]:
    def further(asked: dict[str, Any], _: dict[str, Any]) -> Iterable[Fault]:
        return outbox.faults_of(stand_ins.email(asked), budget)

    found = faults_of(error.messages)
    return with_those_of_the_domain(found, further, asked, {}) if isinstance(asked, dict) else found


def _answer(of: AcceptedMail | Exception) -> dict[str, Any]:
    if isinstance(of, MailroomError):
        body = problem_body(of)
        return {"code": body["status"], "problem": body}
    if isinstance(of, Exception):
        raise of
    return {"code": 202, **schemas.taken(of)}
