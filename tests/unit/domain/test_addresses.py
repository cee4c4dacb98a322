"""Addresses and names: taken as they are written or refused, never mended into somebody else's."""

import random
import time
from email.utils import getaddresses

import pytest
from email_validator import EmailNotValidError, validate_email

from mailroom.domain import addresses
from mailroom.domain.addresses import (
    InvalidAddress,
    Mailbox,
    check_address,
    fold,
    parse_mailbox,
    parse_mailboxes,
    written_as_list,
)
from mailroom.domain.audiences import check_recipients
from mailroom.domain.draft_checks import check_draft
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import Place
from mailroom.domain.errors import InvalidInput
from tests.support.builders import NOW, a_draft

NAMES = [
    *("Acme: Support", "Sales; EMEA", "Smith, Bo", "bo@example.org", 'Dwayne "The Rock" Johnson', "back\\slash"),
    *("[Acme] News", "(Bo)", "Bo (work)", "a(b", "Bo <work>", ".Bo", "Bo.", "Jürgen Groß, Dr.", "鈴木 一郎", "O'Brien"),
    *("end\\", '"', "A  B", "A\tB", "Bo > Eve", "100%", "a=b", "Friends:;", "👩‍👩‍👧", "x" * 200),
]
REFUSED_NAMES = ["Bo\r\nBcc: eve@example.org", "a\nb", "=?utf-8?q?Bo?=", "Hi %recipient.x%", "a\u2028b", "\0"]


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_name_is_kept_as_it_is_written_at_every_place(name: str) -> None:
    mailbox = f"{quoted(name)} <s@example.org>"

    draft = EmailDraft(sender=mailbox, reply_to=mailbox, to=[mailbox], subject="x", text="x")
    email = check_email(draft, now=NOW)
    copied = check_email(EmailDraft("a@x.org", ["a@x.org"], "x", "x", cc=[mailbox], bcc=["b@x.org"]), now=NOW)
    checked = check_draft(a_draft(sender=mailbox, reply_to=mailbox), now=NOW)
    (recipient,) = check_recipients([{"address": "s@example.org", "name": name}])

    for written in (email.sender, email.reply_to, checked.sender, checked.reply_to):
        assert getaddresses([written]) == [(name, "s@example.org")]
    assert [email.at(Place.TO)[0].name, copied.at(Place.CC)[0].name, recipient.name] == [name] * 3


@pytest.mark.parametrize(
    "name",
    [
        "Acme: Support",
        "[Acme] News",
        "Bo (work)",
        "(Bo)",
        ".Bo",
        "Bo.",
        "A  B",
        "back\\slash",
        "Jürgen Groß",
        "Friends:",
    ]
    + ['Dwayne "The Rock" Johnson', "Ann (Sales", "s@example.org", "S@Example.org"],
)
def test_a_name_without_quotes_is_kept_as_it_is_written(name: str) -> None:
    assert parse_mailbox(f"{name} <s@example.org>") == Mailbox("s@example.org", name)
    assert parse_mailbox(str(Mailbox("s@example.org", name))) == Mailbox("s@example.org", name)


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_a_name_that_could_break_a_header_is_refused_at_every_place(name: str) -> None:
    mailbox = f"{quoted(name)} <s@example.org>"

    with pytest.raises(InvalidInput) as single:
        check_email(
            EmailDraft(sender=mailbox, reply_to=mailbox, to=[mailbox], cc=[mailbox], bcc=[mailbox], subject="x"),
            now=NOW,
        )
    with pytest.raises(InvalidInput) as scheduled:
        rows = [{"address": "s@example.org", "name": f"x{name}x"}]
        check_draft(a_draft(sender=mailbox, reply_to=mailbox, recipients=rows), now=NOW)

    assert {"from", "reply_to", "to[0]", "cc[0]", "bcc[0]"} <= {fault.path for fault in single.value.faults}
    assert {"from", "reply_to", "recipients[0].name"} <= {fault.path for fault in scheduled.value.faults}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Bo <bo@x.org>, Eve <eve@x.org>",
            "Bo <bo@x.org>; Eve <eve@x.org>",
            "Bo <bo@x.org>, Eve <eve@x.org>, T <t@x.org>",
        ),
        *("eve@x.org <bo@x.org>", "Smith, Bo <bo@x.org>", 'Bo "x <bo@x.org>', 'Tom "Bo <b@x.org>" <t@x.org>'),
        *(
            "Friends: bo@x.org, eve@x.org;",
            "Friends: Bo <bo@x.org>;",
            "bo@x.org (Bo)",
            "bo＠x.org",
            "bo@x.org eve@x.org",
        ),
        *(
            "mailto:bo@x.org",
            "Bo <bo@x.org> Eve",
            "<>",
            "Bo",
            "bo@x.org\nBcc: e@x.org",
            "b\u200bo@x.org",
            "bo@x\u00ad.org",
        ),
    ],
)
def test_what_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_mailbox(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('"us..er"@docomo.ne.jp', '"us..er"@docomo.ne.jp'),
        ('"user."@ezweb.ne.jp', '"user."@ezweb.ne.jp'),
        ('".Us..er."@DOCOMO.ne.jp', '".Us..er."@docomo.ne.jp'),
        ('"bo"@example.org', "bo@example.org"),
        ('"us..er"@bücher.example', '"us..er"@xn--bcher-kva.example'),
    ],
)
def test_quotes_before_the_at_sign_are_kept_where_its_dots_need_them(text: str, address: str) -> None:
    assert check_address(text) == address
    assert parse_mailbox(f"Bo <{text}>") == Mailbox(address, "Bo")
    assert parse_mailbox(str(Mailbox(address, "Acme: Bo"))) == Mailbox(address, "Acme: Bo")


