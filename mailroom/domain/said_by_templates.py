"""What a mail or a schedule says that names a stored template: the template's subject and bodies, in place of its
own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailroom.domain.errors import Fault
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.templates import Template, TemplateKind


def faults_of_choice(template: Template | None, said: Mapping[str, str | None]) -> list[Fault]:
    """The faults of naming this template; None: there is none of the name. `said`: the caller's own subject and bodies,
    which the template says; and the preheader, which it may say."""
    own_line = bool(template and template.source.preheader)
    faults = [
        Fault(name, "the template says this")
        for name, text in said.items()
        if text and (name != "preheader" or own_line)
    ]
    if template is None:
        faults.append(Fault("template", "there is none of this name"))
    elif template.kind is not TemplateKind.TEMPLATE:
        faults.append(Fault("template", f"it is a {template.kind}: name a template that uses it"))
    return faults


def at_template(faults: Sequence[Fault]) -> list[Fault]:
    """The faults of what a template says, at the field that names it."""
    return [
        replace(fault, path="template", message=f"its {fault.path}: {fault.message}") if fault.path in FIELDS else fault
        for fault in faults
    ]
