"""The recipients of a long list while it is read: in a temporary database of SQLite, not in memory."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Final, Self

from mailroom.domain.audiences import Recipient
from mailroom.domain.errors import Unavailable

_CACHE_KB: Final = 16_384  # of memory; the rest is in the folder of temporary files


class RecipientsOnDisk:
    """Each address once, in the order of the folded addresses. Of a repeated address the first recipient is kept.

    For one thread. The file is gone at `close`, and with the process. Raises Unavailable where the folder of temporary
    files has no room.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # SQLite makes a file of its own for a name without text
        self._count = 0
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KB}",
            "PRAGMA journal_mode = OFF",  # nobody reads the file after a crash
            "CREATE TABLE recipients (key TEXT PRIMARY KEY, fields TEXT NOT NULL) WITHOUT ROWID",
            "BEGIN",
        ):
            self._file.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, recipient: Recipient) -> bool:
        """True unless its address is there already."""
        fields = [recipient.address, recipient.name, recipient.variables, recipient.time_zone, recipient.language]
        try:
            added = self._file.execute(
                "INSERT OR IGNORE INTO recipients VALUES (?, ?)", (recipient.key, json.dumps(fields))
            )
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the list cannot be kept in the folder of temporary files: {error}") from None
        self._count += added.rowcount
        return added.rowcount == 1

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Recipient]:
        for (fields,) in self._file.execute("SELECT fields FROM recipients ORDER BY key"):
            yield Recipient(*json.loads(fields))

    def __contains__(self, recipient: object) -> bool:
        return any(recipient == one for one in self)
