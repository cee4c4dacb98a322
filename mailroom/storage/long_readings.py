"""Readings of more documents than fit into memory, which take as long as there is data."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pymongo.cursor import Cursor

from mailroom.storage.database import Document, unhurried

# In memory at once. MongoDB's own batches have 16 MB, ten times that in Python.
_A_FEW: Final = 500


def each_of(rows: Cursor[Document]) -> Iterator[Document]:
    """The documents of a cursor, a few in memory at a time. Raises Unavailable, in the midst of it too: a decorator
    such as `guarded` has ended before a generator's first document is asked for."""
    rows = rows.batch_size(_A_FEW)
    step = unhurried(lambda: list(islice(rows, _A_FEW)))
    while some := step():
        yield from some
