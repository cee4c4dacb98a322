"""A run's report, held to what the providers took and to whom the run could go."""

import time
from collections.abc import Mapping, Sequence
from http.client import TOO_MANY_REQUESTS
from typing import TYPE_CHECKING, Any, Final

from mailroom.domain.ids import RunId
from mailroom.services.reports import counts as report_counts
from tests.chaos.stories import Finding, Wrong

if TYPE_CHECKING:
    from tests.chaos.world import World

Taken = Mapping[str, Sequence[float]]  # when each recipient's mails were taken
_OVER: Final = ("sent", "suppressed", "failed", "cancelled", "unknown")
_OPEN: Final = ("queued", "in_doubt")


def unknown_of(world: "World", run: str) -> set[str]:
    """The recipients of whom nobody knows whether they got the run's mail."""
    return {doc["address"] for doc in world.system.db.messages.find({"run_id": run, "state": "unknown"})}


def report_of(world: "World", run: str) -> dict[str, Any]:
    """By the API, which answers so many questions for reports a minute: an hour's stories have more runs."""
    while (answer := world.system.call("GET", f"/v1/runs/{run}/report")).status_code == TOO_MANY_REQUESTS:
        time.sleep(int(answer.headers["Retry-After"]))
    answer.raise_for_status()
    return dict(answer.json())


def judge(
    world: "World", run: str, *, recipients: tuple[int, int], taken: Taken, in_a_gap: bool = False
) -> list[Finding]:
    """`recipients`: the least and the most that the run can have. `in_a_gap`: it began in a time that MongoDB lost, so
    it may not know all to whom it went then."""
    took = sum(bool(times) for times in taken.values())
    wrong = faults_of(report_of(world, run), recipients=recipients, taken=took, in_a_gap=in_a_gap)
    reported, recounted = report_counts.audit(world.system.db, RunId(run))
    if reported != recounted:
        wrong.append(f"the events give {recounted}, the report has {reported}")
    return [Finding(Wrong.WRONG, f"report of {run}: {one}") for one in wrong]


def faults_of(
    report: Mapping[str, Any], *, recipients: tuple[int, int], taken: int, in_a_gap: bool = False
) -> list[str]:
    """What in a report of an ended run cannot be. `taken`: of how many recipients a provider has the mail."""
    wrong = []
    least, most = recipients
    if not least <= report["recipients"] <= most:
        wrong.append(f"{report['recipients']} recipients, not {least} to {most}")
    if left := sum(report[name] for name in _OPEN):
        wrong.append(f"{left} mails are not through")
    if (together := sum(report[name] for name in (*_OVER, *_OPEN))) != report["recipients"]:
        wrong.append(f"{report['recipients']} recipients, and {together} mails in all states together")
    if report["sent"] > taken or (taken > report["sent"] + report["unknown"] and not in_a_gap):
        wrong.append(f"{report['sent']} sent and {report['unknown']} unknown, and providers took {taken}")
    return wrong
