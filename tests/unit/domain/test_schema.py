"""Which databases this release reads."""

import pytest

from mailroom.domain.errors import DatabaseTooNew
from mailroom.domain.schema import SCHEMA, require_readable


@pytest.mark.parametrize("stored", [0, SCHEMA - 1, SCHEMA, SCHEMA + 1])
def test_a_database_of_this_release_of_an_earlier_one_and_of_the_next_is_read(stored: int) -> None:
    require_readable(stored)


def test_a_database_of_the_release_after_the_next_is_refused_with_both_numbers() -> None:
    with pytest.raises(DatabaseTooNew, match=f"has schema {SCHEMA + 2}, and this version reads up to {SCHEMA + 1}"):
        require_readable(SCHEMA + 2)
