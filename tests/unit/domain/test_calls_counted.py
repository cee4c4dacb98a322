"""How many calls were made for a recipient, across the parts of a dispatch that was split, and who made the last."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mailroom.domain.dispatches.calls import calls_for, newest_claimant
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId
from tests.support.builders import NOW, a_claimed, a_dispatch, an_acceptance

PARENT = a_dispatch("p", state=DispatchState.SPLIT, attempt=1, tries=1)
S = DispatchState
YES = (an_acceptance(),)


@pytest.mark.parametrize(
    ("part", "calls"),
    [
        ({"state": S.ACCEPTED, "attempt": 0, "tries": 0, "accepted": YES}, 1),  # the parent's call was accepted for it
        ({"state": S.FAILED, "attempt": 0, "tries": 1, "inherited_tries": 1}, 1),
        ({"state": S.PENDING, "attempt": 0, "tries": 1, "inherited_tries": 1}, 1),
        ({"state": S.ACCEPTED, "attempt": 1, "tries": 1, "inherited_tries": 1, "accepted": YES}, 2),
        ({"state": S.FAILED, "attempt": 2, "tries": 3, "inherited_tries": 1}, 3),
        ({"state": S.ACCEPTED, "attempt": 1, "tries": 0, "accepted": YES}, 2),  # one of two halves
        ({"state": S.IN_DOUBT, "attempt": 1, "tries": 0}, 2),
    ],
)
def test_a_call_is_counted_once_whatever_a_part_brought_along(part: dict[str, Any], calls: int) -> None:
    child = a_dispatch("c", parent=PARENT.id, **part)

    assert calls_for(child.id, None, {PARENT.id: PARENT, child.id: child}) == calls


def test_the_newest_call_of_a_dispatch_that_a_message_left_was_not_for_it() -> None:
    left = a_dispatch("d", state=S.ACCEPTED, attempt=2, tries=1, accepted=YES)

    assert calls_for(None, left.id, {left.id: left}) == 1
    assert calls_for(None, DispatchId("gone"), {}) == 0


def test_the_worker_of_a_message_is_the_sender_of_the_newest_claim() -> None:
    claim = a_claimed().claim
    parent = a_dispatch("p", claim=replace(claim, sender="zoe-1"), claimed_at=NOW)
    part = a_dispatch(
        "c", parent=parent.id, claim=replace(claim, sender="ann-1"), claimed_at=NOW + timedelta(seconds=1)
    )

    assert newest_claimant([part, parent]) == "ann-1"
    assert newest_claimant([parent, a_dispatch("never claimed")]) == "zoe-1"
    assert newest_claimant([a_dispatch("never claimed")]) is None
