"""Looks at all that is shown, at every API and on every page, while others change it. A version must be able to show
what the other one stored."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import requests

from tests.support.forms import csrf_of
from tests.support.system import DOMAIN
from tests.upgrade.callers import Callers
from tests.upgrade.fleet import Place
from tests.upgrade.promises import Promises

_OF_API: Final = (
    *(
        "/v1/schedules",
        "/v1/schedules/{schedule}",
        "/v1/schedules/{schedule}/runs",
        "/v1/schedules/{schedule}/next-runs",
    ),
    *("/v1/runs/{run}", "/v1/runs/{run}/report", "/v1/runs/{run}/messages", "/v1/runs/{run}/unreached"),
    *("/v1/emails", "/v1/emails/{email}", "/v1/emails/{email}/events", "/v1/templates", "/v1/audiences"),
    *("/v1/dispatches", "/v1/dispatches?state=in_doubt", "/v1/dispatches?state=failed", "/v1/providers"),
    *("/v1/suppressions", "/v1/tokens", "/v1/sending", "/v1/refusals", "/v1/rate-limits", "/metrics", "/ready"),
)
_OF_PAGES: Final = (
    *("/", "/schedules/{schedule}", "/schedules/{schedule}/report", "/schedules/{schedule}/edit", "/runs/{run}"),
    *("/emails", "/emails/{email}", "/dispatches", "/dead-letters", "/providers", "/sending", "/suppressions"),
    *("/refusals", "/audiences"),
)
_PAGE_S: Final = 30.0


class Looks:
    """Each step looks at one thing of the newest that was promised, at the APIs in turn."""

    def __init__(self, callers: Callers, promises: Promises) -> None:
        self._callers, self._promises = callers, promises

    def step(self, number: int) -> None:
        path = _filled_in(_OF_API[number % len(_OF_API)], self._promises)
        if path is None:
            return
        answer = self._callers.call("GET", path, first=number // len(_OF_API))
        if answer.status_code != 200:
            self._callers.found(f"{answer.status_code} to GET {path}: {answer.text[:200]}")


class Browser:
    """Somebody who signed in once, before the first process was replaced, and reads pages of all processes."""

    def __init__(self, places: Sequence[Place], token: str, callers: Callers, promises: Promises) -> None:
        self._places, self._callers, self._promises = places, callers, promises
        self._session = requests.Session()
        first = self._session.get(f"{places[0].url}/sign-in", timeout=_PAGE_S)
        form = {"token": token, "next": "/", "csrf_token": csrf_of(first.text)}
        self._session.post(f"{places[0].url}/sign-in", data=form, timeout=_PAGE_S).raise_for_status()
        self.pages: Counter[str] = Counter()  # that were shown, by version

    def step(self, number: int) -> None:
        path = _filled_in(_OF_PAGES[number % len(_OF_PAGES)], self._promises)
        if path is None:
            return
        place = self._places[number // len(_OF_PAGES) % len(self._places)]
        try:
            answer = self._session.get(f"{place.url}{path}", timeout=_PAGE_S)
        except requests.RequestException:  # it is being replaced
            time.sleep(0.2)
            return
        if answer.status_code == 200 and "csrf_token" in answer.text:
            self.pages[place.version] += 1
        elif answer.status_code != 503:
            words = re.sub(r"<[^>]*>|\s+", " ", answer.text)[:200]
            self._callers.found(f"{answer.status_code} to the page {path} of {place.name} ({place.version}): {words}")


class Elsewhere:
    """Asks for the rule that old senders do not know. It must not be taken in while one of them may run."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self.answers: Counter[str] = Counter()

    def step(self, number: int) -> None:
        body: dict[str, Any] = {"from": f"a@{DOMAIN}", "to": ["elsewhere@example.org"], "subject": "elsewhere"}
        key = f"elsewhere-{number}"
        asked = body | {"text": "Hello", "on_doubt": "elsewhere"}
        answer = self._callers.call("POST", "/v1/emails", first=number, key=key, json=asked)
        self.answers[f"{answer.status_code} {answer.json().get('code', '')}"] += 1
        if answer.ok:
            self._callers.found("on_doubt: elsewhere was taken in, and an old sender may run")


def _filled_in(path: str, promises: Promises) -> str | None:
    """The path with the newest ids; None where there is none yet."""
    newest = {"schedule": promises.schedules, "run": promises.runs, "email": promises.emails}
    ids = {name: known[-1] for name, known in newest.items() if known}
    return path.format(**ids) if all(name in ids for name in re.findall(r"{(\w+)}", path)) else None
