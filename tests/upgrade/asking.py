"""What clients ask for while processes are replaced: campaigns and single mails, each by one API and again by another.

What is promised by one version and asked for again from the other must be the same thing, under the same id.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.support.system import DOMAIN, System
from tests.upgrade.callers import Callers
from tests.upgrade.promises import Promises, a_body, people, refused_address

_MOST_WAITING: Final = 400
_WAITING: Final = {"lane": {"$gt": ""}, "state": {"$in": ["pending", "sending", "in_doubt"]}}
_LARGE_ONE_IN: Final = 40
_LARGE: Final = 400 * 1024  # beyond what lies in a document
_INSTANTS, _EVERY_S, _OF_INSTANT = 5, 2, 5
_TEMPLATE: Final = "reset"


class Campaigns:
    """New campaigns, as long as not too much waits: there is always one under way."""

    def __init__(self, system: System, callers: Callers, promises: Promises, *, recipients: int) -> None:
        self._system, self._callers, self._promises, self._recipients = system, callers, promises, recipients

    def step(self, number: int) -> None:
        if self._system.db.dispatches.count_documents(_WAITING, limit=_MOST_WAITING) == _MOST_WAITING:
            return
        (self._once, self._run_now, self._every, self._of_audience)[number % 4](f"c{number}", number)

    def _once(self, name: str, number: int) -> None:
        """Due in a moment."""
        at = {"kind": "once", "at": _local(seconds=8), "time_zone": "UTC"}
        to = people(name, self._recipients)
        self._made(a_body(name, {"recipients": to}, at), name, number)
        self._promises.people(to)

    def _run_now(self, name: str, number: int) -> None:
        """Run by hand, and paused for a moment by the other API."""
        to = people(name, self._recipients)
        schedule = self._made(a_body(name, {"recipients": to}, _FAR), name, number)
        run = self._asked_twice(f"/v1/schedules/{schedule}/run-now", f"run-{name}", number, {})
        self._promises.people(to)
        self._promises.run(run)
        for more, action in enumerate(("pause", "resume")):
            self._callers.call("POST", f"/v1/runs/{run}/{action}", first=number + 1 + more)

    def _every(self, name: str, number: int) -> None:
        """A few people, at several due instants in a row."""
        first = (datetime.now(UTC) + timedelta(seconds=6)).replace(microsecond=0)
        rule = {"kind": "every", "seconds": _EVERY_S, "starts_at": first.isoformat(), "max_runs": _INSTANTS}
        to = people(name, _OF_INSTANT)
        misfire = {"policy": "run_all", "grace_s": 3600}
        self._made(a_body(name, {"recipients": to}, rule | {"time_zone": "UTC"}, misfire=misfire), name, number)
        self._promises.people(to, times=_INSTANTS)

    def _of_audience(self, name: str, number: int) -> None:
        """A listed audience, made by one API and used by the other."""
        to = people(name, self._recipients)
        body = {"name": name, "recipients": to}
        audience = self._asked_twice("/v1/audiences", f"audience-{name}", number + 1, body)
        at = {"kind": "once", "at": _local(seconds=8), "time_zone": "UTC"}
        self._made(a_body(name, {"audience": audience}, at), name, number)
        self._promises.people(to)

    def _made(self, body: dict[str, Any], key: str, number: int) -> str:
        schedule = self._asked_twice("/v1/schedules", key, number, body)
        self._promises.schedule(schedule)
        return schedule

    def _asked_twice(self, path: str, key: str, number: int, body: dict[str, Any]) -> str:
        return asked_twice(self._callers, path, key, number, body)


class Mails:
    """Single mails of several kinds, one after the other."""

    def __init__(self, callers: Callers, promises: Promises, *, series: str) -> None:
        self._callers, self._promises, self._series = callers, promises, series
        template = {"subject": "{{ mark }}", "text": "Hello {{ name }}"}
        callers.call("PUT", f"/v1/templates/{_TEMPLATE}", json=template)

    def step(self, number: int) -> None:
        mark = f"{self._series}{number}"
        to = [refused_address() if number % 25 == 0 else f"p-{mark}@example.org", f"copy-{mark}@example.org"]
        body = {"from": f"Shop <shop@{DOMAIN}>", "to": to[:1], "bcc": to[1:], **_said(mark, number)}
        body["priority"] = ("high", "normal", "low")[number % 3]
        email = asked_twice(self._callers, "/v1/emails", mark, number, body)
        for address in to:
            self._promises.email(email, mark, address)


def asked_twice(callers: Callers, path: str, key: str, number: int, body: dict[str, Any]) -> str:
    """Ask one API, then the other under the same key. Returns the id."""
    answers = [callers.call("POST", path, first=number + more, key=key, json=body) for more in (0, 1)]
    for answer in answers:
        if not answer.ok:
            raise AssertionError(f"{answer.status_code} to {path}: {answer.text}")
    ids = [str(answer.json()["id"]) for answer in answers]
    if len(set(ids)) > 1:
        callers.found(f"POST {path} under one key is {ids}")
    return ids[0]


def _said(mark: str, number: int) -> dict[str, Any]:
    """What a mail says: by a template, with an attachment, large, later, or as it comes."""
    if number % _LARGE_ONE_IN == 1:
        return {"subject": mark, "text": "long " * (_LARGE // 5)}
    kinds: Sequence[dict[str, Any]] = (
        {"subject": mark, "text": "Hello"},
        {"template": _TEMPLATE, "variables": {"mark": mark, "name": "Bo"}},
        {"subject": mark, "html": "<p>Hello</p>", "attachments": [_ATTACHED]},
        {"subject": mark, "text": "Hello", "send_at": _SOON},
    )
    return dict(kinds[number % len(kinds)])


_ATTACHED: Final = {"filename": "a.txt", "content_type": "text/plain", "content": base64.b64encode(b"Hello").decode()}
#: At one time, as the same body is asked for again; past for the later ones of a long run, which go at once.
_SOON: Final = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()


def _local(*, seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0, tzinfo=None).isoformat()


_FAR: Final = {"kind": "once", "at": _local(seconds=300 * 86_400), "time_zone": "UTC"}
