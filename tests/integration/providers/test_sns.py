"""Messages of Amazon SNS: only what AWS signed for our topic is believed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.providers.ses import webhooks
from mailroom.providers.ses.webhooks import is_of_sns, verify
from mailroom.providers.webhooks import BadSignature, Malformed
from tests.support.sns import Sns
from tests.support.vendors import REGION

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


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
