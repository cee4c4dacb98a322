"""Changes of contacts, and versions of audiences."""

from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.audience_versions import AudienceVersion, ListChoice, Selection, next_version
from mailroom.domain.audiences import Recipient
from mailroom.domain.contacts import Contact, checked, joining, leaving, patched, tally
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId

AT = datetime(2026, 12, 1, 9, 0, 0, 123_456, tzinfo=UTC)
ONE, TWO = AudienceId("aud_1"), AudienceId("aud_2")


def ann(**variables: object) -> Contact:
    return Contact(Recipient("Ann@example.org", "Ann", dict(variables), "UTC", "en"), AT, "api")  # type: ignore[arg-type]


def test_who_joins_again_keeps_what_is_not_named_and_when_it_came_in() -> None:
    asked = Recipient("ann@EXAMPLE.org", "", {"city": "Rome"})

    (change,) = joining({"ann@example.org": ann(plan="pro")}, [asked], at=AT + timedelta(1), source="import")

    assert change.after == Contact(
        Recipient("ann@EXAMPLE.org", "Ann", {"plan": "pro", "city": "Rome"}, "UTC", "en"), AT, "api"
    )


def test_an_empty_cell_takes_nothing_away() -> None:
    asked = Recipient("ann@example.org", "", {"plan": "", "city": "", "age": 7})

    (change,) = joining({"ann@example.org": ann(plan="pro")}, [asked], at=AT, source="import")

    assert change.after
    assert change.after.recipient.variables == {"plan": "pro", "age": 7}


def test_a_whole_contact_has_just_what_is_asked() -> None:
    asked = Recipient("ann@example.org", "", {"city": "Rome"})

    (change,) = joining({"ann@example.org": ann(plan="pro")}, [asked], at=AT, source="api", whole=True)

    assert change.after
    assert change.after.recipient == asked


def test_one_and_true_are_not_the_same() -> None:
    same = joining(
        {"ann@example.org": ann(vip=True)}, [Recipient("Ann@example.org", "", {"vip": True})], at=AT, source=""
    )
    other = joining(
        {"ann@example.org": ann(vip=True)}, [Recipient("Ann@example.org", "", {"vip": 1})], at=AT, source=""
    )

    assert (len(same), len(other)) == (0, 1)


def test_the_numbers_of_an_audience_move_by_what_changes() -> None:
    bo, cy = Contact(Recipient("bo@example.org", "", {"a": 1})), Recipient("cy@example.org", "", {"a": 1, "b": 2})
    current = {"ann@example.org": ann(a=1, c=2), "bo@example.org": bo}

    changes = [
        *joining(current, [cy, Recipient("ann@example.org", "", {"b": 1})], at=AT, source="api", whole=True),
        *leaving(current, ["bo@example.org", "nobody@example.org", "bo@example.org"]),
    ]

    by = tally(changes)
    assert (by.contacts, dict(by.having)) == (0, {"a": -1, "b": 2, "c": -1})


def test_too_many_merge_fields_together_are_refused() -> None:
    known = ann(**{f"a{n}": 1 for n in range(30)})

    with pytest.raises(InvalidInput, match="more than 50 merge fields"):
        joining({known.key: known}, [Recipient(known.key, "", {f"b{n}": 1 for n in range(30)})], at=AT, source="api")


def test_a_patch_changes_what_it_names_and_removes_what_is_null() -> None:
    known = ann(city="Rome", plan="pro", blank=None)

    changed = patched(known, {"variables": {"city": None, "age": 7}, "language": None, "name": "Anna"})

    assert changed == Recipient("Ann@example.org", "Anna", {"plan": "pro", "blank": None, "age": 7}, "UTC", "")


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"address": "bad"}, "address"),
        ({"address": "a@example.org", "time_zone": "Mars/Base"}, "time_zone"),
        ({"address": "a@example.org", "language": "english please"}, "language"),
        ({"address": "a@example.org", "variables": {"name": "x"}}, "variables.name"),
        ({"address": "a@example.org", "name": "a\nb"}, "name"),
    ],
)
def test_a_wrong_contact_is_refused_with_the_path(row: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(row)

    assert [fault.path for fault in refused.value.faults] == [path]


def test_versions_of_an_audience_only_grow() -> None:
    first = next_version(None, now=AT)

    assert first == AT.replace(microsecond=123_000)
    assert next_version(first, now=AT) == first + timedelta(milliseconds=1)
    assert next_version(first + timedelta(hours=1), now=AT) == first + timedelta(hours=1, milliseconds=1)


def test_another_version_filter_or_order_is_another_list() -> None:
    lists = [
        Selection((AudienceVersion(ONE),)),
        Selection((AudienceVersion(ONE, AT),)),
        Selection((AudienceVersion(ONE, AT + timedelta(milliseconds=1)),)),
        Selection((AudienceVersion(ONE, AT, "city is set"),)),
        Selection((AudienceVersion(ONE, AT), AudienceVersion(TWO, AT))),
        Selection((AudienceVersion(TWO, AT), AudienceVersion(ONE, AT))),
        Selection((AudienceVersion(ONE, AT),), (AudienceVersion(TWO, AT),)),
    ]

    assert len({one.name for one in lists}) == len(lists)
    assert lists[0].name == "aud_1"  # as fences of earlier versions name it
    assert not any(sign in one.name for one in lists for sign in ":@.")
    assert ListChoice(ONE, None, "city is set").as_of(AT) == lists[3].lists[0]
