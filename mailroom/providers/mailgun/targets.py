"""Tell Mailgun where to send its webhooks: one URL for all the kinds that we read."""

from typing import Final

import requests

from mailroom.domain.errors import Unavailable

TYPES: Final = ("delivered", "opened", "clicked", "unsubscribed", "complained", "temporary_fail", "permanent_fail")
_TIMEOUT_S: Final = 15


def set_targets(*, base_url: str, domain: str, api_key: str, url: str) -> None:
    """Make `url` a target of every kind we read, beside targets that others set. Raises Unavailable."""
    auth, root = ("api", api_key), f"{base_url}/v3/domains/{domain}/webhooks"
    try:
        answer = requests.get(root, auth=auth, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        present = answer.json()["webhooks"]
        for kind in TYPES:
            urls = (present.get(kind) or {}).get("urls") or []
            if url in urls:
                continue
            form = [("id", kind), *(("url", target) for target in [*urls, url])]
            if urls:
                requests.put(f"{root}/{kind}", data=form[1:], auth=auth, timeout=_TIMEOUT_S).raise_for_status()
            else:
                requests.post(root, data=form, auth=auth, timeout=_TIMEOUT_S).raise_for_status()
    except (requests.RequestException, KeyError, ValueError) as error:
        raise Unavailable(f"Mailgun did not take the webhook target: {error}") from error
