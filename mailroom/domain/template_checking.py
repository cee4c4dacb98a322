"""A stored template, checked as a whole and put together: every fault at once, or the version to store."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from jinja2 import TemplateSyntaxError

from mailroom.domain.bodies.checking import faults_of_shape
from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_HTML_FIELDS, MAX_USES, MAX_USES_DEEP, MAX_VARIABLE_NAME
from mailroom.domain.template_layouts import Block, Included, Structure, flat, structure_of, without_structure
from mailroom.domain.template_sources import (
    BODIES,
    TemplateSource,
    faults_of_field,
    templates_of,
    why_not_beside,
    with_its_preheader,
)
from mailroom.domain.templates import Stamp, Template, TemplateDraft, TemplateKind

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_IN_WHICH_THEY_STAND: Final = (*BODIES, "markdown", "mjml")  # layouts and partials


def named_by(draft: TemplateDraft) -> frozenset[str]:
    """The layouts and partials that a draft names; none in a field that cannot be read. Not more than a few beyond the
    limit."""
    names = {draft.layout} - {""}
    for field in (name for name in _IN_WHICH_THEY_STAND if getattr(draft, name)):
        try:
            if not _faults_of(field, draft):
                names |= structure_of(field, getattr(draft, field)).named
        except (InvalidInput, TemplateSyntaxError):
            continue
    return frozenset(sorted(names)[: MAX_USES + 1])


def check_template(name: str, draft: TemplateDraft, stored: Mapping[str, Template], stamp: Stamp) -> Template:
    """The template in the form to store. `stored`: the templates that the draft names, as far as they exist.

    Raises InvalidInput with every fault.
    """
    try:
        return _checked(name, draft, stored, stamp)
    except InvalidInput as error:
        made = {"html": draft.bodies.page_field}
        raise InvalidInput(*(replace(one, path=made.get(one.path, one.path)) for one in error.faults)) from None


def _checked(name: str, draft: TemplateDraft, stored: Mapping[str, Template], stamp: Stamp) -> Template:
    faults = _faults_of_shape(name, draft)
    layout = _layout(name, draft, stored, faults)
    faults += [fault for field in ("markdown", "mjml", "preheader") for fault in _faults_of(field, draft)]
    pages = _pages(draft, layout, faults)
    structures = {field: _structure(field, pages, faults) for field in BODIES}
    faults += _faults_of("subject", draft)
    used = _used(name, structures, stored, faults)
    if faults:
        raise InvalidInput(*dict.fromkeys(faults))
    texts = {"subject": draft.subject} | {
        field: _flat(field, structure, pages, stored) for field, structure in structures.items() if structure
    }
    texts["html"] = with_its_preheader(texts["html"], draft.preheader)
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
        written=None if draft.source == TemplateSource(**texts) else draft.source,
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
    elif draft.kind != TemplateKind.TEMPLATE:
        faults += [
            Fault(field, f"a {draft.kind} has none") for field in ("subject", "preheader") if getattr(draft, field)
        ]
    if not draft.text.strip() and not draft.bodies.has_html:
        faults.append(Fault("text", "a text or an HTML body is needed"))
    if draft.kind == TemplateKind.PARTIAL and draft.mjml.strip():
        faults.append(Fault("mjml", "gives a whole page, and a partial is none: write html or markdown"))
    return faults + faults_of_shape(draft.bodies) + _faults_of_html_fields(draft)


def _faults_of_html_fields(draft: TemplateDraft) -> list[Fault]:
    if len(draft.html_fields) > MAX_HTML_FIELDS:
        return [Fault("html_fields", f"at most {MAX_HTML_FIELDS}")]
    return [
        Fault(f"html_fields[{place}]", "is the name of a variable")
        for place, field in enumerate(draft.html_fields)
        if not field.isidentifier() or field.startswith("_") or len(field) > MAX_VARIABLE_NAME
    ]


def _layout(name: str, draft: TemplateDraft, stored: Mapping[str, Template], faults: list[Fault]) -> Template | None:
    """The layout that is named beside the bodies; None without one. What is wrong with it joins `faults`."""
    if not draft.layout:
        return None
    layout = stored.get(draft.layout)
    if draft.kind == TemplateKind.PARTIAL:
        why = "a partial extends no layout"
    elif draft.mjml.strip():
        why = "MJML gives a whole page, which stands in no layout"
    else:
        why = _why_not_used(name, layout, TemplateKind.LAYOUT) or (why_not_beside(layout) if layout else "")
    if why:
        faults.append(Fault("layout", why))
    return None if why else layout


def _pages(draft: TemplateDraft, layout: Template | None, faults: list[Fault]) -> TemplateDraft:
    """The draft with text and HTML as templates, made of what was written. An HTML that cannot be made is left out, and
    the reason joins `faults`."""
    source = draft
    if {fault.path for fault in faults} & {"markdown", "mjml"}:
        source = replace(draft, markdown="", mjml="")
    try:
        made = templates_of(source, layout, is_part=draft.kind == TemplateKind.PARTIAL)
    except InvalidInput as error:
        faults += error.faults
        made = templates_of(replace(draft, markdown="", mjml=""), layout, is_part=False)
    return replace(draft, **made, markdown="", mjml="", layout="", preheader="")


def _faults_of(field: str, draft: TemplateDraft) -> list[Fault]:
    """The faults of one field, apart from what its layout and its partials say."""
    return faults_of_field(field, getattr(draft, field), frozenset(draft.html_fields))


def _structure(field: str, draft: TemplateDraft, faults: list[Fault]) -> Structure | None:
    """None for a field with faults, which join `faults`."""
    if wrong := _faults_of(field, draft):
        faults += wrong
        return None
    try:
        structure = structure_of(field, draft.content[field])
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
    if why := _why_not_used(name, used, wanted):
        return why
    return f"this {wanted} has no {field}" if used and not used.content[field].strip() else ""


def _why_not_used(name: str, used: Template | None, wanted: TemplateKind) -> str:
    """As `_why_not`, for whatever field."""
    if used is None:
        return f"there is no {wanted} of this name"
    if used.kind is not wanted:
        return f"it is a {used.kind}, and no {wanted}"
    if name == used.name or name in {pin.name for pin in used.uses}:
        return f"it is made of {name} itself"
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
