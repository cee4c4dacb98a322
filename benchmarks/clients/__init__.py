"""HTTP clients in one process, 64 calls in flight: what does a call cost, and how many fit in a second?

A client is `send(target, mails, in_flight)`: it posts the mails 0 to n-1, each once, each a ready body, and checks that
every answer is a 200. It parses no JSON; that costs the same with any client.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Where the stub listens."""

    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


class NotAccepted(Exception):
    """An answer was not a 200."""


def check(status: int) -> None:
    if status != 200:
        raise NotAccepted(str(status))
