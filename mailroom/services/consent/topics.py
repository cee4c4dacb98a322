"""Create, change and view topics."""

from collections.abc import Mapping

import structlog

from mailroom.domain.errors import AudienceNotFound, Fault, InvalidInput, StaleEdit, TopicExists, TopicNotFound
from mailroom.domain.ids import AudienceId
from mailroom.domain.sender_rules import SenderRule
from mailroom.domain.topics import Topic, asked_of, check_topic
from mailroom.services.common import sender_rules
from mailroom.storage import topics
from mailroom.storage.audiences import document as audiences
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
    InvalidInput, SendersTooOld, TopicExists if another topic has the id."""
    now = server_now(db)
    topic = check_topic(str(raw.get("id") or ""), raw, version=1, created_at=now, now=now)
    _check_audience(db, topic.audience)
    if topics.put(db, topic, by=by):
        log.info("topic_created", topic=topic.id, by=by)
        return topic, True
    stored = get(db, topic.id)
    if asked_of(stored) != asked_of(topic):
        raise TopicExists(f"there is a topic {topic.id} already, and it says otherwise")
    return stored, False


def change(db: Db, id_: str, raw: Mapping[str, object], *, seen_version: int | None, by: str) -> Topic:
    """Change the given fields. Campaigns that are stored already keep their footer until they are saved again.
    `seen_version`: change only this version. Raises TopicNotFound, InvalidInput, SendersTooOld, StaleEdit."""
    while True:
        stored = get(db, id_)
        if seen_version is not None and seen_version != stored.version:
            raise StaleEdit(f"topic {id_} is at version {stored.version}")
        asked = {**asked_of(stored), **raw}
        topic = check_topic(id_, asked, version=stored.version + 1, created_at=stored.created_at, now=server_now(db))
        if asked_of(topic) == asked_of(stored):
            return stored
        if topic.audience != stored.audience:
            _check_audience(db, topic.audience)
        if topics.put(db, topic, by=by):
            log.info("topic_changed", topic=id_, version=topic.version, by=by)
            return topic


def _check_audience(db: Db, audience: str) -> None:
    """Raises InvalidInput for one whose contacts cannot be changed; SendersTooOld."""
    if not audience:
        return
    try:
        if not audiences.get(db, AudienceId(audience)).listed:
            raise AudienceNotFound(audience)
    except AudienceNotFound as error:
        raise InvalidInput(Fault("audience", str(error))) from None
    sender_rules.require(db, SenderRule.AUDIENCES)
