"""Create, change, view and remove stored templates, and view their versions."""

from collections.abc import Callable, Sequence

import structlog

from mailroom.domain.errors import Fault, InvalidInput, NotTheOwner, StaleEdit, TemplateVersionNotFound
from mailroom.domain.name_keys import term_key
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.principals import Principal
from mailroom.domain.searches import COUNTED, BoundedCount
from mailroom.domain.template_checking import check_template, named_by
from mailroom.domain.templates import Stamp, Template, TemplateDraft, TemplateKind
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now
from mailroom.storage.mails import template_versions, templates
from mailroom.storage.schedules import template_users

log = structlog.get_logger()


def get(db: Db, name: str) -> Template:
    """Raises TemplateNotFound."""
    return templates.get(db, name)


def find(db: Db, name: str) -> Template | None:
    return templates.get_many(db, [name]).get(name)


def names(db: Db, *, kind: TemplateKind = TemplateKind.TEMPLATE, limit: int) -> list[str]:
    """The names of the first templates of mails; or of the first layouts or partials."""
    return templates.names(db, kind, limit=limit)


def said_by_template(db: Db, name: str | None) -> dict[str, str]:
    """All that the newest version says, at the field that names it; empty without such a template."""
    template = find(db, name) if name else None
    return {"template": "\n".join(template.content.values())} if template else {}


def page(db: Db, *, after: str, limit: int) -> list[Template]:
    """Templates in the order of their names, after the name `after`."""
    return templates.page(db, after=after, limit=limit)


def search(db: Db, term: str, *, after: str, limit: int) -> list[Template]:
    """Those that have a word which begins with the term, in the order of their names; all for ''. Raises InvalidInput:
    the term holds no letter and no digit, or finds more than COUNTED."""
    if not term:
        return page(db, after=after, limit=limit)
    if not count(db, term).is_exact:
        raise InvalidInput(Fault("name", f"more than {COUNTED:,} templates have such a name: type more of it"))
    return templates.page_named(db, term, after=after, limit=limit)


def count(db: Db, term: str = "") -> BoundedCount:
    """How many a search finds, as far as COUNTED. Raises InvalidInput: a term without a letter or digit."""
    if term and not term_key(term):
        raise InvalidInput(Fault("name", "holds no letter and no digit"))
    return templates.count(db, term)


def users(db: Db, names: Sequence[str]) -> dict[str, BoundedCount]:
    """For each of these templates, how many schedules use it that are not archived."""
    return template_users.count_users(db, names) if names else {}


def made_with(db: Db, name: str, *, limit: int) -> list[str]:
    """The names of the first templates that a layout or partial is in."""
    return templates.made_with(db, name, limit=limit)


def use_of(db: Db, template: Template) -> BoundedCount:
    """By how many schedules a template is used; or in how many templates a layout or partial is."""
    if template.kind is TemplateKind.TEMPLATE:
        return users(db, [template.name])[template.name]
    return templates.count_made_with(db, template.name)


def changed_since(db: Db, template: Template) -> list[PinnedTemplate]:
    """The newest versions of the layout and partials that the template names itself, where it has been saved with
    earlier ones."""
    stored = templates.get_many(db, sorted(named_by(template.draft)))
    return [one.pin for pin in template.uses if (one := stored.get(pin.name)) and one.version != pin.version]


def says(db: Db, name: str, draft: TemplateDraft) -> bool:
    """True if the newest version says what the draft says: a form that was sent twice is saved."""
    stored = find(db, name)
    return stored is not None and stored.is_of(draft)


def may_change(template: Template, actor: Principal) -> bool:
    """True if this actor may change the template and remove it."""
    return actor.may("mail") and _is_owner(template, actor)


def get_version(db: Db, pin: PinnedTemplate) -> Template:
    """One version, also of a template that is removed. Raises TemplateVersionNotFound."""
    if stored := template_versions.find(db, pin):
        return stored
    newest = find(db, pin.name)
    if newest is None or newest.version != pin.version:
        raise TemplateVersionNotFound(pin.name, pin.version)
    return newest


def page_of_versions(db: Db, name: str, *, before: int | None, limit: int) -> list[Template]:
    """The versions of a template, newest first, also of one that is removed. `before`: the last version of the page
    before. Raises TemplateNotFound."""
    versions = template_versions.page(db, name, before=before, limit=limit)
    if versions or before is not None:
        return versions
    return [templates.get(db, name)]


def put(
    db: Db, name: str, draft: TemplateDraft, *, seen_version: int | None, actor: Principal
) -> tuple[Template, bool]:
    """Create a template, or a new version of it, for all that is made with it from now on. Its layout and partials are
    taken as they are stored now. What says the same as the newest version makes none. `seen_version`: change only this
    version; 0: only if it is new. A new template belongs to the actor's owner.

    Returns (the stored template, whether it is new). Raises InvalidInput, StaleEdit, NotTheOwner.
    """
    while True:
        stored = find(db, name)
        if stored:
            _check_owner(stored, actor)
        version = stored.version if stored else 0
        if seen_version is not None and seen_version != version:
            raise StaleEdit(f"template {name} is at version {version}")
        kept = template_versions.newest(db, name)
        owner = stored.owner if stored else actor.owner
        stamp = Stamp(max(version, kept) + 1, server_now(db), actor.name, owner)
        template = check_template(name, draft, templates.get_many(db, sorted(named_by(draft))), stamp)
        if stored and template.says_as(stored):
            return stored, False
        if _store(db, template, stored, kept):
            log.info("template_stored", template=name, version=template.version, by=actor.name)
            return template, stored is None


def faults_of(db: Db, name: str, draft: TemplateDraft) -> tuple[Fault, ...]:
    """Every fault of a template that is not stored in any case."""
    try:
        check_template(name, draft, templates.get_many(db, sorted(named_by(draft))), Stamp(1, server_now(db)))
    except InvalidInput as error:
        return error.faults
    return ()


def remove(db: Db, name: str, *, actor: Principal) -> None:
    """Remove a template. What was made with it stays as it is, and so do its versions. Raises TemplateNotFound,
    NotTheOwner."""
    while True:
        stored = templates.get(db, name)
        _check_owner(stored, actor)
        if _remove(db, stored, template_versions.newest(db, name)):
            log.info("template_removed", template=name, by=actor.name)
            return


def _store(db: Db, template: Template, seen: Template | None, kept: int) -> bool:
    """False if another change came first."""

    def store(session: Session) -> None:
        templates.put(db, template, seen=seen, session=session)
        template_versions.add(db, [*_not_kept(seen, kept), template], session=session)

    return _in_transaction(db, store)


def _remove(db: Db, seen: Template, kept: int) -> bool:
    """False if another change came first."""

    def remove_it(session: Session) -> None:
        templates.remove(db, seen, session=session)
        if missing := _not_kept(seen, kept):
            template_versions.add(db, missing, session=session)

    return _in_transaction(db, remove_it)


def _in_transaction(db: Db, work: Callable[[Session], None]) -> bool:
    try:
        in_transaction(db, work)
    except AlreadyThere:
        return False
    return True


def _not_kept(seen: Template | None, kept: int) -> list[Template]:
    """The version that was stored before versions were kept, or by a process of an earlier release."""
    return [seen] if seen and seen.version > kept else []


def _is_owner(template: Template, actor: Principal) -> bool:
    return template.owner in ("", actor.owner) or actor.may("admin")


def _check_owner(template: Template, actor: Principal) -> None:
    if not _is_owner(template, actor):
        raise NotTheOwner(f"template {template.name} belongs to another token; its owner or an admin can change it")
