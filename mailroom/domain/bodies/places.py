"""What stands in a source has its place in the page that is made of it."""

from mailroom.domain.bodies.masks import WORD, Masked


class PlaceLost(ValueError):
    """A merge field or condition has no place in the page, or there is no page; the message says which or why."""


def check_places(source: Masked, page: str, *, of: str) -> None:
    """Raises PlaceLost unless each construct is in the page, and each condition once and in its place. `of`: what the
    source is, for the message."""
    found = [int(word[1]) for word in WORD.finditer(page)]
    conditions = [index for index, construct in enumerate(source.constructs) if construct.keyword]
    lost = set(range(len(source.constructs))) - set(found)
    raw = [index for index, one in enumerate(source.constructs) if one.keyword in ("raw", "endraw")]
    if raw and source.constructs[raw[-1]].keyword == "raw":
        lost.add(raw[-1])  # the end of the page would be raw too
    if not lost and [index for index in found if source.constructs[index].keyword] != conditions:
        lost = set(conditions)
    if lost:
        first = source.constructs[min(lost)].source.strip()
        raise PlaceLost(f"{first[:80]} has no place in what the {of} gives; write it elsewhere, or write HTML")
