"""Copies of messages with one thing changed keep all others."""

from msgspec.structs import replace

from mailroom.domain.ids import DispatchId, MessageId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.messages.states import MessageState

MESSAGE = Message(
    MessageId("r/m"),
    RunId("r"),
    DispatchId("d"),
    "bo@example.org",
    "Bo",
    {"t1": "Bo"},
    MessageState.SUPPRESSED,
    "hard bounce",
    "to",
    sent=True,
    erased=True,
)


def test_a_copy_for_another_dispatch_keeps_all_else() -> None:
    assert MESSAGE.carried_by(DispatchId("e")) == replace(MESSAGE, dispatch_id="e")
    assert MESSAGE.carried_by(None) == replace(MESSAGE, dispatch_id=None)


def test_a_copy_with_more_parts_keeps_all_else() -> None:
    more = MESSAGE.with_parts({"u": "https://example.org/u/1"})

    assert more == replace(MESSAGE, parts={"t1": "Bo", "u": "https://example.org/u/1"})
    assert MESSAGE.parts == {"t1": "Bo"}
