"""Look at the database at the start of a process, and prepare it."""

import contextlib
from typing import Final

from config.settings import Settings
from mailroom.domain.errors import Unavailable
from mailroom.storage import migrations
from mailroom.storage.database import Db, connect
from mailroom.storage.indexes import ensure_indexes
from mailroom.storage.retention import keep_for

_MIGRATE_S: Final = 10.0  # of a start


def require_readable_database(settings: Settings) -> None:
    """Raises DatabaseTooNew. While MongoDB is away nothing is raised: the first part that needs MongoDB reports it."""
    db = connect(settings.stores.mongo_url, app="prepare")
    with contextlib.suppress(Unavailable), db.client:
        migrations.require_readable_database(db)


def prepare_database(settings: Settings) -> Db:
    """Create every index that the queries and the retention need, and migrate what an earlier version stored, for some
    seconds; senders do what is left. Returns the database. Every process may call it at its start. Raises
    DatabaseTooNew, Unavailable."""
    db, retention = connect(settings.stores.mongo_url, app="prepare"), settings.retention
    migrations.require_readable_database(db)
    ensure_indexes(db)
    migrations.migrate(db, within_s=_MIGRATE_S, at_start=True)
    for collection in ("events", "bodies", "refusals", "requests"):
        keep_for(db, collection, getattr(retention, collection))
    return db
