"""`POST /v1/mail`: single mails by a shorter contract, over the same services; and `GET /`."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import HTTPException

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Fault, InvalidInput, MailroomError
from mailroom.domain.limits import MAX_MAIL_BODY_BYTES
from mailroom.domain.messages.states import MessageState
from scheduler_api.auth import requires, services
from scheduler_api.bodies import document
from scheduler_api.handing_in import hand_in
from scheduler_api.headers import given_key
from scheduler_api.problems import from_http, from_refusal
from scheduler_api.schemas import stand_ins

blueprint = Blueprint("mail", __name__)
_KEYS = ("from", "to", "cc", "bcc", "subject", "message")


@blueprint.get("/")
def hello() -> Any:
    return jsonify(hello="world")


def in_its_own_words(view: Callable[[], Any]) -> Callable[[], Any]:
    """A view whose errors are `{"Message": "not submitted", "Problem": "..."}`: the refusal of its caller and of its
    body too."""

    @wraps(view)
    def submitting() -> Any:
        try:
            return view()
        except MailroomError as error:
            return _not_submitted(from_refusal(error))
        except HTTPException as error:
            return _not_submitted(from_http(error))

    return submitting


@blueprint.post("/v1/mail")
@in_its_own_words
@requires("mail", most=MAX_MAIL_BODY_BYTES)
def submit() -> Any:
    """A mail of text: `from`, `to`, `cc`, `bcc`, `subject`, `message`; addresses as a list or as one text."""
    taken = hand_in(_draft(document()), given_key())
    if taken.status is MessageState.SUPPRESSED:
        return jsonify(Message="submitted", id=taken.id, Status=taken.status)
    return jsonify(Message="submitted", id=taken.id)


def _not_submitted(answer: Response) -> Response:
    """The same refusal in this contract's body. A wrong request is 400, whatever is wrong with it."""
    problem: dict[str, Any] = answer.get_json()
    faults = [f"{_KEY_OF.get(one['path'], one['path'])}: {one['message']}" for one in problem.get("errors", ())]
    words = "; ".join(faults) or problem.get("detail") or problem["title"]
    answer.data = jsonify(Message="not submitted", Problem=words).data
    answer.mimetype = "application/json"
    if problem["code"] in _WRONG:
        answer.status_code = 400
    return answer


_WRONG: Final = frozenset({"bad_request", "not_json", "invalid_input"})
_KEY_OF: Final = {"text": "message"}


def _draft(body: Any) -> EmailDraft:
    if not isinstance(body, dict):
        raise InvalidInput(Fault("body", "is not an object"))
    faults = [Fault(str(name), "is not known") for name in body if name not in _KEYS]
    for name in ("from", "subject", "message"):
        if not isinstance(body.get(name, ""), str):
            faults.append(Fault(name, "is not a text"))
    for name in ("to", "cc", "bcc"):
        if not _is_addresses(body.get(name) or []):
            faults.append(Fault(name, "is neither a text nor a list of texts"))
    if faults:
        raise InvalidInput(*faults, *_beside(body, faults))
    to, cc, bcc = (_as_list(body.get(name) or []) for name in ("to", "cc", "bcc"))
    return EmailDraft(
        sender=body.get("from", ""),
        to=to,
        cc=cc,
        bcc=bcc,
        subject=body.get("subject", ""),
        text=body.get("message", ""),
    )


def _beside(body: dict[str, Any], faults: Sequence[Fault]) -> list[Fault]:
    """The domain's faults of a mail of which a part has the wrong shape."""
    lists = {name: _as_list(body.get(name) or []) for name in ("to", "cc", "bcc")}
    draft = stand_ins.email({**body, **lists, "text": body.get("message", "")})
    wrong = {_KEY_OF.get(fault.path, fault.path) for fault in faults}
    return [one for one in services().outbox.faults_of(draft) if _KEY_OF.get(one.path, one.path) not in wrong]


def _is_addresses(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value
