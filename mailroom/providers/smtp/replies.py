"""An SMTP server's answers, read strictly (RFC 5321 4.2): nothing else counts as an answer.

Only the first digit decides the meaning of an answer (RFC 5321 4.3.2).
"""

import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(rb"([2-5]\d\d)(?!\d)(-?)\s*(.*)", re.S)
_LONGEST_LINE: Final = 8 * 1024  # bytes; RFC 5321 4.5.3.1.5 allows 512
_MOST_BYTES: Final = 64 * 1024  # of one answer


class Garbled(Exception):
    """The server sent no answer, or not an answer to the command."""


@dataclass(frozen=True, slots=True)
class SmtpAnswer:
    """A whole answer: its code, and the words of all its lines."""

    code: int
    words: str

    @property
    def taken(self) -> bool:
        return self.code // 100 == 2

    @property
    def go_on(self) -> bool:
        return self.code // 100 == 3

    @property
    def refused(self) -> bool:
        return self.code // 100 in (4, 5)

    def __str__(self) -> str:
        return f"{self.code} {self.words}"


class Inbox:
    """Incoming bytes, and the answers in them."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._code, self._words = 0, list[str]()
        self._size = 0

    def __bool__(self) -> bool:
        """True if there are unread bytes."""
        return bool(self._bytes or self._words)

    def put(self, received: bytes) -> None:
        self._bytes += received

    def take(self) -> SmtpAnswer | None:
        """The next whole answer, or None if more of it is to come. Raises Garbled."""
        while (end := self._bytes.find(b"\n")) >= 0:
            line = bytes(self._bytes[:end])
            del self._bytes[: end + 1]
            if answer := self._read_line(line):
                return answer
        if len(self._bytes) > _LONGEST_LINE:
            raise Garbled("the line is too long to be an answer")
        return None

    def _read_line(self, line: bytes) -> SmtpAnswer | None:
        found = _LINE.fullmatch(line.rstrip(b"\r"))
        if not found:
            raise Garbled(f"no answer of an SMTP server: {line[:100]!r}")
        code = int(found[1])
        if self._words and code != self._code:
            raise Garbled(f"one answer with two codes, {self._code} and {code}")
        self._size += len(line)
        if self._size > _MOST_BYTES:
            raise Garbled("the answer is too long to be one")
        self._code = code
        self._words.append(found[3].decode("utf-8", "replace").strip())
        if found[2]:
            return None
        answer = SmtpAnswer(code, "\n".join(self._words))
        self._words, self._size = [], 0
        return answer
