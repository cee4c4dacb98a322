"""Templates of single mails made, changed, looked at and removed."""

from collections.abc import Mapping

import structlog

from mailroom.domain.errors import StaleEdit, TemplateNotFound
from mailroom.domain.templates import Template, check_template
from mailroom.storage import templates
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


def get(db: Db, name: str) -> Template:
    """Raises TemplateNotFound."""
    return templates.get(db, name)


def page(db: Db, *, after: str, limit: int) -> list[Template]:
    """In the order of their names."""
    return templates.page(db, after=after, limit=limit)


def put(db: Db, name: str, content: Mapping[str, str], *, seen_version: int | None, by: str) -> tuple[Template, bool]:
    """Make a template, or change it for all mails that are handed in from now on; with `seen_version` only if nobody
    has changed it since.

    Returns it, and whether it is new. Raises InvalidInput, StaleEdit.
    """
    while True:
        standing = templates.get_many(db, [name]).get(name)
        version = standing.version if standing else 0
        if seen_version is not None and seen_version != version:
            raise StaleEdit(f"template {name} is at version {version}")
        template = check_template(name, content, version=version + 1, now=server_now(db))
        if templates.put(db, template, by=by):
            log.info("template_stored", template=name, version=template.version, by=by)
            return template, standing is None


def remove(db: Db, name: str, *, by: str) -> None:
    """Raises TemplateNotFound. Mails that were handed in with it stay as they are."""
    if not templates.remove(db, name):
        raise TemplateNotFound(name)
    log.info("template_removed", template=name, by=by)
