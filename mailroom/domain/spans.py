"""Whom a campaign's dispatch goes to, by their places in the audience: which list, from where, up to where.

A list never changes, so a span says for good who is in it, and names nobody. Fences keep it: when an older copy of
MongoDB is planned again, and cut otherwise than before, it shows who may have been called already.
"""

from mailroom.domain.ids import AudienceId


def span_of(audience: AudienceId, start: int, end: int) -> str:
    """The members at the places from `start` to before `end`, counted from 0 in the order of the list."""
    return f"{audience}:{start}-{end}"


def may_share(one: str, other: str) -> bool:
    """True if somebody may be in both spans; of different lists, anybody may be. '' is a span that nobody knows: of
    those there is nothing to say."""
    if not one or not other:
        return False
    (list_, start, end), (other_list, other_start, other_end) = _parts(one), _parts(other)
    return list_ != other_list or (start < other_end and other_start < end)


def _parts(span: str) -> tuple[str, int, int]:
    list_, _, places = span.rpartition(":")
    start, _, end = places.partition("-")
    return list_, int(start), int(end)
