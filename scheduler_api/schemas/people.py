"""Mails with people and subjects in JSON: what was sent to a person, and what a dispatch is about."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.ids import DispatchId
from mailroom.services.reports.descriptions import Description
from mailroom.services.reports.people import MIN_TERM, MOST_ADDRESSES, PersonPage, SentMessage
from scheduler_api import paging
from scheduler_api.paging import ListQuery
from scheduler_api.schemas.dispatches import DispatchOut
from scheduler_api.schemas.instants import iso

_VARIABLES = {"description": "of a campaign: as it was written, with its variables"}


class PersonQuery(ListQuery):
    recipient = fields.String(
        required=True,
        validate=validate.Length(max=320),
        metadata={"description": f"an address, or its start: at least {MIN_TERM} characters"},
    )


class SentMessageOut(Schema):
    id = fields.String()
    at = fields.String(metadata={"description": "when its run was due, or the single mail was accepted"})
    kind = fields.String(metadata={"description": "`campaign` or `mail`"})
    address = fields.String()
    status = fields.String()
    subject = fields.String(metadata=_VARIABLES)
    schedule_name = fields.String(allow_none=True)
    schedule_id = fields.String(allow_none=True)
    run_id = fields.String(allow_none=True)
    email_id = fields.String(allow_none=True)
    dispatch_id = fields.String(allow_none=True)


class PersonPageOut(paging.PageOut):
    """A page may be short, or empty, and still have a `next_cursor`: there it is looked on."""

    items = fields.List(fields.Nested(SentMessageOut))
    addresses = fields.List(fields.String(), metadata={"description": "those that were looked for"})
    all_addresses = fields.Boolean(
        metadata={"description": f"false: more than {MOST_ADDRESSES} begin so, and only the first were looked for"}
    )


class DescribedDispatchOut(DispatchOut):
    recipients = fields.List(fields.String(), metadata={"description": "the first of its recipients"})
    recipients_count = fields.Integer()
    subject = fields.String(metadata=_VARIABLES)
    schedule_id = fields.String(allow_none=True)
    schedule_name = fields.String(allow_none=True)
    email_id = fields.String(allow_none=True)


def person_page(page: PersonPage) -> dict[str, Any]:
    return {
        "items": [_sent(message) for message in page.items],
        "addresses": list(page.addresses),
        "all_addresses": page.all_addresses,
        "next_cursor": paging.encode(*page.next_place) if page.next_place else None,
    }


def described(dispatch: dict[str, Any], about: Mapping[DispatchId, Description]) -> dict[str, Any]:
    """A dispatch as it is shown, with what it is about."""
    of = about.get(DispatchId(dispatch["id"]))
    if of is None:
        return dispatch
    return dispatch | {
        "recipients": list(of.recipients),
        "recipients_count": of.recipients_count,
        "subject": of.subject,
        "schedule_id": of.schedule_id,
        "schedule_name": of.schedule_name or None,
        "email_id": of.email_id,
    }


def _sent(message: SentMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "at": iso(message.at),
        "kind": "mail" if message.email_id else "campaign",
        "address": message.address,
        "status": message.state,
        "subject": message.subject,
        "schedule_name": message.schedule_name or None,
        "schedule_id": message.schedule_id,
        "run_id": message.run_id,
        "email_id": message.email_id,
        "dispatch_id": message.dispatch_id,
    }


class DispatchPage(paging.PageOut):
    items = fields.List(fields.Nested(DescribedDispatchOut))
