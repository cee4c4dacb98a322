"""Topics, and what a contact gets, in JSON."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.addresses import MAX_MAILBOX
from mailroom.domain.consent import ConsentEntry
from mailroom.domain.limits import (
    MAX_CONFIRM_WITHIN_S,
    MAX_CONFIRMATION,
    MAX_NAME,
    MAX_POSTAL_ADDRESS,
    MAX_TOPIC_ID,
    MIN_CONFIRM_WITHIN_S,
)
from mailroom.domain.topics import Topic, asked_of
from mailroom.services.consent.contacts import ContactView
from scheduler_api.arguments import Patch, RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.instants import iso
from scheduler_api.schemas.suppressions import ScopeOut
from scheduler_api.schemas.suppressions import shown as shown_suppression

_FOOTER_DOC = {
    "description": "bodies without {{ unsubscribe_url }} get a footer with the link and the postal address; "
    "without a footer such content is refused"
}
_OPT_IN_DOC = {"description": "who subscribes by form gets a mail, and has joined once they follow its link"}
_TEMPLATE = validate.Length(max=MAX_CONFIRMATION)


def _of_mail(part: str) -> dict[str, str]:
    return {"description": f"{part} of the confirmation mail"}


class OfTopic(Schema):
    """What may be said about a topic, but for its name."""

    postal_address = fields.String(validate=validate.Length(max=MAX_POSTAL_ADDRESS))
    footer = fields.Boolean(truthy={True}, falsy={False}, metadata=_FOOTER_DOC)
    double_opt_in = fields.Boolean(truthy={True}, falsy={False}, metadata=_OPT_IN_DOC)
    confirm_from = fields.String(validate=validate.Length(max=MAX_MAILBOX), metadata=_of_mail("sender"))
    confirm_subject = fields.String(validate=_TEMPLATE, metadata=_of_mail("subject"))
    confirm_text = fields.String(validate=_TEMPLATE, metadata=_of_mail("text, with {{ confirm_url }}"))
    confirm_html = fields.String(validate=_TEMPLATE, metadata=_of_mail("HTML, with {{ confirm_url }}"))
    confirm_within_s = fields.Integer(
        strict=True,
        validate=validate.Range(MIN_CONFIRM_WITHIN_S, MAX_CONFIRM_WITHIN_S),
        metadata={"description": "seconds for which the link of the confirmation mail works"},
    )
    audience = fields.String(
        validate=validate.Length(max=64),
        metadata={"description": "the id of the audience that those who join by form come into; empty for none"},
    )


class TopicIn(OfTopic, RequestBody):
    id = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TOPIC_ID))
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))


class TopicEdit(OfTopic, Patch):
    """The fields that are to change."""

    name = fields.String(validate=validate.Length(min=1, max=MAX_NAME))


class TopicOut(Schema):
    id = fields.String()
    name = fields.String()
    postal_address = fields.String()
    footer = fields.Boolean()
    double_opt_in = fields.Boolean()
    confirm_from = fields.String()
    confirm_subject = fields.String()
    confirm_text = fields.String()
    confirm_html = fields.String()
    confirm_within_s = fields.Integer()
    audience = fields.String()
    version = fields.Integer()
    created_at = fields.String()
    updated_at = fields.String()


class TopicFormOut(Schema):
    html = fields.String(metadata={"description": "a form to subscribe by, to be put into any page"})


class TopicPage(PageOut):
    items = fields.List(fields.Nested(TopicOut))


class ContactTopicOut(Schema):
    id = fields.String()
    name = fields.String()
    subscribed = fields.Boolean(metadata={"description": "whether mail of the topic goes to the address"})
    reason = fields.String(allow_none=True, metadata={"description": "why it does not"})


class ContactAudienceOut(Schema):
    id = fields.String()
    name = fields.String()


class ConsentOut(Schema):
    act = fields.String(metadata={"description": "left, complained or joined"})
    scope = fields.String(metadata={"description": "a topic, or campaigns for all"})
    at = fields.String()
    by = fields.String(metadata={"description": "one_click, mail, page, form, confirmation, a provider, or a person"})
    run = fields.String(allow_none=True, metadata={"description": "the run or mail whose mail carried the link"})
    asked_at = fields.String(allow_none=True, metadata={"description": "when the form was posted"})
    name = fields.String(allow_none=True, metadata={"description": "as it was typed into the form"})


class ContactOut(Schema):
    address = fields.String()
    topics = fields.List(fields.Nested(ContactTopicOut))
    suppressions = fields.List(fields.Nested(ScopeOut))
    audiences = fields.List(fields.Nested(ContactAudienceOut))
    consent = fields.List(fields.Nested(ConsentOut), metadata={"description": "newest first"})


def topic(one: Topic) -> dict[str, Any]:
    return {
        "id": one.id,
        **asked_of(one),
        "version": one.version,
        "created_at": iso(one.created_at),
        "updated_at": iso(one.updated_at),
    }


def contact(view: ContactView) -> dict[str, Any]:
    return {
        "address": view.address,
        "topics": [
            {"id": c.topic.id, "name": c.topic.name, "subscribed": c.subscribed, "reason": c.reason or None}
            for c in view.topics
        ],
        "suppressions": shown_suppression(view.suppression)["scopes"] if view.suppression else [],
        "audiences": [{"id": audience.id, "name": audience.name} for audience in view.audiences],
        "consent": _journal(view.consent),
    }


def _journal(entries: Sequence[ConsentEntry]) -> list[dict[str, Any]]:
    return [
        {
            "act": entry.act,
            "scope": entry.scope,
            "at": iso(entry.at),
            "by": entry.by,
            "run": entry.run,
            "asked_at": iso(entry.asked_at),
            "name": entry.name or None,
        }
        for entry in entries
    ]