@pytest.mark.parametrize("text", ["us..er@docomo.ne.jp", "user.@docomo.ne.jp", ".user@docomo.ne.jp"])
def test_such_dots_without_quotes_are_refused_with_what_to_write(text: str) -> None:
    local = text.partition("@")[0]
    with pytest.raises(InvalidAddress, match=f'write "{local}"@docomo.ne.jp'):
        check_address(text)


@pytest.mark.parametrize(
    "text",
    ['"a@b"@x.org', '"a b"@x.org', '"a,b"@x.org', '"a\\"b"@x.org', '""@x.org', '"@x.org', '"a>b"@x.org', '"ü"@x.org']
    + ['"a\r\nb"@x.org', f'"{"a." * 32}"@x.org', '"a"b"@x.org', '"us..er"@x', '"us..er"@'],
)
def test_anything_else_in_quotes_before_the_at_sign_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        check_address(text)


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("Bo@Example.ORG", "bo@example.org"),
        ("bo@BÜCHER.example", "bo@xn--bcher-kva.example"),
        ("bo@bu\u0308cher.example", "bo@xn--bcher-kva.example"),  # u and a combining diaeresis
        ("bo@XN--BCHER-KVA.example", "bo@xn--bcher-kva.example"),
        ("us..er@docomo.ne.jp", '"us..er"@docomo.ne.jp'),
        ('"US..er"@docomo.ne.jp', '"us..er"@docomo.ne.jp'),
        ('"bo"@example.org', "bo@example.org"),
        ("user.@x.org", '"user."@x.org'),
        (".user@x.org", '".user"@x.org'),
        ("bo@faß.example", "bo@xn--fa-hia.example"),
    ],
)
def test_a_provider_may_name_an_address_in_another_spelling(told: str, sent: str) -> None:
    assert fold(told) == fold(check_address(sent)) == sent


@pytest.mark.parametrize("text", ["", "bo", "@", '"', "ü@", "@ü", "a@" + "ü" * 900, '"a@x.org', "a..b"])
def test_anything_at_all_has_a_key_and_it_is_stable(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_the_keys_of_stored_addresses_are_what_they_were() -> None:
    for address in ("Bo@example.org", "a.b+c@mg.Example.com", "O'Neil@x.org", "x_y-z@xn--bcher-kva.example"):
        assert fold(address) == address.lower()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@x.org", ["a@x.org"]),
        ("a@x.org, Bo <b@x.org>", ["a@x.org", "b@x.org"]),
        ('"Smith; Bo, Dr." <a@x.org>; b@x.org;', ["a@x.org", "b@x.org"]),
        ("a@x.org, A@x.org", ["a@x.org"]),
    ],
)
def test_several_reply_to_addresses_are_taken_and_read_again(text: str, found: list[str]) -> None:
    mailboxes = parse_mailboxes(text)

    assert [mailbox.address for mailbox in mailboxes] == found
    assert parse_mailboxes(written_as_list(mailboxes)) == mailboxes


@pytest.mark.parametrize(
    "text", ["a@x.org, nobody", "Smith, Bo <b@x.org>", ",", '"a@x.org, b@x.org', "a@x.org b@x.org"]
)
def test_a_wrong_one_among_several_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_mailboxes(text)
    with pytest.raises(InvalidAddress):
        parse_mailboxes(", ".join(f"b{n}@x.org" for n in range(11)))


def test_the_short_way_takes_nothing_that_the_library_does_not_take() -> None:
    chance = random.Random(11)
    pieces = [
        "a",
        "B9",
        ".",
        "..",
        "-",
        "--",
        "@",
        "x",
        "org",
        "test",
        "local",
        "xn--",
        "_",
        "+",
        "é",
        " ",
        "1",
        '"',
        "a" * 60,
    ]
    taken = 0
    for _ in range(12_000):
        text = (
            "".join(chance.choices(pieces, k=chance.randint(2, 6)))
            + "@"
            + "".join(chance.choices(pieces, k=3))
            + ".org"
        )
        if addresses._ORDINARY.fullmatch(text) is None:
            continue
        try:
            checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
            wanted = f"{checked.ascii_local_part}@{checked.ascii_domain}"
        except EmailNotValidError:
            wanted = ""
        try:
            found = check_address(text)
        except InvalidAddress:
            found = ""
        assert found == wanted, text
        taken += found != ""
    assert taken > 150


@pytest.mark.parametrize(
    "text", ['"' * 500, "\\" * 500, '"\\' * 250, "<" * 500, "a." * 250, "a@" + "a-" * 248, "(" * 499]
)
def test_no_hostile_text_takes_long(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidAddress):
        parse_mailbox(text)
    fold(text)
    assert time.perf_counter() - begun < 0.5
