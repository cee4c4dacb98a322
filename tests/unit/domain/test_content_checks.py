"""Hints about a mail before it goes: what a reader would not see, or could not follow."""

import time

import pytest

from mailroom.domain.content_checks import hints_for


def codes(html: str, text: str = "Hello") -> list[str]:
    return [hint.code for hint in hints_for(text, html)]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Hello</p>", []),
        (
            '<a href="https://example.com">a</a><a href="mailto:a@example.com">b</a><a href="#top">c</a><a name=x></a>',
            [],
        ),
        ('<a href="/offers">a</a>', ["broken_links"]),
        ('<a href="offers.html">a</a>', ["broken_links"]),
        ('<a href="http:///x">a</a>', ["broken_links"]),
        ('<a href="">a</a>', ["broken_links"]),
        ("<!-- <a href='/x'> --><style>a[href='/y'] {}</style>", []),
        ('<img src="https://example.com/a.png" alt="">', []),
        ('<img src="https://example.com/a.png">', ["no_alt"]),
        ('<img src="a.png">', ["no_alt", "broken_images"]),
        ('<img src="cid:logo" alt="Logo">', []),
        ("<p>" + "é" * 52_500 + "</p>", ["clipped"]),
        ("<p>" + "e" * 52_500 + "</p>", []),
    ],
)
def test_what_may_go_wrong_is_told(html: str, found: list[str]) -> None:
    assert codes(html) == found


def test_a_mail_without_a_text_part_is_told_of_and_one_without_html_is_not() -> None:
    assert codes("<p>Hi</p>", text=" ") == ["no_text"]
    assert codes("", text="Hi") == []


def test_each_broken_link_is_named_once_and_many_are_counted() -> None:
    (hint,) = hints_for("Hi", "".join(f'<a href="/page-{n % 5}">x</a>' for n in range(20)))

    assert hint.message == ("5 links without a whole address (https://…): “/page-0”, “/page-1”, “/page-2” and 2 more")


@pytest.mark.parametrize("piece", ["<a href=x>", "<img ", "<img src=a>", "<a href='", "<"])
def test_the_cost_is_bounded(piece: str) -> None:
    began = time.process_time()

    hints_for("", piece * (200_000 // len(piece)))

    assert time.process_time() - began < 3
