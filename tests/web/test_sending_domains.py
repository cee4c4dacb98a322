"""The page of sending domains, and the warning of a From domain that no provider is set up for."""

import re
from collections.abc import Callable
from contextlib import closing

import pytest
from flask.testing import FlaskClient

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import server_now
from tests.support.dns_server import DnsServer
from tests.support.forms import fields_of, sign_in
from tests.support.system import System
from web.app import create_app

SignedIn = Callable[..., FlaskClient]
RULE = {"kind": "cron", "cron": "0 9 * * *", "time_zone": "UTC"}
TYPED = {"name": "News", "subject": "Hi", "text": "Hello", "recipients": "bo@example.org", **RULE}
WARNED = "No provider is set up to send for brand.dev"


@pytest.fixture
def signed_in(system: System) -> SignedIn:
    def client_of(**settings: str) -> FlaskClient:
        changed = read_settings(system.environment | settings, dotenv=None)
        client = create_app(build_api_services(changed, app="tests")).test_client()
        scopes = ["schedules"]
        sign_in(client, token_service.create_token(system.db, name="ann", scopes=scopes, now=server_now(system.db)))
        return client

    return client_of


def test_the_page_says_what_to_set(signed_in: SignedIn) -> None:
    with closing(DnsServer({("s.brand.dev", "MX"): ["10 mx.brand.dev."]})) as server:
        client = signed_in(
            MAILROOM_PROVIDERS="mailgun,sendgrid,smtp",
            SENDGRID_API_KEY="k",
            SENDGRID_VERIFICATION_KEY="a2V5",
            SMTP_URL="smtp://127.0.0.1:9?tls=none",
            MAILROOM_SENDING_DOMAINS="sendgrid=s.brand.dev",
            MAILROOM_DNS_SERVERS=server.setting,
        )

        page = client.get("/providers/domains").text

    assert "No key at the usual selectors (s1, s2)" in page
    assert "mx.brand.dev" in page
    assert "A name for examples. It is in no DNS." in page  # Mailgun's domain in these tests
    assert "Not looked at: smtp." in page


@pytest.mark.parametrize(("sender", "warned"), [("Ann <ann@brand.dev>", True), ("ann@mg.example.com", False)])
def test_the_form_warns_of_a_sender_and_saves(signed_in: SignedIn, sender: str, warned: bool) -> None:
    client = signed_in(MAILGUN_DOMAIN="mg.example.com")
    form = fields_of(client.get("/schedules/new").text) | TYPED | {"from": sender}

    previewed = client.post("/schedules/new", data=form | {"action": "preview"})
    saved = client.post("/schedules/new", data=form, follow_redirects=True)

    assert (WARNED in previewed.text) is warned
    assert "Schedule saved." in saved.text, re.findall(r'class="wrong[^>]*>.{0,200}', saved.text)
    assert (WARNED in saved.text) is warned
