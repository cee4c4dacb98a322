"""Templates of single mails made, changed, looked at and removed."""

from collections.abc import Mapping

import structlog

from mailroom.domain.errors import NotTheOwner, StaleEdit, TemplateNotFound
from mailroom.domain.principals import Principal
from mailroom.domain.templates import Template, check_template
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import templates

log = structlog.get_logger()


def get(db: Db, name: str) -> Template:
    """Raises TemplateNotFound."""
    return templates.get(db, name)


def page(db: Db, *, after: str, limit: int) -> list[Template]:
    """In the order of their names."""
    return templates.page(db, after=after, limit=limit)


def put(
    db: Db, name: str, content: Mapping[str, str], *, seen_version: int | None, who: Principal
) -> tuple[Template, bool]:
    """Make a template, or change it for all mails that are handed in from now on; with `seen_version` only if nobody
    has changed it since. A new one belongs to the caller's owner.

    Returns it, and whether it is new. Raises InvalidInput, StaleEdit, NotTheOwner.
    """
    while True:
        standing = templates.get_many(db, [name]).get(name)
        if standing:
            _check_owner(standing, who)
        version = standing.version if standing else 0
        owner = standing.owner if standing else who.owner
        if seen_version is not None and seen_version != version:
            raise StaleEdit(f"template {name} is at version {version}")
        template = check_template(name, content, version=version + 1, now=server_now(db), owner=owner)
        if templates.put(db, template, by=who.name):
            log.info("template_stored", template=name, version=template.version, by=who.name)
            return template, standing is None


def remove(db: Db, name: str, *, who: Principal) -> None:
    """Mails that were handed in with it stay as they are. Raises TemplateNotFound, NotTheOwner."""
    standing = templates.get(db, name)
    _check_owner(standing, who)
    if not templates.remove(db, standing):
        raise TemplateNotFound(name)
    log.info("template_removed", template=name, by=who.name)


def _check_owner(template: Template, who: Principal) -> None:
    if template.owner not in ("", who.owner) and not who.may("admin"):
        raise NotTheOwner(f"template {template.name} belongs to another token; its owner or an admin can change it")
