"""Each part of a running system tells what it does, on its own port."""

import re
from concurrent.futures import ThreadPoolExecutor

import requests
from click.testing import CliRunner
from prometheus_client import Metric

from cli.main import main
from local.ports import free_port
from mailroom.watching.exposition import TOPICS
from tests.support.emails import hand_in, status
from tests.support.system import System, a_schedule_body, wait_for

Metrics = dict[str, float]


def scraped(url: str) -> Metrics:
    answer = requests.get(f"{url}/metrics", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    series = re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in series}


def families(metrics: Metrics) -> set[str]:
    """Names without what a histogram or a counter adds."""
    return {re.sub(r"(_total|_bucket|_count|_sum)?(\{.*)?$", "", name) for name in metrics}


def test_each_part_is_scraped_and_the_counts_are_those_of_what_was_sent(system: System) -> None:
    port = free_port()
    system.start_simulator()
    system.start_api()
    system.start_web()
    system.start_senders(1, MAILROOM_SENDER_PORT=str(port))
    sender = f"http://127.0.0.1:{port}"
    people = [{"address": f"p{n}@example.org", "name": f"P{n}", "variables": {"city": "Rome"}} for n in range(30)]
    made = system.call("POST", "/v1/schedules", json=a_schedule_body(recipients=people)).json()
    system.call("POST", f"/v1/schedules/{made['id']}/run-now", headers={"Idempotency-Key": "k"})
    ids = [hand_in(system, key=f"k{n}", to=[f"r{n}@example.org"], priority="high") for n in range(5)]
    wait_for(lambda: len(system.simulator.mails()) == 35, within_s=30, what="all went out")
    wait_for(lambda: all(status(system, id_) in ("sent", "delivered") for id_ in ids), within_s=20, what="it is told")

    def sent() -> float:
        return scraped(sender).get('mailroom_sent_mails_total{outcome="accepted",provider="mailgun"}', 0)

    wait_for(lambda: sent() == 35, within_s=10, what="all are counted")
    of_sender, of_api, of_web = scraped(sender), scraped(system.api_url), scraped(system.web_url)
    assert of_sender['mailroom_planned_mails_total{state="queued"}'] == 30
    assert of_sender['mailroom_lateness_seconds_count{kind="campaign",priority="none"}'] == 1
    assert of_sender['mailroom_lateness_seconds_bucket{kind="single",le="30.0",priority="high"}'] == 5
    assert of_sender['mailroom_fence_answers_total{answer="go"}'] == 6
    assert of_sender['mailroom_provider_call_seconds_count{outcome="accepted",provider="mailgun"}'] == 6
    assert of_sender["mailroom_second_acceptances_total"] == 0
    assert of_sender["mailroom_lanes_held"] >= 16
    assert of_sender["mailroom_round_age_seconds"] < 5
    for store in ("mongodb", "etcd", "redis"):
        assert of_sender[f'mailroom_store_round_trip_seconds_count{{store="{store}"}}'] > 0
    assert of_api['mailroom_accepted_mails_total{priority="high"}'] == 5
    assert of_api['mailroom_http_requests_total{method="POST",route="/v1/emails",status="202"}'] == 5
    assert of_api["mailroom_figures_fresh"] == of_api["mailroom_senders"] == of_api["mailroom_senders_wanted"] == 1
    assert of_api['mailroom_dispatches{state="in_doubt"}'] == 0
    assert of_web['mailroom_http_requests_total{method="GET",route="/health",status="200"}'] >= 1
    assert of_web["process_resident_memory_bytes"] > 0
    assert requests.get(f"{sender}/health", timeout=10).json() == {"health": "ok"}
    assert "mailroom_sent_mails" not in families(of_api) | families(of_web)


def test_what_many_threads_of_an_api_answer_is_one_count(system: System) -> None:
    """An API is one process, however many requests it answers at a time: no scrape finds a part of them."""
    system.start_api(webhooks=False)
    token = {"Authorization": f"Bearer {system.token}"}

    def ask(_: int) -> int:
        return requests.get(f"{system.api_url}/v1/runs", headers=token, timeout=30).status_code

    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(ask, range(200)))

    seen = [scraped(system.api_url) for _ in range(5)]
    assert answers == [200] * 200
    assert [one['mailroom_http_requests_total{method="GET",route="/v1/runs",status="200"}'] for one in seen] == [
        200
    ] * 5


def test_both_in_one_process_show_the_metrics_of_both(system: System) -> None:
    system.start_simulator()
    both = system.start("api+sender", "cli.main", "api+sender")
    both.wait_until(lambda: _answers(system.api_url), timeout_s=30)
    hand_in(system)

    wait_for(
        lambda: scraped(system.api_url).get('mailroom_sent_mails_total{outcome="accepted",provider="mailgun"}') == 1,
        within_s=20,
        what="the sender's count is shown by the API",
    )

    names = families(scraped(system.api_url))
    for part in ("api", "sender"):
        for registry in TOPICS[part]:
            unlabelled = {metric.name for metric in registry.collect() if _has_no_labels(metric)}
            assert unlabelled <= names, part


def test_every_process_logs_more_within_seconds_and_without_a_restart(system: System) -> None:
    system.start_simulator()
    running = [system.start_api(webhooks=False), system.start_web(), *system.start_senders(1)]

    done = CliRunner().invoke(main, ["logs", "level", "debug", "--minutes", "5"], env=system.environment)

    assert done.exit_code == 0, done.output
    for child in running:
        wait_for(lambda child=child: '"to": "debug"' in child.tail(400), within_s=15, what=f"{child.name} follows")
    requests.get(f"{system.api_url}/health", timeout=10)
    wait_for(
        lambda: '"route": "/health", "status": 200' in running[0].tail(400), within_s=10, what="it shows debug lines"
    )


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _has_no_labels(metric: Metric) -> bool:
    """True if it is there from the beginning. What has labels may have been counted by an earlier test of this
    process."""
    return any(not sample.labels.keys() - {"le"} for sample in metric.samples)
