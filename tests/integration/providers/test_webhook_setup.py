"""Where vendors are told to send webhooks: what is asked of them, and what their refusals become."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.providers.postmark.webhook_setup import PostmarkTarget
from mailroom.providers.resend.webhook_setup import ResendTarget
from mailroom.providers.sendgrid.webhook_setup import SendGridTarget
from mailroom.providers.ses.webhook_setup import SesTarget
from mailroom.providers.webhook_setup import NoTestEvent

HERE, EARLIER = "https://mail.example.com/webhooks/x", "https://old.example.com/webhooks/x"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mailroom"


class Vendor:
    """An HTTP server that answers by (method, path) and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(vendor) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                body = parse_qs(raw) if "Action=" in raw else json.loads(raw or "null")
                path = body["Action"][0] if isinstance(body, dict) and "Action" in body else self.path
                vendor.asked.append((self.command, path, body))
                status, said = vendor.answers.get((self.command, path), (404, {}))
                out = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PATCH = do_PUT = _answer

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.stop()


ROOT = "/v3/user/webhooks/event"


def sendgrid(vendor: Vendor, *present: dict[str, str]) -> SendGridTarget:
    vendor.answers = {
        ("GET", f"{ROOT}/settings/all"): (200, {"webhooks": list(present)}),
        ("POST", f"{ROOT}/settings"): (201, {"id": "new"}),
        ("PATCH", f"{ROOT}/settings/old"): (200, {"id": "old"}),
        ("PATCH", f"{ROOT}/settings/signed/new"): (200, {"public_key": "our-key"}),
        ("PATCH", f"{ROOT}/settings/signed/old"): (200, {"public_key": "our-key"}),
        ("POST", f"{ROOT}/test"): (204, ""),
    }
    return SendGridTarget(base_url=vendor.url, api_key="SG.k", verification_key="our-key")


def test_sendgrid_gets_a_signed_webhook_for_our_url_beside_those_of_others(vendor: Vendor) -> None:
    sendgrid(vendor, {"id": "theirs", "url": "https://theirs.example.com"}).push(HERE)

    made = next(body for method, path, body in vendor.asked if (method, path) == ("POST", f"{ROOT}/settings"))
    assert (made["url"], made["enabled"], made["delivered"], made["bounce"]) == (HERE, True, True, True)
    assert ("PATCH", f"{ROOT}/settings/signed/new", {"enabled": True}) in vendor.asked
    assert not [path for method, path, _ in vendor.asked if path.endswith("theirs")]


def test_our_earlier_webhook_at_sendgrid_is_changed_not_doubled(vendor: Vendor) -> None:
    sendgrid(vendor, {"id": "old", "url": EARLIER}).push(HERE, instead_of=EARLIER)

    assert [path for method, path, _ in vendor.asked if method != "GET"] == [
        f"{ROOT}/settings/old",
        f"{ROOT}/settings/signed/old",
    ]


def test_another_key_than_ours_is_reported_with_the_one_to_set(vendor: Vendor) -> None:
    target = sendgrid(vendor)
    vendor.answers["PATCH", f"{ROOT}/settings/signed/new"] = (200, {"public_key": "their-key"})

    with pytest.raises(Unavailable, match="SENDGRID_VERIFICATION_KEY to their-key"):
        target.push(HERE)


def test_what_sendgrid_refuses_is_reported(vendor: Vendor) -> None:
    target = sendgrid(vendor)
    vendor.answers["POST", f"{ROOT}/settings"] = (403, {"errors": [{"message": "access forbidden"}]})

    with pytest.raises(Unavailable):
        target.push(HERE)
    assert target.ask_for_event(HERE, "name") is False


def ses(vendor: Vendor) -> SesTarget:
    listed = "".join(
        f"<member><SubscriptionArn>{arn}</SubscriptionArn><Endpoint>{url}</Endpoint></member>"
        for arn, url in ((f"{TOPIC}:1", EARLIER), ("PendingConfirmation", EARLIER), (f"{TOPIC}:2", HERE))
    )
    vendor.answers = {
        ("POST", "Subscribe"): (200, "<SubscribeResponse><SubscribeResult/></SubscribeResponse>"),
        ("POST", "Unsubscribe"): (200, "<UnsubscribeResponse/>"),
        ("POST", "ListSubscriptionsByTopic"): (
            200,
            "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>"
            f"{listed}</Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>",
        ),
    }
    key = {"access_key": "AKID", "secret_key": "s", "session_token": ""}
    return SesTarget(region="eu-central-1", topics=[TOPIC], endpoint=vendor.url, **key)


def test_our_url_is_subscribed_to_the_topic_and_the_earlier_one_is_taken_off(vendor: Vendor) -> None:
    ses(vendor).push(HERE, instead_of=EARLIER)

    subscribed = next(body for _, path, body in vendor.asked if path == "Subscribe")
    assert (subscribed["TopicArn"], subscribed["Protocol"], subscribed["Endpoint"]) == ([TOPIC], ["https"], [HERE])
    assert [body["SubscriptionArn"] for _, path, body in vendor.asked if path == "Unsubscribe"] == [[f"{TOPIC}:1"]]


