"""Where a run of the tests keeps its servers' data."""

import os
from pathlib import Path

import pytest

from tests.support import memory_disk


def test_what_a_killed_run_left_in_memory_is_removed_and_a_living_run_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_disk, "_ROOM", 0)
    dead, living, foreign = (
        tmp_path / name for name in ("mailroom-tests-0-a", f"mailroom-tests-{os.getpid()}-b", "else")
    )
    for folder in (dead, living, foreign):
        folder.mkdir()
    made = memory_disk.new_folder(tmp_path)
    assert made is not None
    assert {*tmp_path.iterdir()} == {living, foreign, made}


def test_a_machine_without_room_in_memory_uses_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_disk.new_folder(tmp_path / "absent") is None
    monkeypatch.setattr(memory_disk, "_ROOM", 2**60)
    assert memory_disk.new_folder(tmp_path) is None
