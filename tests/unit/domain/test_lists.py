"""Lists as people paste and upload them: each recipient alone, or a refusal with its line."""

import random
import time

import pytest

from mailroom.domain.addresses import Mailbox, check_written
from mailroom.domain.audiences import MAX_TOLD, Recipient, Screened, check_recipients, check_row, screen
from mailroom.domain.errors import InvalidInput
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import look_at, rows_of

BO, EVE, TOM = ("bo@x.org", "Bo"), ("eve@x.org", "Eve"), ("tom@x.org", "Tom")


def read(text: str | bytes, **look: str) -> Screened:
    data = text if isinstance(text, bytes) else text.encode()
    return screen(rows_of(data, look_at(data, **look)))


def taken(found: Screened) -> list[tuple[str, str]]:
    return [(one.address, one.name) for one in found.recipients]


def refused(found: Screened) -> list[int]:
    return [one.row for one in found.refused]


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


MAILCHIMP = (
    '"Email Address","First Name","Last Name",Address,"Phone Number",Tags,MEMBER_RATING\n'
    'bo@x.org,Bo,Smith,"1 Main St, Springfield",555,"""a"", ""b""",2\n'
    "eve@x.org,Eve,,,,,2\n"
)


def test_what_mailchimp_exports_is_read_and_its_names_are_put_together() -> None:
    look = look_at(MAILCHIMP.encode())
    found = read(MAILCHIMP)

    assert [column.role for column in look.columns][:4] == [
        Role.ADDRESS,
        Role.NAME_AND_FIELD,
        Role.NAME_AND_FIELD,
        Role.FIELD,
    ]
    assert not look.certain
    assert taken(found) == [("bo@x.org", "Bo Smith"), ("eve@x.org", "Eve")]
    assert found.recipients[0].variables == {
        "first_name": "Bo",
        "last_name": "Smith",
        "Address": "1 Main St, Springfield",
        "phone_number": "555",
        "Tags": '"a", "b"',
        "MEMBER_RATING": "2",
    }


