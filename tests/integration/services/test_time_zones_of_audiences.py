"""The time zones that an audience knows of its contacts."""

from mailroom.domain.ids import AudienceId
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db
from tests.support.living import remove
from tests.support.zoned import FOUR, move, people_in


def recounted(db: Db, audience: AudienceId) -> frozenset[str]:
    return frozenset(doc.get("time_zone", "") for doc in db.recipients.find({"_id.a": audience, "until": None}))


def test_an_audience_knows_the_zones_of_its_contacts_through_all_changes(db: Db) -> None:
    audience = people_in(db, FOUR)
    assert audiences.zones_of(db, [audience])[audience] == recounted(db, audience) == set(FOUR.values())

    remove(db, audience, "ann", "dee")
    move(db, audience, "bo", "Asia/Kolkata")
    move(db, audience, "eve", "America/New_York")
    remove(db, audience, "cy")

    assert (
        audiences.zones_of(db, [audience])[audience] == recounted(db, audience) == {"Asia/Kolkata", "America/New_York"}
    )


def test_the_zones_of_an_audience_of_an_earlier_version_are_counted_once(db: Db) -> None:
    audience = people_in(db, FOUR)
    db.audiences.update_one({"_id": audience}, {"$unset": {"zones": ""}})
    move(db, audience, "bo", "Asia/Kolkata")
    assert "zones" not in db.audiences.find_one({"_id": audience})

    found = audiences.zones_of(db, [audience])[audience]

    assert found == recounted(db, audience)
    assert db.audiences.find_one({"_id": audience})["zones"] == {
        "Asia/Tokyo": 1,
        "Asia/Kolkata": 1,
        "America/New_York": 1,
    }
