"""The real console entry point: in this process, in one of its own, or at a terminal where somebody answers."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from tests.support.system import System

MAILROOM: Final = str(Path(sys.executable).parent / "mailroom")
(_ENTRY,) = entry_points(group="console_scripts", name="mailroom")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def id(self) -> str:
        """The one line on standard output."""
        assert self.code == 0, self.err
        (line,) = self.out.splitlines()
        return line


class Terminal:
    """Types commands with a system's settings, changed by `settings`."""

    def __init__(self, system: System, **settings: str) -> None:
        self.environment: Mapping[str, str] = {
            **{name: value for name, value in system.environment.items() if name not in ("COLUMNS", "NO_COLOR")},
            "TERM": "xterm",
            **settings,
        }

    def __call__(self, *words: str, stdin: str | bytes = b"") -> Answered:
        """A command in this process, which spares its start."""
        done = CliRunner().invoke(_ENTRY.load(), words, input=stdin, env=self.environment, prog_name="mailroom")
        return Answered(done.exit_code, done.stdout, done.stderr)

    def process(self, *words: str, stdin: str | bytes = b"") -> Answered:
        """A command in a process of its own, with its streams in pipes."""
        done = subprocess.run(
            [MAILROOM, *words],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            env=self.environment,
            capture_output=True,
            timeout=_WITHIN_S,
            check=False,
        )
        return Answered(done.returncode, done.stdout.decode(), done.stderr.decode())

    def seen(self, *words: str, answer: str = "", columns: int = 80) -> tuple[int, str]:
        """A command at a terminal. Returns (its exit status, all that stood on the screen, without colours).

        `answer` is typed when a question ends with `[y/N]: `.
        """
        done = self._at_a_terminal(words, answer, columns, {})
        return done.code, _COLOUR.sub("", done.err)

    def captured(self, *words: str, answer: str = "") -> Answered:
        """As `seen`, but with standard output in a pipe; `err` is what stood on the screen."""
        return self._at_a_terminal(words, answer, 80, {"stdout": subprocess.PIPE})

    def _at_a_terminal(self, words: Sequence[str], answer: str, columns: int, streams: Mapping[str, Any]) -> Answered:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        placed: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs, **streams}
        with subprocess.Popen([MAILROOM, *words], env=self.environment, **placed) as child:
            os.close(theirs)
            try:
                shown = _read(ours, answer)
                out = child.stdout.read().decode() if child.stdout else shown
                return Answered(child.wait(_WITHIN_S), out, shown)
            finally:
                child.kill()
                os.close(ours)


def _read(ours: int, answer: str) -> str:
    """All that is written until the command closes its terminal."""
    shown, deadline = b"", time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # nobody holds the other end any more
            break
        if not piece:
            break
        shown += piece
        if answer and shown.endswith(b"[y/N]: "):
            os.write(ours, f"{answer}\n".encode())
            answer = ""
    return shown.decode().replace("\r\n", "\n")


def faults(answered: Answered) -> dict[str, str]:
    """The faults that a refused command names, by path."""
    assert answered.code == 2, answered
    lines: Sequence[str] = answered.err.splitlines()[1:]
    return dict(line.strip().split(": ", 1) for line in lines)
