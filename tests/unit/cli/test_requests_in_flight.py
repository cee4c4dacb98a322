"""How many requests an application is answering."""

from collections.abc import Iterable
from typing import Any

import pytest

from cli.requests_in_flight import RequestsInFlight


def test_a_request_is_in_flight_while_it_is_answered_and_no_longer_even_if_it_fails() -> None:
    seen = []

    def application(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
        seen.append(requests.count)
        if environ["within"]:
            requests({"within": False}, print)  # type: ignore[arg-type]
            raise ValueError("broken")
        return []

    requests = RequestsInFlight(application)

    with pytest.raises(ValueError, match="broken"):
        requests({"within": True}, print)  # type: ignore[arg-type]

    assert (seen, requests.count) == ([1, 2], 0)
