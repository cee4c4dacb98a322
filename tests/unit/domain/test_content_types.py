"""The types of attachments, as RFC 2045 has them and as people write them."""

import pytest

from mailroom.domain.emails.content_types import parse_content_type


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("application/pdf", "application/pdf"),
        ("Text/Calendar; method=REQUEST; charset=utf-8", "text/calendar; method=REQUEST; charset=utf-8"),
        ("text/calendar;charset=UTF-8;method=REQUEST", "text/calendar; charset=UTF-8; method=REQUEST"),
        ('text/plain; charset="utf-8"', "text/plain; charset=utf-8"),
        ('text/x; a="b c; d"', 'text/x; a="b c; d"'),
        ('application/pdf; name="a.pdf"', "application/pdf"),
        ("text/csv;", "text/csv"),
        ("text/csv ; header=present", "text/csv; header=present"),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ("image/svg+xml", "image/svg+xml"),
    ],
)
def test_a_type_is_read_with_its_parameters(written: str, read: str) -> None:
    assert str(parse_content_type(written)) == read
    assert parse_content_type(read) == parse_content_type(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "pdf",
        "text/",
        "/plain",
        "text/plain/x",
        "text/plain charset=utf-8",
        "text/plain; charset",
        "text/plain; a=1; A=2",
        "text/plain; a=b\r\nBcc: x",
        'text/plain; a="b\r\nBcc: x"',
        'text/plain; a="b',
        "text/plain; a=é",
        "text/plain, text/html",
    ],
)
def test_what_is_no_type_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"type|parameter"):
        parse_content_type(written)
