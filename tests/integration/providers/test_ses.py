"""Amazon SES: what is sent, with whose key, and what an answer means."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.domain.ids import DispatchId, MessageId, child_dispatch_id
from mailroom.providers.connection import NotWritten, Reply, Request
from mailroom.providers.ses.codes import read_reply
from mailroom.providers.ses.signing import Signer
from mailroom.providers.tags import as_tag, of_tag
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
def test_an_answer_becomes_the_outcome_that_it_means(reply: Reply, expected: Any, wait_s: int | None) -> None:
    found = read_reply(reply, now=NOW)

    if isinstance(expected, type):
        assert isinstance(found, expected)
    elif isinstance(found, Refused):
        assert found.kind == Refusal(expected)
        assert found.retry_after == (timedelta(seconds=wait_s) if wait_s else None)
    else:
        assert found == Accepted(expected, code=reply.status)


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
