"""What a process keeps of the memory that its threads have freed."""

import subprocess
import sys

# One thread after the other fills 10 MB, frees them, and lives on.
THREADS = """
import threading, sys
from cli.freed_memory import keep_little
if sys.argv[1] == "little":
    keep_little()
over, turn, done = threading.Event(), threading.Semaphore(1), threading.Semaphore(0)
def work():
    with turn:
        blocks = [b"x" * 100_000 for _ in range(100)]
        del blocks
    done.release()
    over.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: done.acquire()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
over.set()
"""


def kept_mb(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, timeout=60, check=True)
    return int(done.stdout) * 1024 / 1_000_000


def test_a_process_of_many_threads_keeps_the_space_of_a_few_requests() -> None:
    assert kept_mb("little") < kept_mb("as usual") / 2
