"""`mailroom templates`: stored texts of mails, with variables, and their versions."""

from pathlib import Path
from typing import Any

import click

from cli.answers import Body, answer
from cli.bodies import document_of, loaded
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.paging import choice_of, paged
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page
from mailroom.domain.limits import MAX_TEMPLATE_BODY_BYTES
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.principals import Principal
from mailroom.domain.templates import TemplateDraft, TemplateKind
from mailroom.services.mails import templates
from scheduler_api import paging
from scheduler_api.schemas import templates as schemas

_TEXT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("templates", cls=Noun)
def templates_() -> None:
    """Stored templates."""


@templates_.command("list")
@click.option("--name", default="", help="What a word of the name begins with.")
@paged
def list_templates(name: str, limit: int, cursor: str | None) -> None:
    """Templates by their names."""
    found = templates.search(services().db, name, after=paging.decode_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.summary, lambda one: [one.name])
    answer(schemas.TemplatePage, page, _show_page)


@templates_.command("show")
@click.argument("name")
@click.option("--version", type=click.IntRange(1, 1_000_000_000), help="An earlier version; the newest if left out.")
def show_template(name: str, version: int | None) -> None:
    """A template."""
    db = services().db
    shown = templates.get_version(db, PinnedTemplate(name, version)) if version else templates.get(db, name)
    answer(schemas.TemplateOut, schemas.whole(shown), print_fields)


@templates_.command("versions")
@click.argument("name")
@paged
def list_versions(name: str, limit: int, cursor: str | None) -> None:
    """The versions of a template, newest first; also of one that is removed."""
    last = paging.decode_id_and_number(cursor)
    found = templates.page_of_versions(services().db, name, before=last[1] if last else None, limit=limit)
    page = paging.page_of(found, limit, schemas.summary, lambda one: [one.name, one.version])
    columns = {"version": "version", "made": "updated_at", "by": "updated_by", "asks for": "variables"}
    answer(schemas.TemplatePage, page, lambda body: print_page(body, columns))


@templates_.command("put")
@click.argument("name")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--subject", help="The subject, instead of FILE.")
@click.option("--text", type=_TEXT, help="A file with the text, instead of FILE.")
@click.option("--html", type=_TEXT, help="A file with the HTML, instead of FILE.")
@click.option("--markdown", type=_TEXT, help="A file with Markdown in place of HTML, instead of FILE.")
@click.option("--mjml", type=_TEXT, help="A file with MJML in place of HTML, instead of FILE.")
@click.option("--preheader", help="What an inbox shows behind the subject, instead of FILE.")
@click.option("--layout", help="The layout in whose block `content` the bodies stand, instead of FILE.")
@click.option("--kind", type=choice_of(TemplateKind), help="What it is, instead of FILE; a template if left out.")
@click.option("--html-field", "html_fields", multiple=True, help="A variable whose value is HTML, instead of FILE.")
@click.option("--if-version", type=int, help="Only if the template is still at this version; 0: only if it is new.")
def put_template(name: str, file: Any, if_version: int | None, **parts: Any) -> None:
    """Make a template, or a new version of it for all mails that are handed in from now on.

    FILE is JSON, {"subject", "text", "html", "kind", …}, as of PUT /v1/templates; - is standard input.
    """
    parts |= {"html_fields": list(parts["html_fields"]) or None}
    given = {
        field: _read(value) if isinstance(value, Path) else value for field, value in parts.items() if value is not None
    }
    if (file is None) == (not given):
        raise click.UsageError("give FILE, or --subject with --text, --html, --markdown or --mjml")
    document = document_of(file, most=MAX_TEMPLATE_BODY_BYTES) if file else given
    db = prepared_services().db
    content = loaded(
        schemas.TemplateIn(),
        document,
        further=lambda asked, good: templates.faults_of(db, name, schemas.stand_in(asked, good)),
    )
    stored, new = templates.put(db, name, TemplateDraft(**content), seen_version=if_version, actor=_principal())

    def show(body: Body) -> None:
        click.echo(f"{name}: {'made' if new else 'changed'}, version {body['version']}")

    answer(schemas.TemplateOut, schemas.whole(stored), show)


@templates_.command("delete")
@click.argument("name")
@asks
def delete_template(name: str) -> None:
    """Remove it; what was made with it stays as it is, and so do its versions."""
    db = services().db
    stored = templates.get(db, name)
    use, by = templates.use_of(db, stored), "Schedules" if stored.kind is TemplateKind.TEMPLATE else "Templates"
    confirm(
        f"Delete template “{name}”?",
        f"{by} that use it: {use}. They keep the version that they have.",
        "What names it from then on is refused.",
    )
    templates.remove(db, name, actor=_principal())
    answer(schemas.TemplateOut, schemas.whole(stored), lambda _: click.echo(f"{name}: deleted"))


def _principal() -> Principal:
    """The person at the terminal may do all: they have the stores' own addresses."""
    return Principal(id="cli", name=actor(), scopes=frozenset({"admin"}), owner=actor())


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise click.BadParameter(f"{path.name} is not UTF-8") from None


def _show_page(body: Body) -> None:
    columns = {"name": "name", "kind": "kind", "asks for": "variables", "version": "version", "changed": "updated_at"}
    print_page(body, columns)
