"""Topics, and what a contact gets, in JSON."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.consent import ConsentEntry
from mailroom.domain.limits import MAX_NAME, MAX_POSTAL_ADDRESS, MAX_TOPIC_ID
from mailroom.domain.topics import Topic
from mailroom.services.consent.contacts import ContactView
from scheduler_api.arguments import Patch, RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.runs import iso
from scheduler_api.schemas.suppressions import ScopeOut
from scheduler_api.schemas.suppressions import shown as shown_suppression

_FOOTER_DOC = {
    "description": "bodies without {{ unsubscribe_url }} get a footer with the link and the postal address; "
    "without a footer such content is refused"
}


class TopicIn(RequestBody):
    id = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TOPIC_ID))
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    postal_address = fields.String(validate=validate.Length(max=MAX_POSTAL_ADDRESS))
    footer = fields.Boolean(truthy={True}, falsy={False}, metadata=_FOOTER_DOC)


class TopicEdit(Patch):
    """The fields that are to change."""

    name = fields.String(validate=validate.Length(min=1, max=MAX_NAME))
    postal_address = fields.String(validate=validate.Length(max=MAX_POSTAL_ADDRESS))
    footer = fields.Boolean(truthy={True}, falsy={False}, metadata=_FOOTER_DOC)


class TopicOut(Schema):
    id = fields.String()
    name = fields.String()
    postal_address = fields.String()
    footer = fields.Boolean()
    version = fields.Integer()
    created_at = fields.String()
    updated_at = fields.String()


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
    by = fields.String(metadata={"description": "one_click, page, a provider, or a person"})
    run = fields.String(allow_none=True, metadata={"description": "the run or mail whose mail carried the link"})


class ContactOut(Schema):
    address = fields.String()
    topics = fields.List(fields.Nested(ContactTopicOut))
    suppressions = fields.List(fields.Nested(ScopeOut))
    audiences = fields.List(fields.Nested(ContactAudienceOut))
    consent = fields.List(fields.Nested(ConsentOut), metadata={"description": "newest first"})


def topic(one: Topic) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "postal_address": one.postal_address,
        "footer": one.footer,
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
        {"act": entry.act, "scope": entry.scope, "at": iso(entry.at), "by": entry.by, "run": entry.run}
        for entry in entries
    ]
