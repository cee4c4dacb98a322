"""Where SendGrid and SNS are told to send webhooks: what is asked of them, and what their refusals become."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.providers.sendgrid.webhook_setup import SendGridTarget
from mailroom.providers.ses.webhook_setup import SesTarget

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

            do_GET = do_POST = do_PATCH = _answer

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


def test_another_key_than_ours_is_told_with_the_one_to_set(vendor: Vendor) -> None:
    target = sendgrid(vendor)
    vendor.answers["PATCH", f"{ROOT}/settings/signed/new"] = (200, {"public_key": "their-key"})

    with pytest.raises(Unavailable, match="SENDGRID_VERIFICATION_KEY to their-key"):
        target.push(HERE)


def test_what_sendgrid_refuses_is_told(vendor: Vendor) -> None:
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


def test_what_sns_refuses_is_told(vendor: Vendor) -> None:
    target = ses(vendor)
    refused = "<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>"
    vendor.answers["POST", "Subscribe"] = (403, refused)

    with pytest.raises(Unavailable, match="AuthorizationError"):
        target.push(HERE)
