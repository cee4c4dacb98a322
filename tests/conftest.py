"""Fixtures hand over something running, and put it away again.

The embedded servers start once per test process; every test gets a database of its own. Absent servers fail in CI and
skip on a laptop.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from local.binaries import BinaryMissing
from local.servers import Servers
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.storage.database import Db
from tests.support import memory_disk
from tests.support.connections import connections_closed_at_end
from tests.support.databases import Databases
from tests.support.dovecot import Dovecot
from tests.support.lines import Line
from tests.support.system import System
from tests.support.tls import Papers

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders lie in memory, unless `--basetemp` says where; the workers' lie in their parent's."""
    if config.option.basetemp is None and (folder := memory_disk.new_folder()):
        config.option.basetemp = str(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that a test runs in its own process sets up the log of that process: it is put back."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Real mongod, etcd and redis-server."""
    try:
        started = Servers.start(tmp_path_factory.mktemp("servers"))
    except BinaryMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with started:
        yield started


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    """The databases of these servers, for one test each at a time."""
    made = Databases(servers)
    yield made
    made.close()


@pytest.fixture
def system(servers: Servers, databases: Databases, tmp_path: Path) -> Iterator[System]:
    """A whole system with a database of its own; the test starts the processes that it needs."""
    with connections_closed_at_end():
        made = System(tmp_path, servers, database=databases.take())
        databases.prepared(made.db)
        yield made
        made.end_processes()
        databases.put_away(made.db, used_by_processes=bool(made.children))


@pytest.fixture
def dovecot(tmp_path: Path) -> Iterator[Dovecot]:
    """A running IMAP server with an empty mailbox."""
    folder = tmp_path / "papers"
    folder.mkdir()
    made = Dovecot(Papers.issued(folder))
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def db(system: System) -> Db:
    """A fresh database with every index."""
    return system.db


@pytest.fixture
def line(system: System) -> Iterator[Line]:
    """A sender's steps, with holds and fences of this database."""
    url, name = system.settings.stores.redis_url, system.db.name
    made = Line(system.db, Fences(url, of=name), Holds(url, of=name))
    yield made
    made.fences.close_client()
    made.holds.close()
