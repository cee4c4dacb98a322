"""Children that run our modules without importing them first (see fork_server.py)."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from local.children import Child, ChildFailed, die_with_parent

_END_S: Final = 10.0


class ForkServer:
    """The forking process. It imports at once, and its first child waits for that. When it dies, its children die too;
    the next child is forked by a new one."""

    def __init__(
        self, modules: Sequence[str], *, env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """`modules`: what it imports. `folder`: where it runs; None: where we do."""
        self._command = [sys.executable, "-m", "local.fork_server", *modules]
        self._env, self._folder = dict(env) if env is not None else None, folder
        self._lock = threading.Lock()
        self._process = self._begin()

    def fork(self, wish: Mapping[str, Any]) -> int:
        """The id of a new process. Raises ChildFailed."""
        with self._lock:
            if self._process.poll() is None and (pid := self._ask(wish)):
                return pid
            self._end()
            self._process = self._begin()
            if pid := self._ask(wish):
                return pid
        raise ChildFailed("the process that starts the others ended at its start")

    def return_code(self, pid: int) -> int:
        """Of a process that has ended."""
        with self._lock:
            code = self._ask({"ended": pid})
        return -signal.SIGKILL if code is None else code  # it died with the one that knew

    def close(self) -> None:
        """End it, with all its children."""
        with self._lock:
            self._end()

    def _begin(self) -> "subprocess.Popen[bytes]":
        parent = os.getpid()
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
            cwd=self._folder,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )

    def _ask(self, wish: Mapping[str, Any]) -> int | None:
        """The number that it answers; None if it has ended."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None
        try:
            asked.write(json.dumps(dict(wish)).encode() + b"\n")
            asked.flush()
            answer = answers.readline()
        except (OSError, ValueError):
            return None
        return int(answer) if answer else None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # a wish was on its way


class ForkedProcess(subprocess.Popen[bytes]):
    """A process that another one forked, with the face of one of ours."""

    _child_created = False  # so that Popen waits for nothing

    def __init__(self, args: Sequence[str], pid: int, server: ForkServer) -> None:
        self.args, self.pid, self.returncode = args, pid, None
        self._server = server
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
            self.returncode = self._server.return_code(self.pid)
            os.close(self._pidfd)
        return self.returncode


class ForkedChild(Child):
    """A child that runs a module. Its return code, log, session and end are those of every child."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        server: ForkServer,
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()  # the child opens it a moment later; until then somebody may read it
        wish = {
            "name": name,
            "module": module,
            "arguments": list(arguments),
            "log": str(log.absolute()),
            "env": dict(env),
        }
        self.process = ForkedProcess([module, *arguments], server.fork(wish), server)
