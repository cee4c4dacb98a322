"""Child processes that never outlive us: ended in order at a stop, and by the kernel if we are killed."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.02
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailed(Exception):
    """A child did not become healthy; the message ends with the last lines of its log."""


class Child:
    """A started process with its log file. SIGKILL reaches it when we die, even by `kill -9`.

    The kernel sends that signal when the *thread* that started the child ends, so start children from a thread
    that lives as long as they should.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        inherits: Sequence[int] = (),
    ) -> None:
        """`inherits` are the file descriptors that the child keeps open."""
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                pass_fds=inherits,
                # A terminal's Ctrl-C reaches only us: the children are ended by us, in order.
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, healthy: Callable[[], bool], *, timeout_s: float) -> None:
        """Return once `healthy()` is true. Raises ChildFailed when the child ends or the time is over."""
        wait_until_all([(self, healthy)], timeout_s=timeout_s)

    def stop(self, *, grace_s: float, by: signal.Signals = signal.SIGTERM) -> None:
        """The signal `by`, then SIGKILL once the grace is over. Safe to call twice."""
        if not self.alive():
            return
        self.process.send_signal(by)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def tail(self, lines: int = 15) -> str:
        """The last lines of the child's log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def wait_until_all(children: Iterable[tuple[Child, Callable[[], bool]]], *, timeout_s: float) -> None:
    """Return once each child is healthy; they are asked in turn. Raises ChildFailed when one that is not healthy yet
    ends, or the time is over."""
    deadline, waiting = time.monotonic() + timeout_s, list(children)
    while time.monotonic() < deadline:
        for child, _ in waiting:
            if not child.alive():
                code = child.process.returncode
                raise ChildFailed(f"{child.name} ended with {code} at its start:\n{child.tail()}")
        waiting = [(child, healthy) for child, healthy in waiting if not healthy()]
        if not waiting:
            return
        time.sleep(_POLL_S)
    child, _ = waiting[0]
    raise ChildFailed(f"{child.name} was not healthy within {timeout_s:.0f} s:\n{child.tail()}")


def die_with_parent(parent: int | None = None) -> None:
    """In a process that was just forked: let SIGKILL reach it when its parent dies. `parent`: the id of the process
    that forked, where it is known: if that one is dead already, this one ends at once."""
    ask = _die_with(os.getppid() if parent is None else parent)
    if ask is not None:
        ask()


def _die_with(parent: int) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc = _libc

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the kernel was asked
            os._exit(1)

    return ask_the_kernel
