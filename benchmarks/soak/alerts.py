"""The rules of config/prometheus, evaluated by a real Prometheus over its own scraped series."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from local.children import Child
from local.ports import free_port

_CONFIGURED: Final = Path(__file__).parents[2] / "config/prometheus/prometheus.yml"
_START_S: Final = 60.0
_EVERY_S: Final = 15  # as configured
_MAY_BE_MISSED: Final = 1 / 50  # of the scrapes of a process


class Prometheus:
    """A running one."""

    def __init__(self, port: int, every_s: int) -> None:
        self._every_s = every_s
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def is_ready(self) -> bool:
        try:
            return requests.get(self._url.replace("/api/v1", "/-/ready"), timeout=2).ok
        except requests.RequestException:
            return False

    def firing(self, *, since: float, until: float, state: str = "firing") -> dict[str, float]:
        """For how many seconds each alert that fired did so, in all."""
        found = self._range(f'ALERTS{{alertstate="{state}"}}', since, until)
        seconds: dict[str, float] = {}
        for series in found:
            name = series["metric"]["alertname"]
            seconds[name] = seconds.get(name, 0.0) + len(series["values"]) * self._every_s
        return seconds

    def evaluated(self) -> int:
        """How many alerts there are."""
        return sum(rule["type"] == "alerting" for rule in self._rules())

    def blind_spots(self, jobs: Mapping[str, Sequence[int]], *, since: float, until: float) -> list[str]:
        """Rules that could not be evaluated, and processes that were not scraped: its silence proves nothing there."""
        rules = self._rules()
        found = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
        up = {(one["metric"]["job"], one["metric"]["instance"]): one for one in self._range("up", since, until)}
        for job, port in ((job, port) for job, ports in jobs.items() for port in ports):
            shown = up.get((job, f"127.0.0.1:{port}"), {"values": []})["values"]
            missed = sum(value == "0" for _, value in shown)
            if not shown or missed > len(shown) * _MAY_BE_MISSED:
                found.append(f"{job} at {port} was not scraped, {missed} times of {len(shown)}")
        return found if rules else ["no rules"]

    def _rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _range(self, query: str, since: float, until: float) -> list[dict[str, Any]]:
        # No more than 11,000 points are answered: two days.
        asked = {"query": query, "start": since, "end": until, "step": self._every_s}
        return list(self._ask("query_range", **asked)["result"])

    def _ask(self, what: str, **query: Any) -> Any:
        answer = requests.get(f"{self._url}/{what}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]


@contextmanager
def a_prometheus(folder: Path, jobs: Mapping[str, Sequence[int]], *, every_s: int = _EVERY_S) -> Iterator[Prometheus]:
    """With our own configuration, but for where the processes are found, and how often they are asked."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(configured(jobs, every_s)))
    port = free_port()
    command = [prometheus_binary(), f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'series'}"]
    child = Child("prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}"], log=folder / "prometheus.log")
    try:
        running = Prometheus(port, every_s)
        child.wait_until(running.is_ready, timeout_s=_START_S)
        yield running
    finally:
        child.stop(grace_s=10)


def configured(jobs: Mapping[str, Sequence[int]], every_s: int) -> dict[str, Any]:
    """config/prometheus/prometheus.yml for processes of this machine. The edge is not there."""
    made: dict[str, Any] = yaml.safe_load(_CONFIGURED.read_text())
    made["global"] = dict.fromkeys(made["global"], f"{every_s}s")
    made["rule_files"] = [str(_CONFIGURED.parent / name) for name in made["rule_files"]]
    made["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
        for job, ports in jobs.items()
    ]
    return made


def prometheus_binary() -> str:
    """Its path; the bare name where it is not found, so that the start says so."""
    return os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus") or "prometheus"
