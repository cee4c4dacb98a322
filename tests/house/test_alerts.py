"""Alert rules and the dashboard, by Prometheus' own tool: each alert fires in its minute, none in hours of steady load,
and no query names what the code does not expose. That each fires by its cause is shown in tests/alerts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import SERVING
from tests.alerts.causes import CAUSES
from tests.support.exposed import series_of_the_code
from tests.support.promtool import alerts, promtool, rules

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "config/grafana/mailroom.json"
CASES = ROOT / "tests/alerts"
#: Labels that Prometheus gives each series, and that our recording rules give.
GIVEN = {"instance", "job", "objective", "alertname", "alertstate"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Of the rules and the dashboard, as Prometheus gets them."""
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        yield from (target["expr"].replace("$__rate_interval", "5m") for target in panel["targets"])


def test_prometheus_takes_the_configuration_and_its_rules() -> None:
    done = promtool("check", "config", ROOT / "config/prometheus/prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_every_part_of_docker_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    serving = set(SERVING) - {"up", "simulator"}
    ours = {name for name, one in services.items() if one.get("command", [""])[0] in serving}
    jobs = yaml.safe_load((ROOT / "config/prometheus/prometheus.yml").read_text())["scrape_configs"]

    assert {job["job_name"] for job in jobs} == ours | {"edge"}
    assert [job["dns_sd_configs"][0]["names"] for job in jobs] == [[job["job_name"]] for job in jobs]


@pytest.mark.parametrize("cases", ["fire.yml", "quiet.yml"])
def test_alerts_fire_in_their_minute_and_never_in_a_steady_load(cases: str) -> None:
    done = promtool("test", "rules", CASES / cases)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_cause_that_is_made_on_real_parts() -> None:
    assert sorted(cause.alert for cause in CAUSES) == sorted(alerts())


def test_each_alert_has_its_minute_and_its_words() -> None:
    tested = yaml.safe_load((CASES / "fire.yml").read_text())["tests"]
    checks = [check for test in tested for check in test["alert_rule_test"]]

    assert {check["alertname"] for check in checks if check["exp_alerts"]} == alerts().keys()


def test_each_alert_has_its_line_in_the_runbook() -> None:
    page = (ROOT / "docs/watching.md").read_text()
    told = dict(re.findall(r"^\| `(Mailroom\w+)` \| (\w+) \| [^|]{20,} \| [^|]{10,} \|$", page, re.MULTILINE))

    assert told == {name: alert["labels"]["severity"] for name, alert in alerts().items()}
    assert {alert["annotations"]["runbook"] for alert in alerts().values()} == {"docs/watching.md#alerts"}
    assert "## Alerts\n" in page


def test_every_query_asks_for_what_is_exposed() -> None:
    """With the labels that it has: a query with another name finds nothing, and never fires."""
    exposed = series_of_the_code()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for query in queries():
        named = re.findall(r"\b((?:mailroom|process)[_:][\w:]+)(?:\{([^}]*)\})?", query)
        assert named, query
        for name, matchers in named:
            assert name in exposed or name in recorded or name.startswith("process_"), name
            assert set(re.findall(r"(\w+)\s*[!=]", matchers)) <= exposed.get(name, set()) | GIVEN, (name, matchers)
        grouped = {word for by in re.findall(r"\bby \(([^)]*)\)", query) for word in re.findall(r"\w+", by)}
        assert grouped <= set().union(*exposed.values()) | GIVEN, query


def test_every_metric_is_watched_by_an_alert_or_a_panel() -> None:
    asked = " ".join(queries())
    names = {re.sub(r"_(count|sum|bucket)$", "", name) for name in series_of_the_code()}

    assert [name for name in sorted(names) if name not in asked] == []


def test_the_queries_of_the_dashboard_are_queries(tmp_path: Path) -> None:
    made = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": made}]}))

    done = promtool("check", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_lie_side_by_side_with_names_and_units() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(BOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels())
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
