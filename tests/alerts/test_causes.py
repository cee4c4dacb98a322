"""Each alert fires by its cause, made on real parts, and was quiet before: promtool judges what was really scraped.

A test tells a story in which one cause follows the other, because to start a system costs more than to scrape it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.servers import Servers
from tests.alerts import providers, senders, stores
from tests.alerts.causes import PROVIDERS, SENDERS, STORES, Cause, Recordings
from tests.support.promtool import alerts, promtool, rule_files
from tests.support.recorded_series import CAUSE_MIN, Recording, unit_test
from tests.support.system import System, a_system

pytestmark = pytest.mark.timeout(400)


class Judge:
    """Asks promtool about recordings, an alert at a time."""

    def __init__(self, subtests: pytest.Subtests, folder: Path) -> None:
        self._subtests, self._file = subtests, folder / "recorded.yml"

    def judge(self, recordings: Recordings, causes: Sequence[Cause]) -> None:
        assert sorted(recordings) == sorted(cause.alert for cause in causes)
        for cause in causes:
            with self._subtests.test(str(cause)):
                self._judge(recordings[cause.alert], cause)

    def _judge(self, recording: Recording, cause: Cause) -> None:
        checks = [_quiet(), _fires(cause)]
        test = unit_test(recording, checks, goes_on=cause.goes_on, minutes=cause.within_min)
        self._file.write_text(yaml.safe_dump({"rule_files": list(map(str, rule_files())), **test}))

        done = promtool("test", "rules", self._file)

        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def judge(subtests: pytest.Subtests, tmp_path: Path) -> Judge:
    return Judge(subtests, tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[System]:
    with (
        Servers.start(tmp_path / "servers") as servers,
        a_system(tmp_path / "system", servers, database="own") as system,
    ):
        yield system


def test_the_alerts_on_providers_fire_by_their_causes(system: System, judge: Judge) -> None:
    judge.judge(providers.record(system), PROVIDERS)


def test_the_alerts_on_senders_fire_by_their_causes(system: System, judge: Judge) -> None:
    judge.judge(senders.record(system), SENDERS)


def test_the_alerts_on_stores_fire_by_their_causes(own: System, judge: Judge, tmp_path: Path) -> None:
    recordings = stores.record(own, tmp_path)

    judge.judge(recordings, STORES)
    gone, back = recordings["MailroomFiguresOld"].after, recordings["MailroomHeld"].before
    assert not [series for series in gone.values if series.startswith("mailroom_dispatches{")]
    assert gone['mailroom_http_requests_total{method="GET",route="/metrics",status="200"}'] > 1
    assert back["mailroom_figures_fresh"] == 1


def _quiet() -> dict[str, Any]:
    """No alert at all, after an hour of the well system."""
    return {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{CAUSE_MIN}m", "exp_samples": []}


def _fires(cause: Cause) -> dict[str, Any]:
    severity = alerts()[cause.alert]["labels"]["severity"]
    named = {"alertname": cause.alert, "alertstate": "firing"}
    labels = [_written("ALERTS", {**named, "severity": severity, **more}) for more in cause.labels]
    firing = [{"labels": one, "value": 1} for one in labels]
    return {"expr": _written("ALERTS", named), "eval_time": f"{CAUSE_MIN + cause.within_min}m", "exp_samples": firing}


def _written(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}"
