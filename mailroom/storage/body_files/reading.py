"""Read the files of several mails in a bounded time. Whoever waits for it has other work: a sender's round, in which
lanes are kept and small mails go out."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Final

from mailroom.domain.errors import BodiesAway
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.body_files.references import FileRef

_BEGUN_WITHIN: Final = 0.25  # of the time, for the second mail and those after it: most of it belongs to the first
_SLOW: Final = "its files take long to come, and it waits for its turn"


class ReadingInTime:
    """One mail after the other, the files of each all at once. The first mail may take all of the time, so that each
    use makes progress; no other is begun once a quarter of it is over. For one thread."""

    def __init__(self, files: BodyFiles, *, within_s: float | None) -> None:
        """`within_s`: from the first reading on; None: no bound but that of each file."""
        self._files, self._within_s = files, within_s
        self._ends_at: float | None = None

    def read(self, wanted: Sequence[FileRef]) -> Mapping[FileRef, bytes]:
        """The contents of a mail's files. Raises FileGone, Unavailable; BodiesAway also if there is no time for it."""
        if not wanted:
            return {}
        if self._within_s is not None:
            now = time.monotonic()
            if self._ends_at is None:
                self._ends_at = now + self._within_s
            elif now > self._ends_at - self._within_s * (1 - _BEGUN_WITHIN):
                raise BodiesAway(_SLOW)
        coming = self._files.reading(wanted)
        try:
            return {file: self._wait_for(one) for file, one in coming.items()}
        finally:
            for one in coming.values():
                one.cancel()

    def _wait_for(self, coming: Future[bytes]) -> bytes:
        left_s = None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())
        try:
            return coming.result(left_s)
        except NotInTime:
            raise BodiesAway(_SLOW) from None
