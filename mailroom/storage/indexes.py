"""Create the indexes of all collections. Indexes that others have replaced: see migrations.py."""

from mailroom.storage import (
    consents,
    controls,
    erasures,
    events,
    holds,
    lanes,
    rejected_requests,
    served_requests,
    sessions,
    sign_in_links,
    subscription_requests,
    suppressions,
    tokens,
    webhook_tokens,
    workers,
)
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members, segments
from mailroom.storage.body_files import gridfs_home, s3_home
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, unhurried
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.mails import bodies, emails, template_versions, templates
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import attachments, contents, run_document, run_feeds, schedule_document, uploads


def ensure_indexes(db: Db) -> None:
    """Create every index that is missing. An existing index costs nothing. The build of a new index takes longer the
    larger its collection is; a build that another process began is waited for."""
    for module in (
        schedule_document,
        contents,
        attachments,
        controls,
        audiences,
        members,
        segments,
        run_document,
        run_feeds,
        messages,
        emails,
        bodies,
        templates,
        template_versions,
        gridfs_home,
        s3_home,
        dispatches,
        rejected_requests,
        served_requests,
        restored_fences,
        lanes,
        holds,
        events,
        sessions,
        sign_in_links,
        suppressions,
        consents,
        erasures,
        subscription_requests,
        tokens,
        uploads,
        webhook_tokens,
        workers,
    ):
        indexes = module.INDEXES
        if indexes:
            unhurried(db[module.COLLECTION].create_indexes)(list(indexes))
