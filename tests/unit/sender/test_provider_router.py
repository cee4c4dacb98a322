"""By which provider a dispatch goes, where some may not go by all."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from mailroom.domain.circuits import Circuit, CircuitState
from mailroom.domain.ids import Lane
from mailroom.domain.shares import Shares
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage.providers import ProviderStanding
from sender import provider_router
from sender.pace import Pace
from sender.provider_router import ProviderRouter
from sender.speeds import Speeds
from tests.support.builders import a_claimable

ELSEWHERE: list[tuple[str, tuple[str, ...]]] = [("shared", ()), ("elsewhere", ("ses", "smtp"))]
NAMES = ["mailgun", "ses", "smtp"]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> ProviderRouter:
    services = MagicMock()
    services.adapters = {name: SimpleNamespace(max_recipients=1000) for name in NAMES}
    services.shares = Shares({}, {"gmail.com": {"smtp": 1}})
    services.circuits.look.return_value = {name: Circuit() for name in NAMES}
    standing = [ProviderStanding(name, True) for name in NAMES]
    monkeypatch.setattr(provider_router, "standings", lambda *_: standing)
    return ProviderRouter(services, Pace(NAMES), Speeds(NAMES))


def waiting(**among: tuple[str, ...]) -> Waiting:
    return Waiting([a_claimable(id_, lane=Lane("mail/0"), among=names) for id_, names in among.items()])


def chosen(router: ProviderRouter, of: Waiting) -> dict[str, list[str]]:
    return {name: [one.id for one in part.dispatches] for name, part in router.choose(of)}


def test_what_went_elsewhere_goes_by_the_others_in_its_own_order(router: ProviderRouter) -> None:
    assert chosen(router, waiting(a=(), b=("smtp", "ses"), c=())) == {"mailgun": ["a", "c"], "smtp": ["b"]}


def test_one_that_takes_nothing_is_passed_over(router: ProviderRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: Any = SimpleNamespace(state=CircuitState.OPEN)
    router._services.circuits.look.return_value["smtp"] = rests  # type: ignore[attr-defined]

    assert chosen(router, waiting(b=("smtp", "ses"))) == {"ses": ["b"]}


def test_without_one_of_its_own_it_waits(router: ProviderRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    off = [ProviderStanding(name, name == "mailgun") for name in NAMES]
    monkeypatch.setattr(provider_router, "standings", lambda *_: off)

    assert chosen(router, waiting(a=(), b=("smtp", "ses"))) == {"mailgun": ["a"]}
    stuck = router.without_provider(waiting(a=(), b=("smtp", "ses"), c=("ses", "mailgun")))
    assert [one.id for one in stuck.dispatches] == ["b"]


def test_one_that_asks_to_wait_is_passed_over_until_then(router: ProviderRouter) -> None:
    router._pace.too_fast("mailgun", 5.0)

    assert chosen(router, waiting(a=())) == {"ses": ["a"]}


def test_a_domain_with_shares_of_its_own_goes_by_them_unless_the_mail_went_elsewhere(router: ProviderRouter) -> None:
    lane = Lane("mail/0")
    shared, elsewhere = (a_claimable(id_, lane=lane, domain="gmail.com", among=among) for id_, among in ELSEWHERE)

    assert chosen(router, Waiting([shared, elsewhere])) == {"smtp": ["shared"], "ses": ["elsewhere"]}
