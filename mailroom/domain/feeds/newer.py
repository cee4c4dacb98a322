"""Which items of a feed are new to the readers of a schedule.

An item is known by its `id`, without one by its `link`, without both by all that it says. It is new if it was not in
the feed when the last run of which a provider accepted something took its copy, nor before. Its date decides nothing:
many feeds have none, and authors date back.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Final

from mailroom.domain.feeds.model import Item
from mailroom.domain.limits import MAX_FEED_CHARACTERS, MAX_FEED_ITEMS

MOST_SEEN: Final = 5_000  # keys that a run's copy carries on; a feed itself has fewer
_KEY: Final = 16  # hexadecimal digits


def key_of(item: Item) -> str:
    """The key by which an item is known again."""
    named = next((f"{name} {item[name]}" for name in ("id", "link") if item.get(name) not in (None, "")), None)
    said = named if named is not None else json.dumps(item, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY]


def distinct(items: Sequence[Item]) -> dict[str, Item]:
    """The items by key, each once, in the feed's order; of two with the same key the first."""
    found: dict[str, Item] = {}
    for item in items:
        found.setdefault(key_of(item), item)
    return found


def new_among(items: dict[str, Item], seen: Collection[str]) -> list[Item]:
    """The items whose keys are not among `seen`."""
    known = frozenset(seen)
    return [item for key, item in items.items() if key not in known]


def taken(items: Sequence[Item]) -> list[Item]:
    """The first of these items, as many as a run takes: by number, and by characters together."""
    fitting: list[Item] = []
    room = MAX_FEED_CHARACTERS
    for item in items[:MAX_FEED_ITEMS]:
        room -= size_of(item)
        if room < 0:
            break
        fitting.append(item)
    return fitting


def size_of(said: object) -> int:
    """The characters of plain data, with the names of its fields."""
    return len(json.dumps(said, ensure_ascii=False))


def seen_by_now(items: dict[str, Item], seen: Sequence[str]) -> list[str]:
    """The keys of these items, and after them those seen earlier, up to MOST_SEEN."""
    return list(dict.fromkeys([*items, *seen]))[:MOST_SEEN]
