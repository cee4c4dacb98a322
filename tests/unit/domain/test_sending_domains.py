"""What a sending domain lacks in DNS, by provider, from answers that the test gives."""

import pytest

from mailroom.domain.sending_domains import DnsQuestion, RecordType, SendingDomain, judge, may_send, questions

DOMAIN = "mg.brand.dev"
KEY = "k=rsa; p=MIGfMA0"


def verdicts(
    provider: str, selector: str = "", *, silent: str = "", **records: list[str]
) -> dict[str, tuple[str, str]]:
    """Each finding by its record. `records`: by name, with `__` for `.`, below the domain; MX and CNAME by prefix."""
    given = {}
    for name, texts in records.items():
        type_, _, below = name.partition("_at_")
        full = f"{below.replace('__', '.')}.{DOMAIN}" if below else DOMAIN
        given[DnsQuestion(full, RecordType(type_))] = texts
    known = SendingDomain(provider, DOMAIN, selector)
    answers = {asked: given.get(asked, ()) for asked in questions(known)}
    answers |= {asked: None for asked in answers if silent and silent in asked.name}
    assert given.keys() <= answers.keys()
    return {finding.what: (finding.verdict.value, finding.words) for finding in judge(known, answers)}


def test_a_whole_domain_of_mailgun() -> None:
    found = verdicts(
        "mailgun",
        TXT=["v=spf1 include:eu.mailgun.org ~all", "google-site-verification=1"],
        TXT_at_pdk1___domainkey=[KEY],
        TXT_at__dmarc=["v=DMARC1; p=none"],
        MX=["10 mxa.mailgun.org."],
    )

    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert found["DKIM"][1] == "a key at pdk1._domainkey.mg.brand.dev"
    assert found["MX"][1] == "mail goes to mxa.mailgun.org"


def test_for_an_empty_domain_every_record_to_set_is_named() -> None:
    found = verdicts("mailgun")

    assert found["SPF"] == ("wrong", 'none; set TXT mg.brand.dev to "v=spf1 include:mailgun.org ~all"')
    assert found["DKIM"][0] == "wrong"
    assert "MAILROOM_SENDING_DOMAINS=mailgun=mg.brand.dev/SELECTOR" in found["DKIM"][1]
    assert found["DMARC"][1].startswith('none; set TXT _dmarc.mg.brand.dev to "v=DMARC1; p=none;')
    assert found["MX"][0] == "advice"


@pytest.mark.parametrize(
    ("records", "verdict", "words"),
    [
        (["v=spf1 include:_spf.google.com -all"], "wrong", "lacks include:mailgun.org"),
        (["v=spf1 include:notmailgun.org -all"], "wrong", "lacks include:mailgun.org"),
        (["v=spf1 include:mailgun.org -all", "v=spf1 a -all"], "wrong", "2 records"),
        (["v=spf1 include:mailgun.org +all"], "wrong", "lets everybody send"),
        (["V=SPF1 INCLUDE:mailgun.org ?all"], "ok", "at mg.brand.dev"),
    ],
)
def test_an_spf_record_is_one_and_names_the_provider(records: list[str], verdict: str, words: str) -> None:
    found = verdicts("mailgun", TXT=records)["SPF"]

    assert found[0] == verdict
    assert words in found[1]


@pytest.mark.parametrize(
    ("provider", "selector", "key_at", "verdict"),
    [
        ("sendgrid", "", "s2", "ok"),
        ("resend", "", "resend", "ok"),
        ("resend", "", "", "wrong"),
        ("ses", "", "", "advice"),  # its selectors are made for each domain
        ("ses", "abc123", "abc123", "ok"),
        ("ses", "abc123", "", "wrong"),
        ("smtp", "", "", "advice"),
    ],
)
def test_a_key_is_looked_for_at_the_selectors_of_the_provider(
    provider: str, selector: str, key_at: str, verdict: str
) -> None:
    records = {f"TXT_at_{key_at}___domainkey": [KEY]} if key_at else {}

    assert verdicts(provider, selector, **records)["DKIM"][0] == verdict


def test_a_revoked_key_is_no_key() -> None:
    assert verdicts("resend", TXT_at_resend___domainkey=["v=DKIM1; p="])["DKIM"][0] == "wrong"


def test_spf_is_looked_for_where_the_provider_wants_it() -> None:
    at_send = verdicts("resend", TXT_at_send=["v=spf1 include:amazonses.com ~all"])["SPF"]
    without, aligned = verdicts("postmark")["SPF"], verdicts("postmark", **{"CNAME_at_pm-bounces": ["x."]})["SPF"]

    assert at_send == ("ok", "at send.mg.brand.dev")
    assert verdicts("sendgrid")["SPF"][0] == verdicts("ses")["SPF"][0] == "ok"
    assert without[0] == aligned[0] == "advice"
    assert "set CNAME pm-bounces.mg.brand.dev to pm.mtasv.net" in without[1]
    assert verdicts("smtp")["SPF"][0] == "wrong"


def test_a_policy_of_the_domain_above_counts() -> None:
    known = SendingDomain("resend", DOMAIN)
    answers = dict.fromkeys(questions(known), ()) | {
        DnsQuestion("_dmarc.brand.dev", RecordType.TXT): ["v=DMARC1; p=reject"]
    }

    (dmarc,) = [finding for finding in judge(known, answers) if finding.what == "DMARC"]

    assert (dmarc.verdict, dmarc.words) == ("ok", "at _dmarc.brand.dev")


def test_two_policies_are_none_and_a_null_mx_is_a_fault() -> None:
    found = verdicts("resend", TXT_at__dmarc=["v=DMARC1; p=none"] * 2, MX=["0 ."])

    assert (found["DMARC"][0], found["MX"][0]) == ("wrong", "wrong")


def test_what_dns_does_not_answer_is_unknown() -> None:
    found = verdicts("mailgun", silent="mg.brand.dev")

    assert {verdict for verdict, _ in found.values()} == {"unknown"}


@pytest.mark.parametrize(
    ("sender", "providers", "expected"),
    [
        ("mg.brand.dev", ["mailgun"], True),
        ("brand.dev", ["mailgun"], True),  # signed by a domain below it, DMARC aligns
        ("News.mg.brand.dev", ["mailgun"], True),
        ("other.dev", ["mailgun"], False),
        ("notmg.brand.dev", ["mailgun"], False),
        ("other.dev", ["mailgun", "ses"], None),  # nothing is known of ses
    ],
)
def test_a_from_domain_is_one_that_a_provider_may_send_for(
    sender: str, providers: list[str], expected: bool | None
) -> None:
    assert may_send([SendingDomain("mailgun", DOMAIN)], providers, sender) is expected


@pytest.mark.parametrize("name", ["mg.example.com", "example.com", "a.test", "localhost.localhost"])
def test_names_for_examples_are_known_as_such(name: str) -> None:
    assert SendingDomain("mailgun", name).reserved
    assert not SendingDomain("mailgun", f"{name}.dev").reserved
