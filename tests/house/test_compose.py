"""The Compose files and Dockerfile against the Compose schema and against the code. `make test-compose` runs them."""

import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from flask import Flask
from gunicorn.app.base import BaseApplication

import simulator.app
from cli.main import main
from cli.serving import serve
from config.cluster import ETCD, MONGO, REDIS, SENTINELS, cluster_secrets
from config.descriptions import DESCRIPTIONS
from config.dev_env import dev_env
from config.settings import read_settings

ROOT = Path(__file__).parents[2]
OURS = ("bootstrap", "edge", "api", "web", "webhooks", "sender")
SCALED = ("api", "web", "webhooks", "sender")
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STORES = (*MONGO, *ETCD, *REDIS, *SENTINELS)
FILES = ("docker-compose.yml", "docker-compose.cluster.yml", "docker-compose.dev.yml", "tests/compose/scaled.yml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


@pytest.fixture(scope="module")
def dev() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.dev.yml").read_text()))


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.cluster.yml").read_text()))


@pytest.mark.parametrize("name", FILES)
def test_the_file_fits_the_compose_schema(name: str) -> None:
    """The Compose specification's own schema, as check-jsonschema carries it."""
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / name], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_of_the_design_is_a_service(compose: dict[str, Any]) -> None:
    assert {"mongo", "etcd", "redis", *OURS} == compose["services"].keys()


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists_with_its_options(compose: dict[str, Any], name: str) -> None:
    words = compose["services"][name]["command"]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words[0]]
        words = words[1:]
    options = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_code_reads_and_the_settings_are_whole(
    compose: dict[str, Any], name: str
) -> None:
    environment = {key: _filled_in(str(value)) for key, value in compose["services"][name]["environment"].items()}

    assert environment.keys() <= DESCRIPTIONS.keys()
    settings = read_settings(environment, dotenv=None)
    assert settings.stores.etcd_urls == ("http://etcd:2379",)
    assert settings.mailgun.base_url == "http://simulator:8025"


def test_every_setting_of_a_part_can_be_given_on(compose: dict[str, Any]) -> None:
    """But where Compose itself says what they are: addresses and ports."""
    own = {name for name in DESCRIPTIONS if name.endswith("_PORT") and name != "MAILROOM_SENDER_PORT"} | {
        "MAILROOM_BIND"
    }

    assert DESCRIPTIONS.keys() - own <= compose["services"]["api"]["environment"].keys()


def test_keys_have_no_default_and_stop_the_start_with_their_name(compose: dict[str, Any]) -> None:
    environment = compose["services"]["api"]["environment"]

    for name in ("MAILROOM_SECRET_KEY", "MAILGUN_API_KEY", "MAILGUN_SIGNING_KEY"):
        assert environment[name].startswith(f"${{{name}:?"), name


def test_one_service_builds_the_image_and_none_looks_for_it_elsewhere(compose: dict[str, Any]) -> None:
    building = [name for name, service in compose["services"].items() if "build" in service]

    assert building == ["api"]
    assert {compose["services"][name]["image"] for name in OURS} == {"mailroom:latest"}
    assert {compose["services"][name]["pull_policy"] for name in OURS if name != "api"} == {"never"}


def test_what_is_for_trying_things_out_stands_in_a_file_of_its_own(dev: dict[str, Any]) -> None:
    assert {"simulator", "smtp", "prometheus", "grafana"} == dev["services"].keys()
    assert dev["services"]["grafana"]["profiles"] == ["grafana"]


def test_ports_are_published_on_this_host_alone_unless_told_otherwise(
    compose: dict[str, Any], cluster: dict[str, Any], dev: dict[str, Any]
) -> None:
    tried = [port for service in dev["services"].values() for port in service.get("ports", [])]

    for file in (compose, cluster):
        published = {name: service["ports"] for name, service in file["services"].items() if "ports" in service}
        assert published.keys() == {"edge"}
        assert all(port.startswith("${MAILROOM_PUBLISH:-127.0.0.1}:") for port in [*published["edge"], *tried])


