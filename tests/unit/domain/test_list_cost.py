"""No list, whoever sends it, takes long to be read or refused."""

import time

import pytest

from mailroom.domain.audiences import MAX_TOLD
from mailroom.domain.errors import InvalidInput
from tests.support.lists import read

HOSTILE = {
    "commas": b"," * 200_000,
    "a header and commas": b"email,name\n" + b"," * 180_000,
    "quotes": b'a@x.org "' + b'"' * 199_980,
    "quotes and commas": b"a@x.org " + b'",' * 98_000,
    "quotes and backslashes": b"a@x.org " + b'"\\' * 98_000,
    "open brackets": b"a@x.org " + b"<" * 199_980,
    "at signs": b"@" * 200_000,
    "at signs and commas": b"@," * 80_000,
    "dots": b"a" + b"." * 199_000 + b"@x.org",
    "spaces": b"a@x.org" + b" " * 180_000 + b"b@x.org",
    "invisible": ("a@x.org" + "\u200b" * 180_000 + "b").encode(),
    "addresses in one line": b"a@x.org," * 25_000,
    "an unclosed quotation mark": b'email,name\nbo@x.org,"Bo\n' + b"eve@x.org,Eve\n" * 12_000,
    "quotes in a table": b"email,name\n" + b'bo@x.org,"Bo"x\n' * 12_000,
    "nothing but line ends": b"email\n" + b"\n" * 200_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_hostile_list_takes_long(data: bytes) -> None:
    begun = time.process_time()
    try:
        found = read(data)
        assert len(found.refused) <= MAX_TOLD
    except InvalidInput:
        pass
    assert time.process_time() - begun < 3  # a quadratic one takes minutes


def test_a_line_without_end_is_refused_before_it_is_looked_at() -> None:
    begun = time.process_time()
    with pytest.raises(InvalidInput, match="line 1 has more than 1,000,000 characters"):
        read(b"," * 8_000_000)
    assert time.process_time() - begun < 4
