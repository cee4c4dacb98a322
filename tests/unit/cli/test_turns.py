"""How soon threads take turns."""

import sys

import pytest

from cli.turns import HEAVY, SHORT_S, USUAL_S, Turns


def test_turns_are_short_while_any_heavy_request_is_in_hand() -> None:
    turns, before = Turns(), sys.getswitchinterval()
    try:
        with turns.of(HEAVY), turns.of(HEAVY - 1):
            with turns.of(HEAVY):
                assert sys.getswitchinterval() == pytest.approx(SHORT_S)
            assert sys.getswitchinterval() == pytest.approx(SHORT_S)
        assert sys.getswitchinterval() == pytest.approx(USUAL_S)
    finally:
        sys.setswitchinterval(before)


def test_a_heavy_request_that_fails_is_out_of_hand_too() -> None:
    turns, before = Turns(), sys.getswitchinterval()
    try:
        with pytest.raises(ValueError, match="broken"), turns.of(HEAVY):
            raise ValueError("broken")
        assert sys.getswitchinterval() == pytest.approx(USUAL_S)
    finally:
        sys.setswitchinterval(before)
