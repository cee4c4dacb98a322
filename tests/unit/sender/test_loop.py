"""Which duties a round of the loop has, and how the pause after it ends."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane, Token
from sender import process
from sender.loop import Loop
from sender.process import Sender
from tests.support.builders import NOW


def a_loop(done: list[str], monkeypatch: pytest.MonkeyPatch) -> Loop:
    """It has a lane of single mails, and notes what it does."""

    def noting(name: str) -> Callable[..., int]:
        def note(*_: object, **__: object) -> int:
            done.append(name)
            return 0

        return note

    monkeypatch.setattr("sender.loop.take_over", noting("take over"))
    monkeypatch.setattr("sender.loop.move_elsewhere", noting("move elsewhere"))
    services: Any = SimpleNamespace(db=None, fences=None, adapters={}, leases=SimpleNamespace(held=True))
    in_flight: Any = SimpleNamespace(tokens=lambda: {Lane("mail/1"): Token(1)}, claims_in_hand=list)
    lanes: Any = SimpleNamespace(
        reconcile_if_due=noting("reconcile"),
        reenter=noting("reenter"),
        set_aside_broken=noting("set aside"),
        take_share=noting("take share"),
        take_wanted=noting("take wanted"),
        give_back_idle=noting("give back"),
    )
    guard: Any = SimpleNamespace(is_held=noting("guard"), on_hold=SimpleNamespace(everything=False))
    planner: Any = SimpleNamespace(busy_s=0.0)
    claimer: Any = SimpleNamespace(send=noting("claim"))
    presence: Any = SimpleNamespace(check_in=noting("check in"))
    clocks: Any = SimpleNamespace(read=lambda: SimpleNamespace(now=NOW))
    return Loop(
        services,
        in_flight,
        lanes,
        guard,
        claimer,
        planner,
        presence,
        clocks,
        sender="s",
        taken=lambda: None,
    )


ALWAYS = ["guard", "reenter", "set aside", "take share", "move elsewhere", "check in"]
LOOKS = ["reconcile", "take wanted", "take over", "claim", "give back"]


def test_a_round_of_a_rest_looks_for_no_work_and_keeps_the_lease_the_share_and_the_check_ins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = list[str]()
    loop = a_loop(done, monkeypatch)

    loop.step(resting=True)

    assert done == ALWAYS
    done.clear()
    loop._move_at = 0.0
    loop.step()
    assert sorted(done) == sorted([*ALWAYS, *LOOKS])


def test_a_sender_that_is_told_to_end_ends_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    paused, stop = threading.Event(), threading.Event()

    def pause_s() -> float:
        paused.set()
        return 60.0

    monkeypatch.setattr(process, "start_duties", lambda *_, **__: None)
    monkeypatch.setattr(process, "end_duties", lambda _: None)
    sender: Any = Sender.__new__(Sender)
    sender._services = SimpleNamespace(leases=SimpleNamespace(end=lambda: None))
    sender._parts = SimpleNamespace(
        alive=True,
        idle_s=lambda: 0.0,
        start=lambda: None,
        finish=lambda: None,
        progress=threading.Event(),
        rest=SimpleNamespace(goes_on=lambda: False, pause_s=pause_s),
        loop=SimpleNamespace(step=lambda resting: False),
        in_flight=SimpleNamespace(in_hand=lambda: 0),
        presence=SimpleNamespace(drain=lambda: None),
    )
    began = time.monotonic()
    threading.Thread(target=lambda: paused.wait(30) and stop.set()).start()

    sender._send(stop)

    assert time.monotonic() - began < 30
