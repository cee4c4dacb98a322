"""Signed events, posted as Mailgun posts them: what one costs, and whether each was applied once."""

import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from benchmarks.stage import cpu_of_all, cpu_s
from local.children import Child
from tests.support.system import DOMAIN, System
from tests.support.webhooks import webhook

_PATH: Final = "/webhooks/mailgun"
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Mail:
    """A stored mail, as a provider's event names it."""

    run: str
    dispatch: str
    message: str
    address: str


@dataclass(frozen=True, slots=True)
class Taker:
    """A process that takes events in, over so many connections at once; `applies`: how often it applies each."""

    process: Child
    port: int
    path: str = _PATH
    connections: int = _CONNECTIONS
    applies: int = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a round: events a second, the time of each, microseconds of processor an event in the process that
    takes them in and in the stores, and the events that were not applied as often as they should be."""

    rate: float
    latencies_ms: Sequence[float]
    intake_us: float
    stores_us: float
    not_once: int


def event(mail: Mail, kind: str, id_: str) -> dict[str, Any]:
    """What Mailgun says of a mail, without the words that nobody reads."""
    return {
        "event": kind,
        "id": id_,
        "timestamp": round(time.time(), 3),
        "recipient": mail.address,
        "message": {"headers": {"message-id": f"{mail.dispatch}.mailroom@{DOMAIN}", "to": mail.address}},
        "user-variables": {"run": mail.run, "dispatch": mail.dispatch},
        "delivery-status": {"code": 250, "message": "OK", "mx-host": "mx.example.org", "attempt-no": 1},
        "client-info": {"client-type": "email client", "client-name": "Thunderbird", "device-type": "desktop"},
        "flags": {"is-routed": False, "is-authenticated": True, "is-system-test": False, "is-test-mode": False},
        "envelope": {"transport": "smtp", "sender": f"ann@{DOMAIN}", "targets": mail.address},
    }


def posted(
    port: int, events: Sequence[dict[str, Any]], *, path: str = _PATH, connections: int = _CONNECTIONS
) -> tuple[list[float], float]:
    """Post each, some at a time. Returns the milliseconds of each, and the seconds of all. Raises RuntimeError for an
    answer other than 200."""
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for each in events:
        bodies.put(json.dumps(webhook(each, token=secrets.token_hex(25))).encode())
    spent: list[float] = []
    refused: list[str] = []
    threads = [threading.Thread(target=_post, args=(port, path, bodies, spent, refused)) for _ in range(connections)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(events)} events were refused: {refused[0]}")
    return spent, time.monotonic() - began


def measure(system: System, taker: Taker, mails: Sequence[Mail], kind: str, *, new_id: Callable[[], str]) -> Taken:
    """What an event about each of these mails costs. `new_id` makes the provider's ids."""
    events = [event(mail, kind, new_id()) for mail in mails]
    stores, ids = system.servers.children(), [mail.message for mail in mails]
    before = _applied(system, ids, kind)
    taker_s, stores_s = cpu_s(taker.process.pid), cpu_of_all(stores)
    spent, took_s = posted(taker.port, events, path=taker.path, connections=taker.connections)
    taker_us = (cpu_s(taker.process.pid) - taker_s) / len(events) * 1e6
    stores_us = (cpu_of_all(stores) - stores_s) / len(events) * 1e6
    times = [after - before[id_] for id_, after in _applied(system, ids, kind).items()]
    return Taken(len(events) / took_s, spent, taker_us, stores_us, sum(count != taker.applies for count in times))


def _applied(system: System, ids: Sequence[str], kind: str) -> dict[str, int]:
    """How many events of this kind each of these mails has, by its own facts and by the stored events alike; -1 where
    they contradict each other."""
    counts = dict.fromkeys(ids, 0)
    for doc in system.db.events.find({"message_id": {"$in": list(ids)}, "kind": kind}, {"message_id": 1}):
        counts[doc["message_id"]] += 1
    fields = {"opens": 1, "machine_opens": 1, "delivered_at": 1}
    for doc in system.db.messages.find({"_id": {"$in": list(ids)}}, fields):
        stored = counts[doc["_id"]]
        told = doc.get("opens", 0) if kind == "opened" else int("delivered_at" in doc)
        if told != (stored if kind == "opened" else min(stored, 1)):
            counts[doc["_id"]] = -1
    return counts


def _post(port: int, path: str, bodies: "SimpleQueue[bytes]", spent: list[float], refused: list[str]) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        try:
            body = bodies.get_nowait()
        except Empty:
            break
        began = time.monotonic()
        line.request("POST", path, body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        words = answer.read()
        spent.append((time.monotonic() - began) * 1000)
        if answer.status != 200:
            refused.append(f"{answer.status} {words[:200]!r}")
    line.close()