def test_no_container_can_change_its_own_disk_or_gain_rights(
    compose: dict[str, Any], cluster: dict[str, Any], dev: dict[str, Any]
) -> None:
    tried = {name: one for name, one in dev["services"].items() if name != "grafana"}
    for name, service in [*compose["services"].items(), *cluster["services"].items(), *tried.items()]:
        assert service["read_only"] is True, name
        assert service["mem_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_images_that_begin_as_root_have_the_rights_to_become_another_user_and_no_more(compose: dict[str, Any]) -> None:
    """Redis' start calls `setpriv --bounding-set=-all`, which fails without SETPCAP (from Debian 13 on)."""
    added = {name: service["cap_add"] for name, service in compose["services"].items() if "cap_add" in service}
    to_change_user = ["CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"]

    assert added == {"mongo": to_change_user, "redis": sorted([*to_change_user, "SETPCAP"])}


def test_no_container_of_a_cluster_has_a_right_of_roots(cluster: dict[str, Any]) -> None:
    services = cluster["services"]

    assert not [name for name, service in services.items() if "cap_add" in service]
    assert {services[name]["user"] for name in (*MONGO, *REDIS, *SENTINELS)} == {"999:999"}


def test_a_cluster_has_all_parts_and_the_parts_are_as_on_one_host(
    compose: dict[str, Any], cluster: dict[str, Any]
) -> None:
    assert {*STORES, "replica-set", *OURS} == cluster["services"].keys()
    for name in OURS:
        here, there = compose["services"][name], cluster["services"][name]
        different = {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}
        assert different <= {"environment", "secrets", "depends_on"}, name


def test_no_secret_of_a_cluster_stands_in_an_environment(cluster: dict[str, Any]) -> None:
    """The keys of `.env` reach our parts as a file, in which settings are looked for."""
    for name in OURS:
        service = cluster["services"][name]
        assert {"source": "settings", "target": "/app/.env"} in service["secrets"], name
        assert not [value for value in service["environment"].values() if ":?" in str(value)], name
    assert "WORKDIR /app" in (ROOT / "Dockerfile").read_text()


def test_the_secrets_of_a_cluster_are_those_that_the_command_makes_and_each_goes_where_it_is_read(
    cluster: dict[str, Any],
) -> None:
    made = cluster_secrets(now=NOW)
    files = {name: secret["file"] for name, secret in cluster["secrets"].items()}

    assert files == {name: f"${{MAILROOM_SECRETS:-./secrets}}/{name}" for name in [*made, "settings"]}
    for name, service in cluster["services"].items():
        given = {secret["source"] if isinstance(secret, dict) else secret for secret in service["secrets"]}
        # A name ends where no further letter or hyphen follows: `mongo-ca` is not in `mongo-cat`.
        read = set(re.findall(r"/run/secrets/([a-z-]+)", yaml.safe_dump(service)))
        if name == "replica-set":
            read = given  # it has the folder
        assert given - {"settings"} == read, name


def test_the_settings_of_a_cluster_are_whole_and_name_its_members(cluster: dict[str, Any], tmp_path: Path) -> None:
    environment = _in_a_container(cluster, "sender", tmp_path)
    stores = read_settings(environment, dotenv=tmp_path / "settings").stores

    assert stores.etcd_urls[0].startswith("https://etcd-1:2379/?ca=")
    assert stores.mongo_url.partition("@")[2].startswith("mongo-1,mongo-2,mongo-3/mailroom?replicaSet=mailroom")
    assert stores.redis_url.partition("@")[2].startswith("sentinel-1:26379,sentinel-2:26379,sentinel-3:26379/mailroom/")


def test_members_of_a_cluster_speak_tls_alone_and_ask_for_a_certificate(cluster: dict[str, Any]) -> None:
    services = cluster["services"]

    for name in MONGO:
        assert {"--tlsMode=requireTLS", "--keyFile=/tmp/key"} <= set(services[name]["command"]), name
        assert not any("AllowConnectionsWithoutCertificates" in word for word in services[name]["command"])
    for name in ETCD:
        environment = services[name]["environment"]
        assert environment["ETCD_CLIENT_CERT_AUTH"] == environment["ETCD_PEER_CLIENT_CERT_AUTH"] == "true"
        assert "http://" not in yaml.safe_dump(services[name])
    for name in (*REDIS, *SENTINELS):
        written = services[name]["entrypoint"][-1]
        assert "'port 0'" in written and "tls-auth-clients" not in written, name
        assert "requirepass" in written and "'tls-replication yes'" in written, name


def test_no_server_makes_a_control_socket_in_its_home(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container's home is read-only, and a home is shared by all servers outside."""
    begun: list[BaseApplication] = []
    monkeypatch.setattr(BaseApplication, "run", lambda server: begun.append(server))
    environment = {key: _filled_in(str(value)) for key, value in compose["services"]["api"]["environment"].items()}

    serve(lambda: Flask(__name__), read_settings(environment, dotenv=None).web, port=5000)
    simulator.app.run(host="", port=8025, folder=tmp_path, domain="", api_key="", signing_key="")

    assert [server.cfg.control_socket_disable for server in begun] == [True, True]


def test_make_env_writes_random_keys_once(tmp_path: Path) -> None:
    written = [dev_env(), dev_env()]
    environment = dict(line.split("=", 1) for line in written[0].splitlines() if line and not line.startswith("#"))
    path = tmp_path / ".env"
    done = [
        subprocess.run([sys.executable, "-m", "config.dev_env", path], cwd=ROOT, capture_output=True, check=False)
        for _ in range(2)
    ]

    assert written[0] != written[1]
    assert environment.pop("COMPOSE_FILE") == "docker-compose.yml:docker-compose.dev.yml"
    assert environment.keys() <= DESCRIPTIONS.keys()
    assert [one.returncode for one in done] == [0, 1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_stores_keep_what_they_must_keep(compose: dict[str, Any], cluster: dict[str, Any]) -> None:
    services, members = compose["services"], cluster["services"]

    assert "--appendonly yes" in shlex.join(services["redis"]["command"])
    assert "noeviction" in services["redis"]["command"]
    assert "--replSet=mailroom" in services["mongo"]["command"]
    assert all(services[name]["volumes"] for name in ("mongo", "etcd", "redis"))
    assert all("'appendonly yes'" in members[name]["entrypoint"][-1] for name in REDIS)
    assert all("'maxmemory-policy noeviction'" in members[name]["entrypoint"][-1] for name in REDIS)
    kept = [members[name]["volumes"][0].partition(":")[0] for name in STORES]
    assert kept == list(STORES)  # no two share a disk


def test_every_service_says_when_it_is_healthy_and_nobody_starts_before_the_stores(compose: dict[str, Any]) -> None:
    services = compose["services"]

    for name in services.keys() - {"bootstrap"}:
        assert services[name]["healthcheck"]["test"], name
    for name in ("bootstrap", *SCALED):
        assert {service: wait["condition"] for service, wait in services[name]["depends_on"].items()} == dict.fromkeys(
            ("mongo", "etcd", "redis"), "service_healthy"
        )


def test_every_member_of_a_cluster_says_when_it_is_healthy_and_nobody_starts_before_them(
    cluster: dict[str, Any],
) -> None:
    services = cluster["services"]

    for name in STORES:
        assert services[name]["healthcheck"]["test"], name
    for name in ("bootstrap", *SCALED):
        assert services[name]["depends_on"] == {
            "replica-set": {"condition": "service_completed_successfully"},
            **{member: {"condition": "service_healthy"} for member in (*ETCD, *SENTINELS)},
        }


@pytest.mark.parametrize("name", SCALED)
def test_a_part_can_be_scaled(compose: dict[str, Any], name: str) -> None:
    assert not {"container_name", "ports", "hostname"} & compose["services"][name].keys()


def test_published_ports_are_those_that_the_edge_listens_on(compose: dict[str, Any]) -> None:
    ports = [DESCRIPTIONS[f"MAILROOM_EDGE_{door}_PORT"][0] for door in ("API", "WEB")]

    assert [port.rpartition("}:")[2] for port in compose["services"]["edge"]["ports"]] == [f"{n}:{n}" for n in ports]


def test_health_checks_ask_the_ports_that_the_parts_listen_on(compose: dict[str, Any]) -> None:
    ports = {"api": "API", "web": "WEB", "webhooks": "WEBHOOKS", "edge": "EDGE_STATUS"}

    for name, setting in ports.items():
        port = DESCRIPTIONS[f"MAILROOM_{setting}_PORT"][0]
        assert f"http://127.0.0.1:{port}/" in compose["services"][name]["healthcheck"]["test"][-1], name


def test_the_image_holds_every_package_and_runs_the_command() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    packages = set(re.findall(r"^    (\w+)\*$", (ROOT / "setup.cfg").read_text(), re.MULTILINE))

    assert copied == packages
    assert 'ENTRYPOINT ["mailroom"]' in dockerfile


def _in_a_container(cluster: dict[str, Any], name: str, folder: Path) -> dict[str, str]:
    """The environment of a service, with its secrets in this folder."""
    for file, content in cluster_secrets(now=NOW).items():
        (folder / file).write_text(content)
    (folder / "settings").write_text(dev_env())
    told = {key: _filled_in(str(value)) for key, value in cluster["services"][name]["environment"].items()}
    return {key: value.replace("/run/secrets", str(folder)) for key, value in told.items()}


def _filled_in(value: str) -> str:
    """Compose's `${NAME:-default}` and `${NAME:?why}`, as with the `.env` that `make env` writes."""
    given = dict(line.split("=", 1) for line in dev_env().splitlines() if line and not line.startswith("#"))
    value = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1]) or found[2], value)
    return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: given[found[1]], value)
