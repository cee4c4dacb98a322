"""Files that no other user of the machine may read: passwords, tokens, settings."""

import os
from pathlib import Path


def write_private(path: Path, content: str) -> Path:
    """Replace the file in one step. A crash leaves the old file or the new one, never a part of either."""
    beside = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    beside.replace(path)
    return path
