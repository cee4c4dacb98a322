"""How long the main pages and lists of the API take, each asked for a while, with ids from all over the store."""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Final

import requests

from benchmarks.growth.store import Store
from mailroom.domain.ids import address_digest_of
from tests.support.forms import signed_in
from tests.support.system import System

PAGES: Final = {
    "schedules": "/",
    "schedules by name": "/?name={word}",
    "a schedule": "/schedules/{schedule}",
    "a schedule with a run from each block": "/schedules/{shared}",
    "runs": "/runs",
    "a run's report and mails": "/runs/{run}",
    "a mail of a run": "/runs/{run}/mails/{digest}",
    "what a mail of a run said": "/runs/{run}/mails/{digest}/content",
    "mails": "/emails",
    "mails to a recipient": "/emails?recipient={address}",
    "mails delivered": "/emails?status=delivered",
    "a single mail": "/emails/{email}",
    "a person": "/contacts/{address}",
    "calls": "/dispatches",
    "people": "/people",
    "senders": "/workers",
}
LISTS: Final = {
    "GET /v1/schedules": "/v1/schedules",
    "GET /v1/runs": "/v1/runs?total=true",
    "GET /v1/runs/{run}/messages": "/v1/runs/{run}/messages",
    "GET /v1/runs/{run}/report": "/v1/runs/{run}/report",
    "GET /v1/emails": "/v1/emails?total=true",
    "GET /v1/emails/{email}": "/v1/emails/{email}",
    "GET /v1/emails/{email}/events": "/v1/emails/{email}/events",
    "GET /v1/dispatches": "/v1/dispatches",
}


def measure(system: System, store: Store, times: int) -> dict[str, float]:
    """The median of each in milliseconds. Raises RuntimeError for an answer other than 200."""
    visitor, caller = signed_in(system.web_url, system.token), requests.Session()
    caller.headers["Authorization"] = f"Bearer {system.token}"
    found = {name: _median(visitor, system.web_url, path, store, times) for name, path in PAGES.items()}
    return found | {name: _median(caller, system.api_url, path, store, times) for name, path in LISTS.items()}


def _median(session: requests.Session, base: str, path: str, store: Store, times: int) -> float:
    spent = []
    for ids in _ids(store, times + 1):
        began = time.monotonic()
        answer = session.get(base + path.format(**ids), timeout=120, allow_redirects=False)
        spent.append((time.monotonic() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} with {ids}: {answer.status_code} {answer.text[:300]}")
    return round(statistics.median(spent[1:]), 1)


def _ids(store: Store, count: int) -> Iterator[Mapping[str, str]]:
    for block, number in store.pick(count):
        run = store.run(block, number)
        email, address = store.single_mail(block, number)
        yield {
            "schedule": run.partition("-")[0],
            "word": store.word(block, number),
            "shared": store.schedule,
            "run": run,
            "digest": address_digest_of(store.campaign_mail(block, number, number).message),
            "email": email,
            "address": address,
        }
