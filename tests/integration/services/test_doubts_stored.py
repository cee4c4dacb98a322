"""Doubts in the store: asked about again, held, and settled, without a provider that answers."""

from datetime import timedelta

import pytest

from local.ports import free_port
from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.errors import DispatchNotUnknown
from mailroom.domain.events import EventKind
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.feedback.intake import take_in
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reconciliation.reconcile import reconcile
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.storage.database import Db, server_now
from tests.support.builders import an_event
from tests.support.doubts import DISPATCH, LANE, RUN, TOKEN, a_doubt, the_state
from tests.support.system import System

RETENTION = timedelta(hours=1)


def ask_nobody(system: System) -> int:
    """Settle with a provider at whose address nobody listens."""
    minute = timedelta(minutes=1)
    policy = Policy(Timing(call_timeout=minute, idle_limit=minute, settle=minute, log_retention=RETENTION), Delays([]))
    adapter = MailgunAdapter(
        domain="mg.example.com",
        base_url=f"http://127.0.0.1:{free_port()}",
        api_key="key",
        call_timeout_s=1,
        idle_limit_s=60,
    )
    fences = Fences(system.settings.stores.redis_url, of=system.db.name)
    try:
        return reconcile(
            LaneWork(system.db, fences, {LANE: TOKEN}, "tests"),
            {adapter.name: adapter},
            policy,
            now=server_now(system.db),
        )
    finally:
        fences.close_client()


def test_a_doubt_older_than_the_providers_log_is_unknown_even_if_the_provider_is_away(system: System) -> None:
    a_doubt(system.db, called_ago=RETENTION + timedelta(minutes=1))

    assert ask_nobody(system) == 1

    assert the_state(system.db) == "unknown"


def test_a_doubt_that_the_log_still_reaches_waits_for_a_provider_that_is_away(system: System) -> None:
    a_doubt(system.db, called_ago=RETENTION - timedelta(minutes=5))

    assert ask_nobody(system) == 1

    assert the_state(system.db) == "in_doubt"
    assert ask_nobody(system) == 0  # put off, so that it does not spin


@pytest.mark.parametrize("state", ["in_doubt", "unknown"])
def test_what_a_webhook_speaks_of_is_asked_about_at_once(system: System, state: str) -> None:
    later = server_now(system.db) + timedelta(hours=1)
    a_doubt(system.db, state=state, not_before=later)

    take_in(system.db, [an_event(EventKind.DELIVERED, dispatch_id=DISPATCH)], now=server_now(system.db))

    assert the_state(system.db) == "in_doubt"
    assert ask_nobody(system) == 1


def test_a_cancelled_runs_unknown_can_be_said_to_have_gone_out_but_not_be_sent_again(db: Db) -> None:
    a_doubt(db, state="unknown")
    cancel_runs.cancel(db, RUN)

    with pytest.raises(DispatchNotUnknown, match="cancelled"):
        resolve(db, DISPATCH, Resolution.SEND_AGAIN, by="tests")

    resolve(db, DISPATCH, Resolution.WENT_OUT, by="tests")
    assert the_state(db) == "accepted"
