"""The named steps of the protocol, as places in the code: before or after a function, and only with work in hand.

A sender under test wraps the function of the point that is armed; nothing in the product knows of this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


def _anything(_args: tuple[Any, ...], _result: Any) -> bool:
    return True


def _a_result(_args: tuple[Any, ...], result: Any) -> bool:
    return bool(result)


def _moved(_args: tuple[Any, ...], result: Any) -> bool:
    return bool(result.moved)


def _second(args: tuple[Any, ...], _result: Any) -> bool:
    return bool(args[1])


def _under_way(_args: tuple[Any, ...], result: Any) -> bool:
    return result is None


@dataclass(frozen=True, slots=True)
class Point:
    """`owner` is a module, or a class in one (`module:Class`); `with_work` looks at arguments and result."""

    name: str
    owner: str
    function: str
    after: bool
    with_work: Callable[[tuple[Any, ...], Any], bool] = _anything


POINTS: Final = (
    Point("lanes taken", "mailroom.services.dispatching.lanes", "take_lanes", True, lambda _, result: bool(result[0])),
    Point("instants decided", "mailroom.services.planning.plan", "plan_due", True, _moved),
    Point("chunk planned", "mailroom.services.planning.plan", "expand", True, _moved),
    Point("before the claim", "mailroom.services.dispatching.claims", "claim", False),
    Point("within the claim", "mailroom.storage.dispatches.claims", "claim", True),
    Point("claimed", "mailroom.services.dispatching.claims", "claim", True, _a_result),
    Point(
        "made ready",
        "mailroom.services.dispatching.requests:Preparing",
        "build",
        True,
        lambda _, result: bool(result[0]),
    ),
    Point("before the fence", "sender.fencer", "cross_fences", False, _second),
    Point("fence crossed", "sender.fencer", "cross_fences", True, lambda _, result: bool(result.go)),
    Point("before the call", "sender.caller", "begin", False),
    Point("request written", "sender.caller", "advance", True, _under_way),
    Point("answer read", "sender.caller", "advance", True, _a_result),
    Point("before the fence is closed", "mailroom.coordination.fences:Fences", "close", False, _second),
    Point("fence closed", "mailroom.coordination.fences:Fences", "close", True, _second),
    Point("mails told", "mailroom.storage.messages.marks", "mark_sent", True, _second),
    Point("acceptance written", "mailroom.storage.dispatches.acceptances", "record_accepted", True, _second),
    Point("doubt written", "mailroom.storage.dispatches.outcomes", "record_in_doubt", True, _second),
    Point("fence released", "mailroom.coordination.fences:Fences", "release", True, _second),
    Point("within a return", "mailroom.storage.dispatches.outcomes", "return_to_pending", True, _second),
    Point("fence split", "mailroom.coordination.fences:Fences", "split", True, _second),
    Point("within a split", "mailroom.storage.dispatches.splits", "split", True, _a_result),
    Point("fences read", "mailroom.coordination.fences:Fences", "read", True, _second),
    Point("taken over", "sender.loop", "take_over", True, _a_result),
    Point("question put off", "mailroom.storage.dispatches.doubts", "put_off", True, _second),
    Point("provider asked", "mailroom.providers.mailgun.sending:MailgunAdapter", "ask", True),
    Point("doubt settled", "mailroom.services.reconciliation.conclusions", "_decide", True, _a_result),
)
BY_NAME: Final = {point.name: point for point in POINTS}
