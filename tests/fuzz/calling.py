"""Cases sent over the wire, with a length or in chunks, and counted by operation."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from tests.fuzz.things import Operation

UNCOUNTED: Final = frozenset({401, 404, 429})
LEAST_SHARE: Final = 0.05
_SLOW_S: Final = 60


class Text(str):
    """A body that is sent as it is written."""


@dataclass
class Row:
    """What one operation answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""

    @property
    def counted(self) -> int:
        return sum(number for status, number in self.statuses.items() if status not in UNCOUNTED)

    def share(self, *statuses: int) -> float:
        return sum(self.statuses[status] for status in statuses) / max(1, self.counted)

    @property
    def taken(self) -> float:
        return self.share(*(status for status in self.statuses if 200 <= status < 300))


@dataclass
class Tally:
    rows: dict[Operation, Row] = field(default_factory=dict)
    broken: dict[tuple[Operation, int], list[str]] = field(default_factory=dict)  # requests that were a 5xx

    def note(self, operation: Operation, status: int, took_s: float, said: str) -> None:
        row = self.rows.setdefault(operation, Row())
        row.statuses[status] += 1
        if took_s > row.slowest_s:
            row.slowest_s, row.slowest = took_s, said
        if status >= 500:
            self.broken.setdefault((operation, status), []).append(said)

    @property
    def counted(self) -> int:
        return sum(row.counted for row in self.rows.values())

    def one_sided(self) -> list[str]:
        """Operations that were not taken often enough, or not refused often enough, to say anything."""
        return [
            f"{' '.join(operation)}: {row.taken:.0%} 2xx, {row.share(422):.0%} 422 of {row.counted}"
            for operation, row in self.rows.items()
            if row.taken < LEAST_SHARE or row.share(422) < LEAST_SHARE
        ]

    def table(self) -> Iterator[str]:
        yield f"{'operation':58} {'cases':>6} {'2xx':>6} {'422':>6} {'409':>6} {'other':>6} {'5xx':>5} {'slowest':>8}"
        for operation, row in self.rows.items():
            broken = sum(number for status, number in row.statuses.items() if status >= 500)
            other = max(0.0, 1 - row.taken - row.share(422, 409) - broken / max(1, row.counted))
            shares = f"{row.taken:6.0%} {row.share(422):6.0%} {row.share(409):6.0%} {other:6.0%}"
            yield f"{' '.join(operation):58} {row.counted:6} {shares} {broken:5} {row.slowest_s * 1000:6.0f}ms"


class Caller:
    """Sends what it is told to, whatever that is."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._url, self._token, self._tally = url, token, tally
        self._session = requests.Session()

    def send(
        self,
        operation: Operation,
        path: str,
        query: Any,
        headers: Mapping[str, Any],
        raw: bytes | None,
        *,
        chunked: bool,
    ) -> int:
        """The status; 599 where there was no answer."""
        whole = {**_sendable(headers), "Authorization": f"Bearer {self._token}"}
        framing = "chunked " if chunked else ""
        said = f"{operation[0]} {path} ?{query} {_sendable(headers)} {framing}{(raw or b'')[:4_000]!r}"
        began = time.monotonic()
        status = self._status(operation[0], path, query, whole, raw, chunked)
        self._tally.note(operation, status, time.monotonic() - began, said)
        return status

    def _status(
        self, method: str, path: str, query: Any, headers: dict[str, str], raw: bytes | None, chunked: bool
    ) -> int:
        for _ in range(2):  # a connection that was kept may be closed meanwhile
            data = _in_chunks(raw) if chunked and raw else raw
            try:
                answer = self._session.request(
                    method,
                    self._url + path,
                    params=query,
                    headers=headers,
                    data=data,
                    timeout=_SLOW_S,
                    allow_redirects=False,
                )
            except requests.Timeout:
                return 599
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self._session = requests.Session()
                continue
            return answer.status_code
        return 599


def raw_of(body: Any) -> bytes:
    """As it is written on the wire; half a surrogate pair as its escape. A `Text` is no JSON."""
    if isinstance(body, Text):
        return body.encode("utf-8", "surrogatepass")
    return body if isinstance(body, bytes) else json.dumps(body, default=str).encode()


def _in_chunks(raw: bytes) -> Iterator[bytes]:
    step = max(1, len(raw) // 3)
    yield from (raw[start : start + step] for start in range(0, len(raw), step))


def _sendable(headers: Mapping[str, Any]) -> dict[str, str]:
    """Those that HTTP can carry at all."""
    found = {}
    for name, value in headers.items():
        text = str(value)
        if name.lower() in ("authorization", "content-length", "transfer-encoding", "host"):
            continue
        if name.isascii() and not set("\r\n\0") & set(text) and all(ord(one) < 256 for one in text):
            found[name] = text.strip()
    return found
