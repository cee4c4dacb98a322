"""Cursors over more documents than fit into memory, without a time limit for the whole."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pymongo.cursor import Cursor

from mailroom.storage.database import Document, unhurried

# In memory at once. MongoDB's own batches have 16 MB, ten times that in Python.
_A_FEW: Final = 500


def each_of(rows: Cursor[Document]) -> Iterator[Document]:
    """The documents of a cursor, _A_FEW in memory at a time. Raises Unavailable at any document: `guarded` cannot wrap
    a generator, because it returns before the first document is read."""
    rows = rows.batch_size(_A_FEW)
    step = unhurried(lambda: list(islice(rows, _A_FEW)))
    while some := step():
        yield from some
