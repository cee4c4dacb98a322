"""Pause, resume, cancel, archive and run-now as a caller of the API meets them."""

from tests.support.builders import recipients, stored_schedule
from tests.support.caller import Caller
from tests.support.lines import Line, a_run


def test_a_run_is_paused_resumed_and_cancelled_and_each_answer_says_how_its_mails_stand(
    call: Caller, line: Line
) -> None:
    run_id, _ = a_run(line, 30)
    going = line.cross(line.claim()[:1]).go

    paused = call("POST", f"/v1/runs/{run_id}/pause").json
    again = call("POST", f"/v1/runs/{run_id}/pause")
    shown = call("GET", f"/v1/runs/{run_id}").json
    resumed = call("POST", f"/v1/runs/{run_id}/resume").json
    cancelled = call("POST", f"/v1/runs/{run_id}/cancel").json

    assert paused["status"] == "planned"
    assert paused["paused_at"]
    assert paused["mails"] == {
        "runs": [run_id],
        "sent": 0,
        "held": 20,
        "cancelled": 0,
        "in_doubt": 0,
        "all_counted": True,
        "mails_in_flight": 10,
        "in_flight": [{"dispatch_id": going[0].id, "mails": 10}],
        "in_flight_is_sure": True,
    }
    assert (again.status_code, again.json["code"]) == (409, "conflict")
    assert shown["paused_by"] == paused["paused_by"]
    assert resumed["paused_at"] is None
    assert (cancelled["status"], cancelled["mails"]["cancelled"]) == ("cancelled", 20)
    assert call("POST", f"/v1/runs/{run_id}/resume").status_code == 409
    assert call("POST", "/v1/runs/none/pause").status_code == 404


def test_a_schedules_pause_resume_and_archive_say_how_the_mails_of_its_open_runs_stand(
    call: Caller, line: Line
) -> None:
    run_id, schedule_id = a_run(line, 30)
    url = f"/v1/schedules/{schedule_id}"

    paused = call("POST", f"{url}/pause").json
    resumed = call("POST", f"{url}/resume").json
    archived = call("POST", f"{url}/archive").json

    assert (paused["status"], paused["mails"]["runs"], paused["mails"]["held"]) == ("paused", [run_id], 30)
    assert (resumed["status"], resumed["mails"]["held"]) == ("active", 30)
    assert (archived["status"], archived["mails"]["cancelled"], archived["mails"]["sent"]) == ("archived", 30, 0)
    assert call("GET", f"/v1/runs/{run_id}").json["status"] == "cancelled"


def test_an_archived_schedule_is_restored_paused_and_no_other_is(call: Caller, line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)
    url = f"/v1/schedules/{schedule_id}"

    early = call("POST", f"{url}/restore")
    archived = call("POST", f"{url}/archive")
    stale = call("POST", f"{url}/restore", headers={"If-Match": early.headers.get("ETag", '"1"')})
    restored = call("POST", f"{url}/restore", headers={"If-Match": archived.headers["ETag"]})
    again = call("POST", f"{url}/restore", headers={"If-Match": archived.headers["ETag"]})
    shown = call("GET", url)

    assert (early.status_code, early.json["code"]) == (409, "schedule_not_archived")
    assert "this one is active" in early.json["detail"]
    assert stale.status_code == 412
    assert (restored.status_code, restored.json["status"], restored.json["restored_by"]) == (200, "paused", "tests")
    assert restored.json["restored_at"] == restored.json["updated_at"]
    assert restored.json["mails"]["runs"] == []
    assert (again.status_code, again.json) == (200, restored.json)
    assert shown.headers["ETag"] == restored.headers["ETag"] == again.headers["ETag"] != archived.headers["ETag"]
    assert call("PATCH", url, json=shown.json).status_code == 200
    assert call("GET", f"/v1/runs/{run_id}").json["status"] == "cancelled"
    assert call("POST", f"{url}/resume").json["restored_at"] is None
    assert call("POST", "/v1/schedules/none/restore").status_code == 404


def test_a_token_that_only_reads_restores_nothing(call: Caller, line: Line) -> None:
    schedule = stored_schedule(line.db)
    call("POST", f"/v1/schedules/{schedule.id}/archive")
    reader = call("POST", "/v1/tokens", json={"name": "reader", "scopes": ["read"]}).json["token"]

    refused = call("POST", f"/v1/schedules/{schedule.id}/restore", headers={"Authorization": f"Bearer {reader}"})

    assert (refused.status_code, refused.json["code"]) == (403, "scope_missing")


def test_deleting_a_schedule_cancels_what_has_not_gone_out(call: Caller, line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)

    assert call("DELETE", f"/v1/schedules/{schedule_id}").status_code == 204
    assert call("GET", f"/v1/runs/{run_id}").json["status"] == "cancelled"


def test_run_now_of_a_paused_schedule_is_refused_by_name_unless_it_is_meant(call: Caller, line: Line) -> None:
    schedule = stored_schedule(line.db, recipients=recipients(3))
    url, key = f"/v1/schedules/{schedule.id}/run-now", {"Idempotency-Key": "k"}
    call("POST", f"/v1/schedules/{schedule.id}/pause")

    refused = call("POST", url, headers=key)
    unclear = [call("POST", url, headers=key, json={"even_if_paused": v}).status_code for v in (False, "true")]
    odd = call("POST", url, headers=key, json={"even_if_pausd": True})
    meant = call("POST", url, headers=key, json={"even_if_paused": True})

    assert (refused.status_code, refused.json["code"]) == (409, "schedule_paused")
    assert "even_if_paused" in refused.json["detail"]
    assert unclear == [409, 422]
    assert odd.status_code == 422
    assert meant.status_code == 202
    assert call("POST", url, headers=key).status_code == 200
