"""`/v1/emails`: single mails handed in, one or many at once, looked at, searched and cancelled."""

import json
from collections.abc import Iterable
from typing import Any

from flask import Response
from marshmallow import ValidationError

from mailroom.domain.emails.budget import TemplateBudget
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Fault, InvalidInput, MailroomError
from mailroom.domain.ids import EmailId
from mailroom.domain.limits import (
    MAX_BODY_BYTES,
    MAX_IDEMPOTENCY_KEY,
    MAX_MAIL_BODY_BYTES,
    MAX_MAILS,
    MAX_VALUES_OF_A_BATCH,
)
from mailroom.domain.messages import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.services.common import sending_switch
from mailroom.services.mails import accept
from mailroom.services.mails import view as mail_view
from mailroom.services.resending import mails as resend_mails
from scheduler_api import paging
from scheduler_api.arguments import Blueprint, with_those_of_the_domain
from scheduler_api.auth import principal, requires, services
from scheduler_api.handing_in import hand_in, hand_in_many, within_cap
from scheduler_api.headers import KEY, KEY_NEEDED, given_key, needed_key
from scheduler_api.problems import faults_of, problem_body
from scheduler_api.reading import Unread, read_in_parts
from scheduler_api.recording import keep_parts
from scheduler_api.schemas import emails as schemas
from scheduler_api.schemas import stand_ins
from scheduler_api.schemas.runs import step

blueprint = Blueprint("emails", __name__, url_prefix="/v1/emails", description="Single mails, each sent once.")


# Made once: a schema takes longer to make than a mail to check.
_MOST_OF_A_BATCH_KEY = MAX_IDEMPOTENCY_KEY - len(f"#{MAX_MAILS}")
_ONE, _KEYED, _TAKEN = schemas.EmailIn(), schemas.KeyedEmailIn(), schemas.TakenOut()


def _further(asked: dict[str, Any], _: dict[str, Any]) -> Iterable[Fault]:
    return services().outbox.faults_of(stand_ins.email(asked))


def _read_batch(raw: bytes) -> Any:
    """The batch as JSON; a mail that cannot be read is set aside, and concerns no other."""
    return read_in_parts(raw, "emails", MAX_MAILS)


@blueprint.post("")
@blueprint.doc(parameters=[KEY])
@requires("mail", most=MAX_MAIL_BODY_BYTES)
@blueprint.arguments(_ONE, further=_further)
@blueprint.response(202, _TAKEN)
def create(fields: dict[str, Any]) -> Any:
    """Hand in a mail. It is stored for good when this answers; with an Idempotency-Key the same request again answers
    with the same mail."""
    return _taken(hand_in(schemas.draft(fields), given_key()))


@blueprint.post("/batch")
@blueprint.doc(parameters=[KEY])
@requires("mail", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_BATCH, reader=_read_batch)
@blueprint.arguments(schemas.BatchIn)
@blueprint.response(200, schemas.BatchOut)
def create_many(fields: dict[str, Any]) -> Any:
    """Hand in up to 1,000 mails, answered one by one and in turn. An Idempotency-Key of the whole request holds for
    each of them by its place; one of its own goes before that."""
    whole = given_key()
    if whole and len(whole) > _MOST_OF_A_BATCH_KEY:
        raise InvalidInput(Fault("Idempotency-Key", f"of a batch: at most {_MOST_OF_A_BATCH_KEY} characters"))
    budget = TemplateBudget()
    read: list[tuple[EmailDraft, str | None] | InvalidInput] = []
    for index, raw in enumerate(fields["emails"]):
        if isinstance(raw, Unread):
            read.append(InvalidInput(Fault("body", f"cannot be read as JSON: {raw.why}")))
            continue
        try:
            loaded = _KEYED.load(raw)
        except ValidationError as error:
            read.append(InvalidInput(*_all_faults(error, raw, budget)))
            continue
        key = loaded.pop("idempotency_key", f"{whole}#{index}" if whole else None)
        read.append((schemas.draft(loaded), key))
    taken = iter(hand_in_many([one for one in read if not isinstance(one, InvalidInput)]))
    answers = [_answer(one if isinstance(one, InvalidInput) else next(taken)) for one in read]
    refused = [(index, answer["problem"]) for index, answer in enumerate(answers) if "problem" in answer]
    keep_parts((f"#{index}", problem, fields["emails"][index]) for index, problem in refused)
    return {"items": answers}


