"""Group commit: requests that wait at the same moment share a transaction, and each gets its own answer.

Application servers hand in mails, and providers hand in events, each in a request of its own, hundreds a second. A
request is answered only when its item is on a majority's disks, and still costs only a fraction of a transaction.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from mailroom.domain.errors import Unavailable
from mailroom.domain.errors_as_answers import as_answer

T = TypeVar("T")
R = TypeVar("R")
_ANSWER_S: Final = 30.0


class GroupCommit(Generic[T, R]):
    """`commit` stores a batch of at most `most` items in one transaction and returns an answer for each.

    If a batch fails, each item is committed alone, so an error reaches only the caller whose item caused it;
    Unavailable reaches every caller of the batch. Construct it after a fork: it has a thread.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]], *, most: int, name: str) -> None:
        self._commit, self._most, self._name = commit, most, name
        self._waiting: queue.SimpleQueue[tuple[T, Future[R]]] = queue.SimpleQueue()
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
        answers: list[Future[R]] = [Future() for _ in items]
        for waiting in zip(items, answers, strict=True):
            self._waiting.put(waiting)
        self._ensure_running()
        deadline = time.monotonic() + _ANSWER_S
        return [self._result(answer, deadline) for answer in answers]

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
            if wanted := [(item, answer) for item, answer in group if answer.set_running_or_notify_cancel()]:
                self._answer(wanted)

    def _answer(self, group: Sequence[tuple[T, "Future[R]"]]) -> None:
        try:
            answers = self._commit([item for item, _ in group])
        except Exception as error:
            # Any error must reach each waiting request, and the next group must be taken.
            if len(group) == 1 or isinstance(error, Unavailable):
                for _, answer in group:
                    answer.set_exception(error)
                return
            for waiting in group:  # a bad item must not fail the others
                self._answer([waiting])
            return
        for (_, answer), verdict in zip(group, answers, strict=True):
            answer.set_result(verdict)

    def _result(self, answer: Future[R], deadline: float) -> R | Exception:
        try:
            return answer.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            answer.cancel()  # a caller that tries again without a key must not find the item stored later
            return Unavailable("it was not stored in time")
        except Unavailable as error:
            return as_answer(error)
        except Exception as error:  # a refusal, or a bug whose traceback the log shows
            return error
