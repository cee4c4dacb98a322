"""What `mailroom edge` writes: a certificate that is kept, renewed in time, or the one that was given."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.edge import write_edge
from cli.main import main
from config.certificates import LIFETIME, self_signed
from config.settings import BadSettings, read_settings

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOSTS = {"api": "api", "web": "web", "webhooks": "webhooks"}
ENVIRONMENT = {
    "MAILROOM_MONGO_URL": "mongodb://127.0.0.1/?replicaSet=a",
    "MAILROOM_ETCD_URL": "http://127.0.0.1:2379",
    "MAILROOM_REDIS_URL": "redis://127.0.0.1",
    "MAILROOM_SECRET_KEY": "only-for-tests-0123456789",
    "MAILROOM_PROVIDERS": "smtp",
    "SMTP_URL": "smtp://127.0.0.1",
}


def written(folder: Path, *, now: datetime = NOW, **settings: str) -> str:
    """The certificate, after one start of the edge."""
    write_edge(folder, read_settings(ENVIRONMENT | settings, dotenv=None), hosts=HOSTS, by_dns=True, now=now)
    return (folder / "edge.pem").read_text()


def test_a_certificate_is_kept_until_shortly_before_its_end(tmp_path: Path) -> None:
    first = written(tmp_path)

    assert written(tmp_path, now=NOW + LIFETIME - timedelta(days=31)) == first
    assert written(tmp_path, now=NOW + LIFETIME - timedelta(days=29)) != first
    assert (tmp_path / "edge.pem").stat().st_mode & 0o777 == 0o600


def test_another_public_name_makes_another_certificate(tmp_path: Path) -> None:
    first = written(tmp_path)

    assert written(tmp_path, MAILROOM_PUBLIC_URL="https://mail.example.org") != first


def test_a_given_certificate_is_taken_and_a_wrong_one_is_named_at_the_start(tmp_path: Path) -> None:
    given, wrong = tmp_path / "given.pem", tmp_path / "wrong.pem"
    given.write_text(self_signed(["mail.example.org"], now=NOW))
    wrong.write_text("no certificate")

    assert written(tmp_path, MAILROOM_EDGE_CERTIFICATE=str(given)) == given.read_text()
    with pytest.raises(BadSettings, match="MAILROOM_EDGE_CERTIFICATE is wrong"):
        written(tmp_path, MAILROOM_EDGE_CERTIFICATE=str(wrong))


def test_the_command_writes_names_to_look_up(tmp_path: Path) -> None:
    hosts = ("--api", "api", "--web", "web", "--webhooks", "webhooks")

    done = CliRunner().invoke(main, ["edge", "--folder", str(tmp_path), "--dns", *hosts], env=ENVIRONMENT)

    assert done.output == f"{tmp_path / 'haproxy.cfg'}\n"
    assert "server-template webhooks 1-20 webhooks:5001 resolvers names" in (tmp_path / "haproxy.cfg").read_text()
