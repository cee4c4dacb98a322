"""A provider that goes wrong, in one way after the other, and what people and callers do to a running system."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import requests

from local.ports import free_port
from mailroom.assembly.sender import build_sender_services
from mailroom.domain.ids import EmailId, run_of_email
from mailroom.storage.database import server_now
from sender.duties import balance
from tests.alerts.causes import Recordings
from tests.alerts.tape import Tape
from tests.support.emails import an_email, hand_in, status
from tests.support.system import System, wait_for
from tests.support.webhooks import OPENED, webhook

_SETTINGS: Final = {"MAILROOM_CALL_TIMEOUT": "30", "MAILROOM_SENDER_CONCURRENCY": "1"}
_UNREAD: Final = 'mailroom_mailbox_unread_seconds{mailbox="1"}'
_SLOW_S: Final = 10.2
_MORE_THAN_A_MINUTES_CALLS: Final = 70
_ACCEPTED: Final = 'mailroom_sent_mails_total{outcome="accepted"}'


def record(system: System) -> Recordings:
    """Every story begins with a well system that sends, and is told of it by webhooks."""
    port = free_port()
    # Nothing listens there: its age grows from the first look on.
    system.environment |= _SETTINGS | {"MAILROOM_MAILBOXES": f"imap://u:p@127.0.0.1:{free_port()}/?tls=none"}
    system.start_simulator()
    system.start_api()
    system.start_senders(1, MAILROOM_SENDER_PORT=str(port))
    tape = Tape({"api/0": system.api_url, "sender/0": f"http://127.0.0.1:{port}"})
    first = hand_in(system, priority="high")
    hand_in(system)
    tape.well(lambda seen: seen[_ACCEPTED] == 2 and seen["mailroom_webhook_lag_seconds_count"] >= 2)

    _slow(system, tape)
    _refusing(system, tape)
    _doubtful(system, tape)
    system.simulator.fail_next("401")
    hand_in(system)
    tape.record("MailroomAccountRefused", until=lambda seen: seen['mailroom_sent_mails_total{outcome="account"}'] > 0)
    _bad_webhooks(system, tape)
    an_hour = {"$set": {"since": {"$subtract": ["$since", 3_600_000]}}}
    system.db.cluster.update_one({"_id": {"$regex": "^mailbox/"}}, [an_hour])
    tape.record("MailroomMailboxUnread", until=lambda seen: seen[_UNREAD] > 3_600)
    _unbalanced(system, first)
    system.call("POST", "/v1/sending/stop").raise_for_status()
    told = {
        "MailroomEventsUnread": "mailroom_webhook_events_unread",
        "MailroomLedgerDoesNotBalance": "mailroom_ledger_imbalances",
        "MailroomSendingStopped": "mailroom_sending_stopped",
    }
    tape.record(*told, until=lambda seen: all(seen[series] > 0 for series in told.values()))
    return tape.recordings


def _slow(system: System, tape: Tape) -> None:
    system.simulator.turn(latency_s=_SLOW_S)
    reset = hand_in(system, priority="high")
    wait_for(lambda: status(system, reset) in ("sent", "delivered"), within_s=30, what="the reset is accepted")
    late = ("MailroomProviderSlow", "MailroomBudgetBurnsFast", "MailroomBudgetBurns")
    tape.record(*late, until=lambda _: True)

    system.simulator.turn(latency_s=3)
    many = {"emails": [an_email(to=[f"r{n}@example.org"]) for n in range(_MORE_THAN_A_MINUTES_CALLS)]}
    system.call("POST", "/v1/emails/batch", json=many).raise_for_status()
    tape.record("MailroomTooFewSenders", until=lambda seen: seen["mailroom_senders_wanted"] > seen["mailroom_senders"])
    system.simulator.turn(latency_s=0)
    wait_for(lambda: system.db.dispatches.count_documents({"state": {"$ne": "accepted"}}) == 0, within_s=60, what="all")
    tape.around()


def _refusing(system: System, tape: Tape) -> None:
    system.simulator.turn(refused_addresses=["nobody@example.org"])
    refused = hand_in(system, to=["nobody@example.org"])
    wait_for(lambda: status(system, refused) == "failed", within_s=20, what="it is refused")
    tape.record("MailroomMailsRefused", until=lambda _: True)


def _doubtful(system: System, tape: Tape) -> None:
    system.simulator.turn(log_status=503)
    system.simulator.fail_next("500_before")
    doubt = hand_in(system)
    wait_for(lambda: status(system, doubt) == "in_doubt", within_s=20, what="it is in doubt")
    said = ("MailroomProviderLeavesDoubts", "MailroomDoubtsStay")
    tape.record(*said, until=lambda seen: seen['mailroom_dispatches{state="in_doubt"}'] == 1)

    system.db.dispatches.update_one({"state": "in_doubt"}, [{"$set": _days_earlier(2)}])
    tape.record("MailroomNeedsDecision", until=lambda seen: seen['mailroom_dispatches{state="unknown"}'] == 1)
    system.simulator.turn(log_status=200)


def _days_earlier(days: int) -> dict[str, Any]:
    """The call, the doubt, and the time of the next question."""
    back = days * 86_400_000
    names = ("claimed_at", "called_since", "in_doubt_at", "not_before")
    return {name: {"$subtract": [f"${name}", back]} for name in names}


def _bad_webhooks(system: System, tape: Tape) -> None:
    def post(event: dict[str, Any], number: int, **how: Any) -> requests.Response:
        body = webhook({**event, "id": f"e-{number}"}, token=f"{number:050}", **how)
        return requests.post(f"{system.api_url}/webhooks/mailgun", json=body, timeout=10)

    with ThreadPoolExecutor(4) as strangers:
        assert {a.status_code for a in strangers.map(lambda n: post(OPENED, n, key="another"), range(20))} == {401}
    tape.record("MailroomWebhooksRefused", until=lambda _: True)
    hour_ago = {"timestamp": time.time() - 3_600}
    assert post({**OPENED, **hour_ago}, 21).status_code == 200
    tape.record("MailroomWebhooksLate", until=lambda _: True)
    assert post({**OPENED, "event": "teleported"}, 22).status_code == 200


def _unbalanced(system: System, email_id: str) -> None:
    """A message is gone; and the duty that runs once an hour comes round."""
    assert system.db.messages.delete_one({"run_id": run_of_email(EmailId(email_id))}).deleted_count == 1
    earlier = server_now(system.db) - timedelta(minutes=10)
    system.db.emails.update_one({"_id": email_id}, {"$set": {"created_at": earlier}})
    services = build_sender_services(system.settings, sender="tests")
    balance(services)
