"""A process that posts the same body over kept-alive connections for a while: how many were answered, and how fast."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it: answers a second, the time of each, and how many were no 202."""

    rate: float
    latencies_ms: list[float]
    refused: int


def ask_for(
    seconds: float, port: int, path: str, body: bytes, headers: Mapping[str, str], connections: int, *, keyed: bool
) -> Asked:
    """In a process of its own, so that it stands in nobody's way."""
    told = {
        "seconds": seconds,
        "port": port,
        "path": path,
        "body": body.decode(),
        "headers": {**headers, "Content-Type": "application/json"},
        "connections": connections,
        "keyed": keyed,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.asking"],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return Asked(**json.loads(done.stdout))


def takes_posts(port: int, path: str) -> bool:
    """True once a route at this path answers: one that takes only POST answers a GET with 405."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 405
    except requests.RequestException:
        return False


def _main() -> None:
    told = json.load(sys.stdin)
    latencies: list[float] = []
    refused = [0]
    until = time.monotonic() + told["seconds"]

    def ask(number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", told["port"], timeout=30)
        headers, body, count = dict(told["headers"]), told["body"].encode(), 0
        while (began := time.monotonic()) < until:
            if told["keyed"]:
                count += 1
                headers["Idempotency-Key"] = f"{began:.6f}-{number}-{count}"
            line.request("POST", told["path"], body, headers)
            answer = line.getresponse()
            answer.read()
            latencies.append((time.monotonic() - began) * 1000)
            refused[0] += answer.status != 202

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(told["connections"])]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    json.dump({"rate": len(latencies) / took, "latencies_ms": latencies, "refused": refused[0]}, sys.stdout)


if __name__ == "__main__":
    _main()
