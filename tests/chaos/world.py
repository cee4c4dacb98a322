"""The system under test: servers, simulator, senders with proxies of their own, and what the driver asks of them."""

import random
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.children import Child
from local.servers import Servers
from tests.chaos.asking import Asks
from tests.chaos.points import POINTS
from tests.chaos.proxy import Proxy, Way
from tests.chaos.stories import Gap, Story
from tests.chaos.telling import Telling
from tests.support.clusters import Clusters
from tests.support.dovecot import Dovecot
from tests.support.smtp_backup import SmtpBackup
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid

# The provider's log lags by half of the settling time, and its idle limit is three quarters of ours.
IDLE_LIMIT_S: Final = 4
SETTLE_S: Final = 2
# So slow is the provider that senders always have work in their hands.
LATENCY_S: Final = 0.25
_START_S: Final = 90.0
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
# A lease longer than etcd's elections, and shorter than the idle limit; calls as large as keep six processes more busy.
CLUSTER_SETTINGS: Final = {"MAILROOM_LEASE_TTL": "3", "MAILROOM_BATCH_SIZE": "5"}
_OFTEN: Final = 3  # hits, after which a point may also be hit at a later passing


@dataclass(eq=False)
class Sender:
    """A sender process, its ways to each store, and the point that is armed in it. A steady one is never armed: it
    lives through what happens to the stores."""

    child: Child
    ways: dict[str, list[Proxy]]
    point: str | None
    steady: bool = False

    def signal(self, number: signal.Signals) -> None:
        if self.child.alive():
            self.child.process.send_signal(number)

    def has_started(self) -> bool:
        return "sender_started" in self.child.log.read_text(errors="replace")

    def close_ways(self) -> None:
        for way in self.all_ways():
            way.close()

    def open_ways(self) -> None:
        for way in self.all_ways():
            way.way = Way.OPEN

    def all_ways(self) -> Sequence[Proxy]:
        return [way for ways in self.ways.values() for way in ways]


