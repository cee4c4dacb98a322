"""A request that the API has answered: the facts that its caller may look up later."""

import random
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

# Of a caller's own X-Request-Id: what stands in a log line, a header and a URL as it is. A UUID is one.
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+/-]{0,127}")


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """An answered request of a known caller. It has the template of the route, not the path, which may hold an
    address."""

    at: datetime  #: when it came
    request_id: str  #: the caller's own, or ours
    token: str  #: the id of the token
    method: str
    route: str
    status: int
    ms: float  #: milliseconds from the whole request to its answer


def sane_request_id(given: str) -> str | None:
    """A caller's own id of its request, if it can be kept as it is; else None."""
    return given if _SANE.fullmatch(given) else None


def request_id_of(given: str) -> str:
    """A caller's own id of its request, if it can be kept as it is; else a new one, which is no secret."""
    return sane_request_id(given) or f"{random.getrandbits(64):016x}"
