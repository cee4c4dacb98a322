"""Single mails in JSON, as they are accepted, listed and shown."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.emails.model import Place, ShownBody
from mailroom.domain.limits import MAX_SHOWN, MAX_TAG
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.mails.view import EmailView, WholeEmailView
from scheduler_api.paging import ListQuery, PageOut
from scheduler_api.schemas.attachments import ShownAttachmentOut, shown_attachment
from scheduler_api.schemas.instants import INSTANT, MomentField, iso
from scheduler_api.schemas.messages import StepOut
from scheduler_api.schemas.shared_fields import TextsField

_WENT_TWICE = "null unless it went elsewhere; maybe: nobody knows about the first call; yes: both were accepted"


class TakenRecipientOut(Schema):
    address = fields.String()
    status = fields.String()
    reason = fields.String(metadata={"description": "why it is suppressed"})


class TakenOut(Schema):
    id = fields.String()
    status = fields.String(metadata={"description": "queued; suppressed if every recipient is suppressed"})
    recipients = fields.List(
        fields.Nested(TakenRecipientOut), metadata={"description": "of each, where some are suppressed"}
    )


class BatchOut(Schema):
    items = fields.List(fields.Dict(), metadata={"description": "for each mail in turn: code, and id or a problem"})


class RecipientOut(Schema):
    address = fields.String()
    name = fields.String()
    place = fields.String()
    status = fields.String()
    code = fields.Integer(allow_none=True)
    reason = fields.String(allow_none=True)
    tries = fields.Integer(allow_none=True)
    message_id = fields.String()
    sent_at = fields.String(allow_none=True)
    delivered_at = fields.String(allow_none=True)
    bounced_at = fields.String(allow_none=True)
    first_opened_at = fields.String(allow_none=True)
    opens = fields.Integer()
    clicks = fields.Integer()


class EmailOut(TakenOut):
    sender = fields.String(data_key="from")
    reply_to = fields.String()
    to = fields.List(fields.String())
    cc = fields.List(fields.String())
    bcc = fields.List(fields.String())
    subject = fields.String()
    tags = fields.List(fields.String())
    metadata = fields.Dict()
    priority = fields.String()
    on_doubt = fields.String()
    topic = fields.String(allow_none=True, metadata={"description": "what its reader may leave"})
    template = fields.String(allow_none=True, metadata={"description": "the stored template that it was made of"})
    template_version = fields.Integer(allow_none=True)
    went_twice = fields.String(allow_none=True, metadata={"description": _WENT_TWICE})
    size = fields.Integer()
    send_at = fields.String(allow_none=True)
    created_at = fields.String()
    worker = fields.String(
        allow_none=True,
        metadata={"description": "of one mail: the sender that has it, or had it last; its id in /v1/workers"},
    )
    waits_because = fields.String(
        allow_none=True,
        metadata={"description": "of one mail: why it is not sent for now, such as that sending is stopped"},
    )
    recipients = fields.List(fields.Nested(RecipientOut))


class WholeEmailOut(EmailOut):
    updated_at = fields.String(metadata={"description": "when a call or an event last changed something about it"})
    headers = TextsField(
        allow_none=True,
        metadata={"type": "object", "description": "its further headers; null once its body is not kept any more"},
    )
    text = fields.String(allow_none=True, metadata={"description": "with include=body; null once it is not kept"})
    html = fields.String(allow_none=True, metadata={"description": "with include=body, as text"})
    attachments = fields.List(
        fields.Nested(ShownAttachmentOut),
        allow_none=True,
        metadata={"description": "with include=body: names, types and sizes"},
    )
    cut = fields.List(
        fields.String(),
        metadata={"description": f"with include=body: which of text and html is cut to {MAX_SHOWN:,} characters"},
    )


class IncludeQuery(Schema):
    include = fields.String(validate=validate.OneOf(["body"]))


class EmailPage(PageOut):
    items = fields.List(fields.Nested(EmailOut))


class Events(Schema):
    items = fields.List(fields.Nested(StepOut))


class EmailQuery(ListQuery):
    recipient = fields.String(validate=validate.Length(max=320))
    tag = fields.String(validate=validate.Length(max=MAX_TAG))
    status = fields.String(validate=validate.OneOf(list(MessageState)))
    since = MomentField(metadata=INSTANT)
    until = MomentField(metadata=INSTANT)


def taken(mail: AcceptedMail) -> dict[str, Any]:
    """With the status of each recipient if some are suppressed."""
    shown: dict[str, Any] = {"id": mail.id, "status": mail.status}
    if not mail.recipients:
        return shown
    states = {False: {"status": MessageState.QUEUED}, True: {"status": MessageState.SUPPRESSED}}
    recipients = [
        {"address": address, **states[reason is not None], **({"reason": reason} if reason else {})}
        for address, reason in mail.recipients
    ]
    return shown | {"recipients": recipients}


def email(shown: EmailView) -> dict[str, Any]:
    stored = shown.email
    places: dict[str, list[str]] = {place: [] for place in Place}
    for addressee in stored.addressees:
        places[addressee.place].append(str(addressee.mailbox))
    return {
        "id": stored.id,
        "status": shown.state,
        "sender": stored.sender,
        "reply_to": stored.reply_to,
        "subject": stored.subject,
        "tags": stored.tags,
        "metadata": stored.metadata,
        "priority": stored.priority,
        "on_doubt": stored.on_doubt,
        "topic": stored.topic or None,
        "template": stored.template.name if stored.template else None,
        "template_version": stored.template.version if stored.template else None,
        "went_twice": shown.went_twice,
        "size": stored.size,
        **places,
        "send_at": iso(stored.send_at),
        "created_at": iso(stored.created_at),
        "worker": shown.worker,
        "recipients": [_recipient(message) | {"tries": shown.tries.get(message.id)} for message in shown.recipients],
    }


def whole_email(shown: WholeEmailView) -> dict[str, Any]:
    return email(shown) | {"updated_at": iso(shown.updated_at), "headers": shown.headers}


def body(shown: ShownBody | None) -> dict[str, Any]:
    """What a mail says; nulls for a body that is not kept any more."""
    if shown is None:
        return {"text": None, "html": None, "attachments": None, "cut": []}
    attachments = list(map(shown_attachment, shown.attachments))
    return {"text": shown.text, "html": shown.html, "attachments": attachments, "cut": list(shown.cut)}


def _recipient(message: StoredMessage) -> dict[str, Any]:
    return {
        "address": message.address,
        "name": message.name,
        "place": message.place,
        "status": message.state,
        "code": message.code,
        "reason": message.reason,
        "message_id": message.id,
        "sent_at": iso(message.sent_at),
        "delivered_at": iso(message.delivered_at),
        "bounced_at": iso(message.bounced_at),
        "first_opened_at": iso(message.first_opened_at),
        "opens": message.opens,
        "clicks": message.clicks,
    }
