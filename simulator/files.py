"""The files of a mail: attachments, and the pictures that its HTML names by `cid:`, which its reader sees."""

import hashlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, unquote

from simulator.store import Store

INLINE: Final = "inline"
_MOST_SHOWN: Final = 5_000_000  # bytes of a picture that are kept to be shown
_CID: Final = re.compile(r"""(["'(]\s*)cid:([^"')\s]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class File:
    """`content_id`: the name by which the HTML shows it; Mailgun takes the filename."""

    kind: str  # `attachment` or `inline`
    filename: str
    content_type: str
    content: bytes
    content_id: str = ""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What the record keeps of it."""
        return {
            "kind": self.kind,
            "filename": self.filename,
            "content_type": self.content_type,
            "size": len(self.content),
            "sha256": self.sha256,
            "content_id": self.content_id or self.filename,
        }


def keep_pictures(db: sqlite3.Connection, files: Sequence[File]) -> None:
    """Keep the pictures of a call, each content once."""
    kept = [one for one in files if one.kind == INLINE and len(one.content) <= _MOST_SHOWN]
    db.executemany("INSERT OR IGNORE INTO pictures VALUES (?, ?)", [(one.sha256, one.content) for one in kept])


def picture(store: Store, files: Sequence[Mapping[str, Any]], content_id: str) -> tuple[bytes, str] | None:
    """A picture that one of these recorded files is: (its bytes, its media type). None if none is kept."""
    named = next((one for one in files if one["kind"] == INLINE and one.get("content_id") == content_id), None)
    row = store.row("SELECT content FROM pictures WHERE sha256 = ?", (named["sha256"],)) if named else None
    return (row["content"], named["content_type"]) if named and row else None


def with_pictures(html: str, root: str) -> str:
    """The HTML with each `cid:` led to the page of that picture, below `root`."""
    return _CID.sub(lambda match: f"{match[1]}{root}/{quote(unquote(match[2]), safe='')}", html)
