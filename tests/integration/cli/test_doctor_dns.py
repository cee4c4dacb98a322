"""`mailroom doctor` looks the sending domains up in DNS, and says what to set."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from cli.main import main
from tests.support.dns_server import DnsServer, Zone
from tests.support.system import System

WHOLE: Zone = {
    ("mg.brand.dev", "TXT"): ['"v=spf1 include:mailgun.org ~all"'],
    ("mg.brand.dev", "MX"): ["10 mxa.mailgun.org."],
    ("mx._domainkey.mg.brand.dev", "TXT"): ['"k=rsa; p=MIGf"'],
    ("_dmarc.brand.dev", "TXT"): ['"v=DMARC1; p=none"'],
}


def dns_of(system: System, **settings: str) -> tuple[bool, str]:
    said = CliRunner().invoke(main, ["doctor", "--json"], env=system.environment | settings)
    (part,) = [part for part in json.loads(said.stdout)["parts"] if part["part"] == "DNS"]
    return part["ok"], part["found"]


@pytest.mark.parametrize(
    ("zone", "silent", "ok", "words"),
    [
        (WHOLE, False, True, "mg.brand.dev (mailgun) has SPF, DKIM, DMARC and MX"),
        ({}, False, False, 'SPF: none; set TXT mg.brand.dev to "v=spf1 include:mailgun.org ~all"'),
        ({}, True, False, "SPF: DNS did not answer"),
    ],
)
def test_it_says_what_dns_has_and_what_to_set(system: System, zone: Zone, silent: bool, ok: bool, words: str) -> None:
    with closing(DnsServer(zone, silent=silent)) as server:
        found = dns_of(system, MAILGUN_DOMAIN="mg.brand.dev", MAILROOM_DNS_SERVERS=server.setting)

    assert found[0] is ok
    assert words in found[1]


def test_names_for_examples_are_not_asked_about(system: System) -> None:
    providers = {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://127.0.0.1:9?tls=none"}

    ok, words = dns_of(system, **providers, MAILGUN_DOMAIN="mg.example.com")

    assert ok
    assert "mg.example.com (mailgun) is a name for examples, in no DNS" in words
    assert "smtp: no domain of it in MAILROOM_SENDING_DOMAINS, so not looked at" in words
