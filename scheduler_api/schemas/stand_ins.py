"""Drafts from bodies that a schema has refused, with stand-ins for the wrong parts, so that the domain can look for
faults in all other parts. Such a draft is never stored.
"""

from datetime import UTC, datetime
from typing import Any, Final, cast

from marshmallow import ValidationError

from mailroom.domain.drafts import Draft
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.feeds.model import FeedFields
from mailroom.domain.limits import MAX_ATTACHMENTS, MAX_AUDIENCES, MAX_MAIL_RECIPIENTS
from mailroom.domain.plain_values import is_too_deep
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Recurrence, RecurrenceFields
from mailroom.domain.schedules import MisfireFields
from scheduler_api.schemas.shared_fields import ReplyTo

_ROWS_LOOKED_AT: Final = 10_000  # of a list that is refused in any case
_SOMEBODY: Final = "somebody@example.org"
_SOME_RULE: Final = Recurrence(Kind.EVERY, "UTC", datetime(2026, 1, 1, tzinfo=UTC), seconds=3600)
_AT_ONCE: Final = DeliveryTime.SCHEDULE_TIME  # its faults would be those of the rule that stands in
_LONGEST: Final = 500  # characters of an address or a tag


def schedule(asked: dict[str, Any], good: dict[str, Any]) -> tuple[Draft, Recurrence | None]:
    """Returns (the draft, a rule that stands in for a recurrence that cannot be read).

    `asked`: the body as it came. `good`: the fields that the schema has accepted.
    """
    texts = {name: asked[name] if isinstance(asked.get(name), str) else "x" for name in ("name", "subject")}
    template = good.get("template")
    rows = asked.get("recipients")
    recipients = rows[:_ROWS_LOOKED_AT] if isinstance(rows, list) else []
    rule = good.get("recurrence") if asked.keys() & {"recurrence"} else None
    whole = isinstance(rule, dict) and rule.keys() >= _mapping(asked["recurrence"]).keys() and "kind" in rule
    return Draft(
        name=texts["name"],
        subject=texts["subject"] if "subject" in asked else "",
        html=_text(asked, "html"),
        markdown=_text(asked, "markdown"),
        mjml=_text(asked, "mjml"),
        preheader=_text(asked, "preheader"),
        text=asked.get("text") if isinstance(asked.get("text"), str | None) else "x",
        template=template,
        attachments=_files(asked.get("attachments")),
        sender=asked["from"] if isinstance(asked.get("from"), str) else _SOMEBODY,
        reply_to=_reply_to(asked),
        recipients=recipients,
        audience=asked["audience"] if isinstance(asked.get("audience"), str) else "",
        audiences=_some_texts(asked.get("audiences")),
        segments=_some_texts(asked.get("segments")),
        exclude=good.get("exclude"),
        tags=good.get("tags", ()),
        headers=_texts_of(asked.get("headers")),
        topic=good.get("topic"),
        feed=_whole_feed(asked, good),
        delivery=good.get("delivery", _AT_ONCE) if whole else _AT_ONCE,
        default_time_zone=good.get("default_time_zone", "") if whole and "delivery" in good else "",
        misfire=cast("MisfireFields", good.get("misfire") or {}),
        recurrence=cast("RecurrenceFields", rule) if whole else None,
    ), None if whole else _SOME_RULE


def _whole_feed(asked: dict[str, Any], good: dict[str, Any]) -> FeedFields | None:
    """The feed, if the schema has refused nothing of it."""
    feed = good.get("feed")
    whole = isinstance(feed, dict) and feed.keys() >= _mapping(asked.get("feed")).keys() | {"url"}
    return cast("FeedFields", feed) if whole else None


def email(asked: dict[str, Any]) -> EmailDraft:
    """The draft of a single mail. Each part of a list keeps its place, so that faults name the right one."""
    names = ("subject", "text", "html", "template", "markdown", "mjml", "preheader")
    texts = {name: asked[name] for name in names if isinstance(asked.get(name), str)}
    if isinstance(asked.get("template", ""), str):
        wrong = {name for name in names[:3] if not isinstance(asked.get(name, ""), str | None)}
        texts |= dict.fromkeys(wrong, "x")
    else:
        texts |= {"subject": "x", "text": "x"}
    return EmailDraft(
        sender=asked["from"] if isinstance(asked.get("from"), str) else _SOMEBODY,
        to=_texts_in(asked.get("to"), _SOMEBODY) or [_SOMEBODY],
        cc=_texts_in(asked.get("cc"), _SOMEBODY),
        bcc=_texts_in(asked.get("bcc"), _SOMEBODY),
        tags=_texts_in(asked.get("tags"), "x"),
        headers=_texts_of(asked.get("headers")),
        metadata=_texts_of(asked.get("metadata")),
        variables={name: "x" if is_too_deep(one) else one for name, one in _mapping(asked.get("variables")).items()},
        attachments=_files(asked.get("attachments")),
        reply_to=_reply_to(asked),
        templated=isinstance(asked.get("variables"), dict),
        topic=asked["topic"] if isinstance(asked.get("topic"), str) else "",
        **texts,
    )


def _files(value: Any) -> list[dict[str, str]]:
    return [{"filename": "x", "content": "", **_texts_of(one)} for one in _list(value)[:MAX_ATTACHMENTS]]


def _text(asked: dict[str, Any], name: str) -> str:
    return asked[name] if isinstance(asked.get(name), str) else ""


def _reply_to(asked: dict[str, Any]) -> str:
    try:
        return str(ReplyTo().deserialize(asked.get("reply_to", "")))
    except ValidationError:
        return ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts_of(value: Any) -> dict[str, str]:
    return {name: one for name, one in _mapping(value).items() if isinstance(one, str)}


def _some_texts(value: Any) -> list[str]:
    return [one for one in _list(value)[:MAX_AUDIENCES] if isinstance(one, str) and len(one) <= _LONGEST]


def _texts_in(value: Any, stand_in: str) -> list[str]:
    few = _list(value)[:MAX_MAIL_RECIPIENTS]
    return [one if isinstance(one, str) and len(one) <= _LONGEST else stand_in for one in few]
