"""Many requests, one transaction: what waits at the same moment is written together, and each is answered by itself.

Application servers hand in mails, and providers events, one a request, hundreds a second. Each is answered only when
its own is on a majority's disks, and still it costs a fraction of a transaction.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar

from mailroom.domain.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")
_ANSWER_S: Final = 30.0


class GroupCommit(Generic[T, R]):
    """`commit` stores a batch in one transaction and answers for each; what it raises goes to whom it concerns.

    Make it after a fork: it has a thread.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]], *, most: int, name: str) -> None:
        self._commit, self._most, self._name = commit, most, name
        self._waiting: queue.SimpleQueue[tuple[T, Future[R]]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, item: T) -> R:
        """Return once it is stored for good. Raises what `commit` raises, or Unavailable where it takes too long: what
        was not begun by then is never stored; of what was, nobody can know."""
        (answer,) = self.submit_many([item])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_many(self, items: Sequence[T]) -> list[R | Exception]:
        """The same for several, which need not fall into one transaction: what `submit` would return or raise."""
        answers: list[Future[R]] = [Future() for _ in items]
        for waiting in zip(items, answers, strict=True):
            self._waiting.put(waiting)
        self._ensure_running()
        deadline = time.monotonic() + _ANSWER_S
        return [_result(answer, deadline) for answer in answers]

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
            if wanted := [one for one in group if one[1].set_running_or_notify_cancel()]:
                self._answer(wanted)

    def _answer(self, group: Sequence[tuple[T, "Future[R]"]]) -> None:
        try:
            answers = self._commit([item for item, _ in group])
        except Exception as error:
            # Whatever it is, each waiting request must hear of it, and the next group must be taken.
            if len(group) == 1 or isinstance(error, Unavailable):
                for _, answer in group:
                    answer.set_exception(error)
                return
            for one in group:  # one bad item must not sink the others
                self._answer([one])
            return
        for (_, answer), verdict in zip(group, answers, strict=True):
            answer.set_result(verdict)


def _result(answer: "Future[Any]", deadline: float) -> Any:
    try:
        return answer.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        answer.cancel()  # who asks again, without a key, must not find it stored later
        return Unavailable("it was not stored in time")
    except Exception as error:
        return error
