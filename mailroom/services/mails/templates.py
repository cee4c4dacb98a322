"""Create, change, view and remove the templates of single mails."""

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
    """Templates in the order of their names, after the name `after`."""
    return templates.page(db, after=after, limit=limit)


def put(
    db: Db, name: str, content: Mapping[str, str], *, seen_version: int | None, actor: Principal
) -> tuple[Template, bool]:
    """Create a template, or change it for all mails that are handed in from now on. `seen_version`: change only this
    version. A new template belongs to the actor's owner.

    Returns (the stored template, whether it is new). Raises InvalidInput, StaleEdit, NotTheOwner.
    """
    while True:
        stored = templates.get_many(db, [name]).get(name)
        if stored:
            _check_owner(stored, actor)
        version = stored.version if stored else 0
        owner = stored.owner if stored else actor.owner
        if seen_version is not None and seen_version != version:
            raise StaleEdit(f"template {name} is at version {version}")
        template = check_template(name, content, version=version + 1, now=server_now(db), owner=owner)
        if templates.put(db, template, by=actor.name):
            log.info("template_stored", template=name, version=template.version, by=actor.name)
            return template, stored is None


def remove(db: Db, name: str, *, actor: Principal) -> None:
    """Remove a template. Mails handed in with it stay as they are. Raises TemplateNotFound, NotTheOwner."""
    stored = templates.get(db, name)
    _check_owner(stored, actor)
    if not templates.remove(db, stored):
        raise TemplateNotFound(name)
    log.info("template_removed", template=name, by=actor.name)


def _check_owner(template: Template, actor: Principal) -> None:
    if template.owner not in ("", actor.owner) and not actor.may("admin"):
        raise NotTheOwner(f"template {template.name} belongs to another token; its owner or an admin can change it")
