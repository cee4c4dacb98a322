"""A schedule names a stored template in place of a subject and bodies of its own: checked as these, and pinned."""

from typing import Any

import pytest

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.storage.database import Db
from mailroom.storage.schedules import contents, runs
from tests.support.caller import Caller, problems
from tests.support.planned import expand_all, hold
from tests.support.system import a_schedule_body
from tests.support.topics import a_topic

DIGEST = {
    "subject": "News for {{ name }}",
    "text": "Hello {{ name }} in {{ city }}",
    "html": "<style>p{color:red}</style><p>Hello {{ name }} in {{ city }}</p>",
}
SAID = ("subject", "text", "html")


def put(call: Caller, **changes: Any) -> None:
    assert call("PUT", "/v1/templates/digest", json=DIGEST | changes).status_code in (200, 201)


def body(**changes: Any) -> dict[str, Any]:
    whole = {name: value for name, value in a_schedule_body().items() if name not in SAID}
    return whole | {"template": "digest"} | changes


def made(call: Caller, **changes: Any) -> Any:
    answer = call("POST", "/v1/schedules", json=body(**changes))
    assert answer.status_code == 201, answer.json
    return answer.json


def version_of(answer: Any) -> tuple[str | None, int | None]:
    return answer["template"], answer["template_version"]


def test_a_schedule_says_what_its_template_says_and_names_the_version(call: Caller) -> None:
    put(call)

    schedule = made(call, preheader="Only today")
    rendered = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json

    assert version_of(schedule) == ("digest", 1)
    assert (schedule["subject"], schedule["html"]) == (DIGEST["subject"], DIGEST["html"])
    assert (rendered["subject"], rendered["text"]) == ("News for Bo", "Hello Bo in Rome")
    assert "Only today" in rendered["html"]
    assert '<p style="color:red">Hello Bo in Rome</p>' in rendered["html"].replace("color: red", "color:red")


def test_the_preheader_of_a_template_is_seen_before_it_is_sent(call: Caller) -> None:
    put(call, preheader="Today, {{ name }}")

    schedule = made(call)
    stored = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json
    draft = call("POST", "/v1/schedules/render", json=body()).json

    assert (stored["preheader"], draft["preheader"]) == ("Today, Bo", "Today, Bo")
    assert stored["html"].count("Today, Bo") == 1


def test_a_change_of_the_template_reaches_the_schedule_when_it_is_saved_with_its_name(call: Caller) -> None:
    put(call)
    path = f"/v1/schedules/{made(call)['id']}"
    put(call, subject="Second")

    before = call("GET", path).json
    other = call("PATCH", path, json={"name": "Other"}).json
    named = call("PATCH", path, json={"template": "digest"}).json
    again = call("PATCH", path, json={"template": "digest"}).json

    assert [version_of(one) for one in (before, other, named, again)] == [
        *(("digest", 1), ("digest", 1)),
        *(("digest", 2), ("digest", 2)),
    ]
    assert [one["subject"] for one in (other, named)] == [DIGEST["subject"], "Second"]
    assert [one["revision"] for one in (before, other, named, again)] == [1, 1, 2, 2]


def test_what_get_gives_patch_takes_back_and_the_version_stays(call: Caller) -> None:
    put(call)
    path = f"/v1/schedules/{made(call)['id']}"
    put(call, subject="Second")
    shown = call("GET", path).json

    same = call("PATCH", path, json=shown)
    forged = call("PATCH", path, json=shown | {"template_version": 2})
    renamed = call("PATCH", path, json=shown | {"name": "Other"})

    assert (same.status_code, same.json) == (200, shown)
    assert (renamed.status_code, version_of(renamed.json)) == (200, ("digest", 1))
    assert set(problems(forged)) == {"template_version"}


def test_a_schedule_gives_its_template_up_for_content_of_its_own_or_another_template(call: Caller) -> None:
    put(call)
    call("PUT", "/v1/templates/other", json={"subject": "Other", "text": "x"})
    first, second, third = (f"/v1/schedules/{made(call)['id']}" for _ in range(3))

    kept = call("PATCH", first, json={"template": None}).json
    own = call("PATCH", second, json={"template": None, "subject": "Own", "text": "x", "html": ""}).json
    other = call("PATCH", third, json={"template": "other"}).json

    assert (version_of(kept), kept["subject"], kept["html"]) == ((None, None), DIGEST["subject"], DIGEST["html"])
    assert (version_of(own), own["subject"], own["html"]) == ((None, None), "Own", "")
    assert (version_of(other), other["subject"], other["html"]) == (("other", 1), "Other", "")


