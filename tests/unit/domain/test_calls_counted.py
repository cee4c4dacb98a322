"""How many calls were made for a recipient, across the parts of a dispatch that was split."""

from typing import Any

import pytest

from mailroom.services.mails.view import _calls_for

PARENT = {"_id": "p", "state": "split", "attempt": 1, "tries": 1}


@pytest.mark.parametrize(
    ("part", "calls"),
    [
        ({"state": "accepted", "attempt": 0, "tries": 0, "accepted": [{}]}, 1),  # the parent's call was accepted for it
        ({"state": "failed", "attempt": 0, "tries": 1, "inherited_tries": 1}, 1),
        ({"state": "pending", "attempt": 0, "tries": 1, "inherited_tries": 1}, 1),
        ({"state": "accepted", "attempt": 1, "tries": 1, "inherited_tries": 1, "accepted": [{}]}, 2),
        ({"state": "failed", "attempt": 2, "tries": 3, "inherited_tries": 1}, 3),
        ({"state": "accepted", "attempt": 1, "tries": 0, "accepted": [{}]}, 2),  # one of two halves
        ({"state": "in_doubt", "attempt": 1, "tries": 0}, 2),
    ],
)
def test_a_call_is_counted_once_whatever_a_part_brought_along(part: dict[str, Any], calls: int) -> None:
    made = {"p": PARENT, "c": part | {"_id": "c", "parent": "p"}}

    assert _calls_for({"dispatch_id": "c"}, made) == calls
