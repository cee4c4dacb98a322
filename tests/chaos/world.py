"""The system under test: servers, simulator, senders with a proxy to each store, and what the driver asks of them.

The driver counts by its own marks: each recipient of each schedule has one, and each schedule is run once, by a
run-now that the API answered with 2xx. Beside these a schedule that is due every few seconds has marks of its own.
"""

import contextlib
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import requests

from local.children import Child
from local.servers import Servers
from mailroom.storage.dispatch_doubts import GIVES_UP
from tests.chaos.points import POINTS
from tests.chaos.proxy import Proxy
from tests.support.system import DOMAIN, System, wait_for
from tests.support.vendors import SendGrid

# The provider's log lags by half of the settling time, and its idle limit is three quarters of ours.
IDLE_LIMIT_S: Final = 4
SETTLE_S: Final = 2
# So slow is the provider that senders always have work in their hands.
LATENCY_S: Final = 0.25
SETTINGS: Final = {
    "MAILROOM_LEASE_TTL": "2",
    "MAILROOM_CALL_TIMEOUT": "1.5",
    "MAILROOM_IDLE_LIMIT": str(IDLE_LIMIT_S),
    "MAILROOM_SETTLE": str(SETTLE_S),
    "MAILROOM_RETRY_DELAYS": ",".join(["0.2"] * 20),
    "MAILROOM_SENDER_CONCURRENCY": "6",
    "MAILROOM_BATCH_SIZE": "2",
    "MAILROOM_PROVIDERS": "mailgun,sendgrid",
    "MAILROOM_CIRCUIT_FAILURES": "6",
    "MAILROOM_CIRCUIT_WINDOW": "3",
    "MAILROOM_CIRCUIT_COOLDOWN": "1",
}
_AHEAD: Final = 0.1
_MAILS_AT_ONCE: Final = 20
_TOLD_AT_ONCE: Final = 500
BEAT_S: Final = 2
BEATS: Final = 10
BEAT: Final = "beat"  # the subject of the recurring schedule's mails


@dataclass(slots=True)
class Asked:
    """What the driver asked for and was promised: the marks of each schedule whose run was answered with 2xx."""

    marks: dict[str, list[str]] = field(default_factory=dict)  # by schedule
    answered: dict[str, float] = field(default_factory=dict)  # schedule -> when its run was promised
    refused: set[str] = field(default_factory=set)  # addresses that the provider refuses
    beats: int = 0  # due instants of the recurring schedules
    mails: dict[str, list[str]] = field(default_factory=dict)  # single mails by their marks: to whom each goes
    promised: dict[str, tuple[str, float]] = field(default_factory=dict)  # mark -> its id, and when it was answered
    resolved: int = 0  # dispatches of a provider that cannot be asked, of which a person has said what became of them
    requeued: int = 0  # dispatches that failed after three crashes, and that a person has sent again


class Sender:
    """A sender process, its proxies, and the point that is armed in it."""

    def __init__(self, child: Child, proxies: dict[str, Proxy], point: str | None) -> None:
        self.child, self.proxies, self.point = child, proxies, point
        self.frozen = False

    def signal(self, number: signal.Signals) -> None:
        if self.child.alive():
            self.child.process.send_signal(number)