@pytest.mark.parametrize(
    "text",
    [
        *("address,name\nbo@x.org,Bo\neve@x.org,Eve", "sep=;\naddress;name\nbo@x.org;Bo\neve@x.org;Eve\n"),
        *('"sep=,"\r\nEmail,Name\r\nbo@x.org,Bo\r\neve@x.org,Eve', "Email\tName\rbo@x.org\tBo\reve@x.org\tEve\r"),
        *(
            "\n\n E-Mail | Full name \nbo@x.org|Bo\n\n;\neve@x.org|Eve\n".replace(";", " | "),
            "name;e-mail\nBo;bo@x.org\nEve;eve@x.org",
        ),
        *(
            "address,email,name\n1 Main St,bo@x.org,Bo\n,eve@x.org,Eve",
            "email,address,name\nbo@x.org,x,Bo\neve@x.org,y,Eve",
        ),
        *("bo@x.org,Bo\neve@x.org,Eve".replace("Bo", '"Bo"'), "Kontakt;Name\nbo@x.org;Bo\neve@x.org;Eve"),
        *("email,name,,\nbo@x.org,Bo,,\neve@x.org,Eve,,", "email,name,,\nbo@x.org,Bo\neve@x.org,Eve"),
        "\ufeffEmail;Name\nbo@x.org;Bo\n\ufeffeve@x.org\u200b;\u00a0Eve",
        "Address,Email,Name\nbo@x.org,bo@x.org,Bo\neve@x.org,eve@x.org,Eve",
    ],
)
def test_tables_of_many_makers_are_read(text: str) -> None:
    found = read(text)

    addresses = [address for address, _ in taken(found)]
    assert addresses == ["bo@x.org", "eve@x.org"], found.refused
    if look_at(text.encode()).layout is not None and any(look_at(text.encode()).layout.headings):  # type: ignore[union-attr]
        assert [name for _, name in taken(found)] == ["Bo", "Eve"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_recognised(encoding: str, end: str) -> None:
    text = end.join(["email,name,city", 'bo@x.org,Jürgen,"Köln', 'Süd"', "eve@x.org,Zoë,Málaga", "bad,x,y"])

    found = read(text.encode(encoding))

    assert taken(found) == [("bo@x.org", "Jürgen"), ("eve@x.org", "Zoë")]
    assert found.recipients[0].variables["city"] == "Köln\nSüd"
    assert refused(found) == [5]


def test_an_encoding_may_be_chosen_and_what_is_no_text_in_it_is_refused_with_its_line() -> None:
    data = "email,name\nbo@x.org,Юра\neve@x.org,Eve".encode("cp1251")

    assert taken(read(data, encoding="cp1251"))[0] == ("bo@x.org", "Юра")
    assert refused(read(data, encoding="utf-8-sig")) == [2]
    assert refused(read(b"email,name\nbo@x.org,B\x00o\neve@x.org,Eve")) == [2]
    assert refused(read(b"email,name\nbo@x.org,B\x81o\neve@x.org,Eve")) == [2]
    with pytest.raises(InvalidInput):
        look_at(data, encoding="rot13")


@pytest.mark.parametrize(
    "data", [b"", b" \n ", b"PK\x03\x04 xlsx", b"\xd0\xcf\x11\xe0 xls", b"%PDF-1.7", b"\xef\xbb\xbf"]
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        found = read(data)
        check_recipients(list(found.recipients))


@pytest.mark.parametrize(
    ("headings", "fields"),
    [
        ("email,Größe,2nd name,name of dog,日本", ["Grosse", "column_2nd_name", "name_of_dog", "column_5"]),
        ("email,city,City,city", ["city", "City", "city_2"]),
        ("email,a b,a-b,a_b", ["a_b", "a_b_2", "a_b_3"]),
        ("email,self,true,None,loop", ["self_column", "true_column", "none_column", "loop_column"]),
        ("email,address,Name,name", ["address_column", "name_column"]),
        ("email,$where,a.b,__proto__,{{x}}", ["where", "a_b", "proto", "x"]),
        (f"email,{'x' * 100}", ["x" * 60]),
    ],
)
def test_a_heading_that_can_be_no_merge_field_gets_a_name_that_can(headings: str, fields: list[str]) -> None:
    cells = ",".join(["bo@x.org", *("1" for _ in headings.split(",")[1:])])
    look = look_at(f"{headings}\n{cells}\n".encode())

    found = [column.field for column in look.columns if column.field]

    assert [name.lower() for name in found] == [name.lower() for name in fields]
    assert not look.certain
    assert not read(f"{headings}\n{cells}\n").refused


@pytest.mark.parametrize("headings", ["address", "email", "Email,name", "address,name,city", "NAME,Email,Plan_2"])
def test_plain_headings_need_no_question(headings: str) -> None:
    row = ",".join("bo@x.org" if h.lower() in ("address", "email") else "x" for h in headings.split(","))

    assert look_at(f"{headings}\n{row}\n".encode()).certain


def test_a_person_may_read_the_columns_otherwise() -> None:
    data = b"mail,backup,who,note\nbo@x.org,b2@x.org,Bo,x\neve@x.org,e2@x.org,Eve,y\n"
    look = look_at(data)
    columns = [
        Column("mail", Role.IGNORED),
        Column("backup", Role.ADDRESS),
        Column("who", Role.NAME),
        Column("note", Role.FIELD, "why"),
    ]

    found = screen(rows_of(data, look, columns))

    assert taken(found) == [("b2@x.org", "Bo"), ("e2@x.org", "Eve")]
    assert found.recipients[0].variables == {"why": "x"}


@pytest.mark.parametrize(
    ("roles", "paths"),
    [
        ([("name", ""), ("field", "a"), ("field", "b")], {"columns"}),
        ([("address", ""), ("address", ""), ("field", "b")], {"columns[1]"}),
        ([("address", ""), ("field", "a b"), ("field", "name")], {"columns[1]", "columns[2]"}),
        ([("address", ""), ("field", "a"), ("both", "a")], {"columns[2]"}),
        ([("address", ""), ("field", "a")], {"columns"}),
    ],
)
def test_columns_that_do_not_go_together_are_refused_all_at_once(roles: list[tuple[str, str]], paths: set[str]) -> None:
    data = b"email,a,b\nbo@x.org,1,2"
    with pytest.raises(InvalidInput) as error:
        rows_of(data, look_at(data), [Column("x", Role(role), field) for role, field in roles])

    assert {fault.path for fault in error.value.faults} == paths


def test_every_refused_line_is_told_with_the_number_that_an_editor_shows() -> None:
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


def test_more_columns_than_a_table_may_have_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at most 200 columns"):
        read("email" + ",x" * 200 + "\nbo@x.org\n")


def test_a_thousand_with_one_bad_address_keep_the_others() -> None:
    lines = ["email,name"] + [f"reader-{n}@x.org,Reader {n}" for n in range(1_000)]
    lines[500] = "reader,Reader"

    found = read("\n".join(lines))

    assert (len(found.recipients), found.refused_count, refused(found)) == (999, 1, [501])
    assert found.duplicates == 0


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


def test_everything_that_is_wrong_with_a_row_is_told_at_once() -> None:
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
