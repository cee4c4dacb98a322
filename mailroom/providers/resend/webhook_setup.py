"""Resend's webhooks: one for our URL, with all kinds of events that we read. Each has a secret of its own.

Source: resend.com/docs/api-reference/webhooks, resend/resend-openapi (read 2026-11). There is no call for a test event,
and a key that may only send may not set webhooks.
"""

import hmac
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailroom.domain.errors import Unavailable
from mailroom.providers.parsing import mapping, text_of
from mailroom.providers.webhook_setup import NoTestEvent, ask_json, same_but_mark

_KINDS: Final = (
    *("email.sent", "email.delivered", "email.delivery_delayed", "email.bounced", "email.complained"),
    *("email.opened", "email.clicked", "email.failed", "email.suppressed"),
)
_MOST_PAGES: Final = 20


class ResendTarget:
    def __init__(self, *, base_url: str, api_key: str, secret: str) -> None:
        self._base_url, self._secret = base_url, secret
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "mailroom"}

    def push(self, url: str, *, instead_of: str = "") -> None:
        """Raises Unavailable also if Resend signs for this URL with another secret than the one in our settings."""
        present = list(self._present())
        webhook = _id_of(present, url) or _id_of(present, instead_of)
        wanted: dict[str, Any] = {"endpoint": url, "events": list(_KINDS)}
        if webhook:
            self._ask("PATCH", f"/webhooks/{webhook}", wanted | {"status": "enabled"})
        else:
            webhook = text_of(self._ask("POST", "/webhooks", wanted).get("id"))
        secret = text_of(self._ask("GET", f"/webhooks/{webhook}", None).get("signing_secret"))
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise Unavailable(
                "Resend signs for this target with another secret: set RESEND_WEBHOOK_SECRET to the signing secret on "
                "the webhook's page at Resend"
            )

    def ask_for_event(self, url: str, name: str) -> bool:
        raise NoTestEvent("Resend sends no test event on request")

    def _present(self) -> Iterator[Mapping[str, Any]]:
        path = "/webhooks?limit=100"
        for _ in range(_MOST_PAGES):
            page = self._ask("GET", path, None)
            webhooks = [mapping(webhook) for webhook in page.get("data") or []]
            yield from webhooks
            if not webhooks or page.get("has_more") is not True:
                return
            path = f"/webhooks?limit=100&after={text_of(webhooks[-1].get('id'))}"

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return ask_json("Resend", method, f"{self._base_url}{path}", body, headers=self._headers)


def _id_of(webhooks: list[Mapping[str, Any]], url: str) -> str:
    """The id of the webhook of this URL, up to its mark; '' for none."""
    found = (each for each in webhooks if url and same_but_mark(text_of(each.get("endpoint")), url))
    return text_of(next((each.get("id") for each in found), ""))
