"""Amazon SES: what is asked of it, what its answers mean, and its notifications through SNS."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from mailroom.domain.errors import Unavailable
from mailroom.domain.events import EventKind
from mailroom.domain.ids import DispatchId, MessageId, child_dispatch_id
from mailroom.domain.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.providers.connection import NotWritten, Reply, Request
from mailroom.providers.ses import webhooks
from mailroom.providers.ses.codes import read_reply
from mailroom.providers.ses.signing import Signer
from mailroom.providers.ses.tags import as_tag, of_tag
from mailroom.providers.ses.webhooks import is_of_sns, parse, verify
from mailroom.providers.webhooks import BadSignature, Malformed
from tests.support.sns import Sns
from tests.support.vendors import REGION, Ses

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def refusal(status: int, kind: str, message: str = "no", **headers: str) -> Reply:
    return Reply(
        status, {"x-amzn-errortype": f"{kind}:http://x/", **headers}, json.dumps({"message": message}).encode()
    )


@pytest.mark.parametrize(
    ("reply", "expected", "wait_s"),
    [
        (Reply(200, {}, b'{"MessageId": "0100-a"}'), "0100-a", None),
        (Reply(200, {}, b'{"MessageId": 7}'), InDoubt, None),
        (Reply(200, {}, b"<html>"), InDoubt, None),
        (refusal(400, "MessageRejected", "Email content contains a virus"), "permanent", None),
        (refusal(400, "MessageRejected", "Email address is not verified. The following"), "temporary", None),
        (refusal(400, "BadRequestException", "Illegal address"), "recipient", None),
        (refusal(400, "BadRequestException", "Missing final '@domain'"), "recipient", None),
        (refusal(400, "BadRequestException", "Message length is more than 41943040 bytes"), "permanent", None),
        (refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded."), "account", 1),
        (refusal(400, "ThrottlingException", "Daily message quota exceeded."), "account", 600),
        (refusal(429, "TooManyRequestsException", "slow", **{"retry-after": "7"}), "account", 7),
        (refusal(400, "SendingPausedException"), "account", None),
        (refusal(400, "AccountSuspendedException"), "account", None),
        (refusal(400, "MailFromDomainNotVerifiedException"), "account", None),
        (refusal(404, "NotFoundException", "Configuration set <x> does not exist."), "account", None),
        (refusal(403, "SignatureDoesNotMatch"), "account", None),
        (Reply(403, {}, b'{"__type": "com.amazon#ExpiredTokenException", "message": "m"}'), "account", None),
        (refusal(500, "InternalFailure"), InDoubt, None),
        (refusal(503, "ServiceUnavailable"), InDoubt, None),
        (refusal(408, "RequestTimeout"), InDoubt, None),
        (Reply(403, {}, b'{"message": "a proxy speaks"}'), InDoubt, None),
        (Reply(400, {"x-amzn-errortype": "<html>"}, b"{}"), InDoubt, None),
    ],
)
def test_an_answer_means(reply: Reply, expected: Any, wait_s: int | None) -> None:
    found = read_reply(reply, now=NOW)

    if isinstance(expected, type):
        assert isinstance(found, expected)
    elif isinstance(found, Refused):
        assert found.kind == Refusal(expected)
        assert found.retry_after == (timedelta(seconds=wait_s) if wait_s else None)
    else:
        assert found == Accepted(expected)


def test_the_id_of_a_part_of_a_dispatch_survives_as_a_tag() -> None:
    child = child_dispatch_id(DispatchId("sch_1f-20261123T080000Z-d00001"), [MessageId("m1")])

    assert of_tag(as_tag(child)) == child
    assert set(as_tag(child)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_the_stub_is_one_that_amazons_own_client_takes_for_ses() -> None:
    """The witness of the acceptance tests checks signatures as AWS does."""
    stub = Ses()
    client: Any = boto3.client(
        "sesv2",
        region_name=REGION,
        endpoint_url=stub.url,
        aws_access_key_id="AKIDTESTS",
        aws_secret_access_key="secret-for-tests",
        config=Config(retries={"total_max_attempts": 1}),
    )
    mail = {"Raw": {"Data": b"Subject: Hi\r\n\r\nHello\r\n"}}
    asked = {"Destination": {"ToAddresses": ["bo@example.org"]}, "EmailTags": [{"Name": "n", "Value": "v"}]}

    assert client.send_email(Content=mail, **asked)["MessageId"]
    stub.refusals = [Ses.no(400, "MessageRejected", "no")]
    with pytest.raises(client.exceptions.MessageRejected):
        client.send_email(Content=mail, **asked)
    assert [kept.recipients for kept in stub.kept] == [["bo@example.org"]]
    stub.stop()


def test_a_key_is_looked_for_where_connections_are_opened_and_never_while_calls_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    class Session:
        def __init__(self, **_: Any) -> None:
            looked.append("session")

        def get_credentials(self) -> Credentials:
            return Credentials("AKID", "s")

    monkeypatch.setattr(boto3, "Session", Session)
    signer = Signer(region=REGION, access_key="", secret_key="", session_token="")
    request = Request("/v2/x", {}, b"{}")

    with pytest.raises(NotWritten):
        signer.sign("https://x/v2/x", request)
    for _ in range(3):
        signer.find_key()
    assert "Signature=" in signer.sign("https://x/v2/x", request).headers["Authorization"]
    assert looked == ["session"]


@pytest.fixture
def sns() -> Iterator[Sns]:
    made = Sns(REGION)
    webhooks._certificate.cache_clear()
    yield made
    made.stop()


def checked(sns: Sns, message: Any) -> Any:
    return verify(message, [sns.topic], now=datetime.now(UTC), get=lambda _url: sns.certificate)


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_aws_signed_for_our_topic_is_believed(sns: Sns, version: str) -> None:
    message = sns.notification({"eventType": "Send"}, version=version, Subject="Amazon SES")

    assert checked(sns, message)["MessageId"] == message["MessageId"]


@pytest.mark.parametrize("key", ["Message", "MessageId", "Timestamp", "TopicArn", "Subject", "Signature", "Type"])
def test_nothing_of_it_may_be_changed(sns: Sns, key: str) -> None:
    message = sns.notification({"eventType": "Send"}, Subject="Amazon SES")

    with pytest.raises((BadSignature, Malformed)):
        checked(sns, message | {key: "something else"})


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com.example.org/x.pem",
        "https://example.org/sns.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com@example.org/x.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/x.pem",
        "https://user@sns.eu-central-1.amazonaws.com/x.pem",
        "https://s3.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com\\@example.org/x.pem",
        "https://[::1/x.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a.pem?Action=GetEndpointAttributes",
        "https://sns.eu-central-1.amazonaws.com/x/SimpleNotificationService-0a.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a.pem#x",
    ],
)
def test_a_certificate_from_anywhere_else_is_never_fetched(sns: Sns, url: str) -> None:
    def fetched(url: str) -> bytes:
        raise AssertionError(url)

    with pytest.raises(BadSignature):
        forged = sns.signed({"Type": "Notification", "Message": "{}", "SigningCertURL": url})
        verify(forged, [sns.topic], now=NOW, get=fetched)
    with pytest.raises(Malformed):
        webhooks.confirm(sns.confirmation(SubscribeURL=url), get=fetched)


def test_a_certificate_whose_time_is_over_signs_nothing(sns: Sns) -> None:
    later = datetime.now(UTC) + timedelta(days=30)

    with pytest.raises(BadSignature):
        verify(sns.notification({"eventType": "Send"}), [sns.topic], now=later, get=lambda _url: sns.certificate)


def test_the_host_is_that_of_the_topics_own_region() -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:mailroom"

    assert is_of_sns("https://sns.cn-north-1.amazonaws.com.cn/x.pem", topic)
    assert not is_of_sns("https://sns.cn-north-1.amazonaws.com/x.pem", topic)


def test_a_certificate_is_fetched_once_and_one_that_cannot_be_is_fetched_again(sns: Sns) -> None:
    asked: list[str] = []

    def away(url: str) -> bytes:
        asked.append(url)
        if len(asked) == 1:
            raise Unavailable("away")
        return sns.certificate

    message = sns.notification({"eventType": "Send"})
    with pytest.raises(Unavailable):
        verify(message, [sns.topic], now=datetime.now(UTC), get=away)
    for _ in range(3):
        verify(message, [sns.topic], now=datetime.now(UTC), get=away)

    assert len(asked) == 2


@pytest.mark.parametrize("what", [None, 7, [], {}, {"Type": "Notification"}, {"Type": ["Notification"]}, "x"])
def test_what_is_no_message_of_sns_is_refused(sns: Sns, what: Any) -> None:
    with pytest.raises(Malformed):
        checked(sns, what)


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
def test_an_event_in_our_words(type_: str, told: dict[str, Any], kind: EventKind, hard: bool) -> None:
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
