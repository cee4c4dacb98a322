"""Pictures that a mail carries, in its HTML for a browser."""

import base64

from mailroom.domain import shown_pictures
from mailroom.domain.emails.model import Attachment
from mailroom.domain.shown_pictures import with_pictures

LOGO = Attachment("logo.png", "image/png", b"\x89PNG", "logo")
AS_ADDRESS = f"data:image/png;base64,{base64.b64encode(LOGO.content).decode()}"


def test_a_picture_stands_wherever_the_html_names_it() -> None:
    html = """<img src="cid:logo"><td style="background: url(CID:logo)"><img src='cid:other'>"""

    assert with_pictures(html, [LOGO]) == (
        f"""<img src="{AS_ADDRESS}"><td style="background: url({AS_ADDRESS})"><img src='cid:other'>"""
    )


def test_what_is_no_picture_or_is_not_to_be_shown_stays_away() -> None:
    page = Attachment("page.html", "text/html", b"<script>", "page")
    odd = Attachment("odd", 'image/png"onload="x', b"x", "odd")
    beside = Attachment("beside.png", "image/png", b"x")
    html = '<img src="cid:page"><img src="cid:odd"><img src="cid:">'

    assert with_pictures(html, [page, odd, beside]) == html


def test_a_picture_that_is_named_again_and_again_makes_no_page_without_bounds() -> None:
    large = Attachment("large.png", "image/png", bytes(3_000_000), "large")

    shown = with_pictures('<img src="cid:large">' * 1_000, [large])

    assert 0 < len(shown) <= shown_pictures._MOST + 1_000 * len('<img src="cid:large">')
