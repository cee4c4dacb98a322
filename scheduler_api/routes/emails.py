"""`/v1/emails`: single mails handed in, one or many at once, looked at, searched and cancelled."""

from collections.abc import Iterable
from typing import Any

from flask import Response, jsonify

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import EmailId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_MAIL_BODY_BYTES, MAX_VALUES_OF_A_BATCH
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.services.common import sending_switch
from mailroom.services.mails import accept
from mailroom.services.mails import counts as mail_counts
from mailroom.services.mails import view as mail_view
from mailroom.services.resending import mails as resend_mails
from scheduler_api import batches, paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.handing_in import hand_in, hand_in_many, within_cap
from scheduler_api.headers import KEY, KEY_NEEDED, given_key, needed_key
from scheduler_api.rejected_requests import keep_parts
from scheduler_api.schemas import email_drafts, stand_ins
from scheduler_api.schemas import emails as schemas
from scheduler_api.schemas.messages import step
from scheduler_api.schemas.searches import CountedEmailPage, EmailSearchQuery, total

blueprint = Blueprint("emails", __name__, url_prefix="/v1/emails", description="Single mails, each sent once.")


# Made once: a schema takes longer to make than a mail to check.
_ONE, _TAKEN = email_drafts.EmailIn(), schemas.TakenOut()


def _further(asked: dict[str, Any], _: dict[str, Any]) -> Iterable[Fault]:
    return services().outbox.faults_of(stand_ins.email(asked))


@blueprint.post("")
@blueprint.doc(parameters=[KEY])
@requires("mail", most=MAX_MAIL_BODY_BYTES)
@blueprint.arguments(_ONE, further=_further)
@blueprint.response(202, _TAKEN)
@blueprint.alt_response(409, "CONFLICT")
def create(fields: dict[str, Any]) -> Any:
    """Hand in a mail. The mail is stored when the answer comes; with an Idempotency-Key the same request again answers
    with the same mail."""
    return _taken(hand_in(email_drafts.draft(fields), given_key()))


@blueprint.post("/batch")
@blueprint.doc(parameters=[KEY])
@requires("mail", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_BATCH, reader=batches.read_batch)
@blueprint.arguments(email_drafts.BatchIn)
@blueprint.response(200, schemas.BatchOut)
def create_many(fields: dict[str, Any]) -> Any:
    """Hand in up to 1,000 mails, answered one by one and in turn. An Idempotency-Key of the whole request holds for
    each mail by its place, unless the mail has a key of its own."""
    mails = fields["emails"]
    answers = batches.answers(services().outbox, mails, key=given_key(), hand_in=hand_in_many)
    refused = [(index, answer["problem"]) for index, answer in enumerate(answers) if "problem" in answer]
    keep_parts((f"#{index}", problem, mails[index]) for index, problem in refused)
    return {"items": answers}


@blueprint.get("")
@requires("read")
@blueprint.arguments(EmailSearchQuery, location="query")
@blueprint.response(200, CountedEmailPage)
def index(query: dict[str, Any]) -> Any:
    """Mails, newest first: all, or those to a recipient, with a tag, of a time, or with a recipient in a state. A
    search by state has no `total`."""
    before, limit = paging.decode_time_and_id(query.get("cursor")), query["limit"]
    search = EmailSearch(**{name: query.get(name) for name in ("recipient", "tag", "since", "until")})
    if "status" in query:
        if search != EmailSearch():
            raise InvalidInput(Fault("status", "cannot be asked for together with something else"))
        shown, last = mail_view.page_in_state(services().db, MessageState(query["status"]), before=before, limit=limit)
    else:
        shown = mail_view.page(services().db, search, before=before, limit=limit)
        last = (shown[-1].email.created_at, shown[-1].email.id) if len(shown) == limit else None
    counted = mail_counts.count(services().db, search) if query.get("total") and "status" not in query else None
    page = {"items": [schemas.email(one) for one in shown], "next_cursor": paging.encode(*last) if last else None}
    return page | total(counted)


@blueprint.get("/<email_id>")
@requires("read")
@blueprint.arguments(schemas.IncludeQuery, location="query")
@blueprint.response(200, schemas.WholeEmailOut)
def show(query: dict[str, Any], email_id: str) -> Any:
    """One mail: its state, and that of each recipient, and the reason if it waits because a person has stopped all
    sending. `include=body` adds its content, for scope `mail`: a mail may hold the link that sets a password."""
    if query.get("include"):
        principal().require("mail")
    shown = schemas.whole_email(mail_view.get(services().db, EmailId(email_id)))
    if query.get("include"):
        shown |= schemas.body(mail_view.body_of(services().db, services().bodies, EmailId(email_id)))
    waits = shown["status"] == MessageState.QUEUED
    return shown | {"waits_because": sending_switch.why_stopped(services().db) if waits else None}


@blueprint.get("/<email_id>/events")
@requires("read")
@blueprint.response(200, schemas.Events)
def events(email_id: str) -> Any:
    """Everything that happened to a mail, in order: each step of its calls, each event of the provider."""
    return {"items": [step(entry) for entry in mail_view.events_of(services().db, EmailId(email_id))]}


@blueprint.post("/<email_id>/send-again")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("mail")
@blueprint.response(202, schemas.TakenOut)
def send_again(email_id: str) -> Any:
    """Send the mail again to exactly the recipients that it did not reach: refused for good, bounced, rejected,
    cancelled. With the same `Idempotency-Key` it is the same mail; asked for twice, nobody is mailed twice."""
    lanes = services().settings.sending.mail_lanes
    owner, key = principal().owner, needed_key()
    id_ = EmailId(email_id)
    again = within_cap(
        1,
        lambda: resend_mails.send_again(services().db, id_, owner=owner, key=key, lanes=lanes, files=services().bodies),
    )
    return _taken(accept.taken_before(services().db, again))


def _taken(taken: accept.AcceptedMail) -> Response:
    """As `TakenOut` has it, without the schema's cost: no other answer is given so often."""
    response = jsonify(schemas.taken(taken))
    response.status_code, response.location = 202, f"/v1/emails/{taken.id}"
    return response


@blueprint.post("/<email_id>/cancel")
@requires("mail")
@blueprint.response(200, schemas.WholeEmailOut)
def cancel(email_id: str) -> Any:
    """Cancel a mail. 409 if it was sent, or if its call is under way: then the mail is at least not tried again."""
    return schemas.whole_email(mail_view.cancel(services().db, EmailId(email_id)))