class World:
    """Everything that runs. Faults are done to it; `verdict` counts in it afterwards."""

    def __init__(
        self, folder: Path, servers: Servers, system: System, backup: SendGrid, *, senders: int, rng: random.Random
    ) -> None:
        self.folder, self.servers, self.system, self.rng = folder, servers, system, rng
        self.backup = backup  # the second provider: it cannot be asked, but tells by webhooks
        self.asked = Asked()
        self.hits_file = folder / "hits"
        self.hits_file.touch()
        self.senders: list[Sender] = []
        self._count, self._started = senders, 0
        self.breaks = ""
        self._beat_until = datetime.min.replace(tzinfo=UTC)
        self._armed: Counter[str] = Counter()
        self.keeping = True  # dead senders are started again
        self.telling = Telling(self)

    def hits(self) -> Counter[str]:
        """How often each point was hit with work in hand."""
        return Counter(self.hits_file.read_text().splitlines())

    def start_senders(self) -> None:
        while len(self.senders) < self._count:
            self.senders.append(self.start_sender())

    def start_sender(self, *, point: str | None = None, **settings: str) -> Sender:
        """A sender behind proxies of its own; with a point, it kills itself there."""
        ports = {"mongo": self.servers.ports.mongo, "etcd": self.servers.ports.etcd, "redis": self.servers.ports.redis}
        proxies = {name: Proxy(port) for name, port in ports.items()}
        base = self.system.environment
        # `directConnection`: else the driver asks the set for its members and goes around the proxy.
        mongo = base["MAILROOM_MONGO_URL"].replace(str(ports["mongo"]), str(proxies["mongo"].port))
        mongo = mongo.partition("?")[0] + "?directConnection=true"
        through = {
            "MAILROOM_MONGO_URL": mongo,
            "MAILROOM_ETCD_URL": f"http://127.0.0.1:{proxies['etcd'].port}",
            "MAILROOM_REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}/0",
        }
        if point:
            passings = str(self.rng.choice((1, 1, 2, 3, 8)))
            armed = {"CHAOS_POINT": point, "CHAOS_AFTER": passings, "CHAOS_HITS": str(self.hits_file)}
            settings = armed | settings
        if self.breaks:
            settings["CHAOS_BREAK"] = self.breaks
        self._started += 1
        child = self.system.start(f"sender-{self._started}", "tests.chaos.sender", **through, **settings)
        return Sender(child, proxies, point)

    def keep_senders(self) -> int:
        """Start a new sender for each that is dead, armed with the point that was hit least. Returns how many."""
        dead = [sender for sender in self.senders if not sender.child.alive()]
        if not self.keeping:
            return 0
        for sender in dead:
            self.senders.remove(sender)
            for proxy in sender.proxies.values():
                proxy.close()
        for _ in dead:
            self.senders.append(self.start_sender(point=self._next_point()))
        return len(dead)

    def _next_point(self) -> str:
        """The point that was hit and armed least: points that are seldom passed are armed more often."""
        hits = self.hits()
        least = min(POINTS, key=lambda point: (hits[point.name] * 3 + self._armed[point.name], self.rng.random()))
        self._armed[least.name] += 1
        return least.name

    def any_sender(self) -> Sender:
        living = [sender for sender in self.senders if sender.child.alive() and not sender.frozen]
        return self.rng.choice(living or self.senders)

    def prepare(self, *, schedules: int, recipients: int) -> None:
        """Schedules with their marks, and one address in some of them that the provider refuses."""
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        for number in range(schedules):
            people = [
                {"address": f"p{number}-{n}@example.org", "variables": {"mark": f"m{number}-{n}"}}
                for n in range(recipients)
            ]
            self.asked.refused |= {f"p{number}-{n}@example.org" for n in range(0, recipients, 50)}
            body = self._body(f"s{number}", people, {"kind": "once", "at": far, "time_zone": "UTC"})
            made = self.system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": f"s{number}"})
            made.raise_for_status()
            self.asked.marks[made.json()["id"]] = [person["variables"]["mark"] for person in people]
        self.system.simulator.turn(refused_addresses=sorted(self.asked.refused))
        self.backup.refused_addresses = self.asked.refused

    def prepare_mails(self, count: int) -> None:
        """Single mails to two recipients each, with their marks; some have one that the providers refuse."""
        for number in range(count):
            mark = f"e{number}"
            self.asked.mails[mark] = [f"{mark}-{n}@example.org" for n in (1, 2)]
            if number % 25 == 0:
                self.asked.refused.add(self.asked.mails[mark][0])

    def beat(self) -> None:
        """While the last recurring schedule is over: begin another one, of five recipients and so many instants."""
        if datetime.now(UTC) < self._beat_until:
            return
        first = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
        name = f"beat-{first:%H%M%S}"
        people = [{"address": f"beat-{n}@example.org", "variables": {"mark": BEAT}} for n in range(5)]
        rule = {
            "kind": "every",
            "seconds": BEAT_S,
            "time_zone": "UTC",
            "starts_at": first.isoformat(),
            "max_runs": BEATS,
        }
        body = self._body(name, people, rule) | {"misfire": {"policy": "run_all", "grace_s": 3600}}
        wait_for(lambda: self._promised(name, body), within_s=60, what="the recurring schedule is promised")
        self.asked.beats += BEATS
        self._beat_until = first + timedelta(seconds=BEAT_S * (BEATS - 1))

    def _promised(self, name: str, body: dict[str, Any]) -> bool:
        try:
            answer = self.system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": name})
        except requests.RequestException:
            return False
        return answer.status_code in (200, 201)

    def send_failed_again(self) -> int:
        """What a person does about calls whose senders were killed three times. Returns how many."""
        failed = list(self.system.db.dispatches.find({"state": "failed", "reason": GIVES_UP}, {"_id": 1}))
        for dispatch in failed:
            path = f"/v1/dispatches/{dispatch['_id']}/resolve"
            self.system.call("POST", path, json={"verdict": "send_again"}).raise_for_status()
        self.asked.requeued += len(failed)
        return len(failed)

    @staticmethod
    def _body(name: str, people: list[dict[str, Any]], rule: dict[str, Any]) -> dict[str, Any]:
        sender, subject = f"Ann <ann@{DOMAIN}>", "{{ mark }}"
        return {
            "name": name,
            "from": sender,
            "subject": subject,
            "text": "Hello",
            "recipients": people,
            "recurrence": rule,
        }

    def ask(self, schedule: str) -> bool:
        """Have a schedule run, under its own key; repeated until it is promised. False if it was not, this time."""
        try:
            answer = self.system.call(
                "POST", f"/v1/schedules/{schedule}/run-now", headers={"Idempotency-Key": f"run-{schedule}"}
            )
        except requests.RequestException:
            return False
        if answer.status_code not in (200, 202):
            return False
        self.asked.answered[schedule] = time.time()
        return True

    def hand_in(self, marks: Sequence[str]) -> bool:
        """Hand single mails in, each under its own key, repeated until all are promised. False if not, this time."""
        mails = [
            {
                "from": f"Shop <shop@{DOMAIN}>",
                "to": self.asked.mails[mark][:1],
                "bcc": self.asked.mails[mark][1:],
                "subject": mark,
                "text": "Hello",
                "priority": ("high", "normal", "low")[int(mark.removeprefix("e")) % 3],  # the same whenever it is asked
                "idempotency_key": mark,
            }
            for mark in marks
        ]
        try:
            answers = self.system.call("POST", "/v1/emails/batch", json={"emails": mails}).json()["items"]
        except (requests.RequestException, ValueError, KeyError):
            return False
        for mark, answer in zip(marks, answers, strict=True):
            if answer["code"] == 422:
                raise AssertionError(f"{mark} was refused: {answer['problem']}")
            if answer["code"] == 202:
                self.asked.promised[mark] = (answer["id"], time.time())
        return all(answer["code"] == 202 for answer in answers)

    def say_what_became_of_the_unknown(self) -> int:
        """What a person does about calls of the provider that cannot be asked: look into its record. Returns how
        many. Everything must be quiet: what is not there will not come."""
        took = {kept.ids["mailroom_dispatch"] for kept in self.backup.kept}
        unknown = list(self.system.db.dispatches.find({"state": "unknown", "provider": "sendgrid"}, {"_id": 1}))
        for dispatch in unknown:
            word = "went_out" if dispatch["_id"] in took else "send_again"
            path = f"/v1/dispatches/{dispatch['_id']}/resolve"
            self.system.call("POST", path, json={"verdict": word}).raise_for_status()
        self.asked.resolved += len(unknown)
        return len(unknown)

    def open_dispatches(self) -> Counter[str]:
        open_ = {"lane": {"$gt": ""}, "state": {"$in": ["pending", "sending", "in_doubt"]}}
        found = self.system.db.dispatches.find(open_, {"state": 1, "provider": 1})
        return Counter(f"{doc['state']} at {doc.get('provider', 'nobody')}" for doc in found)

    def what_is_open(self) -> Counter[str]:
        """How much is still to be done, of each kind; nothing when all is quiet."""
        db, found = self.system.db, self.open_dispatches()
        found["runs"] = db.runs.count_documents({"state": {"$in": ["planning", "planned"]}})
        found["recurring schedules"] = db.schedules.count_documents({"state": "active", "name": {"$regex": "^beat"}})
        found["webhooks"] = self.telling.waiting
        return +found

    def close(self) -> None:
        for sender in self.senders:
            for proxy in sender.proxies.values():
                proxy.close()


