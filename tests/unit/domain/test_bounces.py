"""A bounce is hard only where it says so of the address."""

import time

import pytest

from mailroom.domain.bounces import Blame, blame, enhanced_code
from tests.unit.domain.bounce_cases import CASES

OF_ADDRESSES = [case for case in CASES if case[3] is Blame.ADDRESS]


def test_a_reply_blames_the_address_only_where_it_says_so() -> None:
    judged = [(code, enhanced, words, blame(code, enhanced, words)) for code, enhanced, words, _ in CASES]

    assert judged == CASES
    assert len(CASES) >= 100


def test_no_temporary_reply_and_no_552_suppresses_whatever_it_says() -> None:
    for _, enhanced, words, _ in OF_ADDRESSES:
        for code in (421, 450, 451, 452, 454, 552):
            assert blame(code, enhanced, words) is Blame.ELSE, (code, words)


def test_who_blames_something_else_too_does_not_blame_the_address() -> None:
    for code, enhanced, words, _ in OF_ADDRESSES:
        for more in ("; your IP is on a block list", " because the mailbox is full", ": looks like spam"):
            assert blame(code, enhanced, words + more) is Blame.ELSE, words + more


@pytest.mark.parametrize(
    "words",
    [
        "user " * 2_000,
        "mailbox, " * 2_000,
        "a." * 5_000,
        "a@" * 5_000,
        "5.1.1" * 2_000,
        "no longer " * 2_000,
        "address you are trying to " * 900,
        "-" * 10_000,
        "user a b c d e f g h " * 900,
    ],
)
def test_no_reply_takes_long_to_read(words: str) -> None:
    began = time.process_time()
    blame(550, words, words)

    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("550 5.1.1 user unknown", "5.1.1"),
        ("550-5.7.1 no", "5.7.1"),
        ("#4.2.2 full", "4.2.2"),
        ("from 5.1.1.1", ""),
        ("", ""),
        ("5.1.1.", "5.1.1"),
    ],
)
def test_the_enhanced_code_is_read_in_the_words(words: str, code: str) -> None:
    assert enhanced_code(words) == code
