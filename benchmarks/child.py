"""A round whose sender is one child that sends, prints the CPU seconds it took, and ends."""

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.rounds import Contender, Round
from benchmarks.stage import Stub

_LONGEST_S: Final = 180.0


def contender(stub: Stub, command: Callable[[int], Sequence[str]], *, who: str) -> Contender:
    """`command` is the child's, for so many mails; its CPU is told under the name `who`."""

    def run(mails: int) -> Round:
        stub.forget()
        before = stub.count()
        spent = subprocess.run(
            command(mails), env=dict(os.environ), timeout=_LONGEST_S, check=True, stdout=subprocess.PIPE
        )
        count = stub.wait_for(mails, timeout_s=1)
        return Round(
            mails=mails,
            rate=count.rate(),
            doubled=count.calls - count.distinct,
            cpu_us={
                who: 1e6 * float(spent.stdout) / mails,
                "stub": 1e6 * (count.cpu_s - before.cpu_s) / mails,
            },
        )

    return run
