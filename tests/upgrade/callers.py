"""Clients of the API: what is not answered they ask the next one, under the same key."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import requests

from tests.upgrade.fleet import Place

_PATIENCE_S: Final = 90.0
_CALL_S: Final = 30.0
_AWAY: Final = 503  # a store, or the process, is away for a moment: it says so itself


class Callers:
    """Calls of the APIs, in turn. Thread-safe."""

    def __init__(self, apis: Sequence[Place], token: str) -> None:
        self._apis, self._lock = apis, threading.Lock()
        self.token = token
        self._headers = {"Authorization": f"Bearer {token}"}
        self.answers: Counter[str] = Counter()  # by the version that answered
        self.repeated: Counter[str] = Counter()  # calls without an answer, by what came instead
        self.odd: list[str] = []  # what no version should ever answer

    def call(self, method: str, path: str, *, first: int = 0, key: str = "", **rest: Any) -> requests.Response:
        """The answer of the API with the number `first`, or of the next one that gives one."""
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        until, number = time.monotonic() + _PATIENCE_S, first
        while time.monotonic() < until:
            api = self._apis[number % len(self._apis)]
            asked = f"{method} {path} of {api.name} ({api.version})"
            try:
                answer = requests.request(method, f"{api.url}{path}", headers=headers, timeout=_CALL_S, **rest)
            except requests.RequestException as error:
                self._note(type(error).__name__)
            else:
                if answer.status_code < 500:
                    with self._lock:
                        self.answers[api.version] += 1
                    return answer
                self._note(str(answer.status_code))
                if answer.status_code != _AWAY:
                    self.found(f"{answer.status_code} to {asked}: {answer.text[:200]}")
            number += 1
            time.sleep(0.05)
        raise AssertionError(f"not answered within {_PATIENCE_S:.0f} s: {asked}")

    def found(self, odd: str) -> None:
        """Something is not as it should be."""
        with self._lock:
            self.odd.append(odd)

    def _note(self, what: str) -> None:
        with self._lock:
            self.repeated[what] += 1


class Client(threading.Thread):
    """Does one step after the other until it is told to end. What breaks it is kept, and ends it."""

    def __init__(self, name: str, step: Callable[[int], None], *, pause_s: float) -> None:
        super().__init__(daemon=True, name=name)
        self._step, self._pause_s, self._ending = step, pause_s, threading.Event()
        self.broken_by: BaseException | None = None

    def run(self) -> None:
        number = 0
        try:
            while not self._ending.wait(self._pause_s):
                self._step(number)
                number += 1
        except BaseException as error:
            self.broken_by = error
            raise

    def end(self) -> None:
        """Returns once its last step is through."""
        self._ending.set()
        self.join(120)
