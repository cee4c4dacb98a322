"""JSON of webhooks: kept where somebody has signed it, with whatever cannot be stored of it replaced."""

import json
from typing import Any

import pytest

from mailroom.providers.mending import storable_document


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"a": "x"}', {"a": "x"}),
        (b'{"a": "Hi \\ud83d!", "b": "\\ud83d\\ude00"}', {"a": "Hi \ufffd!", "b": "😀"}),
        (b'{"a": "\\ude00\\ud83d"}', {"a": "\ufffd\ufffd"}),
        (b'{"\\udc00": 1}', {"\ufffd": 1}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": NaN, "b": 1e999, "c": 2}', {"a": None, "b": None, "c": 2}),
        (b'{"a": 1180591620717411303424}', {"a": 2**70}),
        ('{"a": "ä"}'.encode("utf-8-sig"), {"a": "ä"}),
        ('{"a": "ä"}'.encode("utf-16"), {"a": "ä"}),
    ],
)
def test_what_was_signed_is_kept_and_what_cannot_be_stored_of_it_replaced(raw: bytes, kept: Any) -> None:
    document = storable_document(raw)

    assert document == kept
    assert json.dumps(document, ensure_ascii=False).encode()


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 1_000_000, b"\xff"])
def test_what_is_no_json_is_no_document(raw: bytes) -> None:
    assert storable_document(raw) is None


def test_only_a_signed_document_is_mended() -> None:
    """Mending is costly, and nobody without a key shall be able to ask for it."""

    def unsigned() -> None:
        raise PermissionError

    assert storable_document(b'{"a": 1}', unsigned) == {"a": 1}
    with pytest.raises(PermissionError):
        storable_document(b'{"a": "\\ud83d"}', unsigned)
