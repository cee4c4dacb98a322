"""A stand-in for Mailgun's `POST /v3/{domain}/messages` that costs next to nothing and counts what it received.

    python -m benchmarks.stub [--port 0] [--delay-ms 0]

It shares the machine with what is measured, so it does the least that still tells a mail sent twice: find the body's
end, find the form's `v:dispatch`, write both down, answer. It is no model of Mailgun (the simulator is): nothing is
checked, every POST below /v3/ is accepted, and only a multipart form shows its dispatch.

HTTP/1.1 with kept-alive connections and bodies of a stated length; no chunks, no `Expect: 100-continue`. Also:

    GET /count      {"calls", "distinct", "first_at", "last_at", "cpu_s"}; cpu_s is its own CPU, ever since it started
    GET /receipts   [[dispatch id, time], ...] in the order of receipt; an id is null where a call had none
    DELETE /count   forget all calls
"""

import argparse
import asyncio
import gc
import json
import signal
import time
from array import array
from typing import Final, cast

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "
_DISPATCH: Final = b'name="v:dispatch"\r\n\r\n'
# The number has a fixed width, so that the length never changes and an answer is one formatting.
_ACCEPTED: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\r\n"
    b'{"id": "<%012d@stub>", "message": "Queued. Thank you."}'
)


class Receipts:
    """What was received. Columns, not rows: the garbage collector has nothing to walk through."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.calls = 0
        self.dispatches: list[bytes | None] = []
        self.times = array("d")
        self.distinct: set[bytes | None] = set()

    def count(self) -> dict[str, float | None]:
        return {
            "calls": self.calls,
            "distinct": len(self.distinct - {None}),
            "first_at": self.times[0] if self.times else None,
            "last_at": self.times[-1] if self.times else None,
            "cpu_s": time.process_time(),
        }

    def pairs(self) -> list[tuple[str | None, float]]:
        return [
            (dispatch.decode() if dispatch is not None else None, at)
            for dispatch, at in zip(self.dispatches, self.times, strict=True)
        ]


class Connection(asyncio.Protocol):
    """One client's connection. Requests are answered in the order in which they are whole."""

    def __init__(self, receipts: Receipts, delay_s: float) -> None:
        self._receipts, self._delay_s = receipts, delay_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._held = b""  # a request that is not yet whole
        self._needed = 0  # its length, once its head is known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        while len(data) >= self._needed:
            if not self._needed and not self._measure(data):
                break
            if len(data) < self._needed:
                break
            self._handle(data)
            data, self._needed = data[self._needed :], 0
        self._held = data

    def _measure(self, data: bytes) -> bool:
        """Learn how long the request is; False while its head is not whole."""
        head = data.find(_END)
        if head < 0:
            return False
        at = data.find(_LENGTH, 0, head)
        if at < 0:  # some clients write their names in lower case
            at = data[:head].lower().find(_LENGTH.lower())
        length = int(data[at + len(_LENGTH) : data.find(b"\r\n", at + 2)]) if at >= 0 else 0
        self._needed = head + len(_END) + length
        return True

    def _handle(self, data: bytes) -> None:
        if not data.startswith(b"POST /v3/"):
            self._transport.write(self._tell(data))
            return
        receipts = self._receipts
        at = data.find(_DISPATCH, 0, self._needed)
        dispatch = data[at + len(_DISPATCH) : data.find(b"\r\n", at + len(_DISPATCH))] if at >= 0 else None
        receipts.times.append(time.time())
        receipts.dispatches.append(dispatch)
        receipts.distinct.add(dispatch)
        receipts.calls += 1
        answer = _ACCEPTED % receipts.calls
        if self._delay_s:
            self._loop.call_later(self._delay_s, self._answer, answer)
        else:
            self._transport.write(answer)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    def _tell(self, data: bytes) -> bytes:
        if data.startswith(b"GET /count "):
            return _page(200, self._receipts.count())
        if data.startswith(b"GET /receipts "):
            return _page(200, self._receipts.pairs())
        if data.startswith(b"DELETE /count "):
            self._receipts.forget()
            return _page(200, {})
        return _page(404, {"message": "no such page"})


def _page(status: int, found: object) -> bytes:
    body = json.dumps(found).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(port: int, delay_s: float) -> None:
    """Serve on the loopback until SIGTERM or SIGINT; the port is printed once it is open."""
    loop, stop, receipts = asyncio.get_running_loop(), asyncio.Event(), Receipts()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(receipts, delay_s), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    gc.freeze()  # nothing that lives by now is ever garbage
    await stop.wait()
    server.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free one")
    arguments.add_argument("--delay-ms", type=float, default=0.0, help="from the whole request to its answer")
    options = arguments.parse_args()
    asyncio.run(serve(options.port, options.delay_ms / 1000))


if __name__ == "__main__":
    main()
