"""Events of Amazon SES in our words, each held against nobody but the recipient whom it names."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.events import EventKind
from mailroom.providers.ses.webhooks import parse


def event(type_: str, **told: Any) -> list[Any]:
    tags = {"mailroom-run": ["em_1"], "mailroom-dispatch": ["em_1-d00000__ab"]}
    mail = {"timestamp": "2026-11-23T08:00:00.000Z", "destination": ["bo@example.org"], "tags": tags}
    key = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}.get(type_, type_.lower())
    return parse({"MessageId": "m-1", "Message": json.dumps({"eventType": type_, "mail": mail, key: told})})


@pytest.mark.parametrize(
    ("type_", "told", "kind", "hard"),
    [
        ("Send", {}, EventKind.ACCEPTED, False),
        ("Delivery", {"recipients": ["bo@example.org"]}, EventKind.DELIVERED, False),
        ("DeliveryDelay", {"delayedRecipients": [{"emailAddress": "bo@example.org"}]}, EventKind.DEFERRED, False),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "General"}, EventKind.BOUNCED, True),
        ("Bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}, EventKind.BOUNCED, False),
        ("Bounce", {"bounceType": "Transient", "bounceSubType": "General"}, EventKind.DEFERRED, False),
        ("Bounce", {"bounceType": "Undetermined", "bounceSubType": "Undetermined"}, EventKind.DEFERRED, False),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"}, EventKind.REJECTED, False),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "UnsubscribedRecipient"}, EventKind.REJECTED, False),
        ("Complaint", {"complaintFeedbackType": "abuse"}, EventKind.COMPLAINED, False),
        ("Complaint", {"complaintSubType": "OnAccountSuppressionList"}, EventKind.REJECTED, False),
        ("Reject", {"reason": "Bad content"}, EventKind.REJECTED, False),
        ("Rendering Failure", {"errorMessage": "no"}, EventKind.FAILED, False),
        ("Open", {"timestamp": "2026-11-23T08:01:00Z"}, EventKind.OPENED, False),
        ("Click", {"link": "https://example.org"}, EventKind.CLICKED, False),
        ("Subscription", {}, EventKind.UNKNOWN, False),
        ("Subscription", {"newTopicPreferences": {"unsubscribeAll": True}}, EventKind.UNSUBSCRIBED, False),
        (
            "Subscription",
            {"newTopicPreferences": {"unsubscribeAll": False}, "oldTopicPreferences": {"unsubscribeAll": True}},
            EventKind.RESUBSCRIBED,
            False,
        ),
        ("Complaint", {"complaintFeedbackType": "not-spam"}, EventKind.FEEDBACK, False),
        ("Complaint", {"complaintFeedbackType": "auth-failure"}, EventKind.FEEDBACK, False),
        ("Complaint", {"complaintFeedbackType": "fraud"}, EventKind.COMPLAINED, False),
        ("Complaint", {}, EventKind.COMPLAINED, False),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "NoEmail"}, EventKind.BOUNCED, True),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "Suppressed"}, EventKind.REJECTED, False),
    ],
)
def test_an_event_is_read_in_our_words(type_: str, told: dict[str, Any], kind: EventKind, hard: bool) -> None:
    (found,) = event(type_, **told)

    assert (found.kind, found.hard, found.recipient) == (kind, hard, "bo@example.org")
    assert (found.id, found.run_id, found.dispatch_id) == ("ses/m-1/0", "em_1", "em_1-d00000.ab")


def test_who_of_several_opened_a_mail_is_not_guessed() -> None:
    mail = {"timestamp": "2026-11-23T08:00:00Z", "destination": ["a@example.org", "b@example.org"], "tags": {}}
    told = {"eventType": "Open", "mail": mail, "open": {"timestamp": "2026-11-23T08:01:00Z"}}

    (found,) = parse({"MessageId": "m-1", "Message": json.dumps(told)})

    assert (found.kind, found.recipient) == (EventKind.OPENED, "")


def test_a_bounce_of_several_is_an_event_for_each_and_a_policy_blames_no_address() -> None:
    bounced = [
        {"emailAddress": "a@example.org", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no such user"},
        {"emailAddress": "b@example.org", "status": "5.7.1"},
    ]

    found = event("Bounce", bounceType="Permanent", bounceSubType="General", bouncedRecipients=bounced)

    assert [(one.id, one.recipient, one.hard) for one in found] == [
        ("ses/m-1/0", "a@example.org", True),
        ("ses/m-1/1", "b@example.org", False),
    ]
    assert "no such user" in found[0].reason


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "[]",
        "{}",
        '{"mail": 7}',
        '{"eventType": ["Send"], "mail": {"timestamp": "2026-11-23T08:00:00"}}',
        '{"eventType": "Send", "mail": {"timestamp": "0001-01-01T00:00:00Z"}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_event_of_ses_is_kept_as_it_came_unless_it_is_ses_greeting(message: str) -> None:
    found = parse({"MessageId": "m-1", "Message": message, "Timestamp": "2026-11-23T08:00:00.000Z"})

    if message.startswith("Successfully"):
        assert found == []
    else:
        (event,) = found
        assert (event.recipient, event.at) == ("", datetime(2026, 11, 23, 8, tzinfo=UTC))
        assert event.raw


def test_half_an_emoji_loses_no_event() -> None:
    mail = {"timestamp": "2026-11-23T08:00:00Z", "destination": ["bo@example.org"], "messageId": "x \ud83d"}
    told = {"eventType": "Complaint", "mail": mail, "complaint": {"userAgent": "\ud83d"}}

    (event,) = parse({"MessageId": "m-1", "Message": json.dumps(told)})

    assert (event.kind, event.recipient) == (EventKind.COMPLAINED, "bo@example.org")
    assert (event.raw + event.reason + event.provider_id).encode()


def test_a_complaint_that_names_several_says_so() -> None:
    named = [{"emailAddress": "a@example.org"}, {"emailAddress": "B <b@example.org>"}]

    found = event("Complaint", complaintFeedbackType="abuse", complainedRecipients=named)

    assert [(one.recipient, one.note) for one in found] == [
        ("a@example.org", "one of 2 named"),
        ("b@example.org", "one of 2 named"),
    ]


def test_a_bounce_that_names_nobody_is_held_against_nobody_of_several() -> None:
    mail = {"timestamp": "2026-11-23T08:00:00Z", "destination": ["a@example.org", "b@example.org"], "tags": {}}
    told = {"eventType": "Bounce", "mail": mail, "bounce": {"bounceType": "Permanent", "bounceSubType": "General"}}

    found = parse({"MessageId": "m-1", "Message": json.dumps(told)})

    assert [(one.kind, one.hard) for one in found] == [(EventKind.BOUNCED, False)] * 2
