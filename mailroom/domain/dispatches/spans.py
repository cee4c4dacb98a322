"""Spans: the recipients of a campaign's dispatch, as a range of positions in a list.

An audience as of a version never changes, so a span fixes its recipients for good without their addresses. Fences store
the span: if a restored MongoDB plans a run again with other batch limits, the spans show which recipients may have been
called before.

Where domains have shares of their own, a batch is one dispatch for each such domain and one for all others. These share
the range of the batch and no recipient, so the list's name has the domains and the part: `list@domains.part`.

The recipients that a run did not reach are no fixed list: after a restore they may differ. They are divided into groups
by the digests of their addresses. The number of groups is fixed at the creation of the run. Each number of groups
counts as a list of its own.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from typing import Final

from mailroom.domain.ids import DispatchId, RunId, group_dispatch_id, root_of, short_digest

_ANYBODY: Final = "?:0-1"  # a list that equals no other list: its calls may reach any recipient
_MOST_GROUPS: Final = 2**16
_DIGEST_BITS: Final = 32


def span_of(list_: str, start: int, end: int) -> str:
    """The span of the members at positions `start` to `end` (exclusive), counted from 0 in the order of the list.
    `list_`: the name of a list that never changes, see audience_versions.py."""
    return f"{list_}:{start}-{end}"


def of_part(span: str, domains: Collection[str], part: str) -> str:
    """The span of a part of a batch: of the recipients of the domain `part`, or with '' of all other recipients.
    `domains`: all domains with a part of their own; another set of them gives other parts."""
    if not span or not domains:
        return span
    list_, _, places = span.rpartition(":")
    return f"{list_}@{short_digest(*sorted(domains))}.{short_digest(part)}:{places}"


def _are_parts_of_one(list_: str, other: str) -> bool:
    """True if both lists are different parts of the same batches, which share no recipient."""
    cut, mark, part = list_.rpartition(".")
    other_cut, _, other_part = other.rpartition(".")
    return bool(mark) and cut == other_cut and part != other_part


def groups_of(people: int, batch_size: int) -> int:
    """The number of groups for `people` recipients, so that few groups exceed a batch. It is a power of two, so that
    small differences after a restore seldom change it."""
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
        """The name of the group's dispatch. It contains the number of groups: another number gives other dispatches."""
        return f"{self.groups}g{self.number:05d}"

    @property
    def span(self) -> str:
        return f"{self.source}/{self.groups}:{self.number}-{self.number + 1}"


def group_of(source: RunId, groups: int, digest: str) -> Group:
    """The group of an address, by its digest in hexadecimal: groups have the order of their digests."""
    leading = int(digest[: _DIGEST_BITS // 4], 16)
    return Group(source, groups, leading * groups >> _DIGEST_BITS)


def spans_of_groups(run: RunId, groups: int, called: Mapping[DispatchId, str]) -> dict[DispatchId, str]:
    """The calls of a run in groups, each with its span. For a call without a recorded span: a call of the same division
    overlaps with no other group, and any other call may have reached any recipient."""
    same_cut = group_dispatch_id(run, f"{groups}g")
    return {id_: span or ("" if id_.startswith(same_cut) else _ANYBODY) for id_, span in called.items()}


@dataclass(frozen=True, slots=True)
class _OfOneList:
    """Calls to one list in the order of their starts. `reaches[n]`: the highest end among the calls up to n."""

    calls: list[tuple[int, int, DispatchId]]
    reaches: list[int]


class Calls:
    """Calls that were made, or may have been, each with its span: finds calls that share recipients.

    A span '' is unknown; calls with an unknown span are ignored.
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
        another list always count as overlapping, but for other parts of the same batches."""
        if not span:
            return None
        list_, start, end = _parts(span)
        for other, listed in self._lists.items():
            if _are_parts_of_one(list_, other):
                continue
            reach = len(listed.calls) if other != list_ else bisect_left(listed.calls, (end,))
            for place in reversed(range(reach)):
                if other == list_ and listed.reaches[place] <= start:
                    break
                _, call_end, id_ = listed.calls[place]
                if root_of(id_) != dispatch and (other != list_ or call_end > start):
                    return id_
        return None


def _parts(span: str) -> tuple[str, int, int]:
    list_, _, places = span.rpartition(":")
    start, _, end = places.partition("-")
    return list_, int(start), int(end)
