"""Children that run Mailroom's modules without importing them first (see fork_server.py)."""

import functools
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from local.children import Child

_ROOT: Final = Path(__file__).parent.parent.parent


class ForkServer:
    """The forking process, one for each process of tests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def ask(self, wish: Mapping[str, Any]) -> int:
        """The process id, or the return code, that the wish asks for."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None
        with self._lock:
            asked.write(json.dumps(dict(wish)).encode() + b"\n")
            asked.flush()
            return int(answers.readline())


@functools.cache
def fork_server() -> ForkServer:
    return ForkServer()


class ForkedProcess(subprocess.Popen[bytes]):
    """A process that another one forked, with the face of one of ours."""

    _child_created = False  # so that Popen waits for nothing

    def __init__(self, args: Sequence[str], pid: int) -> None:
        self.args, self.pid, self.returncode = args, pid, None  # type: ignore[assignment]
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        if (code := self._ended_within(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended_within(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._poll.poll(None if timeout is None else timeout * 1000):
            self.returncode = fork_server().ask({"ended": self.pid})
            os.close(self._pidfd)
        return self.returncode


class ForkedChild(Child):
    """A child that runs a module. Its return code, log, session and end are those of every child."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()  # the child opens it a moment later; until then somebody may read it
        wish = {"module": module, "arguments": list(arguments), "log": str(log.absolute()), "env": dict(env)}
        self.process = ForkedProcess([module, *arguments], fork_server().ask(wish))
