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


def keep_to_ourselves(folder: Path) -> None:
    """Keep a folder, with everything in it already and what this process will make, from other users of this
    machine."""
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(0o700 if path.is_dir() else 0o600)
