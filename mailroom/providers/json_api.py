"""The shared part of adapters for vendors that take mail as JSON and have no log to ask."""

from mailroom.providers.base import CannotBeAsked
from mailroom.providers.connection import LiveConnection


class JsonApi(CannotBeAsked):
    """One account at such a vendor."""

    max_connections = 4_096
    connects: type[LiveConnection] = LiveConnection

    def __init__(self, *, base_url: str, api_key: str, call_timeout_s: float, idle_limit_s: float) -> None:
        self._base_url = base_url
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s
        self._headers = {
            **self.authorization(api_key),
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "mailroom",  # without one Resend refuses the call
        }

    def authorization(self, api_key: str) -> dict[str, str]:
        """The header that shows whose call it is."""
        return {"Authorization": f"Bearer {api_key}"}

    def connection(self) -> LiveConnection:
        return self.connects(self._base_url, call_timeout_s=self._call_timeout_s, idle_limit_s=self._idle_limit_s)
