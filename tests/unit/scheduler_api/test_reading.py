"""JSON of others: read strictly, or split where one part is wrong."""

import json
import time
from typing import Any

import pytest

from scheduler_api.reading import Unread, Unreadable, read, read_in_parts, weighs_more

HALF = '"\\ud83d"'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{bad",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"9" * 5_000,
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
        b'["\xff"]',
        b'["\xed\xa0\x80"]',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"[" * 12_000_000,
        b'{"a":' * 5_000,
        b'{"a": 1, "a": 1}',
        b'{"b": [{"a": 1, "\\u0061": 2}]}',
        b"[1,]",
        b"{} {}",
    ],
)
def test_what_is_no_json_that_could_be_stored_is_refused_at_once(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable):
        read(raw)

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "document",
    [{"a": [1, 2.5, None, True, "é😀"]}, [], "x", None, {"a": {"a": {"a": 1}}}, 10**30, {"n": -(2**63)}, {"": ""}],
)
def test_what_is_json_is_read_as_it_stands(document: Any) -> None:
    assert read(json.dumps(document).encode()) == document
    assert read(json.dumps(document, ensure_ascii=False).encode()) == document


def test_a_doubled_key_is_named() -> None:
    with pytest.raises(Unreadable, match="'subject' stands twice"):
        read(b'{"subject": "a", "text": "b", "subject": "c"}')


@pytest.mark.parametrize("bad", [HALF, "NaN", "1e999", '"\udcff"', '{"a": 1, "a": 2}'])
def test_a_part_that_cannot_be_read_concerns_no_other(bad: str) -> None:
    raw = f'{{"emails" : [ {{"n": "ä"}} , {{"x": {bad}}}, 5 ] , "more": {{"a": [1]}} }}'

    found = read_in_parts(raw.encode("utf-8", "surrogateescape"), "emails", 10)

    assert [isinstance(part, Unread) for part in found["emails"]] == [False, True, False]
    assert (found["emails"][0], found["more"]) == ({"n": "ä"}, {"a": [1]})


@pytest.mark.parametrize(
    "raw",
    [
        '{"emails": [{"x": NaN}], "more": NaN}',
        '{"emails": [{"x": NaN}], "emails": []}',
        '{"emails": [{"x": NaN}] "more": 1}',
        '{"emails": [{"x": NaN}]',
        '{"emails": [{"x": NaN}]} x',
        '{"emails": [NaN, {"x": }]}',
        '{"emails": [' + "NaN," * 11 + "1]}",
        '{"emails": [' + "[" * 100_000,
        "[NaN]",
        '{"emails": NaN}',
    ],
)
def test_what_is_wrong_elsewhere_is_refused_as_a_whole(raw: str) -> None:
    with pytest.raises(Unreadable):
        read_in_parts(raw.encode(), "emails", 10)


@pytest.mark.parametrize(
    ("raw", "most", "more"),
    [
        (b"[" + b"[]," * 1_000, 1_000, True),
        (b'["' + b"," * 5_000 + b'"]', 10, False),
        (b'["\\"' + b"," * 5_000 + b'\\\\", 1, 2]', 10, False),
        (b'["\\\\",' + b"1," * 20, 10, True),
        (b'["' + b"," * 5_000, 10, False),
        (b"{" + b'"a":"b",' * 20, 10, True),
    ],
)
def test_a_document_is_weighed_by_its_values_not_by_its_texts(raw: bytes, most: int, more: bool) -> None:
    assert weighs_more(raw, most) is more


@pytest.mark.parametrize("part", [b"[],", b'"",', b'"\\\\",', b'\\",'])
def test_weighing_costs_little_whatever_the_document(part: bytes) -> None:
    raw = b'["' + part * (40_000_000 // len(part))

    began = time.process_time()
    weighs_more(raw, 200_000)

    assert time.process_time() - began < 2


def test_a_long_run_of_backslashes_costs_little() -> None:
    raw = b'["' + b"\\" * 20_000_000 + b'"' + b"," * 1_000_000

    began = time.process_time()

    assert weighs_more(raw, 200_000)
    assert time.process_time() - began < 2
