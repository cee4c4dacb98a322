"""Group commit: requests that wait at the same moment share a transaction, and each gets its own answer.

Application servers hand in mails, and providers hand in events, each in a request of its own, hundreds a second. A
request is answered only when its item is on a majority's disks, and still costs only a fraction of a transaction.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar, cast

from mailroom.domain.errors import Unavailable
from mailroom.domain.errors_as_answers import as_answer

T = TypeVar("T")
R = TypeVar("R")
_ANSWER_S: Final = 30.0


class _Waiting(Generic[T, R]):
    """An item and its answer. A Future does more, at a price for each request: it has a condition with a list of
    waiters, and here one thread waits for one answer."""

    __slots__ = ("_answered", "_taken", "answer", "item")

    def __init__(self, item: T) -> None:
        self.item = item
        self.answer: R | Exception | None = None
        self._taken, self._answered = threading.Lock(), threading.Lock()
        self._answered.acquire()

    def take(self) -> bool:
        """Decide about the item: store it, or give it up. True for the first who asks; the other leaves it alone."""
        return self._taken.acquire(blocking=False)

    def give(self, answer: R | Exception) -> None:
        self.answer = answer
        self._answered.release()

    def wait(self, timeout_s: float) -> bool:
        """True once there is an answer."""
        return self._answered.acquire(timeout=timeout_s)


class GroupCommit(Generic[T, R]):
    """`commit` stores a batch of at most `most` items in one transaction and returns an answer for each.

    If a batch fails, each item is committed alone, so an error reaches only the caller whose item caused it;
    Unavailable reaches every caller of the batch. Construct it after a fork: it has a thread.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]], *, most: int, name: str) -> None:
        self._commit, self._most, self._name = commit, most, name
        self._waiting: queue.SimpleQueue[_Waiting[T, R]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, item: T) -> R:
        """Store an item and return its answer, once it is durable. Raises the errors of `commit`.

        Raises Unavailable after 30 s: an item that was not begun by then is never stored; of an item that was begun,
        nobody can know."""
        (answer,) = self.submit_many([item])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_many(self, items: Sequence[T]) -> list[R | Exception]:
        """Store several items, not necessarily in one transaction. Returns for each the answer, or the error of
        `submit`."""
        asked = [_Waiting[T, R](item) for item in items]
        for waiting in asked:
            self._waiting.put(waiting)
        self._ensure_running()
        deadline = time.monotonic() + _ANSWER_S
        return [self._result(waiting, deadline) for waiting in asked]

    def _ensure_running(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            group = [self._waiting.get()]
            while len(group) < self._most and not self._waiting.empty():
                group.append(self._waiting.get())
            if wanted := [waiting for waiting in group if waiting.take()]:
                self._answer(wanted)

    def _answer(self, group: Sequence[_Waiting[T, R]]) -> None:
        try:
            answers = self._commit([waiting.item for waiting in group])
        except Exception as error:
            # Any error must reach each waiting request, and the next group must be taken.
            if len(group) == 1 or isinstance(error, Unavailable):
                for waiting in group:
                    waiting.give(error)
                return
            for waiting in group:  # a bad item must not fail the others
                self._answer([waiting])
            return
        for waiting, verdict in zip(group, answers, strict=True):
            waiting.give(verdict)

    def _result(self, waiting: _Waiting[T, R], deadline: float) -> R | Exception:
        if not waiting.wait(max(0.0, deadline - time.monotonic())):
            waiting.take()  # a caller that tries again without a key must not find the item stored later
            return Unavailable("it was not stored in time")
        answer = cast(R | Exception, waiting.answer)
        # All else is a refusal, or a bug whose traceback the log shows.
        return as_answer(answer) if isinstance(answer, Unavailable) else answer
