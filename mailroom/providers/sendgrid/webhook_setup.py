"""SendGrid's event webhooks: one for our URL, signed. Its test event carries no id of ours: any verified event counts.

Source: twilio.com/docs/sendgrid/api-reference/webhooks (read 2026-11).
"""

from typing import Any, Final

import requests

from mailroom.domain.errors import Unavailable
from mailroom.providers.webhook_setup import same_but_mark

_ROOT: Final = "/v3/user/webhooks/event"
_KINDS: Final = (
    *("processed", "delivered", "deferred", "bounce", "dropped", "open", "click"),
    *("spam_report", "unsubscribe", "group_unsubscribe"),
)
_TIMEOUT_S: Final = 15


class SendGridTarget:
    def __init__(self, *, base_url: str, api_key: str, verification_key: str) -> None:
        self._base_url, self._key = base_url, verification_key
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def push(self, url: str, *, instead_of: str = "") -> None:
        """Raises Unavailable also if SendGrid signs with another key than the one in our settings."""
        wanted = {"enabled": True, "url": url, "friendly_name": "Mailroom", **dict.fromkeys(_KINDS, True)}
        webhook = self._webhook(url) or self._webhook(instead_of)
        if webhook is None:
            webhook = self._ask("POST", f"{_ROOT}/settings", wanted).get("id")
        else:
            self._ask("PATCH", f"{_ROOT}/settings/{webhook}", wanted)
        signed = self._ask("PATCH", f"{_ROOT}/settings/signed/{webhook}", {"enabled": True})
        if signed.get("public_key") != self._key:
            key = signed.get("public_key")
            raise Unavailable(
                f"SendGrid signs for this target with another key: set SENDGRID_VERIFICATION_KEY to {key}"
            )

    def ask_for_event(self, url: str, name: str) -> bool:
        self._ask("POST", f"{_ROOT}/test", {"id": self._webhook(url), "url": url})
        return False

    def _webhook(self, url: str) -> str | None:
        present = self._ask("GET", f"{_ROOT}/settings/all", None).get("webhooks") or []
        return next(
            (webhook["id"] for webhook in present if url and same_but_mark(webhook.get("url") or "", url)), None
        )

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        try:
            answer = requests.request(
                method, f"{self._base_url}{path}", json=body, headers=self._headers, timeout=_TIMEOUT_S
            )
            answer.raise_for_status()
            return dict(answer.json()) if answer.content else {}
        except (requests.RequestException, ValueError, TypeError) as error:
            raise Unavailable(f"SendGrid did not take the webhook target: {error}") from error
