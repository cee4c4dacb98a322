"""A stored template: subject, text and html with places for variables. Each change makes a new version of it.

A template may extend a layout and include partials, which are stored templates too. What it says with them is made when
it is saved, from their newest versions, and names these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from jinja2 import TemplateSyntaxError

from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_HTML_FIELDS, MAX_TEMPLATE, MAX_USES, MAX_USES_DEEP, MAX_VARIABLE_NAME
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.template_layouts import Block, Included, Structure, flat, structure_of, without_structure

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: The fields that layouts and partials have, and in which they are named.
_BODIES: Final = ("text", "html")


class TemplateKind(StrEnum):
    TEMPLATE = "template"  # of mails
    LAYOUT = "layout"  # what templates and layouts extend
    PARTIAL = "partial"  # what any of these include


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """A template as requested."""

    subject: str = ""
    text: str = ""
    html: str = ""
    kind: str = TemplateKind.TEMPLATE
    html_fields: Sequence[str] = ()  # the names whose values are HTML: `|safe` may stand behind them

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a version has besides what it says. `owner`: as of Template."""

    version: int
    at: datetime
    by: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template. `variables`: the names that it requires. `version` counts the changes, from 1.
    `updated_by`: who made this version. `owner`: the owner of the token that created the template; '' if any token with
    scope `mail` may change it.

    `html_fields`: the names whose values are HTML, those of its layout and partials too.

    `subject`, `text` and `html` are flat: layout and partials are in them. `written`: the three as they were written;
    None if that is the same. `uses`: the versions that are in it, on all levels, which go `depth` deep.
    """

    name: str
    subject: str
    text: str
    html: str
    variables: frozenset[str]
    version: int
    updated_at: datetime
    updated_by: str = ""
    owner: str = ""
    kind: TemplateKind = TemplateKind.TEMPLATE
    html_fields: tuple[str, ...] = ()
    written: tuple[str, str, str] | None = None
    uses: tuple[PinnedTemplate, ...] = ()
    depth: int = 0

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def source(self) -> dict[str, str]:
        """Subject, text and html as they were written."""
        return dict(zip(FIELDS, self.written, strict=True)) if self.written else self.content

    @property
    def pin(self) -> PinnedTemplate:
        return PinnedTemplate(self.name, self.version)

    def says_as(self, other: "Template") -> bool:
        """True if the two differ in nothing but number, time and author."""
        return self == replace(other, version=self.version, updated_at=self.updated_at, updated_by=self.updated_by)


def named_by(draft: TemplateDraft) -> frozenset[str]:
    """The layouts and partials that a draft names; none in a field that cannot be read. Not more than a few beyond the
    limit."""
    names: set[str] = set()
    for field in _BODIES:
        try:
            if not _faults_of_source(field, draft):
                names |= structure_of(field, draft.content[field]).named
        except (InvalidInput, TemplateSyntaxError):
            continue
    return frozenset(sorted(names)[: MAX_USES + 1])


def check_template(name: str, draft: TemplateDraft, stored: Mapping[str, Template], stamp: Stamp) -> Template:
    """The template in the form to store. `stored`: the templates that the draft names, as far as they exist.

    Raises InvalidInput with every fault.
    """
    faults = _faults_of_shape(name, draft)
    structures = {field: _structure(field, draft, faults) for field in _BODIES}
    faults += _faults_of_source("subject", draft)
    used = _used(name, structures, stored, faults)
    if faults:
        raise InvalidInput(*faults)
    texts = {"subject": draft.subject} | {
        field: _flat(field, structure, draft, stored) for field, structure in structures.items() if structure
    }
    html_fields = frozenset(draft.html_fields).union(*(one.html_fields for one in used))
    uses = sorted({one.pin for one in used}.union(*(one.uses for one in used)))
    return Template(
        name=name,
        **texts,
        variables=_variables(draft, texts, html_fields),
        version=stamp.version,
        updated_at=stamp.at,
        updated_by=stamp.by,
        owner=stamp.owner,
        kind=TemplateKind(draft.kind),
        html_fields=tuple(sorted(html_fields)),
        written=None if texts == draft.content else (draft.subject, draft.text, draft.html),
        uses=tuple(uses),
        depth=max((one.depth + 1 for one in used), default=0),
    )


def _faults_of_shape(name: str, draft: TemplateDraft) -> list[Fault]:
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(Fault("name", "1 to 64 small letters, digits, - and _"))
    if draft.kind not in list(TemplateKind):
        faults.append(Fault("kind", f"one of {', '.join(TemplateKind)}"))
    elif draft.kind == TemplateKind.TEMPLATE and not draft.subject.strip():
        faults.append(Fault("subject", "is needed"))
    elif draft.kind != TemplateKind.TEMPLATE and draft.subject:
        faults.append(Fault("subject", f"a {draft.kind} has none"))
    if not draft.text.strip() and not draft.html.strip():
        faults.append(Fault("text", "a text or an HTML body is needed"))
    if len(draft.html_fields) > MAX_HTML_FIELDS:
        faults.append(Fault("html_fields", f"at most {MAX_HTML_FIELDS}"))
    faults += [
        Fault(f"html_fields[{place}]", "is the name of a variable")
        for place, field in enumerate(draft.html_fields[:MAX_HTML_FIELDS])
        if not field.isidentifier() or field.startswith("_") or len(field) > MAX_VARIABLE_NAME
    ]
    return faults


def _faults_of_source(field: str, draft: TemplateDraft) -> Sequence[Fault]:
    """The faults of one field, apart from what its layout and its partials say."""
    source = draft.content[field]
    if len(source) > MAX_TEMPLATE:
        return [Fault(field, f"at most {MAX_TEMPLATE:,} characters")]
    try:
        names_in({field: source if field == "subject" else without_structure(source)}, frozenset(draft.html_fields))
    except InvalidInput as error:
        return error.faults
    except TemplateSyntaxError:
        return _faults_of_syntax(field, source)
    return ()


def _faults_of_syntax(field: str, source: str) -> Sequence[Fault]:
    try:
        names_in({field: source})
    except InvalidInput as error:
        return error.faults
    return [Fault(field, "cannot be read")]


def _structure(field: str, draft: TemplateDraft, faults: list[Fault]) -> Structure | None:
    """None for a field with faults, which join `faults`."""
    source = draft.content[field]
    if wrong := _faults_of_source(field, draft):
        faults += wrong
        return None
    try:
        structure = structure_of(field, source)
    except InvalidInput as error:
        faults += error.faults
        return None
    if wrong := _faults_of_kind(field, structure, draft.kind):
        faults += wrong
        return None
    return structure


def _faults_of_kind(field: str, structure: Structure, kind: str) -> list[Fault]:
    if kind == TemplateKind.PARTIAL and structure.extends:
        return [Fault(field, "a partial extends no layout")]
    if structure.extends and any(
        piece.strip() if isinstance(piece, str) else isinstance(piece, Included) for piece in structure.pieces
    ):
        return [Fault(field, "beside {% extends %} all stands in blocks: nothing is outside of them")]
    if not structure.extends and kind != TemplateKind.LAYOUT:
        return [
            Fault(field, f"line {block.line}: only a layout has blocks, and what extends one")
            for block in structure.blocks
        ]
    return []


def _used(
    name: str, structures: Mapping[str, Structure | None], stored: Mapping[str, Template], faults: list[Fault]
) -> list[Template]:
    """The layouts and partials that are named, each once. Those that cannot be used there become faults."""
    used: dict[str, Template] = {}
    refused: list[Fault] = []
    for field, structure in structures.items():
        for named, wanted in _wanted(structure) if structure else ():
            if why := _why_not(name, stored.get(named), wanted, field):
                refused.append(Fault(field, f'"{named}": {why}'))
            else:
                used[named] = stored[named]
    faults += refused[: MAX_USES + 1]
    if len({one.pin for one in used.values()}.union(*(one.uses for one in used.values()))) > MAX_USES:
        faults.append(Fault("html", f"at most {MAX_USES} layouts and partials, those of layouts and partials included"))
    return list(used.values())


def _wanted(structure: Structure) -> list[tuple[str, TemplateKind]]:
    layout = [(structure.extends, TemplateKind.LAYOUT)] if structure.extends else []
    return layout + [(name, TemplateKind.PARTIAL) for name in sorted(structure.included)]


def _why_not(name: str, used: Template | None, wanted: TemplateKind, field: str) -> str:
    """Why this template cannot be used in the field of the template `name`; '' if it can."""
    if used is None:
        return f"there is no {wanted} of this name"
    if used.kind is not wanted:
        return f"it is a {used.kind}, and no {wanted}"
    if name == used.name or name in {pin.name for pin in used.uses}:
        return f"it is made of {name} itself"
    if not used.content[field].strip():
        return f"this {wanted} has no {field}"
    if used.depth >= MAX_USES_DEEP:
        return f"layouts and partials use one another up to {MAX_USES_DEEP} deep"
    return ""


def _flat(field: str, own: Structure, draft: TemplateDraft, stored: Mapping[str, Template]) -> str:
    """Raises InvalidInput for a block that the layout does not have, and for what does not fit together."""
    if not own.named:
        return draft.content[field]
    layout = structure_of(field, stored[own.extends].content[field]) if own.extends else None
    if layout:
        known = [block.name for block in layout.blocks]
        has = f"it has {', '.join(known[:MAX_USES])}" if known else "it has none"
        unknown = [piece for piece in own.pieces if isinstance(piece, Block) and piece.name not in known]
        if unknown:
            words = f'the layout "{own.extends}" has no block {unknown[0].name}; {has}'
            raise InvalidInput(Fault(field, f"line {unknown[0].line}: {words}"))
    partials = {name: stored[name].content[field] for name in own.included}
    return flat(field, own, layout, partials, keeps_blocks=draft.kind == TemplateKind.LAYOUT)


def _variables(draft: TemplateDraft, texts: Mapping[str, str], html_fields: frozenset[str]) -> frozenset[str]:
    """The names that it requires. Raises InvalidInput for faults of the whole that no part of it has."""
    whole = {field: without_structure(text) for field, text in texts.items()}
    try:
        return names_in(whole, html_fields)
    except InvalidInput as error:
        raise InvalidInput(
            *(
                fault
                if texts[fault.path] == draft.content[fault.path]
                else replace(fault, message=f"with its layout and partials: {fault.message}")
                for fault in error.faults
            )
        ) from None
