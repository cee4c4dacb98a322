"""A log file that writes the lines of requests many at a time, so that no request waits for its own.

A busy process answers a thousand requests a second. A write for each line would cost as much as a fifth of the answer.
"""

import atexit
import contextlib
import threading
from typing import Final, TextIO

_LINGER_S: Final = 0.1
_MOST: Final = 256 * 1024  # characters that wait, for a disk that is slow
_OF_A_REQUEST: Final = '"event": "request"'


class LingeringFile:
    """What `WriteLogger` and `logging` write to. A line of a request is written within a tenth of a second, and is lost
    with a process that is killed in that time. Any other line is written at once, after those before it. Thread-safe,
    also after a fork."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lines, self._size = file, list[str](), 0
        self._lingers = True  # nothing but lines of requests waits, and there is room for more
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        atexit.register(self._write_out)

    def write(self, text: str) -> int:
        with self._lock:
            self._lines.append(text)
            self._size += len(text)
            if self._size >= _MOST or (_OF_A_REQUEST not in text and text != "\n"):
                self._lingers = False
        return len(text)

    def flush(self) -> None:
        """Write everything, unless only lines of requests wait."""
        if not self._lingers:
            self._write_out()
        elif self._thread is None or not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_LINGER_S):
            self._write_out()

    def _write_out(self) -> None:
        with self._lock:
            text, self._lines, self._size, self._lingers = "".join(self._lines), [], 0, True
            if text:
                with contextlib.suppress(ValueError, OSError):  # closed, or nobody reads it any more
                    self._file.write(text)
                    self._file.flush()
