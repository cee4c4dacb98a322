"""Each change of a template makes a version. Old ones are kept and shown, and a mail names the one it was made of."""

from typing import Any

from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email

HELLO = {"subject": "Hello {{ name }}", "text": "One"}


def a_mail() -> dict[str, Any]:
    envelope = {name: value for name, value in an_email().items() if name in ("from", "to")}
    return envelope | {"template": "hello", "variables": {"name": "Bo"}}


def put(call: Caller, **changes: Any) -> int:
    answer = call("PUT", "/v1/templates/hello", json=HELLO | changes)
    assert answer.status_code in (200, 201)
    return int(answer.json["version"])


def versions(call: Caller) -> list[int]:
    return [one["version"] for one in call("GET", "/v1/templates/hello/versions").json["items"]]


def test_each_change_makes_a_version_and_old_ones_are_shown(call: Caller) -> None:
    made = [put(call), put(call, text="Two"), put(call, text="Three")]

    assert made == [1, 2, 3]
    assert versions(call) == [3, 2, 1]
    texts = [call("GET", f"/v1/templates/hello/versions/{number}").json["text"] for number in made]
    assert texts == ["One", "Two", "Three"]
    assert call("GET", "/v1/templates/hello/versions/4").status_code == 404
    assert call("GET", "/v1/templates/hello/versions/99999999999999999999").status_code == 404


def test_what_says_the_same_makes_no_version(call: Caller) -> None:
    assert [put(call), put(call)] == [1, 1]
    assert versions(call) == [1]


def test_versions_are_paged(call: Caller) -> None:
    for number in range(5):
        put(call, text=str(number))

    first = call("GET", "/v1/templates/hello/versions?limit=3").json
    rest = call("GET", f"/v1/templates/hello/versions?limit=3&cursor={first['next_cursor']}").json

    assert [one["version"] for one in first["items"] + rest["items"]] == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None


def test_versions_outlive_the_template_and_a_new_one_of_its_name_goes_on_counting(call: Caller) -> None:
    put(call)
    put(call, text="Two")

    call("DELETE", "/v1/templates/hello")

    assert versions(call) == [2, 1]
    assert call("GET", "/v1/templates/hello/versions/2").json["text"] == "Two"
    assert call("GET", "/v1/templates/other/versions").status_code == 404
    again = call("PUT", "/v1/templates/hello", json=HELLO | {"text": "Three"}, headers={"If-Match": '"v0"'})
    assert (again.status_code, again.json["version"]) == (201, 3)


def test_a_template_from_before_versions_keeps_its_newest_one_at_the_next_change(call: Caller, db: Db) -> None:
    put(call)
    put(call, text="Two")
    db.template_versions.delete_many({})

    before = versions(call), call("GET", "/v1/templates/hello/versions/2").json["text"]
    put(call, text="Three")

    assert before == ([2], "Two")
    assert versions(call) == [3, 2]
    assert call("GET", "/v1/templates/hello/versions/2").json["text"] == "Two"


def test_a_mail_names_the_version_that_it_was_made_of(call: Caller) -> None:
    put(call)
    first = call("POST", "/v1/emails", json=a_mail()).json["id"]
    put(call, text="Two")
    second = call("POST", "/v1/emails", json=a_mail()).json["id"]
    own = call("POST", "/v1/emails", json=an_email()).json["id"]

    shown = [call("GET", f"/v1/emails/{id_}").json for id_ in (first, second, own)]

    named = [(mail["template"], mail["template_version"]) for mail in shown]
    assert named == [("hello", 1), ("hello", 2), (None, None)]
