"""Answer a costly question once for all callers that ask it at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Shared(Generic[K, V]):
    """Calls `work` for a key, never twice at the same time for the same key. Thread-safe.

    No caller gets an answer that was begun before its question. A caller that asks while an answer is computed waits
    for the next answer, and shares it with all other waiting callers.
    """

    def __init__(self, work: Callable[[K], V]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: dict[K, Future[V]] = {}
        self._busy: dict[K, threading.Lock] = {}

    def get(self, key: K) -> V:
        """The answer for this key. Raises the errors of `work`."""
        with self._lock:
            answer = self._waiting.get(key)
            asks = answer is None
            if answer is None:
                answer = self._waiting[key] = Future()
            busy = self._busy.setdefault(key, threading.Lock())
        if asks:
            with busy:
                self._answer(key, answer)
        return answer.result()

    def _answer(self, key: K, answer: Future[V]) -> None:
        with self._lock:
            del self._waiting[key]
        try:
            answer.set_result(self._work(key))
        except BaseException as error:
            answer.set_exception(error)
        finally:
            with self._lock:
                if key not in self._waiting:
                    self._busy.pop(key, None)
