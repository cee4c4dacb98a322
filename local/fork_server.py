"""A process that has imported our modules, and forks. It is asked over its standard input (see forked.py).

Importing takes a second of a processor's time and some 90 MB for each process. A forked process shares both. It runs a
module with arguments, an environment, a log and a session of its own. It dies with this process, which ends when its
standard input does.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import time
import zoneinfo
from pathlib import Path
from typing import Any

from local.children import die_with_parent


def serve() -> dict[str, Any] | None:
    """Answer each line with a line: to a wish for a process its id, to the id of an ended process its return code.

    Returns None at the end of the input; in each forked process it returns the wish.
    """
    own_id, asked = os.getpid(), open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - for as long as we live
    while line := asked.readline():
        wish = json.loads(line)
        if "ended" in wish:
            answer = _return_code(wish["ended"])
        elif (answer := os.fork()) == 0:
            _become(wish, parent=own_id)
            return dict(wish)
        os.write(1, f"{answer}\n".encode())
    return None


def _return_code(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return -signal.SIGKILL  # a child of a forking process before this one, and dead with it


def _become(wish: dict[str, Any], *, parent: int) -> None:
    """In the forked process: be what a started process would be."""
    die_with_parent(parent)
    os.setsid()
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(wish["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for from_, to in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(from_, to)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(wish["env"])
    time.tzset()  # this and the next: a started process would read them from its environment
    zoneinfo.reset_tzpath()
    Path("/proc/self/comm").write_text(wish["name"][:15])  # what `ps` and `top` show; the command line is ours
    sys.argv = [wish["module"], *wish["arguments"]]


if __name__ == "__main__":
    gc.disable()  # modules are there to stay
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    if wish := serve():
        runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