@pytest.mark.parametrize(
    ("template", "changes", "paths"),
    [
        ({}, {"template": "none-such"}, {"template"}),
        ({}, {"subject": "mine"}, {"subject"}),
        ({}, {"text": "mine", "markdown": "mine"}, {"text", "markdown"}),
        ({}, {"recipients": [{"address": "bo@example.org", "name": "Bo"}]}, {"template"}),
        ({"text": "{{ nam }}"}, {}, {"template"}),
        ({"subject": "x" * 501}, {}, {"template"}),
        ({"text": "{% for a in lines %}{{ a }}{% endfor %}"}, {"recipients": []}, {"template", "recipients"}),
        ({"html": "<p>{{ order.number }}</p>"}, {}, {"template"}),
        ({}, {"topic": "newsletter"}, {"template"}),
        ({"subject": "a %unsubscribe_url%"}, {"template": "none-such", "name": ""}, {"template", "name"}),
    ],
)
def test_the_checks_at_saving_hold_for_what_the_template_says(
    call: Caller, db: Db, template: dict[str, str], changes: dict[str, Any], paths: set[str]
) -> None:
    a_topic(db)
    put(call, **template)

    refused = call("POST", "/v1/schedules", json=body(**changes))

    assert set(problems(refused)) == paths
    assert db.schedules.count_documents({}) == 0


def test_a_template_of_a_topic_needs_its_link_and_gets_a_footer_as_any_content(call: Caller, db: Db) -> None:
    a_topic(db)
    put(call, text="Hi {{ name }}: {{ unsubscribe_url }}", html="")

    schedule = made(call, topic="newsletter")

    rendered = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json
    assert "/u/" in rendered["text"]


def test_a_run_pins_the_version_and_sends_it_whatever_becomes_of_the_template(call: Caller, db: Db) -> None:
    put(call)
    readers = [{"address": f"r{n}@example.org", "name": "R", "variables": {"city": "Rome"}} for n in range(1_500)]
    schedule = ScheduleId(made(call, recipients=readers)["id"])
    path = f"/v1/schedules/{schedule}"
    first = call("POST", f"{path}/run-now", headers={"Idempotency-Key": "a"}).json
    put(call, subject="Second")
    call("PATCH", path, json={"template": "digest"})
    second = call("POST", f"{path}/run-now", headers={"Idempotency-Key": "b"}).json
    call("DELETE", "/v1/templates/digest")

    expand_all(db, hold(db, schedule))

    assert [version_of(run) for run in (first, second)] == [("digest", 1), ("digest", 2)]
    assert version_of(call("GET", f"/v1/runs/{first['id']}").json) == ("digest", 1)
    stored = [runs.get(db, RunId(run["id"])) for run in (first, second)]
    assert [contents.get(db, schedule, run.revision).subject for run in stored] == [DIGEST["subject"], "Second"]
    sizes = sorted(doc["messages"] for doc in db.dispatches.find({"run_id": first["id"]}))
    assert sizes == [500, 1_000]


def test_a_schedule_goes_on_with_a_template_that_was_removed(call: Caller) -> None:
    put(call)
    path = f"/v1/schedules/{made(call)['id']}"
    call("DELETE", "/v1/templates/digest")

    named = call("PATCH", path, json={"template": "digest", "name": "Other"})
    anew = call("POST", "/v1/schedules", json=body())

    assert (named.status_code, version_of(named.json)) == (200, ("digest", 1))
    assert set(problems(anew)) == {"template"}


def test_a_loop_over_a_feed_stands_in_a_template_too(call: Caller) -> None:
    put(call, text="{% for item in feed.items %}{{ item.title }} for {{ name }}\n{% endfor %}", html="")

    with_feed = call("POST", "/v1/schedules", json=body(feed={"url": "https://feeds.example.org/news.json"}))
    without = call("POST", "/v1/schedules", json=body())

    assert with_feed.status_code == 201, with_feed.json
    assert set(problems(without)) == {"template"}


def test_a_copy_of_a_schedule_has_its_template_in_the_same_version(call: Caller) -> None:
    put(call)
    schedule = made(call)
    put(call, subject="Second")

    copy = call("POST", f"/v1/schedules/{schedule['id']}/duplicate", headers={"Idempotency-Key": "c"}).json

    assert (version_of(copy), copy["subject"]) == (("digest", 1), DIGEST["subject"])


def test_the_same_request_again_finds_the_schedule_though_its_template_has_changed(call: Caller) -> None:
    put(call)
    key = {"Idempotency-Key": "k"}
    first = call("POST", "/v1/schedules", json=body(), headers=key)
    put(call, subject="Second")

    again = call("POST", "/v1/schedules", json=body(), headers=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert version_of(again.json) == ("digest", 1)
