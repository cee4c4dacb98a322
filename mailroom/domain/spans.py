"""Whom a campaign's dispatch goes to, by their places in the audience: which list, from where, up to where.

A list never changes, so a span says for good who is in it, and names nobody. Fences keep it: when an older copy of
MongoDB is planned again, and cut otherwise than before, it shows who may have been called already.

The recipients that a run did not reach are no such list: after a restore they may be others. They are cut into groups
by the digests of their addresses. The number of groups is fixed when the run is made; each number is a list of its own.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from typing import Final

from mailroom.domain.ids import AudienceId, DispatchId, RunId, group_dispatch_id, root_of

_ANYBODY: Final = "?:0-1"  # a list that is no other's: what goes to it may go to anybody
_MOST_GROUPS: Final = 2**16
_DIGEST_BITS: Final = 32


def span_of(audience: AudienceId, start: int, end: int) -> str:
    """The members at the places from `start` to before `end`, counted from 0 in the order of the list."""
    return f"{audience}:{start}-{end}"


def groups_of(people: int, batch_size: int) -> int:
    """The number of groups for so many people: hardly any group is then larger than a batch. It is a power of two, so
    that a few people more or less, after a restore, seldom change it."""
    usual = max(batch_size - 4 * sqrt(batch_size), batch_size / 8)
    groups = 1
    while people / groups > usual and groups < _MOST_GROUPS:
        groups *= 2
    return groups


@dataclass(frozen=True, slots=True)
class Group:
    """One of `groups` groups of the recipients that the run `source` did not reach."""

    source: RunId
    groups: int
    number: int

    @property
    def name(self) -> str:
        """The name of the group's dispatch. It contains the number of groups: another cut makes other dispatches."""
        return f"{self.groups}g{self.number:05d}"

    @property
    def span(self) -> str:
        return f"{self.source}/{self.groups}:{self.number}-{self.number + 1}"


def group_of(source: RunId, groups: int, digest: str) -> Group:
    """The group of an address, by its digest in hexadecimal: groups follow each other in the order of digests."""
    leading = int(digest[: _DIGEST_BITS // 4], 16)
    return Group(source, groups, leading * groups >> _DIGEST_BITS)


def spans_of_groups(run: RunId, groups: int, called: Mapping[DispatchId, str]) -> dict[DispatchId, str]:
    """The calls of a run that is cut into groups, each with its span. Some calls are known without a span: a call of
    the same cut overlaps with no other group, and any other call may have gone to anybody."""
    same_cut = group_dispatch_id(run, f"{groups}g")
    return {id_: span or ("" if id_.startswith(same_cut) else _ANYBODY) for id_, span in called.items()}


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
        """An earlier call that may share a recipient with this span, ignoring this dispatch and its parts. Calls to
        another list always count as overlapping."""
        if not span:
            return None
        list_, start, end = _parts(span)
        for other, found in self._lists.items():
            reach = len(found.calls) if other != list_ else bisect_left(found.calls, (end,))
            for place in reversed(range(reach)):
                if other == list_ and found.reaches[place] <= start:
                    break
                _, call_end, id_ = found.calls[place]
                if root_of(id_) != dispatch and (other != list_ or call_end > start):
                    return id_
        return None


def _parts(span: str) -> tuple[str, int, int]:
    list_, _, places = span.rpartition(":")
    start, _, end = places.partition("-")
    return list_, int(start), int(end)
