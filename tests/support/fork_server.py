"""A process that has imported Mailroom, and forks. It is asked over its standard input.

Importing takes a second of a processor's time, and the tests start a thousand processes. A forked process runs the same
module with arguments, an environment, a log and a session of its own. It dies with this process, which ends when its
standard input does.
"""

import gc
import importlib
import json
import os
import runpy
import sys
import zoneinfo
from typing import Any, Final

from local.children import die_with_parent

_IMPORTED: Final = ("cli.main", "cli.serving", "scheduler_api.app", "sender.process", "simulator.app", "web.app")


def serve() -> dict[str, Any] | None:
    """Answer each line with a line: to a wish for a process its id, to the id of an ended process its return code.

    Returns None at the end of the input; in each forked process it returns the wish.
    """
    own_id, asked = os.getpid(), open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - for as long as we live
    while line := asked.readline():
        wish = json.loads(line)
        if "ended" in wish:
            answer = os.waitstatus_to_exitcode(os.waitpid(wish["ended"], 0)[1])
        elif (answer := os.fork()) == 0:
            _become(wish, parent=own_id)
            return dict(wish)
        os.write(1, f"{answer}\n".encode())
    return None


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
    zoneinfo.reset_tzpath()  # a started process would read it from its environment
    sys.argv = [wish["module"], *wish["arguments"]]


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if wish := serve():
        runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
