"""A run that is planned chunk by chunk, sent meanwhile, and cancelled at some moment by a person."""

import contextlib
from typing import Any, Final

from mailroom.domain.dispatches.states import OPEN
from mailroom.domain.errors import RunEnded, Unavailable
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.domain.schedules import Content
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.storage.schedules import contents, runs
from tests.interleavings.director import START, Choose, Machine, Menu, Violation
from tests.interleavings.world import RUN, World

RECIPIENTS: Final = 4  # more than a chunk takes, where a test makes chunks of three
_AUDIENCE: Final = AudienceId("aud_1")


class PlanningWorld(World):
    """Beside the senders there is the API, which is told once to cancel the run."""

    def __init__(self, choose: Choose, menu: Menu, **rest: Any) -> None:
        super().__init__(choose, menu, sizes=(), **rest)
        self._planned_at_cancel: frozenset[str] | None = None
        self.director.start(Machine("api", 0), {"cancel": self._cancel})

    def check_now(self) -> None:
        """A cancelled run gets no new dispatch, and none of its waits."""
        super().check_now()
        if self.db.runs.docs[RUN]["state"] != RunState.CANCELLED:
            return
        # What is split off belongs to what was planned before; it is cancelled, or it would wait.
        planned = frozenset(id_ for id_, doc in self.db.dispatches.docs.items() if "parent" not in doc)
        if self._planned_at_cancel is None:
            self._planned_at_cancel = planned
        if new := planned - self._planned_at_cancel:
            raise Violation(f"the run was cancelled, and got {sorted(new)}")
        if waits := [d["_id"] for d in self.db.dispatches.docs.values() if d["state"] == "pending"]:
            raise Violation(f"the run was cancelled, and {waits} wait")

    def over(self) -> bool:
        run = self.db.runs.docs[RUN]
        return super().over() and run["state"] != RunState.PLANNING and "unwritten" not in run

    def replace(self, machine: Machine) -> None:
        if machine in self.senders:
            super().replace(machine)

    def _cancel(self) -> None:
        with contextlib.suppress(RunEnded, Unavailable):
            cancel_runs.cancel(self.db, RUN)

    def _store(self, sizes: object) -> None:
        inside: Any = None  # outside of any transaction
        content = Content("Ann <ann@mg.example.com>", "Hello", "Hello", "", _AUDIENCE, RECIPIENTS)
        contents.add(self.db, ScheduleId("sch_1"), 1, content, valid_from=START, session=inside)
        members = [(f"reader-{n}@example.org", n) for n in range(RECIPIENTS)]
        self.db.recipients.insert_many(
            [{"_id": {"a": _AUDIENCE, "k": key}, "address": key, "name": "", "variables": {}} for key, _ in members],
            session=inside,
        )
        run = Run(RUN, ScheduleId("sch_1"), RunKind.DUE, RunState.PLANNING, START, 1, _AUDIENCE, RECIPIENTS, START)
        runs.add_many(self.db, [run], session=inside)

    def _check(self) -> None:
        super()._check()
        open_ = [doc["_id"] for doc in self.db.dispatches.docs.values() if doc["state"] in OPEN]
        mails = len(self.db.messages.docs)
        if open_ or mails != RECIPIENTS:
            raise Violation(f"{mails} of {RECIPIENTS} mails are planned, {open_} are open")