def test_what_sns_refuses_is_reported(vendor: Vendor) -> None:
    target = ses(vendor)
    refused = "<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>"
    vendor.answers["POST", "Subscribe"] = (403, refused)

    with pytest.raises(Unavailable, match="AuthorizationError"):
        target.push(HERE)


def postmark(vendor: Vendor, *present: dict[str, Any]) -> PostmarkTarget:
    vendor.answers = {
        ("GET", "/webhooks?MessageStream=outbound"): (200, {"Webhooks": list(present)}),
        ("GET", "/webhooks?MessageStream=news"): (200, {"Webhooks": []}),
        ("POST", "/webhooks"): (200, {"ID": 7}),
        ("PUT", "/webhooks/5"): (200, {"ID": 5}),
    }
    secret = "a-secret-of-tests-1"
    return PostmarkTarget(base_url=vendor.url, server_token="t", secret=secret, streams=["outbound", "news", "news"])


def test_postmark_gets_a_webhook_for_each_stream_with_the_password(vendor: Vendor) -> None:
    postmark(vendor, {"ID": 4, "Url": "https://theirs.example.com"}).push(f"{HERE}?mark=1")

    made = [body for method, _, body in vendor.asked if method == "POST"]
    assert [(body["MessageStream"], body["Url"]) for body in made] == [
        ("outbound", f"{HERE}?mark=1"),
        ("news", f"{HERE}?mark=1"),
    ]
    assert all(body["HttpAuth"] == {"Username": "mailroom", "Password": "a-secret-of-tests-1"} for body in made)
    assert all(trigger["Enabled"] for body in made for trigger in body["Triggers"].values())
    assert not [method for method, _, _ in vendor.asked if method == "PUT"]


def test_our_earlier_webhook_at_postmark_is_changed_not_doubled(vendor: Vendor) -> None:
    postmark(vendor, {"ID": 5, "Url": f"{EARLIER}?mark=0"}).push(HERE, instead_of=f"{EARLIER}?mark=1")

    assert [(method, path) for method, path, _ in vendor.asked if method != "GET"] == [
        ("PUT", "/webhooks/5"),
        ("POST", "/webhooks"),
    ]


def test_what_postmark_refuses_is_reported_in_its_words(vendor: Vendor) -> None:
    target = postmark(vendor)
    vendor.answers["POST", "/webhooks"] = (422, {"ErrorCode": 604, "Message": "Webhook URL is not valid"})

    with pytest.raises(Unavailable, match="Webhook URL is not valid"):
        target.push(HERE)


def resend(vendor: Vendor, *present: dict[str, Any], secret: str = "whsec_ours") -> ResendTarget:
    vendor.answers = {
        ("GET", "/webhooks?limit=100"): (200, {"data": [{"id": "theirs", "endpoint": "x"}], "has_more": True}),
        ("GET", "/webhooks?limit=100&after=theirs"): (200, {"data": list(present), "has_more": False}),
        ("POST", "/webhooks"): (201, {"id": "new", "signing_secret": secret}),
        ("PATCH", "/webhooks/old"): (200, {"id": "old"}),
        ("GET", "/webhooks/new"): (200, {"signing_secret": secret}),
        ("GET", "/webhooks/old"): (200, {"signing_secret": secret}),
    }
    return ResendTarget(base_url=vendor.url, api_key="re_k", secret="whsec_ours")


def test_resend_gets_a_webhook_for_our_url_beside_those_of_others(vendor: Vendor) -> None:
    resend(vendor).push(HERE)

    (made,) = [body for method, _, body in vendor.asked if method == "POST"]
    assert made["endpoint"] == HERE
    assert {"email.sent", "email.delivered", "email.bounced", "email.suppressed"} <= set(made["events"])
    assert not [path for method, path, _ in vendor.asked if method == "PATCH"]


def test_our_earlier_webhook_at_resend_is_changed_not_doubled(vendor: Vendor) -> None:
    resend(vendor, {"id": "old", "endpoint": f"{EARLIER}?mark=0"}).push(HERE, instead_of=f"{EARLIER}?mark=1")

    ((method, path, body),) = [asked for asked in vendor.asked if asked[0] != "GET"]
    assert (method, path, body["endpoint"], body["status"]) == ("PATCH", "/webhooks/old", HERE, "enabled")


def test_another_secret_than_ours_is_reported_and_not_shown(vendor: Vendor) -> None:
    target = resend(vendor, secret="whsec_theirs")

    with pytest.raises(Unavailable, match="set RESEND_WEBHOOK_SECRET") as caught:
        target.push(HERE)

    assert "whsec" not in str(caught.value)


def test_what_resend_refuses_is_reported_in_its_words(vendor: Vendor) -> None:
    target = resend(vendor)
    vendor.answers["GET", "/webhooks?limit=100"] = (401, {"message": "This API key is restricted to only send emails"})

    with pytest.raises(Unavailable, match="restricted to only send emails"):
        target.push(HERE)


def test_vendors_without_a_test_event_say_so(vendor: Vendor) -> None:
    for target in (postmark(vendor), resend(vendor)):
        with pytest.raises(NoTestEvent):
            target.ask_for_event(HERE, "name")
