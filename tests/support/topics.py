"""Topics, as tests make them."""

from mailroom.domain.topics import Topic
from mailroom.services.consent import topics
from mailroom.storage.database import Db

LINK = "{{ unsubscribe_url }}"
NEWSLETTER = {"id": "newsletter", "name": "Newsletter"}
#: Bodies with a link.
LINKED = {"text": f"Hello {{{{ name }}}}. Leave: {LINK}", "html": f'<p>Hello</p><a href="{LINK}">Leave</a>'}


def a_topic(db: Db, id_: str = "newsletter", **changes: object) -> Topic:
    return topics.create(db, NEWSLETTER | {"id": id_, "name": id_.title()} | changes, by="tests")[0]
