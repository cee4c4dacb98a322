"""How many keys and documents MongoDB looks at for the questions that are asked all the time, by its own account."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from benchmarks.growth.store import Store
from mailroom.domain.ids import MessageId
from mailroom.domain.lane_names import mail_lanes, schedule_lane
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailSearch, RunSearch, ScheduleOrder, ScheduleSearch
from mailroom.services.dispatching.propagation import finish_left_over, propagate_left_over
from mailroom.services.mails import counts as mail_counts
from mailroom.services.mails import view as mail_view
from mailroom.services.operations.system_figures import read_figures
from mailroom.services.reports import run_search, timeline
from mailroom.services.schedules import search as schedule_search
from mailroom.storage import events
from mailroom.storage.database import Db, in_snapshot, in_transaction, server_now
from mailroom.storage.dispatches import claims
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import due_schedules
from tests.support.explaining import work_of

_ROWS: Final = 50
_LATELY: Final = timedelta(seconds=2)
Ask = Callable[[Db], Any]


def measure(db: Db, store: Store) -> dict[str, dict[str, Any]]:
    """By question, with ids from the middle of the store."""
    return {name: asdict(work_of(db, ask)) for name, ask in _questions(db, store).items()}


def _questions(db: Db, store: Store) -> Mapping[str, Ask]:
    now, block = server_now(db), store.blocks // 2
    run, (email, address) = store.run(block, 1), store.single_mail(block, 1)
    mail = MessageId(store.campaign_mail(block, 1, 1).message)
    lanes = [*mail_lanes(8), schedule_lane(store.schedule)]
    by_next_run = ScheduleOrder.NEXT_RUN
    return {
        "sender: schedules that are due": lambda db: due_schedules.due(db, now=now, limit=500),
        "sender: lanes with work": lambda db: claims.lanes_with_work(db, now=now, limit=500, leave_out=[]),
        "sender: what may be claimed": lambda db: claims.claimable(db, lanes, now=now, limit=500),
        "sender: what has become due": lambda db: claims.newly_due(
            db, lanes, due_since=now - _LATELY, now=now, limit=500
        ),
        "sender: states to propagate": propagate_left_over,
        "sender: runs to finish": lambda db: finish_left_over(db, now=now),
        "webhook: known events and their mail": lambda db: in_transaction(
            db,
            lambda session: (
                events.known(db, ["mailgun/x"], session=session),
                messages.existing(db, [mail], session=session),
            ),
        ),
        "page: schedules": lambda db: schedule_search.page(db, ScheduleSearch(), after=None, limit=_ROWS),
        "page: schedules by next run": lambda db: schedule_search.page(
            db, ScheduleSearch(), by_next_run, after=None, limit=_ROWS
        ),
        "page: how many schedules": lambda db: schedule_search.count(db, ScheduleSearch()),
        "page: runs": lambda db: run_search.page(db, RunSearch(), limit=_ROWS),
        "page: how many runs": lambda db: run_search.count(db, RunSearch()),
        "page: a run's counts": lambda db: in_snapshot(db, lambda s: message_counts.report(db, [run], s)),
        "page: a run's mails": lambda db: messages.page(db, run, state=None, after="", limit=_ROWS),
        "page: a run's bounced mails": lambda db: messages.page(
            db, run, state=MessageState.BOUNCED, after="", limit=_ROWS
        ),
        "page: a mail of a run": lambda db: timeline.story_of(db, mail),
        "page: single mails": lambda db: mail_view.page(db, EmailSearch(), before=None, limit=_ROWS),
        "page: how many single mails": lambda db: mail_counts.count(db, EmailSearch()),
        "page: single mails to a recipient": lambda db: mail_view.page(
            db, EmailSearch(recipient=address), before=None, limit=_ROWS
        ),
        "page: a single mail": lambda db: (mail_view.get(db, email), mail_view.events_of(db, email)),
        "figures for Prometheus": lambda db: read_figures(db, calls_at_once=64),
    }
