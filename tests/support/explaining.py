"""How much MongoDB looks at to answer what storage asks, by its own account."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pymongo.monitoring import CommandListener

from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Work:
    """Of all questions of one call together. `sorts`: some rows were sorted in memory."""

    questions: int
    keys: int
    documents: int
    sorts: bool
    walks_a_collection: bool


class Questions(CommandListener):
    """Keeps the finds and aggregations that go over the wire; with `every`, all other commands too."""

    def __init__(self, *, every: bool = False) -> None:
        self.asked: list[dict[str, Any]] = []
        self._every = every

    def started(self, event: Any) -> None:
        if self._every or event.command_name in ("find", "aggregate"):
            self.asked.append({k: v for k, v in event.command.items() if not k.startswith(("$", "lsid", "txn"))})

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def listened_to(db: Db, *, every: bool = False) -> tuple[Questions, Db]:
    """The same database, by a client whose questions are kept, and with `every` its writes too."""
    questions = Questions(every=every)
    client = db.client.__class__(
        host=[f"{host}:{port}" for host, port in db.client.nodes],
        event_listeners=[questions],
        directConnection=True,
        tz_aware=True,
    )
    return questions, client[db.name]


def work_of(db: Db, ask: Callable[[Db], Any]) -> Work:
    """What `ask` costs, asked through a client whose questions are explained afterwards."""
    questions, heard = listened_to(db)
    ask(heard)
    heard.client.close()
    stats = [_explained(db, command) for command in questions.asked]
    stages = [stage for one in stats for stage in values_of(one, "stage")]
    return Work(
        questions=len(questions.asked),
        keys=sum(max(values_of(one, "totalKeysExamined"), default=0) for one in stats),
        documents=sum(max(values_of(one, "totalDocsExamined"), default=0) for one in stats),
        sorts="SORT" in stages,
        walks_a_collection="COLLSCAN" in stages,
    )


def _explained(db: Db, command: dict[str, Any]) -> Any:
    return db.command("explain", {k: v for k, v in command.items() if k != "readConcern"}, verbosity="executionStats")


def values_of(stats: Any, name: str) -> Iterator[Any]:
    """All values under this name, however deep, but of plans that were not taken."""
    if isinstance(stats, dict):
        if name in stats:
            yield stats[name]
        for key, value in stats.items():
            if key not in ("rejectedPlans", "allPlansExecution"):
                yield from values_of(value, name)
    elif isinstance(stats, list):
        for value in stats:
            yield from values_of(value, name)