class World:
    """Everything that runs. Faults are done to it; `verdict` counts in it afterwards."""

    def __init__(
        self,
        folder: Path,
        servers: Servers,
        system: System,
        backup: SendGrid | SmtpBackup,
        *,
        senders: int,
        rng: random.Random,
        steady: int = 0,
        mailbox: Dovecot | None = None,
    ) -> None:
        self.folder, self.servers, self.system, self.rng = folder, servers, system, rng
        self.backup = backup  # the second provider: it cannot be asked, but tells by webhooks
        self.mailbox = mailbox  # that bounces of mails by SMTP come to
        self.stories: list[Story] = []
        self.gaps: list[Gap] = []  # what MongoDB lost
        self.asks = Asks(system, backup)
        self.asked = self.asks.asked
        self.hits_file = folder / "hits"
        self.hits_file.touch()
        self.senders: list[Sender] = []
        self._count, self._steady, self._started = senders, steady, 0
        self.breaks = ""
        self._armed: Counter[str] = Counter()
        self.keeping = True  # dead senders are started again
        self.telling = Telling(self, every_s=SETTLE_S / 2)

    @property
    def lease_ttl_s(self) -> float:
        return float(self.system.settings.sending.lease_ttl_s)

    def hits(self) -> Counter[str]:
        """How often each point was hit with work in hand."""
        return Counter(self.hits_file.read_text().splitlines())

    def start_senders(self) -> None:
        while len(self.senders) < self._count:
            self.senders.append(self.start_sender(steady=len(self.senders) < self._steady))

    def start_sender(self, *, point: str | None = None, steady: bool = False, **settings: str) -> Sender:
        """A sender behind proxies of its own; with a point, it kills itself there."""
        ways, through = _ways(self.servers, self.system)
        if point:
            # A point that is seldom passed is hit at its first passing.
            passings = str(self.rng.choice((1, 1, 2, 3, 8)) if self.hits()[point] >= _OFTEN else 1)
            armed = {"CHAOS_POINT": point, "CHAOS_AFTER": passings, "CHAOS_HITS": str(self.hits_file)}
            settings = armed | settings
        if self.breaks:
            settings["CHAOS_BREAK"] = self.breaks
        self._started += 1
        child = self.system.start(f"sender-{self._started}", "tests.chaos.sender", **through, **settings)
        return Sender(child, ways, point, steady)

    def keep_senders(self, *, arm: bool = True) -> int:
        """Start a new sender for each that is dead, armed with the point that was hit least. Returns how many."""
        dead = [sender for sender in self.senders if not sender.child.alive()]
        if not self.keeping:
            return 0
        for sender in dead:
            self.senders.remove(sender)
            sender.close_ways()
        for sender in dead:
            point = self._next_point() if arm and not sender.steady else None
            self.senders.append(self.start_sender(point=point, steady=sender.steady))
        return len(dead)

    def disarm(self) -> None:
        """Kill the senders that would kill themselves, and start others: from now on nobody dies unbidden. Returns when
        all of them run."""
        for sender in self.senders:
            if sender.point is not None:
                sender.child.kill()
        self.keep_senders(arm=False)
        for sender in self.senders:
            sender.open_ways()
            wait_for(sender.has_started, within_s=_START_S, what="a sender has started")

    def _next_point(self) -> str:
        """The point that was hit and armed least: points that are seldom passed are armed more often."""
        hits = self.hits()
        least = min(POINTS, key=lambda point: (hits[point.name] * 3 + self._armed[point.name], self.rng.random()))
        self._armed[least.name] += 1
        return least.name

    def any_sender(self) -> Sender:
        living = [sender for sender in self.senders if sender.child.alive()]
        return self.rng.choice(living or self.senders)

    def open_dispatches(self) -> Counter[str]:
        open_ = {"lane": {"$gt": ""}, "state": {"$in": ["pending", "sending", "in_doubt"]}}
        found = self.system.db.dispatches.find(open_, {"state": 1, "provider": 1})
        return Counter(f"{doc['state']} at {doc.get('provider', 'nobody')}" for doc in found)

    def what_is_open(self) -> Counter[str]:
        """How much is still to be done, of each kind; nothing when all is quiet."""
        db, found = self.system.db, self.open_dispatches()
        found["runs"] = db.runs.count_documents({"state": {"$in": ["planning", "planned"]}})
        ends = {"state": "active", "name": {"$regex": "^(beat|zoned)-"}}
        found["schedules that end"] = db.schedules.count_documents(ends)
        found["webhooks"] = self.telling.waiting
        return +found

    def beat(self) -> None:
        """Between two faults: what is asked for when nothing is broken."""
        self.asks.beat()
        for story in self.stories:
            story.beat()

    def stories_waiting(self) -> Counter[str]:
        """What must still come of the stories."""
        return sum((story.waiting() for story in self.stories), Counter[str]())

    def close(self) -> None:
        for sender in self.senders:
            sender.close_ways()


def _ways(servers: Servers, system: System) -> tuple[dict[str, list[Proxy]], dict[str, str]]:
    """Proxies of one sender to each store, and the settings that lead it through them."""
    ways: dict[str, list[Proxy]] = {}
    through: dict[str, str] = {}
    if isinstance(servers, Clusters):  # clients go to the members of MongoDB and Redis, behind proxies of their own
        ways["etcd"] = [Proxy(port) for port in servers.etcd_ports]
        ways["redis"] = [Proxy(port) for port in servers.sentinels.ports]
        through["MAILROOM_REDIS_URL"] = servers.sentinels.url_of([way.port for way in ways["redis"]])
    else:
        ways["redis"] = [Proxy(servers.ports.redis)]
        through["MAILROOM_REDIS_URL"] = f"redis://127.0.0.1:{ways['redis'][0].port}/0"
        ways["etcd"], ways["mongo"] = [Proxy(servers.ports.etcd)], [Proxy(servers.ports.mongo)]
        # `directConnection`: else the driver asks the set for its members and goes around the proxy.
        url = system.environment["MAILROOM_MONGO_URL"].replace(str(servers.ports.mongo), str(ways["mongo"][0].port))
        through["MAILROOM_MONGO_URL"] = url.partition("?")[0] + "?directConnection=true"
    through["MAILROOM_ETCD_URL"] = ",".join(f"http://127.0.0.1:{way.port}" for way in ways["etcd"])
    return ways, through