class Asking(threading.Thread):
    """Asks for one schedule after the other, somewhat ahead of the faults: there is always work to break."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True, name="asking")
        self._world = world
        self.progress = 0.0  # of the faults, from 0 to 1

    def run(self) -> None:
        world = self._world
        asks: list[Callable[[], bool]] = [partial(world.ask, schedule) for schedule in world.asked.marks]
        mails = list(world.asked.mails)
        for number, start in enumerate(range(0, len(mails), _MAILS_AT_ONCE)):
            asks.insert(number * 2 % (len(asks) + 1), partial(world.hand_in, mails[start : start + _MAILS_AT_ONCE]))
        whole = len(asks)
        while asks:
            ahead = 1 - len(asks) / whole - self.progress
            if ahead > _AHEAD or not asks[0]():
                time.sleep(0.2)
            else:
                asks.pop(0)

    @property
    def through(self) -> bool:
        return not self.is_alive()


class Telling(threading.Thread):
    """The second provider's webhooks: what it took is told a moment later, until it is taken in."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True, name="telling")
        self._world, self._told, self._ending = world, 0, threading.Event()
        self._anew = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(SETTLE_S / 2):
            if self._anew.is_set():
                self._anew.clear()
                self._told = 0
            kept = self._world.backup.kept[self._told : self._told + _TOLD_AT_ONCE]
            with contextlib.suppress(requests.RequestException):
                if kept and self._world.backup.tell_of(kept, self._world.system.api_url, "processed").ok:
                    self._told += len(kept)

    @property
    def waiting(self) -> int:
        """How many calls are still to be told of."""
        return len(self._world.backup.kept) - (0 if self._anew.is_set() else self._told)

    def tell_all_again(self) -> None:
        """MongoDB was put back to a copy, which does not know what was told since."""
        self._anew.set()

    def finish(self) -> None:
        self._ending.set()
        self.join(10)


def log_events(folder: Path) -> list[dict[str, Any]]:
    """Every log line of every sender, as its fields."""
    found = []
    for path in sorted((folder / "logs").glob("sender-*.log")):
        for line in path.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found
