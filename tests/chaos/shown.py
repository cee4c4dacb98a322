"""A verdict as tables for a person, and as JSON."""

import json
from dataclasses import asdict

from rich.table import Table

from tests.chaos.made import MADE
from tests.chaos.verdict import Verdict


def tables(found: Verdict) -> list[Table]:
    """For a person."""
    faults = Table("fault", "injected", *MADE, title=f"seed {found.seed}: what each fault made")
    for fault, counts in sorted(found.by_fault.items()):
        faults.add_row(fault, *(str(counts[name]) for name in ("injected", *MADE)))
    points = Table("step at which a sender was killed or frozen", "times")
    for name, times in found.points.items():
        points.add_row(name, str(times))
    verdict = Table(
        *("asked", "accepted once", "refused", "doubled", "lost", "unknown", "undrained"),
        *("sent again", "resolved", "by the second", "dispatches", "faults"),
    )
    wrong = (len(found.doubled), len(found.lost), len(found.unknown), len(found.undrained))
    shown = (found.asked, found.accepted_once, found.refused, *wrong)
    verdict.add_row(
        *(
            f"{count:,}"
            for count in (*shown, found.requeued, found.resolved, found.by_backup, found.dispatches, found.faults)
        )
    )
    members, stories = [_members(found)] if found.members else [], [_stories(found)] if found.stories else []
    return [faults, points, *members, _calms(found), *stories, verdict]


def _members(found: Verdict) -> Table:
    table = Table("member", "times", "calls in flight, at least", "longest repair, s", title="clusters")
    for name in sorted({one.card.name for one in found.members}):
        some = [one for one in found.members if one.card.name == name]
        repair_s = max(one.repaired_s for one in some)
        table.add_row(name, str(len(some)), str(min(one.in_flight for one in some)), f"{repair_s}")
    return table


def _calms(found: Verdict) -> Table:
    table = Table("calms", "lanes with work, in all", "longest wait, s", "behind others", "undrained")
    longest_s = max((calm.longest_s for calm in found.calms), default=0.0)
    lanes, behind = sum(calm.lanes for calm in found.calms), sum(calm.behind for calm in found.calms)
    table.add_row(str(len(found.calms)), str(lanes), f"{longest_s}", str(behind), str(len(found.undrained)))
    return table


def _stories(found: Verdict) -> Table:
    """Mails that are unknown as they must be, of runs that began in a time that MongoDB lost, are no fault."""
    title = f"wrong: {len(found.wrong)}; unknown by a restore: {len(found.accounted)}"
    table = Table("story", "runs", "mails", "meanwhile", title=title)
    for name, told in found.stories.items():
        table.add_row(name, f"{told.runs:,}", f"{told.mails:,}", f"{told.changes:,} {told.changes_shown}")
    return table


def as_json(found: Verdict) -> str:
    return json.dumps(asdict(found) | {"holds": found.holds}, indent=1)
