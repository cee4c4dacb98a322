"""A terminal that lacks the settings of the running system, or has those of an earlier start, is told what to do."""

from pathlib import Path

import pytest

from cli.failures import away
from cli.main import main
from mailroom.domain.errors import Unavailable
from tests.support.system import System
from tests.support.terminal import Answered


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `make run` has started a system once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/env").write_text("export MAILGUN_DOMAIN='a b'\nexport MAILROOM_MONGO_URL=mongodb://127.0.0.1:7\n")
    return tmp_path


def run_with(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Answered:
    """A command in this process, with exactly these settings of ours."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["schedules", "list"], prog_name="mailroom")
    out, err = capsys.readouterr()
    return Answered(int(str(ended.value.code)), out, err)


@pytest.mark.usefixtures("here")
def test_without_settings_the_file_that_has_them_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = run_with({}, monkeypatch, capsys)

    assert refused.code == 2
    assert refused.err.splitlines()[-1].endswith("`. data/env`, and try again.")


def test_where_nothing_was_started_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert "data/env" not in run_with({}, monkeypatch, capsys).err


@pytest.mark.usefixtures("here")
def test_settings_of_an_earlier_start_are_told_from_a_server_that_is_away(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)
    error = Unavailable("MongoDB did not answer: Connection refused")

    monkeypatch.setenv("MAILROOM_MONGO_URL", "mongodb://127.0.0.1:9/")
    stale = away(error)
    monkeypatch.setenv("MAILROOM_MONGO_URL", "mongodb://127.0.0.1:7")
    same = away(error)

    start = "Start it, or correct MAILROOM_MONGO_URL."
    assert stale.startswith(f"MongoDB at 127.0.0.1:9 does not answer. {start} data/env has another address: ")
    assert same.startswith(f"MongoDB at 127.0.0.1:7 does not answer. {start} (")
