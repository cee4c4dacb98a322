"""What attackers would give a template, and the bounds of what it may cost."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_S = 3.0  # of processor time
MOST_BYTES = 128 * 1024 * 1024  # of memory, besides what the process has

LONG = "é" * 100_000
NUMBERS = list(range(10_000))
ROWS = [{"name": f"name {n}", "tags": ["a", "b"]} for n in range(2_000)]
EVIL_KEYS = {"__class__": "a", "": "b", "a.b": "c", "$where": "d", "items": "e", "get": "f", "{{ x }}": "g"}
VALUES: dict[str, Any] = {
    "x": NUMBERS, "rows": ROWS, "long": LONG, "longs": ["x" * 99_999 + str(n) for n in range(10)], "s": "text",
    "n": 7, "o": {"items": [1, 2], "a": {"b": 1}}, "pairs": [[1, 2]] * 9_000, "hex": "f" * 100_000, "evil": EVIL_KEYS,
    "words": ["one", "two"], "nothing": [],
}  # fmt: skip


def loops(count: int, body: str, over: str = "x") -> str:
    names = "abcdefghijklmnopqrstuvwxyz"
    return "".join(f"{{% for {names[n]} in {over} %}}" for n in range(count)) + body + "{% endfor %}" * count


def within_bounds(attack: Callable[[], None], *, seconds: float = MOST_S) -> None:
    """Runs this, and asserts that it took no more processor time; more memory than MOST_BYTES it does not get."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, before[1]))
    began = time.process_time()
    try:
        attack()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - began < seconds
