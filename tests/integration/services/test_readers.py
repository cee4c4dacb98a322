"""For whom a mail is rendered: one recipient after another, in both directions, of audiences and of parts of them."""

from datetime import timedelta

import pytest

from mailroom.domain.addresses import fold
from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.merge_fields import FieldTally, UsedFields
from mailroom.services.audiences import segments
from mailroom.services.audiences.field_counts import look_through
from mailroom.services.audiences.selecting import as_of_now, following, preceding
from mailroom.services.schedules import proofs
from mailroom.services.schedules.readers import Beside, reader
from mailroom.storage.database import Db
from tests.support.builders import recipients, stored_schedule
from tests.support.living import a_schedule_to, an_audience, put, remove


def walked(db: Db, *lists: ListChoice, excluded: tuple[ListChoice, ...] = ()) -> tuple[list[str], list[str]]:
    """The names of all recipients in both directions."""
    selection, now = as_of_now(db, lists, excluded)
    ways = []
    for look, start in ((following, ""), (preceding, "~")):
        key, names = start, list[str]()
        while found := look(db, selection, key, at=now):
            names.append(found.address.partition("@")[0])
            key = found.key
        ways.append(names)
    return ways[0], ways[1]


def test_recipients_are_walked_through_in_both_directions_as_they_stand_now(db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy", "di")
    put(db, audience, "bo", city="Oslo")
    put(db, audience, "bo", city="Bern")
    remove(db, audience, "cy")
    put(db, audience, "el")

    there, back = walked(db, ListChoice(audience))

    assert there == ["ann", "bo", "di", "el"]
    assert back == there[::-1]


def test_more_than_one_look_at_a_time_misses_nobody(db: Db) -> None:
    names = [f"reader-{n:03d}" for n in range(250)]
    audience = an_audience(db, *names)
    for name in names[:240]:
        put(db, audience, name, city="Oslo")
    some = segments.create(
        db, audience, name="Rome", filter_='city = "Rome"', by="tests", events_kept=timedelta(days=90)
    )

    there, back = walked(db, ListChoice(audience, some.id, some.filter))

    assert there == names[240:]
    assert back == there[::-1]


def test_several_lists_are_walked_through_together_without_who_is_left_out(db: Db) -> None:
    first, second = an_audience(db, "ann", "cy", key="1"), an_audience(db, "bo", "cy", "di", key="2")
    out = an_audience(db, "bo", key="3")

    there, back = walked(db, ListChoice(first), ListChoice(second), excluded=(ListChoice(out),))

    assert there == ["ann", "cy", "di"]
    assert back == there[::-1]


@pytest.mark.parametrize("own", [True, False])
def test_a_reader_is_the_first_the_named_or_the_one_beside(db: Db, own: bool) -> None:
    if own:
        schedule = stored_schedule(db, recipients=recipients(3)).id
    else:
        schedule = a_schedule_to(db, an_audience(db, "reader-0", "reader-1", "reader-2"))
    proof = proofs.of_schedule(db, ScheduleId(schedule))

    found = [
        reader(db, proof, wanted).address.partition("@")[0]
        for wanted in (
            None,
            "READER-2@example.org",
            Beside("reader-0@example.org"),
            Beside("reader-1@example.org", before=True),
            Beside("reader-2@example.org"),
            Beside("reader-0@example.org", before=True),
        )
    ]

    assert found == ["reader-0", "reader-2", "reader-1", "reader-0", "reader-2", "reader-0"]
    with pytest.raises(InvalidInput, match="is not among the recipients"):
        reader(db, proof, "nobody@example.org")


def test_an_audience_without_anybody_has_an_example(db: Db) -> None:
    proof = proofs.of_schedule(db, a_schedule_to(db, an_audience(db), text="Hello"))

    assert reader(db, proof, None).address == "anybody@example.com"


def test_a_look_through_ends_in_time_and_says_that_it_did_not_see_all(db: Db) -> None:
    audience = an_audience(db)
    rows = [
        {"_id": {"a": audience, "k": fold(f"reader-{n:05d}@example.org")}, "address": f"reader-{n:05d}@example.org"}
        | {"name": "", "variables": {}}
        for n in range(12_000)
    ]
    db.recipients.insert_many(rows)
    used = UsedFields(frozenset({"city"}), frozenset(), frozenset())
    some, every = FieldTally(used), FieldTally(used)

    saw_some = look_through(db, some, [ListChoice(AudienceId(audience))], (), within_s=0)
    saw_all = look_through(db, every, [ListChoice(AudienceId(audience))], (), within_s=60)

    assert (saw_some, saw_all) == (False, True)
    assert (some.looked_at, every.looked_at) == (1_000, 12_000)
    assert "all of the first 1,000 contacts" in some.hints(of_all=False)[0].message
