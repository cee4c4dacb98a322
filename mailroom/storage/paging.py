"""Pages and counts of lists. Their cost grows only with the rows returned: each reads one index, named by the caller.

The index is a hint, so that MongoDB takes no other plan. Its fields are those that the query fixes, then the sort
field, then `_id`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import ASCENDING
from pymongo.collection import Collection

from mailroom.domain.searches import COUNTED, BoundedCount
from mailroom.storage.database import Document

Index = Sequence[tuple[str, int]]
Place = tuple[Any, str]  # the place of a row: the value of its sort field (None: absent), and its id
_ANY_TIME: Final = {"$gte": datetime.min.replace(tzinfo=UTC)}


@dataclass(frozen=True, slots=True)
class ListOrder:
    """An order by a field and then by id. `may_be_absent`: rows without this time exist, and come last."""

    field: str
    direction: int
    may_be_absent: bool = False

    def ranges_after(self, place: Place | None) -> Iterator[tuple[Document, Index]]:
        """The rows after a place, as ranges of an index, in order, each with its sort. An `$or` would also scan the
        rows before the place. Rows with equal values are sorted by id alone: only then does MongoDB merge the parts of
        an `$in` in index order."""
        beyond = "$gt" if self.direction == ASCENDING else "$lt"
        by_id = [("_id", self.direction)]
        by_value = [(self.field, self.direction), *by_id]
        if place is None:
            yield {self.field: _ANY_TIME} if self.may_be_absent else {}, by_value
        else:
            value, id_ = place
            yield {self.field: value, "_id": {beyond: id_}}, by_id
            if value is None:
                return
            yield {self.field: {beyond: value}}, by_value
        if self.may_be_absent:
            yield {self.field: None}, by_id


def read(
    rows: Collection[Document], query: Document, order: ListOrder, *, index: Index, after: Place | None, limit: int
) -> list[Document]:
    """At most `limit` rows after a place; from the first row if None."""
    docs: list[Document] = []
    for following, sort in order.ranges_after(after):
        part = rows.find({"$and": [query, following]}).sort(list(sort)).hint(list(index))
        docs += part.limit(limit - len(docs))
        if len(docs) == limit:
            break
    return docs


def count(rows: Collection[Document], query: Document, *, index: Index, most: int = COUNTED) -> BoundedCount:
    """The number of rows, counted up to `most`."""
    counted = rows.count_documents(query, limit=most + 1, hint=list(index))
    return BoundedCount(min(counted, most), counted <= most)
