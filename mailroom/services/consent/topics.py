"""Create, change and view topics."""

from collections.abc import Mapping

import structlog

from mailroom.domain.errors import StaleEdit, TopicExists, TopicNotFound
from mailroom.domain.topics import Topic, asked_of, check_topic
from mailroom.storage import topics
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


def get(db: Db, id_: str) -> Topic:
    """Raises TopicNotFound."""
    found = topics.get_many(db, [id_])
    if not found:
        raise TopicNotFound(id_)
    return found[id_]


def find(db: Db, id_: str) -> Topic | None:
    return topics.get_many(db, [id_]).get(id_)


def page(db: Db, *, after: str = "", limit: int) -> list[Topic]:
    """Topics in the order of their ids, after the id `after`."""
    return topics.page(db, after=after, limit=limit)


def create(db: Db, raw: Mapping[str, object], *, by: str) -> tuple[Topic, bool]:
    """Store a new topic. A repeated request finds the stored one. Returns (the topic, whether it is new). Raises
    InvalidInput, TopicExists if another topic has the id."""
    now = server_now(db)
    topic = check_topic(str(raw.get("id") or ""), raw, version=1, created_at=now, now=now)
    if topics.put(db, topic, by=by):
        log.info("topic_created", topic=topic.id, by=by)
        return topic, True
    stored = get(db, topic.id)
    if asked_of(stored) != asked_of(topic):
        raise TopicExists(f"there is a topic {topic.id} already, and it says otherwise")
    return stored, False


def change(db: Db, id_: str, raw: Mapping[str, object], *, seen_version: int | None, by: str) -> Topic:
    """Change the given fields. Campaigns that are stored already keep their footer until they are saved again.
    `seen_version`: change only this version. Raises TopicNotFound, InvalidInput, StaleEdit."""
    while True:
        stored = get(db, id_)
        if seen_version is not None and seen_version != stored.version:
            raise StaleEdit(f"topic {id_} is at version {stored.version}")
        asked = {**asked_of(stored), **raw}
        topic = check_topic(id_, asked, version=stored.version + 1, created_at=stored.created_at, now=server_now(db))
        if asked_of(topic) == asked_of(stored):
            return stored
        if topics.put(db, topic, by=by):
            log.info("topic_changed", topic=id_, version=topic.version, by=by)
            return topic
