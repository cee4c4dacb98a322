"""A store of any size, made of copies of mails that were really sent.

One campaign to 90 recipients and one single mail go out through the services, a sender and the webhooks of the
provider. What they left in MongoDB is copied, with ids, addresses and times of its own for each copy. A block is a
thousand stored mails:

    900 recipients of campaigns   10 runs of 90; each mail has its message, its dispatch (one mail a call) and its
                                  event of delivery. Nine runs have a schedule of their own, with its content and its
                                  lane; the tenth is one more run of a schedule that all blocks share
    100 single mails              each with its email, body, message, dispatch and event of delivery

The first block is thirty days old, and each is a minute younger than the one before it: the hourly ledger, which looks
at the last hours, sees none of them. All schedules are active and due in two months. All campaigns go to one list.
Redis holds no fence of a stored mail: a fence is looked up by its key, and ages out.
"""

import random
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, WriteConcern
from rich.console import Console
from rich.progress import track

from benchmarks.growth import webhooks
from benchmarks.growth.pieces import Piece
from benchmarks.growth.webhooks import Mail
from mailroom.domain.ids import EmailId, RunId, ScheduleId, message_id, run_of_email
from mailroom.domain.instants import compact
from mailroom.services.schedules import create as create_schedule
from tests.support.builders import a_draft, recipients
from tests.support.emails import hand_in
from tests.support.system import System, wait_for

console = Console(stderr=True)
MAILS: Final = 1_000  # of a block
_RUN: Final = 90
_RUNS: Final = 10
_OF_THEIR_OWN: Final = 9
_SINGLE: Final = 100
_FIRST: Final = timedelta(days=30)  # the age of the first block
_EVERY_S: Final = 90 * 86_400  # between runs of the schedules: no stored schedule is due again
_ADDRESSES: Final = 1_000_000  # of single mails
_READER: Final = "reader-0000000@example.org"
_MARK: Final = "event-kkkkkkkkkk"
_WORD: Final = "kkkkkkkkkk"  # of the name of each schedule, one of its own
_LETTERS: Final = str.maketrans("0123456789", "abcdefghij")
_OF_A_RUN: Final = ("runs", "messages", "dispatches", "events")
_OF_A_SCHEDULE: Final = ("schedules", "contents", "lanes")
_OF_A_MAIL: Final = ("emails", "bodies", "messages", "dispatches", "events")
_INSERTERS: Final = 3
_AT_ONCE: Final = 5  # blocks


