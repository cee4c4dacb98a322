"""Campaigns and single mails with keys at a steady pace, each asked for until it is promised."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final

from tests.chaos.asking import Asks

RECIPIENTS: Final = 100  # of a campaign: twenty calls
_TURN_S: Final = 1.0
_MAILS_A_TURN: Final = 5
_TURNS_A_CAMPAIGN: Final = 3


class Load(threading.Thread):
    """From `start` to `end`. While the API promises nothing, the same thing is asked for again and again."""

    def __init__(self, asks: Asks) -> None:
        super().__init__(daemon=True, name="load")
        self._asks, self._ending = asks, threading.Event()
        self._campaigns = iter(list(asks.asked.marks))

    def run(self) -> None:
        for ask in self._wishes():
            while not ask():
                if self._ending.wait(0.1):
                    return
            if self._ending.is_set():
                return

    def end(self) -> None:
        self._ending.set()
        self.join(90)

    def _wishes(self) -> Iterator[Callable[[], bool]]:
        for turn in count():
            if turn % _TURNS_A_CAMPAIGN == 0 and (campaign := next(self._campaigns, None)):
                yield partial(self._asks.ask, campaign)
            yield partial(self._asks.hand_in, self._asks.more_mails(_MAILS_A_TURN))
            self._ending.wait(_TURN_S)


def campaigns_for(seconds: float) -> int:
    """How many campaigns are asked for in so long a time, at most."""
    return 1 + int(seconds / (_TURN_S * _TURNS_A_CAMPAIGN))
