"""A valid mail is loaded by its own few fields, exactly as marshmallow loads it; all else is left to marshmallow."""

from typing import Any

import pytest
from marshmallow import Schema, ValidationError, fields

from scheduler_api.schemas.email_drafts import EmailIn, KeyedEmailIn
from scheduler_api.valid_bodies import GivenFields
from tests.support.emails import an_email

VALID: tuple[dict[str, Any], ...] = (
    an_email(),
    an_email(cc=["Di <di@example.org>"], bcc=[], tags=["a", "b"], metadata={"order": "7"}, priority="high"),
    an_email(html="<p>hi</p>", headers={"X-One": "1"}, send_at="2031-01-01T00:00:00Z", on_doubt="elsewhere"),
    an_email(variables={"code": 12, "deep": [1, {"a": None}]}, inline_css=True, topic="news", reply_to="a@example.org"),
    an_email(attachments=[{"filename": "a.txt", "content": "YQ=="}]),
)
LEFT: tuple[Any, ...] = (
    an_email(text=None),  # null means absent
    an_email(subject=7),
    an_email(colour="red"),
    an_email(to="bo@example.org"),
    an_email(tags=[""]),
    {"to": ["bo@example.org"]},  # without its sender
    an_email(send_at="tomorrow"),
    [],
    "text",
    None,
)


@pytest.mark.parametrize("body", VALID, ids=range(len(VALID)))
def test_a_valid_body_is_loaded_as_marshmallow_loads_it(body: dict[str, Any]) -> None:
    schema = EmailIn()

    loaded = GivenFields(schema).load(body)

    assert loaded == Schema.load(schema, body) == schema.load(body)


@pytest.mark.parametrize("body", LEFT, ids=range(len(LEFT)))
def test_whatever_is_not_plainly_valid_is_left_to_marshmallow(body: Any) -> None:
    assert GivenFields(EmailIn()).load(body) is None


def test_the_faults_are_marshmallows() -> None:
    with pytest.raises(ValidationError) as refused:
        EmailIn().load(an_email(subject=7, colour="red"))

    assert set(refused.value.normalized_messages()) == {"subject", "colour"}


def test_a_schema_that_derives_from_it_has_its_own_fields() -> None:
    assert KeyedEmailIn().load(an_email(idempotency_key="k"))["idempotency_key"] == "k"


class WithDefault(Schema):
    count = fields.Integer(load_default=5)


def test_a_schema_with_defaults_is_refused() -> None:
    """What it fills in would be missing."""
    with pytest.raises(TypeError):
        GivenFields(WithDefault())
