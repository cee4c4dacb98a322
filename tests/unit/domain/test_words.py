"""Counts with their nouns."""

import pytest

from mailroom.domain.words import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 emails"), (1, "1 email"), (2, "2 emails"), (1_204, "1,204 emails")]
)
def test_a_count_has_its_noun_and_its_separators(count: int, words: str) -> None:
    assert counted(count, "email") == words


def test_an_irregular_plural_is_given() -> None:
    assert counted(1, "try", "tries") == "1 try"
    assert counted(2, "try", "tries") == "2 tries"
