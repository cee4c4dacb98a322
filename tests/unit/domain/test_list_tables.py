"""Lists as people upload them: tables of many makers, their encodings, headings and columns."""

import pytest

from mailroom.domain.audiences import screen
from mailroom.domain.errors import InvalidInput
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import look_at, rows_of
from tests.support.lists import read, refused, taken

BO, EVE, TOM = ("bo@x.org", "Bo"), ("eve@x.org", "Eve"), ("tom@x.org", "Tom")


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


def test_more_columns_than_a_table_may_have_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at most 200 columns"):
        read("email" + ",x" * 200 + "\nbo@x.org\n")


def test_a_thousand_with_one_bad_address_keep_the_others() -> None:
    lines = ["email,name"] + [f"reader-{n}@x.org,Reader {n}" for n in range(1_000)]
    lines[500] = "reader,Reader"

    found = read("\n".join(lines))

    assert (len(found.recipients), found.refused_count, refused(found)) == (999, 1, [501])
    assert found.duplicates == 0
