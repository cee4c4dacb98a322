"""Whom mail is forbidden to, and which mail."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.suppressions import (
    ALL,
    CAMPAIGNS,
    OF_CAMPAIGNS,
    OF_SINGLE_MAILS,
    Entry,
    check_entry,
    forbidden,
    scope_of,
    spellings,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "scope"), [("bounced", ALL), ("complained", CAMPAIGNS), ("unsubscribed", CAMPAIGNS), ("manual", ALL)]
)
def test_a_reason_has_its_scope(reason: str, scope: str) -> None:
    assert scope_of(reason) == scope


def test_a_single_mail_goes_to_an_address_suppressed_for_campaigns_alone() -> None:
    left = [Entry(CAMPAIGNS, "unsubscribed", NOW)]
    gone = [*left, Entry(ALL, "bounced", NOW)]

    assert (forbidden(left, OF_CAMPAIGNS), forbidden(left, OF_SINGLE_MAILS)) == ("unsubscribed", None)
    assert (forbidden(gone, OF_CAMPAIGNS), forbidden(gone, OF_SINGLE_MAILS)) == ("bounced", "bounced")


@pytest.mark.parametrize(
    ("key", "others"),
    [
        ("bo@example.org", []),
        ("bo@xn--bcher-kva.example", ["bo@bücher.example"]),
        ("bo@mail.xn--bcher-kva.example", ["bo@mail.bücher.example"]),
        ("bo@xn--.example", []),
        ('"us..er"@example.org', ["us..er@example.org"]),
        ('""@example.org', []),
    ],
)
def test_an_address_is_looked_up_as_it_may_have_been_stored(key: str, others: list[str]) -> None:
    assert spellings(key) == [key, *others]


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ({}, ["address"]),
        ({"address": "nobody"}, ["address"]),
        ({"address": "bo@example.org", "scope": "some"}, ["scope"]),
        ({"address": "x", "scope": "y", "reason": "z" * 201}, ["address", "reason", "scope"]),
        ({"address": "bo@example.org", "reason": "a\nb"}, ["reason"]),
    ],
)
def test_all_that_is_wrong_in_an_entry_is_reported_at_once(raw: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_entry(raw, by="ann", now=NOW)

    assert [fault.path for fault in refused.value.faults] == paths


def test_an_entry_by_hand_has_a_reason_and_a_scope() -> None:
    assert check_entry({"address": " Bo@Bücher.Example "}, by="ann", now=NOW) == (
        "bo@xn--bcher-kva.example",
        Entry(ALL, "manual", NOW, "", "ann"),
    )
