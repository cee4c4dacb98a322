"""What exists in the system under test: for each name of a path's place, something that stands there.

What an operation uses up (a run that is cancelled, a token that is revoked) is made fresh for it. A place that is
not known here is looked for in the list above it: `/v1/xs/{x_id}` takes an id from `GET /v1/xs`.
"""

import random
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.storage import suppressions
from tests.support.emails import an_email
from tests.support.finished_runs import a_finished_run
from tests.support.system import System, a_schedule_body

Operation = tuple[str, str]  # method and path, as the OpenAPI document has them


class Things:
    def __init__(self, system: System, chance: random.Random) -> None:
        self.system, self.chance = system, chance
        self._kept: dict[str, str] = {}
        self.finished = a_finished_run(system.db, 30, failed=8, bounced=3).id
        self._listed: dict[str, list[str]] = {}

    def place(self, operation: Operation, name: str) -> str | None:
        """Something that the operation can be asked of; None where nothing is known."""
        fresh = _FRESH.get((*operation, name)) or _FRESH.get((*operation, ""))
        if fresh is not None:
            return fresh(self)
        if name in _KEPT:
            if name not in self._kept or self.chance.random() < 0.05:
                self._kept[name] = _KEPT[name](self)
            return self._kept[name]
        return self._from_list(operation[1], name)

    def _from_list(self, path: str, name: str) -> str | None:
        above = path.partition(f"/{{{name}}}")[0]
        if "{" in above:
            return None
        if not self._listed.get(above) or self.chance.random() < 0.2:
            answer = self.system.call("GET", above)
            items = answer.json().get("items", []) if answer.status_code == 200 else []
            keys = (name, name.removesuffix("_id"), "id", "name", "address")
            self._listed[above] = [str(next(one[k] for k in keys if k in one)) for one in items if set(keys) & set(one)]
        return self.chance.choice(self._listed[above]) if self._listed[above] else None

    # Each of these is new.

    def schedule(self) -> str:
        return self._made("/v1/schedules", a_schedule_body())

    def paused_schedule(self) -> str:
        id_ = self.schedule()
        self.system.call("POST", f"/v1/schedules/{id_}/pause").raise_for_status()
        return id_

    def archived_schedule(self) -> str:
        id_ = self.schedule()
        self.system.call("DELETE", f"/v1/schedules/{id_}").raise_for_status()
        return id_

    def audience(self) -> str:
        body = {"name": "Readers", "recipients": [{"address": "bo@example.org", "variables": {"city": "Rome"}}]}
        return self._made("/v1/audiences", body)

    def contact(self) -> str:
        """Of the audience that is looked at now."""
        audience = self._kept.setdefault("audience_id", self.audience())
        address = f"reader-{secrets.token_hex(4)}@example.org"
        self.system.call("PUT", f"/v1/audiences/{audience}/contacts/{address}", json={}).raise_for_status()
        return address

    def segment(self) -> str:
        return self._made(f"/v1/audiences/{self.audience()}/segments", {"name": "Rome", "filter": "city is set"})

    def run_with_feed(self) -> str:
        """It waits for its feed, which is nowhere."""
        body = a_schedule_body() | {"feed": {"url": "https://feeds.invalid/news.json"}}
        return self._made(f"/v1/schedules/{self._made('/v1/schedules', body)}/run-now", None)

    def run(self) -> str:
        return self._made(f"/v1/schedules/{self.schedule()}/run-now", None)

    def paused_run(self) -> str:
        id_ = self.run()
        self.system.call("POST", f"/v1/runs/{id_}/pause")
        return id_

    def missed_run(self) -> str:
        """One that is finished, and did not reach everybody."""
        return a_finished_run(self.system.db, 3, failed=2).id

    def digest_of_mail(self) -> str:
        found = self.system.db.messages.find_one({"run_id": self.finished})
        assert found
        return str(found["_id"]).rpartition("/")[2]

    def email(self) -> str:
        return self._made("/v1/emails", an_email())

    def failed_email(self) -> str:
        id_ = self.email()
        self.system.db.messages.update_many({"run_id": id_}, {"$set": {"state": "failed"}})
        self.system.db.dispatches.update_many({"run_id": id_}, {"$set": {"state": "failed", "reason": "no"}})
        return id_

    def unknown_dispatch(self) -> str:
        id_ = self.email()
        changed = {"state": "unknown", "attempt": 1, "account": "mg.example.com", "provider": "mailgun"}
        self.system.db.dispatches.update_many({"run_id": id_}, {"$set": changed})
        return f"{id_}-d00000"

    def dead_letter(self) -> str:
        return f"{self.failed_email()}-d00000"

    def template(self) -> str:
        name = f"t{secrets.token_hex(6)}"
        body = {"subject": "Hello {{ name }}", "text": "Hi {{ name|default('you') }}"}
        self.system.call("PUT", f"/v1/templates/{name}", json=body).raise_for_status()
        return name

    def token(self) -> str:
        return self._made("/v1/tokens", {"name": "shop", "scopes": ["read"]})

    def topic(self) -> str:
        return self._made("/v1/topics", {"id": f"t{secrets.token_hex(6)}", "name": "News"})

    def limited_domain(self) -> str:
        name = f"d{secrets.token_hex(4)}.example.org"
        body = {"mails": 100, "per": "hour"}
        self.system.call("PUT", f"/v1/rate-limits/domain/{name}", json=body).raise_for_status()
        return name

    def suppressed(self) -> str:
        address = f"gone-{secrets.token_hex(4)}@example.org"
        suppressions.add_bounced(self.system.db, [address], at=datetime.now(UTC))
        return address

    def erased(self) -> str:
        address = f"erased-{secrets.token_hex(4)}@example.org"
        self.system.call("POST", f"/v1/contacts/{address}/erase").raise_for_status()
        return address

    def _made(self, path: str, body: Any) -> str:
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        answer = self.system.call("POST", path, json=body, headers=headers)
        answer.raise_for_status()
        return str(answer.json()["id"])


