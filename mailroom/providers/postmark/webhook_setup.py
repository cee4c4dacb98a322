"""Postmark's webhooks: one of each message stream for our URL, with the secret as its password.

Source: postmarkapp.com/developer/api/webhooks-api (read 2026-11). There is no call for a test event.
"""

from collections.abc import Sequence
from typing import Any, Final

from mailroom.providers.parsing import mapping, text_of
from mailroom.providers.postmark.webhooks import USER
from mailroom.providers.webhook_setup import NoTestEvent, ask_json, same_but_mark

_TRIGGERS: Final = {
    "Delivery": {"Enabled": True},
    "Bounce": {"Enabled": True, "IncludeContent": False},
    "SpamComplaint": {"Enabled": True, "IncludeContent": False},
    "Open": {"Enabled": True, "PostFirstOpenOnly": False},
    "Click": {"Enabled": True},
    "SubscriptionChange": {"Enabled": True},
}


class PostmarkTarget:
    def __init__(self, *, base_url: str, server_token: str, secret: str, streams: Sequence[str]) -> None:
        self._base_url, self._streams = base_url, tuple(dict.fromkeys(streams))
        self._headers = {"X-Postmark-Server-Token": server_token, "Accept": "application/json"}
        self._auth = {"Username": USER, "Password": secret}

    def push(self, url: str, *, instead_of: str = "") -> None:
        wanted = {"Url": url, "HttpAuth": self._auth, "Triggers": _TRIGGERS}
        for stream in self._streams:
            webhook = self._webhook(stream, url) or self._webhook(stream, instead_of)
            if webhook is None:
                self._ask("POST", "/webhooks", wanted | {"MessageStream": stream})
            else:
                self._ask("PUT", f"/webhooks/{webhook}", wanted)

    def ask_for_event(self, url: str, name: str) -> bool:
        raise NoTestEvent("Postmark sends no test event on request")

    def _webhook(self, stream: str, url: str) -> int | None:
        if not url:
            return None
        listed = self._ask("GET", f"/webhooks?MessageStream={stream}", None)
        present = (mapping(webhook) for webhook in listed.get("Webhooks") or [])
        return next((webhook.get("ID") for webhook in present if same_but_mark(text_of(webhook.get("Url")), url)), None)

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return ask_json("Postmark", method, f"{self._base_url}{path}", body, headers=self._headers)
