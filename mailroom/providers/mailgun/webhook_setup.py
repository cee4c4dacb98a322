"""Mailgun's webhook targets: one URL for all the kinds that we read. A change may take ten minutes to take effect.

Source: documentation.mailgun.com, "Webhooks", "Sending in test mode" (read 2026-11).
"""

from typing import Final

import requests

from mailroom.domain.errors import Unavailable
from mailroom.providers.webhook_setup import same_but_mark

TYPES: Final = ("delivered", "opened", "clicked", "unsubscribed", "complained", "temporary_fail", "permanent_fail")
_TIMEOUT_S: Final = 15


class MailgunTarget:
    def __init__(self, *, base_url: str, domain: str, api_key: str) -> None:
        self._base_url, self._domain, self._auth = base_url, domain, ("api", api_key)

    def push(self, url: str, *, instead_of: str = "") -> None:
        root = f"{self._base_url}/v3/domains/{self._domain}/webhooks"
        try:
            answer = requests.get(root, auth=self._auth, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            present = answer.json()["webhooks"]
            for kind in TYPES:
                urls = (present.get(kind) or {}).get("urls") or []
                wanted = [*(target for target in urls if not same_but_mark(target, url) and target != instead_of), url]
                if sorted(wanted) == sorted(urls):
                    continue
                form = [("id", kind), *(("url", target) for target in wanted)]
                if urls:
                    answer = requests.put(f"{root}/{kind}", data=form[1:], auth=self._auth, timeout=_TIMEOUT_S)
                else:
                    answer = requests.post(root, data=form, auth=self._auth, timeout=_TIMEOUT_S)
                answer.raise_for_status()
        except (requests.RequestException, KeyError, ValueError) as error:
            raise Unavailable(f"Mailgun did not take the webhook target: {error}") from error

    def ask_for_event(self, url: str, name: str) -> bool:
        """By a mail in test mode: accepted, logged, reported by webhooks, never sent."""
        ours = f"mailroom@{self._domain}"
        form = {
            "from": ours,
            "to": ours,
            "subject": "Do webhooks arrive?",
            "text": "A test of Mailroom's, in test mode: it is not sent.",
            "o:testmode": "yes",
            "v:run": name,
        }
        try:
            answer = requests.post(
                f"{self._base_url}/v3/{self._domain}/messages", data=form, auth=self._auth, timeout=_TIMEOUT_S
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise Unavailable(f"Mailgun did not take a test mail: {error}") from error
        return True
