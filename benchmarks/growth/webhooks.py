"""Signed events, posted as Mailgun posts them: what one costs, and whether each was applied once."""

import hashlib
import hmac
import http.client
import json
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from benchmarks.stage import cpu_of_all, cpu_s
from local.children import Child
from tests.support.system import DOMAIN, System

_CONNECTIONS: Final = 16
KEY: Final = "signing-key-for-tests"


@dataclass(frozen=True, slots=True)
class Mail:
    """A stored mail, as a provider's event names it."""

    run: str
    dispatch: str
    message: str
    address: str


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
    port: int, events: Sequence[dict[str, Any]], *, path: str = "/webhooks/mailgun", connections: int = _CONNECTIONS
) -> tuple[list[float], float]:
    """Post each, some at a time. Returns the milliseconds of each, and the seconds of all. Raises RuntimeError for an
    answer other than 200."""
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for each in events:
        bodies.put(_signed(each))
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


def measure(
    system: System, intake: Child, mails: Sequence[Mail], kind: str, *, new_id: Callable[[], str]
) -> dict[str, Any]:
    """What an event about each of these mails costs. `new_id` makes the provider's ids. `not_once`: events that were
    not applied exactly once."""
    events = [event(mail, kind, new_id()) for mail in mails]
    stores = system.servers.children()
    ids = [mail.message for mail in mails]
    before = applied(system, ids, kind)
    intake_s, stores_s = cpu_s(intake.pid), cpu_of_all(stores)
    spent, took_s = posted(system.webhooks_port, events)
    intake_us = (cpu_s(intake.pid) - intake_s) / len(events) * 1e6
    stores_us = (cpu_of_all(stores) - stores_s) / len(events) * 1e6
    times = [after - before[id_] for id_, after in applied(system, ids, kind).items()]
    return {
        "intake_us": round(intake_us),
        "stores_us": round(stores_us),
        "a_second": round(len(events) / took_s),
        "p50_ms": round(statistics.median(spent), 1),
        "not_once": sum(count != 1 for count in times),
    }


def applied(system: System, ids: Sequence[str], kind: str) -> dict[str, int]:
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


def _signed(event_: dict[str, Any]) -> bytes:
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    signature = hmac.new(KEY.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    return json.dumps({"signature": signed, "event-data": event_}).encode()


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
