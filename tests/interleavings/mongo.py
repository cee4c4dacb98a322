"""A MongoDB of this process, so far as the storage modules use one. They run unchanged on it.

Each use of it is one step: nothing else happens within it. A transaction is one step too, wholly done or not at all:
what MongoDB promises of transactions that touch the same lane. `step` decides when a use takes place, and whether.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace, TracebackType
from typing import Any, Protocol, TypeVar

from pymongo import ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from tests.interleavings.documents import Document, aggregated, in_order, matches, updated

T = TypeVar("T")
_DUPLICATE_KEY = 11000


class Step(Protocol):
    """Let one use of a server take place. `writes`: it may change something there."""

    def __call__(self, server: str, words: str, use: Callable[[], T], *, writes: bool) -> T: ...


def at_once(_server: str, _words: str, use: Callable[[], T], *, writes: bool) -> T:
    """Without a schedule: every use takes place when it is asked for."""
    return use()


class MemoryDb:
    """Collections by attribute or name, sessions, and the server's clock."""

    codec_options = None

    def __init__(self, now: Callable[[], datetime], step: Step = at_once) -> None:
        self.now, self.step = now, step
        self.changes = 0
        self.collections: dict[str, MemoryCollection] = {}
        self.client = SimpleNamespace(start_session=lambda: _Session(self))

    def __getattr__(self, name: str) -> "MemoryCollection":
        return self[name]

    def __getitem__(self, name: str) -> "MemoryCollection":
        if name not in self.collections:
            self.collections[name] = MemoryCollection(self, name)
        return self.collections[name]

    def command(self, words: str, **_: Any) -> Document:
        return self.step("mongodb", words, lambda: {"localTime": self.now()}, writes=False)


class _Session:
    """Runs a transaction as one step, and takes everything back where it raises."""

    def __init__(self, db: MemoryDb) -> None:
        self._db = db

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        return None

    def with_transaction(self, work: Callable[["_Session"], T], **_: Any) -> T:
        def transaction() -> T:
            before = {name: dict(collection.docs) for name, collection in self._db.collections.items()}
            try:
                return work(self)
            except BaseException:
                for name, collection in self._db.collections.items():
                    collection.docs = before.get(name, {})
                raise

        words = work.__qualname__.removesuffix(".<locals>.work")
        return self._db.step("mongodb", f"transaction of {words}", transaction, writes=True)


class Rows(Sequence[Document]):
    """A cursor: the rows were found when it was asked for, for nothing happens within a step."""

    def __init__(self, rows: Sequence[Document]) -> None:
        self._rows = list(rows)

    def sort(self, order: str | list[tuple[str, int]], direction: int = 1) -> "Rows":
        return Rows(in_order(self._rows, [(order, direction)] if isinstance(order, str) else order))

    def limit(self, most: int) -> "Rows":
        return Rows(self._rows[:most])

    def hint(self, _name: str) -> "Rows":
        return self

    def batch_size(self, _rows: int) -> "Rows":
        return self

    def __getitem__(self, place: Any) -> Any:
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Document]:
        return iter(self._rows)


class MemoryCollection:
    """Documents by id. Those of a use with a session belong to the transaction's one step."""

    def __init__(self, db: MemoryDb, name: str) -> None:
        self._db, self._name = db, name
        self.docs: dict[Any, Document] = {}

    def find(self, query: Document | None = None, fields: Any = None, *, session: Any = None) -> Rows:
        return Rows(self._use("find", session, lambda: self._found(query or {})))

    def find_one(
        self, query: Document | None = None, fields: Any = None, *, sort: Any = None, session: Any = None
    ) -> Document | None:
        rows = self.find(query, fields, session=session)
        return next(iter(rows.sort(sort) if sort else rows), None)

    def aggregate(self, stages: Sequence[Any], *, hint: str | None = None, session: Any = None) -> list[Document]:
        def use() -> list[Document]:
            return aggregated(self._found({}), stages, lambda name: self._db[name]._found({}))

        return self._use("aggregate", session, use)

    def count_documents(self, query: Document) -> int:
        return len(self.find(query))

    def insert_one(self, document: Document, *, session: Any = None) -> None:
        self.insert_many([document], session=session)

    def insert_many(self, documents: Sequence[Document], *, ordered: bool = True, session: Any = None) -> None:
        def use() -> None:
            for document in documents:
                self._insert(document)

        self._use("insert", session, use, writes=True)

    def update_one(self, query: Document, change: Any, *, upsert: bool = False, session: Any = None) -> Any:
        return self.bulk_write([UpdateOne(query, change, upsert=upsert)], session=session)

    def update_many(self, query: Document, change: Any, *, session: Any = None) -> Any:
        return self.bulk_write([UpdateMany(query, change)], session=session)

    def bulk_write(self, writes: Sequence[Any], *, ordered: bool = True, session: Any = None) -> Any:
        return self._use("write", session, lambda: self._write_all(writes, ordered), writes=True)

    def find_one_and_update(
        self,
        query: Document,
        change: Any,
        *,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        session: Any = None,
    ) -> Document | None:
        def use() -> Document | None:
            before = next(iter(self._found(query)), None)
            self._write(UpdateOne(query, change, upsert=upsert))
            if return_document is ReturnDocument.BEFORE or (before is None and not upsert):
                return before
            return dict(self.docs[_id(before or query)])

        return self._use("find and update", session, use, writes=True)

    def _use(self, words: str, session: Any, use: Callable[[], T], *, writes: bool = False) -> T:
        if session is not None:
            return use()
        return self._db.step("mongodb", f"{words} {self._name}", use, writes=writes)

    def _found(self, query: Mapping[str, Any]) -> list[Document]:
        return [dict(doc) for doc in self.docs.values() if matches(doc, query)]

    def _insert(self, document: Document) -> None:
        if _id(document) in self.docs:
            raise DuplicateKeyError(f"{self._name} has {document['_id']} already", _DUPLICATE_KEY)
        self.docs[_id(document)] = dict(document)
        self._db.changes += 1

    def _write_all(self, writes: Sequence[Any], ordered: bool) -> Any:
        matched = modified = 0
        failures: list[Document] = []
        for index, write in enumerate(writes):
            try:
                one_matched, one_modified = self._write(write)
            except DuplicateKeyError as error:
                failures.append({"index": index, "code": error.code, "errmsg": str(error)})
                if ordered:
                    break
                continue
            matched, modified = matched + one_matched, modified + one_modified
        if failures:
            raise BulkWriteError({"writeErrors": failures})
        return SimpleNamespace(matched_count=matched, modified_count=modified)

    def _write(self, write: Any) -> tuple[int, int]:
        query, change = write._filter, write._doc
        found = [key for key, doc in self.docs.items() if matches(doc, query)]
        if isinstance(write, UpdateOne):
            found = found[:1]
        before = [self.docs[key] for key in found]
        for key in found:
            self.docs[key] = updated(self.docs[key], change)
        if not found and write._upsert:
            named = {name: value for name, value in query.items() if not isinstance(value, Mapping)}
            self._insert(updated(named, change, inserted=True))
        modified = sum(old != self.docs[key] for key, old in zip(found, before, strict=True))
        self._db.changes += modified
        return len(found), modified


def _id(document: Mapping[str, Any]) -> Any:
    return tuple(document["_id"].items()) if isinstance(document["_id"], Mapping) else document["_id"]
