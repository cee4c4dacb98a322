"""The first token of a new system: made once, and kept in a file that nobody else may read."""

from datetime import UTC, datetime
from pathlib import Path

from local.private_files import write_private
from mailroom.domain.errors import AccessRefused
from mailroom.services.operations import tokens
from mailroom.services.operations.token_check import authenticate
from mailroom.storage.database import Db


def first_token(path: Path, db: Db, *, name: str) -> str:
    """The admin's token in this file, or a new one where the file has none, or one that is let in no more."""
    now = datetime.now(UTC)
    if path.exists():
        token = path.read_text().strip()
        try:
            authenticate(db, token, now=now)
        except AccessRefused:
            path.unlink()
        else:
            return token
    token = tokens.create_token(db, name=name, scopes=["admin"], now=now)
    write_private(path, token + "\n")
    return token