class Store:
    """`system` needs its webhooks, its API and the stub as its provider. Copies are made by `fill`."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.blocks = 0
        self._random = random.Random(24)
        self._named: set[tuple[int, int, int]] = set()
        start = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
        rule = {"kind": "every", "seconds": _EVERY_S, "time_zone": "UTC", "starts_at": start}
        draft = a_draft(name=f"Digest {_WORD}", recipients=recipients(_RUN), recurrence=rule)
        self.schedule = create_schedule.create(system.db, draft, owner="benchmark")[0].schedule.id
        self.email = EmailId(hand_in(system, to=[f"Reader <{_READER}>"], tags=["reset"]))
        self._made_at = start
        self._first = _wait_until_sent(system, start, self.schedule)
        self._deliver()
        self._campaign, self._run, self._single = self._pieces()

    def fill(self, mails: int) -> float:
        """Let so many mails be stored, in all. Returns the seconds that it took."""
        began = time.monotonic()
        client: MongoClient[RawBSONDocument] = MongoClient(
            self._system.servers.mongo_url, document_class=RawBSONDocument
        )
        db = client.get_database(self._system.db.name, write_concern=WriteConcern(w=1, j=False))
        waiting: list[Future[Any]] = []
        blocks = range(self.blocks, mails // MAILS)
        with client, ThreadPoolExecutor(_INSERTERS) as pool:
            for start in track(blocks[::_AT_ONCE], f"storing {mails:,} mails", console=console):
                documents: dict[str, list[RawBSONDocument]] = {}
                for number in range(start, min(start + _AT_ONCE, blocks.stop)):
                    self._copy(number, documents)
                for each in waiting:
                    each.result()
                waiting = [
                    pool.submit(db[name].insert_many, some, ordered=False, bypass_document_validation=True)
                    for name, some in documents.items()
                ]
            for each in waiting:
                each.result()
        self.blocks = max(self.blocks, blocks.stop)
        self._system.db.client.admin.command("fsync")
        return time.monotonic() - began

    def run(self, block: int, number: int) -> RunId:
        """A stored run; its ids follow from where it stands. The tenth is of the schedule that all blocks share."""
        schedule = self._schedule(block, number) if number < _OF_THEIR_OWN else self.schedule
        return RunId(f"{schedule}-{compact(self._at(block))}")

    def word(self, block: int, number: int) -> str:
        """By which the schedule of a stored run is found, and no other."""
        return f"{block * _RUNS + number:010d}".translate(_LETTERS)

    def single_mail(self, block: int, number: int) -> tuple[EmailId, str]:
        """A stored single mail and its address."""
        order = block * _SINGLE + number
        ms = int(self._at(block).timestamp() * 1000)
        address = f"reader-{(order * 7_919) % _ADDRESSES:07d}@example.org"
        return EmailId(f"em_{ms:011x}{order:014x}"), address

    def campaign_mail(self, block: int, number: int, reader: int) -> Mail:
        address = f"reader-{reader}@example.org"
        run = self.run(block, number)
        return Mail(run, self._dispatches[address].replace(self._first, run), message_id(run, address), address)

    def pick(self, count: int) -> list[tuple[int, int]]:
        """So many places (block, number below 9), from all over the store; the same place may come twice."""
        return [(self._random.randrange(self.blocks), self._random.randrange(_OF_THEIR_OWN)) for _ in range(count)]

    def new_event_id(self) -> str:
        """An id of a provider's event. Such ids are random: it stands anywhere among those of the stored events."""
        return f"event-{self._random.randrange(self.blocks * _RUNS):010d}{secrets.token_hex(8)}"

    def campaign_mails(self, count: int) -> list[Mail]:
        """So many mails from all over the store, each only once in the life of this object. Raises ValueError if fewer
        are left."""
        left = self.blocks * _OF_THEIR_OWN * _RUN - len(self._named)
        if count > left:
            raise ValueError(f"{count:,} mails are wanted, and {left:,} stored ones are left: store more mails")
        found: list[Mail] = []
        while len(found) < count:
            ((block, number),) = self.pick(1)
            place = (block, number, self._random.randrange(_RUN))
            if place not in self._named:
                self._named.add(place)
                found.append(self.campaign_mail(*place))
        return found

    def sizes(self) -> dict[str, Any]:
        """Gigabytes of documents, of files and of indexes, by mongod's own account."""
        stats = self._system.db.command("dbStats")
        return {name: round(stats[name] / 1e9, 2) for name in ("dataSize", "storageSize", "indexSize")} | {
            "documents": int(stats["objects"])
        }

    def _at(self, block: int) -> datetime:
        return self._made_at - _FIRST + timedelta(minutes=block)

    def _schedule(self, block: int, number: int) -> ScheduleId:
        return ScheduleId(f"sch_{block:010x}{number:08x}")

    def _copy(self, block: int, into: dict[str, list[RawBSONDocument]]) -> None:
        shift = self._at(block) - self._made_at
        for number in range(_RUNS):
            names = {"run": self.run(block, number), "event": f"event-{block * _RUNS + number:010d}"}
            if number < _OF_THEIR_OWN:
                names |= {"schedule": self._schedule(block, number), "word": self.word(block, number)}
                _add(self._campaign.copy(names, shift=shift), into)
            else:
                _add(self._run.copy(names, shift=shift), into)
        for number in range(_SINGLE):
            email, address = self.single_mail(block, number)
            names = {
                "email": email,
                "address": address,
                "digest": message_id(run_of_email(email), address).rpartition("/")[2],
            }
            _add(self._single.copy(names, shift=shift), into)

    def _deliver(self) -> None:
        """The provider delivers them all."""
        docs = list(self._system.db.messages.find({}, {"run_id": 1, "dispatch_id": 1, "address": 1}))
        self._dispatches = {doc["address"]: doc["dispatch_id"] for doc in docs if doc["run_id"] == self._first}
        mails = [Mail(doc["run_id"], doc["dispatch_id"], doc["_id"], doc["address"]) for doc in docs]
        events = [
            webhooks.event(mail, "delivered", f"{_MARK if mail.run == self._first else mail.run}{number:04d}")
            for number, mail in enumerate(mails)
        ]
        webhooks.posted(self._system.webhooks_port, events)

    def _pieces(self) -> tuple[Piece, Piece, Piece]:
        """A campaign with its schedule, a run of one that is there, and a single mail."""
        db = self._system.db
        of_run = {name: list(db[name].find(_of("run_id", self._first, name))) for name in _OF_A_RUN}
        of_schedule = {name: list(db[name].find({"_id": _ID_OF[name](self.schedule)})) for name in _OF_A_SCHEDULE}
        of_mail = {name: list(db[name].find(_of("run_id", self.email, name))) for name in _OF_A_MAIL}
        named = {"run": self._first, "event": _MARK}
        digest = message_id(run_of_email(self.email), _READER).rpartition("/")[2]
        single = {"email": self.email, "address": _READER, "digest": digest}
        return (
            Piece(of_run | of_schedule, named=named | {"schedule": self.schedule, "word": _WORD}),
            Piece(of_run, named=named),
            Piece(of_mail, named=single),
        )


_ID_OF: Final[Mapping[str, Any]] = {
    "schedules": lambda schedule: schedule,
    "contents": lambda schedule: {"schedule": schedule, "revision": 1},
    "lanes": lambda schedule: f"schedule/{schedule}",
}


def _of(field: str, id_: str, collection: str) -> dict[str, Any]:
    return {"_id" if collection in ("runs", "emails", "bodies") else field: id_}


def _add(some: Mapping[str, list[RawBSONDocument]], into: dict[str, list[RawBSONDocument]]) -> None:
    for name, documents in some.items():
        into.setdefault(name, []).extend(documents)


def _wait_until_sent(system: System, start: datetime, schedule: ScheduleId) -> RunId:
    run = RunId(f"{schedule}-{compact(start)}")
    wait_for(
        lambda: (
            (system.db.runs.find_one({"_id": run}) or {}).get("state") == "finished"
            and system.db.messages.count_documents({"sent_at": {"$exists": True}}) == _RUN + 1
        ),
        within_s=60,
        what="the campaign and the mail to be copied went out",
    )
    return run