Maker = Callable[[Things], str]
# What is looked at, or changed again and again. `name` is a provider's; of templates and limits see below.
_KEPT: dict[str, Maker] = {
    "schedule_id": Things.schedule,
    "audience_id": Things.audience,
    "segment_id": Things.segment,
    "run_id": lambda things: things.finished,
    "digest": Things.digest_of_mail,
    "email_id": Things.email,
    "dispatch_id": Things.dead_letter,
    "token_id": Things.token,
    "topic_id": Things.topic,
    "name": lambda _: "mailgun",
    "kind": lambda _: "domain",
    "version": lambda _: "1",
    "address": Things.suppressed,
}
_T, _S, _R, _E = "/v1/templates/{name}", "/v1/schedules/{schedule_id}", "/v1/runs/{run_id}", "/v1/emails/{email_id}"
_L = "/v1/rate-limits/{kind}/{name}"
_C = "/v1/audiences/{audience_id}/contacts/{address}"
_FRESH: dict[tuple[str, str, str], Maker] = {
    ("DELETE", _S, ""): Things.schedule,
    **{("POST", f"{_S}/{verb}", ""): Things.schedule for verb in ("archive", "pause", "skip-next")},
    ("POST", f"{_S}/resume", ""): Things.paused_schedule,
    ("POST", f"{_S}/restore", ""): Things.archived_schedule,
    ("DELETE", "/v1/audiences/{audience_id}", ""): Things.audience,
    **{(method, _C, "address"): Things.contact for method in ("GET", "PUT", "PATCH", "DELETE")},
    ("GET", "/v1/contacts/{address}/erasure", ""): Things.erased,
    ("DELETE", "/v1/segments/{segment_id}", ""): Things.segment,
    ("GET", f"{_R}/feed", ""): Things.run_with_feed,
    **{("POST", f"{_R}/{verb}", ""): Things.run for verb in ("cancel", "pause")},
    ("POST", f"{_R}/resume", ""): Things.paused_run,
    ("POST", f"{_R}/send-again", ""): Things.missed_run,
    ("POST", f"{_E}/cancel", ""): Things.email,
    ("POST", f"{_E}/send-again", ""): Things.failed_email,
    ("POST", "/v1/dispatches/{dispatch_id}/resolve", ""): Things.unknown_dispatch,
    ("GET", _T, ""): Things.template,
    ("PUT", _T, ""): lambda things: things.template() if things.chance.random() < 0.5 else f"n{secrets.token_hex(6)}",
    ("DELETE", _T, ""): Things.template,
    **{("GET", f"{_T}/versions{version}", "name"): Things.template for version in ("", "/{version}")},
    ("PUT", _L, "name"): Things.limited_domain,
    ("DELETE", _L, "name"): Things.limited_domain,
    ("DELETE", "/v1/suppressions/{address}", ""): Things.suppressed,
    ("POST", "/v1/tokens/{token_id}/rotate", ""): Things.token,
    ("DELETE", "/v1/tokens/{token_id}", ""): Things.token,
}


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()
