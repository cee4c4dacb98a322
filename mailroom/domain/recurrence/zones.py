"""IANA time zones by name, and suggestions for unknown names."""

from difflib import get_close_matches
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_OTHER_WORDS: Final = {"gmt": "UTC", "z": "UTC", "zulu": "UTC", "utc+0": "UTC", "etc/utc": "UTC"}
_LEAST_COMPARED: Final = 4  # characters; shorter names, such as EST, resemble many names
_MOST_COMPARED: Final = 64


def find(name: str) -> ZoneInfo | None:
    """The zone of this name; None if it is unknown, or if its meaning depends on the machine."""
    if ("/" not in name and name != "UTC") or name.startswith(("posix", "right")):
        return None  # such as 'localtime'
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def unknown(name: str) -> str:
    """The message for an unknown time zone, with a suggestion."""
    shown = name if len(name) <= _MOST_COMPARED else f"{name[:_MOST_COMPARED]}..."
    meant = _meant(name.strip()[:_MOST_COMPARED])
    hint = f"Did you mean {meant}?" if meant else "Write an IANA name such as Europe/Berlin."
    return f'Unknown time zone "{shown}". {hint}'


def _meant(name: str) -> str | None:
    typed = name.lower().replace(" ", "_")
    by_name, by_city = _names()
    for names in (_OTHER_WORDS, by_name, by_city):
        if typed in names:
            return names[typed]
    city = typed.rpartition("/")[2]
    for names, word in ((by_name, typed), (by_city, city)):
        if len(word) >= _LEAST_COMPARED and (close := get_close_matches(word, names, n=1, cutoff=0.8)):
            return names[close[0]]
    return by_city.get(city)


@lru_cache(maxsize=1)
def _names() -> tuple[dict[str, str], dict[str, str]]:
    """Returns (zones by whole name, zones by city), with keys in small letters."""
    zones = sorted(name for name in available_timezones() if find(name) and not name.startswith("Etc/"))
    return {name.lower(): name for name in (*zones, "UTC")}, {
        name.lower().rpartition("/")[2]: name for name in reversed(zones)
    }