def _all_faults(error: ValidationError, asked: Any, budget: TemplateBudget) -> list[Fault]:
    """The faults of a mail that the schema refuses. `budget` bounds the cost of all refused mails of a batch."""

    def further(asked: dict[str, Any], _: dict[str, Any]) -> Iterable[Fault]:
        return services().outbox.faults_of(stand_ins.email(asked), budget)

    found = faults_of(error.messages)
    return with_those_of_the_domain(found, further, asked, {}) if isinstance(asked, dict) else found


def _answer(of: "accept.AcceptedMail | Exception") -> dict[str, Any]:
    if isinstance(of, MailroomError):
        body = problem_body(of)
        return {"code": body["status"], "problem": body}
    if isinstance(of, Exception):
        raise of
    return {"code": 202, "id": of.id, "status": of.status, **_recipients(of)}


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.EmailQuery, location="query")
@blueprint.response(200, schemas.EmailPage)
def index(query: dict[str, Any]) -> Any:
    """Mails, newest first: all, or those to a recipient, with a tag, of a time, or with a recipient in a state."""
    before, limit = paging.decode_time_and_id(query.get("cursor")), query["limit"]
    search = EmailSearch(**{name: query.get(name) for name in ("recipient", "tag", "since", "until")})
    if "status" in query:
        if search != EmailSearch():
            raise InvalidInput(Fault("status", "cannot be asked for together with something else"))
        shown, last = mail_view.page_in_state(services().db, MessageState(query["status"]), before=before, limit=limit)
    else:
        shown = mail_view.page(services().db, search, before=before, limit=limit)
        last = (shown[-1].email["created_at"], shown[-1].email["_id"]) if len(shown) == limit else None
    return {"items": [schemas.email(one) for one in shown], "next_cursor": paging.encode(*last) if last else None}


@blueprint.get("/<email_id>")
@requires("read")
@blueprint.response(200, schemas.EmailOut)
def show(email_id: str) -> Any:
    """One mail: its state, and that of each recipient; and why it waits, where a person has stopped all sending."""
    shown = schemas.email(mail_view.get(services().db, EmailId(email_id)))
    waits = shown["status"] == MessageState.QUEUED
    return shown | {"waits_because": sending_switch.why_stopped(services().db) if waits else None}


@blueprint.get("/<email_id>/events")
@requires("read")
@blueprint.response(200, schemas.Events)
def events(email_id: str) -> Any:
    """Everything that happened to a mail, in order: each step of its calls, each event that the provider told."""
    return {"items": [step(told) for told in mail_view.events_of(services().db, EmailId(email_id))]}


@blueprint.post("/<email_id>/send-again")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("mail")
@blueprint.response(202, schemas.TakenOut)
def send_again(email_id: str) -> Any:
    """The same mail to exactly those of its recipients whom it did not reach: refused for good, bounced, rejected,
    cancelled. With the same `Idempotency-Key` it is the same mail; asked for twice, nobody is mailed twice."""
    lanes = services().settings.sending.mail_lanes
    owner, key = principal().owner, needed_key()
    id_ = EmailId(email_id)
    again = within_cap(1, lambda: resend_mails.send_again(services().db, id_, owner=owner, key=key, lanes=lanes))
    return _taken(accept.taken_before(services().db, again))


def _taken(taken: "accept.AcceptedMail") -> Response:
    """As `TakenOut` has it, written by hand: of all answers this is the one that must cost little."""
    body = f'{{"id": "{taken.id}", "status": "{taken.status}"}}\n'
    if taken.recipients:
        body = json.dumps({"id": taken.id, "status": taken.status, **_recipients(taken)}) + "\n"
    return Response(body, 202, {"Location": f"/v1/emails/{taken.id}"}, mimetype="application/json")


def _recipients(taken: "accept.AcceptedMail") -> dict[str, Any]:
    """The status of each recipient if some are suppressed, else nothing."""
    if not taken.recipients:
        return {}
    states = {False: {"status": MessageState.QUEUED}, True: {"status": MessageState.SUPPRESSED}}
    return {
        "recipients": [
            {"address": address, **states[reason is not None], **({"reason": reason} if reason else {})}
            for address, reason in taken.recipients
        ]
    }


@blueprint.post("/<email_id>/cancel")
@requires("mail")
@blueprint.response(200, schemas.EmailOut)
def cancel(email_id: str) -> Any:
    """Do not send it. 409 where it was sent, or its call is under way: then it is at least not tried again."""
    return schemas.email(mail_view.cancel(services().db, EmailId(email_id)))
