"""The database in a folder, as it stood at one moment, and back; whole or not at all."""

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailroom.coordination.mirror import Mirror
from mailroom.domain.backups import Manifest
from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.errors import BackupRefused, DatabaseTooNew, RestoreUnfinished
from mailroom.domain.ids import EmailId
from mailroom.domain.schema import SCHEMA
from mailroom.services.operations import janitor, older_copy
from mailroom.services.operations.backup import back_up
from mailroom.services.operations.metrics import why_senders_hold
from mailroom.services.operations.restore import after_restore
from mailroom.services.operations.restore_backup import FURTHER, check, read_manifest, restore
from mailroom.storage import copies, migrations
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.cluster import restore_mark, schema
from mailroom.storage.database import Db, connect, server_now
from tests.support.builders import stored_schedule
from tests.support.system import System
from tests.support.workers import checked_in

QUICK = Timing(call_timeout=timedelta(), idle_limit=timedelta(), settle=timedelta(), log_retention=timedelta(days=1))


@pytest.fixture
def empty(system: System) -> Iterator[Db]:
    """A database of another name."""
    db = connect(system.settings.stores.mongo_url.replace(system.db.name, f"{system.db.name}-again"), app="tests")
    yield db
    db.client.drop_database(db.name)
    db.client.close()


@pytest.fixture
def mirror(system: System, empty: Db) -> Iterator[Mirror]:
    made = Mirror(system.settings.stores.redis_url, of=empty.name)
    yield made
    made._redis.delete(f"mailroom:mongodb:{empty.name}")
    made.close()


def put_back(db: Db, mirror: Mirror, folder: Path, stop_after: int | None = None) -> Manifest:
    manifest, done = read_manifest(folder), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if stop_after is not None and done >= stop_after:
            raise KeyboardInterrupt

    check(folder, manifest)
    restore(db, mirror, folder, manifest, advance=advance)
    return manifest


def stored_in(db: Db) -> dict[str, list[Any]]:
    """All documents but those that say how far the database has come, and whether senders hold."""
    further = ["schema", "mark", "replay"]
    return {name: list(db[name].find({"_id": {"$nin": further}}).sort("_id", 1)) for name in copies.filled(db)}


def test_what_is_restored_is_what_was_copied_and_senders_hold(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    for n in range(3):
        stored_schedule(db, name=f"Digest {n}")
    db.bulk.insert_many([{"_id": n, "text": "x" * 100} for n in range(2_500)])
    checked_in(db, "ann-1")
    migrations.migrate(db, within_s=5)

    made = back_up(db, tmp_path / "copy")
    manifest = put_back(empty, mirror, tmp_path / "copy")

    wanted = {name: docs for name, docs in stored_in(db).items() if name not in copies.NOT_COPIED}
    assert stored_in(empty) == wanted
    assert {"schedules", "bulk"} <= wanted.keys()
    assert (made, manifest.documents) == (manifest, sum(one.documents for one in manifest.collections.values()))
    assert schema.reached(empty) == SCHEMA
    held = older_copy.look(empty, mirror)
    assert isinstance(held, older_copy.OlderCopy)
    assert held.copied_at == made.copied_at
    assert why_senders_hold(empty) == "MongoDB was put back to an older copy: senders hold"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "copy").iterdir()} == {0o600}


def test_a_backup_is_of_one_moment_whatever_is_stored_during_it(db: Db, tmp_path: Path) -> None:
    stored_schedule(db, name="Before")

    def advance(_: int) -> None:
        stored_schedule(db, name="Meanwhile")

    back_up(db, tmp_path, advance=advance)

    assert [doc["name"] for doc in copies.documents_of(tmp_path / "schedules.bson.gz")] == ["Before"]


