"""What events tell of a dispatch in doubt: the log is asked by their names too, and a person sees what they report."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mailroom.domain.events import EventKind
from mailroom.domain.ids import DispatchId
from mailroom.providers.mailgun.events_api import ask
from mailroom.providers.mailgun.webhooks import parse_event
from mailroom.services.feedback.intake import take_in
from mailroom.services.reports import runs as run_views
from mailroom.storage.database import Db
from mailroom.storage.messages.document import Reported
from tests.support.builders import NOW, an_event
from tests.support.doubts import DISPATCH, RUN, a_doubt

OWN = "20261123.1.A@mg.example.com"  # a name that the provider gave


class Log:
    """A log that shows these events to who asks by their Message-Id."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.asked: list[str] = []
        log = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                wanted = query.get("message-id", [""])[0]
                log.asked.append(wanted)
                items = [event for event in events if event["message"]["headers"]["message-id"] in wanted]
                out = json.dumps({"items": items, "paging": {"next": f"{log.url}/end"}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def logged(dispatch: str | None) -> dict[str, Any]:
    variables = {"dispatch": dispatch, "attempt": "1"} if dispatch else {}
    headers = {"message-id": OWN}
    return {"recipient": "bo@example.org", "user-variables": variables, "message": {"headers": headers}}


@pytest.fixture(params=[DISPATCH, "run-2-d000000", None])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[Log, bool]]:
    """And whether what it shows is of this dispatch."""
    made = Log(logged(request.param))
    yield made, request.param == DISPATCH
    made.stop()


def test_an_id_from_an_event_counts_only_if_the_log_shows_its_dispatch(log: tuple[Log, bool]) -> None:
    found, ours = log

    answer = ask(found.url, "key", "mg.example.com", [DISPATCH], None, {DISPATCH: [OWN, 'x" OR "y']})

    assert OWN in found.asked[0]
    assert "x" not in found.asked[0].replace(OWN, "").replace("example", "")
    assert answer.traces[DISPATCH].seen == (frozenset({"bo@example.org"}) if ours else frozenset())


def test_events_make_us_ask_at_once_and_by_their_name_and_settle_nothing(db: Db) -> None:
    a_doubt(db, not_before=NOW.replace(year=2100))
    message = {"_id": "m", "run_id": RUN, "dispatch_id": DISPATCH, "address": "reader@example.org", "state": "in_doubt"}
    db.messages.insert_one(message | {"sent_at": NOW, "delivered_at": NOW})

    for number in range(9):
        told = an_event(EventKind.DELIVERED, id_=f"e{number}", dispatch_id=DISPATCH, provider_id=f"{number}.{OWN}")
        take_in(db, [told], now=NOW)

    doc = db.dispatches.find_one({})
    assert doc
    assert (doc["state"], doc["not_before"]) == ("in_doubt", NOW)
    assert doc["told_as"] == [f"{number}.{OWN}" for number in range(5)]
    assert run_views.dispatch(db, DISPATCH).reported == Reported(sent=1, delivered=1)


def test_an_event_without_our_variables_is_known_by_our_message_id() -> None:
    raw = {"event": "delivered", "id": "e", "timestamp": 1767268800, "recipient": "bo@example.org"}

    def dispatch_of(message_id: str) -> DispatchId | None:
        return parse_event(raw | {"message": {"headers": {"message-id": message_id}}}, "mg").dispatch_id

    assert dispatch_of(f"<{DISPATCH}.mailroom@mg.example.com>") == DISPATCH
    assert dispatch_of(OWN) is None
    assert dispatch_of("control-1.mailroom@mg.example.com") is None
