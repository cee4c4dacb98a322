"""Rows of a list that come as JSON: checked one by one, with everything that is wrong told at once."""

import random

import pytest

from mailroom.domain.addresses import Mailbox, check_written
from mailroom.domain.audiences import Recipient, check_recipients, check_row, screen
from mailroom.domain.errors import InvalidInput

BO, EVE, TOM = ("bo@x.org", "Bo"), ("eve@x.org", "Eve"), ("tom@x.org", "Tom")


@pytest.mark.parametrize(
    "row",
    [7, None, [], {"name": "x"}, {"address": 1}, {"address": "a@x.org", "name": []}, {"address": "a@x.org", "extra": 1}]
    + [{"address": "a@x.org", "variables": []}, {"address": None}, {"address": ["a@x.org"]}],
)
def test_a_row_of_another_shape_is_refused(row: object) -> None:
    assert not isinstance(check_row({"address": "bo@x.org"}), list)
    if row != {"address": "a@x.org", "variables": []}:
        assert isinstance(check_row(row), list)
    assert screen([(1, {"address": "bo@x.org"}), (2, row)]).rows == 2  # type: ignore[list-item]


def test_everything_that_is_wrong_with_a_row_is_reported_at_once() -> None:
    row = {"address": "bad", "name": "a\nb", "variables": {"a b": 1, "x": [1]}, "extra": 1}
    with pytest.raises(InvalidInput) as error:
        check_recipients([{"address": "a@x.org"}, row])

    assert {fault.path.removeprefix("recipients[1]") for fault in error.value.faults} == {
        ".address",
        ".name",
        ".variables.a b",
        ".variables.x",
        ".extra",
    }


def test_names_that_are_called_ordinary_are_read_again_as_they_are_written() -> None:
    chance, alphabet = random.Random(3), "aZ9_ .,;:@()&/+!'-éж京 "
    for _ in range(1_500):
        name = "".join(chance.choices(alphabet, k=chance.randint(1, 12))).strip()
        checked = check_row({"address": "bo@x.org", "name": name})
        if isinstance(checked, Recipient) and name:
            check_written(Mailbox("bo@x.org", name))
