"""A BullMQ worker on Redis, a Node program: on_bullmq.mjs beside this file. It locks each job while it is in hand.

`make bullmq` installs what it needs: Node from Debian, and the npm packages that package.json beside this file names.
"""

import functools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import form

_HERE: Final = Path(__file__).parent
_LONGEST_S: Final = 180.0


def command(redis_url: str, stub_url: str, in_flight: int) -> Sequence[str]:
    """The worker's."""
    return _node("work", "--redis", redis_url, "--stub", stub_url, "--in-flight", str(in_flight))


def fill(redis_url: str, mails: int) -> None:
    """Put the mails into the queue. Where Node or its packages are missing, the program ends and says so."""
    _compare_forms()
    subprocess.run(_node("fill", "--redis", redis_url, "--mails", str(mails)), timeout=_LONGEST_S, check=True)


@functools.cache
def _compare_forms() -> None:
    """The worker has the form in JavaScript: it must be the one that everybody posts, byte for byte."""
    shown = subprocess.run(_node("show", "--number", "4711"), timeout=_LONGEST_S, check=True, stdout=subprocess.PIPE)
    assert shown.stdout == form.body(4711), "on_bullmq.mjs posts another form than form.py"


def _node(*words: str) -> Sequence[str]:
    node = shutil.which("node")
    if node is None:
        sys.exit("BullMQ needs Node 18 or newer, and there is no `node`: `make bullmq` installs it (as root)")
    if not (_HERE / "node_modules" / "bullmq").exists():
        sys.exit(f"BullMQ needs its npm packages: `make bullmq` installs them into {_HERE / 'node_modules'}")
    return [node, str(_HERE / "on_bullmq.mjs"), *words]
