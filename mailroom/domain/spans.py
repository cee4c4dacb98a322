"""Whom a campaign's dispatch goes to, by their places in the audience: which list, from where, up to where.

A list never changes, so a span says for good who is in it, and names nobody. Fences keep it: when an older copy of
MongoDB is planned again, and cut otherwise than before, it shows who may have been called already.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from mailroom.domain.ids import AudienceId, DispatchId


def span_of(audience: AudienceId, start: int, end: int) -> str:
    """The members at the places from `start` to before `end`, counted from 0 in the order of the list."""
    return f"{audience}:{start}-{end}"


@dataclass(frozen=True, slots=True)
class _OfOneList:
    """Calls to one list, by where they start; `reaches` is how far any of those up to here goes."""

    calls: list[tuple[int, int, DispatchId]]
    reaches: list[int]


class Calls:
    """Calls that were made, or may have been, each with its span: which of them went to some of the same people?

    A span '' is one that nobody knows: of those there is nothing to say.
    """

    def __init__(self, spans: Mapping[DispatchId, str]) -> None:
        by_list: dict[str, list[tuple[int, int, DispatchId]]] = {}
        for id_, span in sorted(spans.items()):
            if span:
                list_, start, end = _parts(span)
                by_list.setdefault(list_, []).append((start, end, id_))
        self._lists = {
            list_: _OfOneList(sorted(calls), list(accumulate((end for _, end, _ in sorted(calls)), max)))
            for list_, calls in by_list.items()
        }

    def sharing(self, dispatch: DispatchId, span: str) -> DispatchId | None:
        """One with some of the same people as may be in this dispatch, and not the same call, nor a part of it. Of
        another list, anybody may be the same."""
        if not span:
            return None
        list_, start, end = _parts(span)
        for other, found in self._lists.items():
            reach = len(found.calls) if other != list_ else bisect_left(found.calls, (end,))
            for place in reversed(range(reach)):
                if other == list_ and found.reaches[place] <= start:
                    break
                _, call_end, id_ = found.calls[place]
                if id_.partition(".")[0] != dispatch and (other != list_ or call_end > start):
                    return id_
        return None


def _parts(span: str) -> tuple[str, int, int]:
    list_, _, places = span.rpartition(":")
    start, _, end = places.partition("-")
    return list_, int(start), int(end)
