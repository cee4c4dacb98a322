"""`data/env`, in which `make run` keeps the settings of what it started here: the hint for a shell without them, or
with those of an earlier start, when the stores had other ports."""

import os
import shlex
from pathlib import Path
from typing import Final

_FILE: Final = Path("data/env")
_DO: Final = f"`. {_FILE}`"


def hint_without_settings() -> str:
    """Empty if no settings are kept here."""
    return f"For the system that `make run` starts in this folder: {_DO}, and try again." if _FILE.is_file() else ""


def hint_at_other_value(setting: str) -> str:
    """Empty if no settings are kept here, or they have the same value."""
    kept = _kept().get(setting, "")
    if not kept or kept == os.environ.get(setting):
        return ""
    return f" {_FILE} has another address: for that system, {_DO}."


def _kept() -> dict[str, str]:
    try:
        words = shlex.split(_FILE.read_text())
    except (OSError, ValueError):
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)