def test_a_backup_that_is_cut_off_leaves_no_file(db: Db, tmp_path: Path) -> None:
    stored_schedule(db)

    def advance(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(db, tmp_path, advance=advance)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(db: Db, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(BackupRefused, match="is not empty"):
        back_up(db, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_database_that_holds_something_is_left_alone(db: Db, empty: Db, mirror: Mirror, tmp_path: Path) -> None:
    back_up(db, tmp_path)
    empty.schedules.insert_one({"_id": "mine"})

    with pytest.raises(BackupRefused, match="is not empty: it holds schedules"):
        put_back(empty, mirror, tmp_path)

    assert (copies.filled(empty), mirror.read()) == (["schedules"], None)


def test_a_damaged_backup_is_refused_before_anything_is_stored(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    stored_schedule(db)
    back_up(db, tmp_path)
    path = tmp_path / "schedules.bson.gz"
    whole = path.read_bytes()
    with gzip.open(path) as file:
        other = gzip.compress(file.read().replace(b"active", b"paused"))

    for damaged in (whole[:-20], other, b""):
        path.write_bytes(damaged)
        with pytest.raises(BackupRefused, match="damaged: schedules"):
            put_back(empty, mirror, tmp_path)
    path.unlink()
    with pytest.raises(BackupRefused, match="damaged: schedules"):
        put_back(empty, mirror, tmp_path)

    assert copies.filled(empty) == []


def test_a_folder_without_its_manifest_and_one_of_a_later_version_are_refused(db: Db, tmp_path: Path) -> None:
    back_up(db, tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())

    path.write_text(json.dumps(manifest | {"schema": SCHEMA + 2}))
    with pytest.raises(DatabaseTooNew):
        read_manifest(tmp_path)
    for broken in (json.dumps(manifest | {"form": 2}), json.dumps(manifest | {"more": 1}), "{}", "x"):
        path.write_text(broken)
        with pytest.raises(BackupRefused):
            read_manifest(tmp_path)


def test_nothing_starts_on_half_a_database_and_the_next_restore_begins_anew(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    db.bulk.insert_many([{"_id": n} for n in range(2_500)])
    back_up(db, tmp_path)

    with pytest.raises(KeyboardInterrupt):
        put_back(empty, mirror, tmp_path, stop_after=1_500)

    with pytest.raises(RestoreUnfinished):
        migrations.require_readable_database(empty)
    put_back(empty, mirror, tmp_path)
    migrations.require_readable_database(empty)
    assert empty.bulk.count_documents({}) == 2_500


def test_senders_hold_after_a_restore_though_redis_was_emptied_before_they_saw_it(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    made = back_up(db, tmp_path)
    put_back(empty, mirror, tmp_path)

    mirror._redis.delete(f"mailroom:mongodb:{empty.name}")

    for _ in range(2):
        held = older_copy.check(empty, mirror)
        assert isinstance(held, older_copy.OlderCopy)
        assert (held.copied_at, held.reached) == (made.copied_at, made.mark + FURTHER)
    after_restore(empty, mirror, [], timing=QUICK, even_so=True)
    assert isinstance(older_copy.check(empty, mirror), restore_mark.Healthy)


def test_of_two_restores_at_once_none_ends_as_if_it_had_been_alone(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    db.aaa.insert_many([{"_id": n} for n in range(2_500)])
    db.zzz.insert_many([{"_id": n} for n in range(2_500)])
    back_up(db, tmp_path)
    manifest, others = read_manifest(tmp_path), 0

    def advance(_: int) -> None:
        nonlocal others
        if empty.zzz.find_one() and not others:
            others = 1
            with pytest.raises(KeyboardInterrupt):
                put_back(empty, mirror, tmp_path, stop_after=1)

    with pytest.raises(BackupRefused, match="another restore"):
        restore(empty, mirror, tmp_path, manifest, advance=advance)

    with pytest.raises(RestoreUnfinished):
        migrations.require_readable_database(empty)
    put_back(empty, mirror, tmp_path)
    assert (empty.aaa.count_documents({}), empty.zzz.count_documents({})) == (2_500, 2_500)


def test_the_trial_of_a_backup_removes_no_file_of_the_system_that_goes_on(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    BodyFiles(db).put(EmailId("em_being_handed_in"), b"of a mail that is being handed in at this moment")
    back_up(db, tmp_path)
    put_back(empty, mirror, tmp_path)
    later = {"metadata.look_at": server_now(db) - timedelta(hours=2)}
    for each in (db, empty):
        each["bodies.files"].update_many({}, {"$set": later})

    done = [janitor.sweep(each, trails_kept_for=timedelta(days=900)).get("files_removed") for each in (empty, db)]

    assert done == [None, 1]


def test_a_backup_of_a_restored_database_does_not_end_the_hold(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    made = back_up(db, tmp_path / "first")
    put_back(empty, mirror, tmp_path / "first")

    again = back_up(empty, tmp_path / "second")

    assert isinstance(older_copy.check(empty, mirror), older_copy.OlderCopy)
    assert again.copied_at == made.copied_at


def test_a_sender_that_stood_still_while_its_database_was_put_back_ends_no_hold(
    db: Db, empty: Db, mirror: Mirror, tmp_path: Path
) -> None:
    back_up(db, tmp_path)
    put_back(empty, mirror, tmp_path)

    restore_mark.raise_mark(empty)  # it had looked before

    assert isinstance(older_copy.check(empty, mirror), older_copy.OlderCopy)
