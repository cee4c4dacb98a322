"""The process that forks those of the tests: one for each process of tests. They start a thousand."""

import functools
from pathlib import Path
from typing import Final

from local.forked import ForkServer

_ROOT: Final = Path(__file__).parent.parent.parent
_IMPORTED: Final = ("cli.serving", "scheduler_api.app", "sender.process", "simulator.app", "web.app")


@functools.cache
def fork_server() -> ForkServer:
    return ForkServer(_IMPORTED, folder=_ROOT)
