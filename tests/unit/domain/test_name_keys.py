"""Names as lists sort and search them."""

import pytest

from mailroom.domain.name_keys import MAX_TERM, MAX_WORDS, name_key, term_key, word_starts


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Weekday digest", "weekday digest"),
        ("  50% off | MÄRZ-Aktion ", "50 off marz aktion"),
        ("STRASSE Straße", "strasse strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁnal Ⅳ", "final iv"),
        ("ニュース 通信", "ニュース 通信"),
        ("^.*$ (?i)", "i"),
        ("🙂 !", ""),
        ("\ud800x", "x"),
    ],
)
def test_a_name_is_compared_without_case_accents_and_signs(name: str, key: str) -> None:
    assert name_key(name) == key


def test_a_name_is_found_from_each_of_its_words_on() -> None:
    assert word_starts("Weekday digest for Rome") == ["weekday digest for rome", "digest for rome", "for rome", "rome"]


def test_a_long_name_is_found_by_a_bounded_number_of_its_words_each_up_to_a_bounded_length() -> None:
    starts = word_starts("ab " * 100)

    assert len(word_starts(" ".join(f"w{number}" for number in range(100)))) == MAX_WORDS
    assert max(map(len, starts)) <= MAX_TERM
    assert any(start.startswith(term_key("AB " * 50)) for start in starts)
