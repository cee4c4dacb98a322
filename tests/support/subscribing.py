"""Readers who subscribe by a form, as tests need them."""

from mailroom.domain.confirm_links import ConfirmLinks, SubscriptionRequest
from mailroom.storage.database import Db
from tests.support.topics import a_topic

#: What makes a topic ask for a confirmation.
CONFIRMED = {"double_opt_in": True, "confirm_from": "Shop <news@mg.example.com>"}
ADDRESS = "bo@example.org"


def a_confirmed_topic(db: Db, id_: str = "newsletter", **changes: object) -> None:
    a_topic(db, id_, **CONFIRMED | changes)


def requests_stored(db: Db) -> list[SubscriptionRequest]:
    """What stands as asked for, the earliest first."""
    return [
        SubscriptionRequest(
            doc["address"], doc["_id"].partition("/")[0], doc.get("name", ""), doc["asked_at"], doc["until"]
        )
        for doc in db.subscription_requests.find().sort("asked_at", 1)
    ]


def path_of(links: ConfirmLinks, asked: SubscriptionRequest) -> str:
    """The path of the link in its mail."""
    return "/c/" + links.url(asked).rpartition("/")[2]


def journal(db: Db) -> list[tuple[str, str, str]]:
    """What stands in the journal, the earliest first: act, scope, by."""
    return [(doc["act"], doc["scope"], doc["by"]) for doc in db.consents.find().sort([("at", 1), ("_id", 1)])]
