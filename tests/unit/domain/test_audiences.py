"""Recipients: checked as a whole, folded, read from what was pasted."""

from typing import Any

import pytest

from mailroom.domain.addresses import InvalidAddress, Mailbox, check_address, parse_mailbox
from mailroom.domain.audiences import check_recipients, known_variables
from mailroom.domain.errors import InvalidInput


def test_an_address_twice_is_one_recipient_and_the_first_row_wins() -> None:
    found = check_recipients([{"address": "Bo@Example.org", "name": "Bo"}, {"address": "bo@example.org", "name": "B2"}])

    assert [(r.address, r.name, r.key) for r in found] == [("Bo@example.org", "Bo", "bo@example.org")]


def test_recipients_come_in_the_order_of_their_folded_address() -> None:
    found = check_recipients([{"address": f"{name}@example.org"} for name in ("Zoe", "adam", "Bo")])

    assert [r.key for r in found] == ["adam@example.org", "bo@example.org", "zoe@example.org"]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"address": "nobody"}, "recipients[0].address"),
        ({"address": "a@b"}, "recipients[0].address"),
        ({"address": "bö@example.org"}, "recipients[0].address"),
        ({"address": "a@example.org\r\nBcc: x@example.org"}, "recipients[0].address"),
        ({"address": ""}, "recipients[0].address"),
        ({"address": "a@example.org", "name": "A\nB"}, "recipients[0].name"),
        ({"address": "a@example.org", "variables": {"a b": 1}}, "recipients[0].variables.a b"),
        ({"address": "a@example.org", "variables": {"$where": 1}}, "recipients[0].variables.$where"),
        ({"address": "a@example.org", "variables": {"name": "x"}}, "recipients[0].variables.name"),
        ({"address": "a@example.org", "variables": {"x": [1]}}, "recipients[0].variables.x"),
        ({"address": "a@example.org", "variables": {"x": 2**70}}, "recipients[0].variables.x"),
        ({"address": "a@example.org", "variables": {"x": "y" * 3000}}, "recipients[0].variables.x"),
    ],
)
def test_a_bad_row_is_refused_with_its_place(row: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_recipients([row])

    assert refused.value.faults[0].path == path


def test_a_template_may_use_only_what_every_recipient_has() -> None:
    found = check_recipients(
        [
            {"address": "a@example.org", "variables": {"city": "Rome", "plan": "x"}},
            {"address": "b@example.org", "variables": {"city": "Oslo"}},
        ]
    )

    assert known_variables(found) == {"city", "name", "address"}


@pytest.mark.parametrize("text", ["Ann", "Ann <>", "Ann <ann>", "a@example.org\nBcc: b@example.org", ""])
def test_a_sender_that_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_mailbox(text)


@pytest.mark.parametrize(
    "text",
    [
        *("bo@exa mple.org", "bo @example.org", "Bo <bo@exa mple.org>", "bo@exam(comment)ple.org", "<bo@example.org"),
        *(
            "bo@example.org>",
            "Bo <<bo@example.org>",
            "Smith, Bo <bo@example.org>",
            "a@x.org, b@x.org",
            "x <y> <b@x.org>",
        ),
    ],
)
def test_an_address_that_is_written_wrong_is_refused_and_never_mended_into_another_one(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_mailbox(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((" bo@example.org ", ""), ("<bo@example.org>", ""), ("Bo Bö <bo@example.org>", "Bo Bö")),
        *(('"Smith, \\"Bo\\"" <bo@example.org>', 'Smith, "Bo"'), ('"x <y>" < bo@example.org >', "x <y>")),
    ],
)
def test_a_mailbox_is_read_as_it_is_written(text: str, name: str) -> None:
    assert parse_mailbox(text) == Mailbox("bo@example.org", name)


def test_a_name_with_special_characters_is_quoted() -> None:
    assert str(Mailbox("a@example.org", 'Ann "A", Dr.')) == '"Ann \\"A\\", Dr." <a@example.org>'


def test_a_domain_is_taken_in_its_ascii_form() -> None:
    assert check_address("ann@exämple.org") == "ann@xn--exmple-cua.org"
