"""A process that sends one row again and again over several connections, so that it stands in nobody's way.

    python -m benchmarks.hostile.asking NAME PATH PORT TOKEN AT_ONCE SECONDS

Prints how many answers of which status came, and the longest time that one took. SECONDS 0: each connection once.
"""

import http.client
import json
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

from benchmarks.hostile.rows import ROWS, Row


def main() -> None:
    name, path, port, token, at_once, seconds = sys.argv[1:]
    row = replace(next(row for row in ROWS if row.name == name), path=path)
    body, until = row.body(), time.monotonic() + float(seconds)
    came: Counter[str] = Counter()
    spent: list[float] = []

    def ask() -> None:
        while True:
            began = time.monotonic()
            came[_once(row, int(port), token, body, float(seconds))] += 1
            spent.append(time.monotonic() - began)
            if time.monotonic() >= until:
                return

    count = row.holds or int(at_once)
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"came": came, "longest_s": round(max(spent), 2)}))


def _once(row: Row, port: int, token: str, body: bytes, seconds: float) -> str:
    if row.holds:
        return _hold(port, body, seconds)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = dict(row.headers) | ({"Authorization": f"Bearer {token}"} if token else {})
    step = 1 if len(body) > 1_000 else 20
    pieces = (body[at : at + step] for at in range(0, len(body), step))
    try:
        if row.chunked:
            line.request(row.method, row.path, pieces, headers, encode_chunked=True)
        else:
            line.request(row.method, row.path, body, headers)
        answer = line.getresponse()
        answer.read()
        return str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        line.close()


def _hold(port: int, begun: bytes, seconds: float) -> str:
    """Leave a request unfinished until the server ends it, and its answer unread."""
    until = time.monotonic() + max(seconds, 1)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.sendall(begun)
        sock.setblocking(False)
        while time.monotonic() < until:
            time.sleep(0.2)
            try:
                if sock.recv(1, socket.MSG_PEEK) == b"":
                    return "ended"
            except BlockingIOError:
                continue
            except OSError:
                return "ended"
    return "held"


if __name__ == "__main__":
    main()
