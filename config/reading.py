"""Read settings one by one from the environment, a `.env` file, or a file that `NAME_FILE` points to.

Every mistake is collected, so that all are reported together. Why no library does this: docs/adr/0015.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values

from config.descriptions import DESCRIPTIONS

T = TypeVar("T")
Number = TypeVar("Number", int, float)
_MOST: Final = 10_000_000


class _Unreadable(Exception):
    """A file that a `NAME_FILE` points to cannot be read."""


class Reader:
    """Each method reads one setting. After a mistake it adds a line to `faults` and returns a harmless value, so that
    the caller can go on to the next setting."""

    def __init__(self, environ: Mapping[str, str], dotenv: Path | None) -> None:
        self._values = {**dotenv_of(dotenv), **{k: v for k, v in environ.items() if v != ""}}
        self.faults: list[str] = []

    def _raw(self, name: str) -> str | None:
        path = self._values.get(f"{name}_FILE")
        if path is None:
            return self._values.get(name) or DESCRIPTIONS[name][0]
        try:
            return Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{name}_FILE: cannot be read: {error}")
            raise _Unreadable from None

    def checked(self, name: str, read: Callable[[str], T], fallback: T) -> T:
        """`read` raises ValueError for a wrong value."""
        try:
            raw = self._raw(name)
        except _Unreadable:
            return fallback  # the fault is noted already
        if not raw or not raw.strip():
            self._fault(name, "is missing")
            return fallback
        try:
            return read(raw)
        except ValueError:
            self._fault(name, "is wrong")
            return fallback

    def each_fault(self, name: str, read: Callable[[str], tuple[T, Sequence[str]]], fallback: T) -> T:
        """`read` returns the value and every fault of it, in words that show no secret."""
        try:
            value, faults = read(self._raw(name) or "")
        except _Unreadable:
            return fallback
        self.faults += [f"{name}: {fault}" for fault in faults]
        return value

    def _fault(self, name: str, what: str) -> None:
        # The value itself stays out: it may be a secret.
        self.faults.append(f"{name} {what}: expected {DESCRIPTIONS[name][1]}")

    def text(self, name: str, *, at_least: int = 1) -> str:
        def read(raw: str) -> str:
            if len(raw) < at_least:
                raise ValueError
            return raw

        return self.checked(name, read, "")

    def keys(self, name: str, read_one: Callable[[str], str]) -> tuple[str, ...]:
        """Keys separated by commas, at least one: the first is in use, the others are taken too while they rotate."""
        return self.checked(name, lambda raw: tuple(read_one(part.strip()) for part in raw.split(",")), ())

    def optional(self, name: str) -> str:
        """The text, or an empty one where it is not set."""
        return self.text(name) if self.is_set(name, "") else ""

    def number(self, name: str, kind: Callable[[str], Number], least: float, most: float) -> Number:
        def read(raw: str) -> Number:
            number = kind(raw)
            if not least <= number <= most:
                raise ValueError
            return number

        return self.checked(name, read, kind("0"))

    def limit(self, name: str) -> int | None:
        """A whole number from 1; None for `none`."""

        def read(raw: str) -> int | None:
            if raw == "none":
                return None
            if not 1 <= int(raw) <= _MOST:
                raise ValueError
            return int(raw)

        return self.checked(name, read, None)

    def url(self, name: str, *schemes: str) -> str:
        return self.checked(name, lambda raw: url_of(raw, schemes), "")

    def urls(self, name: str, *schemes: str) -> tuple[str, ...]:
        return self.checked(name, lambda raw: tuple(url_of(part.strip(), schemes) for part in raw.split(",")), ())

    def names(self, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
        def read(raw: str) -> tuple[str, ...]:
            names = tuple(part.strip() for part in raw.split(","))
            if len(set(names)) != len(names) or not set(names) <= set(known):
                raise ValueError
            return names

        return self.checked(name, read, ())

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        def read(raw: str) -> str:
            if raw not in known:
                raise ValueError
            return raw

        return self.checked(name, read, known[0])

    def is_set(self, name: str, unset: str) -> bool:
        """True if the setting is given, by itself or as a file, and is not `unset`, the word for no value."""
        return f"{name}_FILE" in self._values or self._values.get(name, unset) != unset

    def delays(self, name: str) -> tuple[timedelta, ...]:
        def read(raw: str) -> tuple[timedelta, ...]:
            seconds = [float(part) for part in raw.split(",")] if raw.strip() != "none" else []
            if len(seconds) > 20 or any(not 0 <= s <= 7 * 86_400 for s in seconds):
                raise ValueError
            return tuple(timedelta(seconds=s) for s in seconds)

        return self.checked(name, read, ())


def matching(pattern: str, raw: str) -> str:
    """The text, if the whole of it matches. Raises ValueError."""
    if not re.fullmatch(pattern, raw):
        raise ValueError(raw)
    return raw


def aws_region(raw: str) -> str:
    """Raises ValueError."""
    return matching(r"[a-z0-9-]{4,40}", raw)


def url_of(raw: str, schemes: tuple[str, ...]) -> str:
    """The URL as it is written. Raises ValueError for another scheme, an impossible port, or no host."""
    parts = urlsplit(raw)
    if "," not in parts.netloc:  # MongoDB's URLs may name several hosts
        _ = parts.port  # raises ValueError for an impossible port
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(raw)
    return raw


def dotenv_of(path: Path | None) -> dict[str, str]:
    """The settings of a `.env` file that are not empty; none if there is no file."""
    if path is None or not path.is_file():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value}
