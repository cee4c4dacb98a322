"""Lists as people paste them: each recipient alone, or a refusal with its line."""

import pytest

from mailroom.domain.audiences import check_recipients
from mailroom.domain.errors import InvalidInput
from tests.support.lists import read, refused, taken

BO, EVE, TOM = ("bo@x.org", "Bo"), ("eve@x.org", "Eve"), ("tom@x.org", "Tom")


@pytest.mark.parametrize(
    "text",
    [
        "Bo <bo@x.org>, Eve <eve@x.org>, Tom <tom@x.org>",
        "Bo <bo@x.org>; Eve <eve@x.org>; Tom <tom@x.org>;",
        "Bo <bo@x.org>,Eve <eve@x.org>,Tom <tom@x.org>,",
        "Bo <bo@x.org>\nEve <eve@x.org>\r\nTom <tom@x.org>",
        "Bo <bo@x.org>\rEve <eve@x.org>\rTom <tom@x.org>\r",
        '"Bo" <bo@x.org>, "Eve" <eve@x.org>,\n\t"Tom" <tom@x.org>',
        "Bo <mailto:bo@x.org>; Eve <MAILTO:eve@x.org>, Tom <tom@x.org>",
        "\ufeffBo <bo@x.org>, \u200bEve\u00a0<\u200beve@x.org\u200b>\u2060,\u00a0Tom <tom@x.org>",
        "Bo <bo@x.org>, Eve <eve@x.org>, Bo again <BO@x.org>, Tom <tom@x.org>",
        ", ;,Bo < bo@x.org >,;,Eve <eve@x.org>;;\n;\nTom <tom@x.org>",
    ],
)
def test_several_in_one_line_are_several_recipients(text: str) -> None:
    found = read(text)

    assert taken(found) == [BO, EVE, TOM]
    assert not found.refused


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Smith, Bo <bo@x.org>", ["Smith, Bo"]),
        ("Smith, Bo <bo@x.org>; Doe, Eve <eve@x.org>", ["Smith, Bo", "Doe, Eve"]),
        ("Smith, Bo <bo@x.org>, Doe, Eve <eve@x.org>", ["Smith, Bo", "Doe, Eve"]),
        ('"Smith, Bo; \\"B\\"" <bo@x.org>, "Doe; Eve, Jr." <eve@x.org>', ['Smith, Bo; "B"', "Doe; Eve, Jr."]),
        ("Bo (work) <bo@x.org>, Acme: Eve <eve@x.org>", ["Bo (work)", "Acme: Eve"]),
        ("bo@x.org <bo@x.org>, 'eve@x.org' <eve@x.org>", ["bo@x.org", None]),
        ("bo@x.org eve@x.org", ["", ""]),
        ("bo@x.org\teve@x.org", ["", ""]),
        ("<bo@x.org>, <eve@x.org>", ["", ""]),
        ("mailto:bo@x.org\n<mailto:eve@x.org>", ["", ""]),
    ],
)
def test_names_in_pasted_lines_are_kept_as_they_are_written(text: str, names: list[str | None]) -> None:
    found = read(text)

    wanted = [name for name in names if name is not None]
    assert [one.name for one in found.recipients] == wanted
    assert len(found.refused) == len(names) - len(wanted)


@pytest.mark.parametrize(
    "text",
    [
        *("Bo <bo@x.org> Eve <eve@x.org>", "eve@x.org <bo@x.org>", '"Bo <bo@x.org>, Eve" <eve@x.org>', "Bo <bo@x.org"),
        *('"Bo <bo@x.org>, Eve <eve@x.org>', "Friends: bo@x.org", "bo@x.org (Bo)", "bo＠x.org", "Bo bo@x.org", "<>"),
        *("Bo <>", "b\u200bo@x.org", "Bo <bo@x.org\u200b.net>", "mailto:bo@x.org?bcc=eve@x.org", "Bo <bo@x.org>>"),
        *(
            "=?utf-8?q?Bo?= <bo@x.org>",
            "Bo %recipient% <bo@x.org>",
            "bo@x.org\u2028Bcc: eve@x.org",
            "Bo",
            "us..er@x.org",
        ),
        *(
            "bo@x.org, Bo, Eve",
            '"eve@x.org bo@x.org" <tom@x.org>',
            "x" * 600 + "@x.org",
            "Bo <bo@x.org>, <eve@x.org> <t@x>",
        ),
    ],
)
def test_what_may_be_somebody_elses_is_refused_with_its_line(text: str) -> None:
    found = read(f"ann@x.org\n\n{text}\nzoe@x.org")

    assert set(refused(found)) == {3}
    assert ("ann@x.org", "") in taken(found)
    assert ("zoe@x.org", "") in taken(found)
    assert not any("@" in name for _, name in taken(found))


def test_a_group_gives_its_members_but_the_one_beside_its_name() -> None:
    found = read("Friends: bo@x.org, eve@x.org, tom@x.org;")

    assert [address for address, _ in taken(found)] == ["eve@x.org", "tom@x.org"]
    assert refused(found) == [1]


@pytest.mark.parametrize(
    "data", [b"", b" \n ", b"PK\x03\x04 xlsx", b"\xd0\xcf\x11\xe0 xls", b"%PDF-1.7", b"\xef\xbb\xbf"]
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        found = read(data)
        check_recipients(list(found.recipients))


def test_every_refused_line_is_reported_with_the_number_that_an_editor_shows() -> None:
    text = (
        "sep=,\n"
        "\n"
        "email,name,city\n"  # line 3
        "bad,Bo,Rome\n"
        'bo@x.org,Bo,"Rome\n'
        'and Oslo"\n'
        "eve@x.org,Eve\n"  # 7: too few
        "eve@x.org,Eve,Bern,more\n"
        'eve@x.org,"Eve"x,Bern\n'
        "\n"
        ",,\n"
        "eve@x.org,Eve,Bern,\n"  # an empty cell more is none
        ",Ann,Bern\n"
        'tom@x.org,"Tom,Bern\n'  # 14: a quotation mark that is not closed
        "zoe@x.org,Zoe,Bern\n"
    )
    found = read(text)

    assert refused(found) == [4, 7, 8, 9, 13, 14]
    assert taken(found) == [BO, EVE]
    assert "from line 14 to line 15" in found.refused[-1].message
    assert [one.address for one in found.refused] == ["bad", "eve@x.org", "eve@x.org", "", "", ""]


@pytest.mark.parametrize("separator", [",", "; ", ", "])
def test_a_thousand_in_one_line_are_a_thousand(separator: str) -> None:
    assert len(read(separator.join(f"Reader {n} <reader-{n}@x.org>" for n in range(1_000))).recipients) == 1_000
    assert len(read(separator.join(f"reader-{n}@x.org" for n in range(1_000))).recipients) == 1_000
