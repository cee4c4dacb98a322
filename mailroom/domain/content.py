"""Mail content: subject, text and HTML as Jinja2 templates, checked when they are saved, and single mails' rendered.

Expressions, filters, conditions and loops have their full meaning; assignments and imports are refused. Loops and
dotted values need lists and objects: a single mail's variables may be such, and what a campaign's run fetches once.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import TemplateSyntaxError

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE, MAX_TEXT
from mailroom.domain.template_checks import KnownNames, faults_of_tree, lacking_in_mail, providers_own
from mailroom.domain.template_cutting import compile_content, cut_into_parts
from mailroom.domain.template_filling import FIELDS, filled_in
from mailroom.domain.template_language import count_tokens, language_of, measure, too_deep, with_spending
from mailroom.domain.template_names import names_of, needed_names
from mailroom.domain.template_scopes import Nested
from mailroom.domain.template_spending import OF_A_MAIL, CannotRender, SharedSteps

_NOT_CLOSED: Final = {"'end of print statement'": "}}", "'end of statement block'": "%}"}
_KEPT_TEMPLATE: Final = 20_000  # characters; a longer template of a single mail is not cached in compiled form


def check_content(content: Mapping[str, str], known: KnownNames, example: Mapping[str, Any]) -> list[Fault]:
    """The faults of subject, text and html: syntax errors, values that recipients lack, constructs not offered.

    `example`: a recipient's values, for a trial rendering of what no run's values decide. An empty list means that the
    content can be saved.
    """
    faults = [fault for field in FIELDS for fault in _check_field(field, content.get(field) or "", known)]
    if not faults:
        try:
            texts = [content.get(field) or "" for field in FIELDS]
            compile_content(*texts, later=known.nested or frozenset()).parts_for(example)
        except CannotRender as error:
            field, _, message = str(error).partition(": ")
            faults.append(Fault(field, message) if field in FIELDS else Fault("text", str(error)))
    return faults


def faults_of_language(
    content: Mapping[str, str], nested: Nested = frozenset(), html: frozenset[str] | None = frozenset()
) -> list[Fault]:
    """The faults of a campaign's subject, text and html that do not depend on the recipients' values. `nested`, `html`:
    as in KnownNames; None: any name."""
    faults: list[Fault] = []
    for field in FIELDS:
        source = content.get(field) or ""
        try:
            names = names_of(_parsed(field, source))
        except InvalidInput as error:
            faults += error.faults
            continue
        faults += _check_field(field, source, KnownNames(names, lacking_in_mail, nested, html))
    return faults


def names_in(content: Mapping[str, str], html: frozenset[str] = frozenset()) -> frozenset[str]:
    """The variables that subject, text and html require. `html`: as in KnownNames. Raises InvalidInput with every
    fault, in the form of check_content."""
    faults: list[Fault] = []
    names: set[str] = set()
    for field in FIELDS:
        source = content.get(field) or ""
        try:
            if too_long := _too_long(field, source):
                raise InvalidInput(*too_long)
            tree = _parsed(field, source)
        except InvalidInput as error:
            faults += error.faults
            continue
        names |= {node.name for node in needed_names(tree)}
        faults += _check_field(field, source, _known_to_mail(names_of(tree), html), whole=False)
    if faults:
        raise InvalidInput(*faults)
    return frozenset(names)


def render_once(
    content: Mapping[str, str],
    variables: Mapping[str, Any],
    steps: SharedSteps | None = None,
    html: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """Subject, text and html of a single mail, rendered. `steps`: those that its loops share with those of other mails.
    `html`: as in KnownNames.

    Raises InvalidInput with every fault, in the form of check_content.
    """
    faults: list[Fault] = []
    written = {}
    context = with_spending(variables, OF_A_MAIL, steps)
    names = frozenset(variables)
    for field in FIELDS:
        try:
            template = _single_template(field, content.get(field) or "", names, html)
            written[field] = filled_in(template, context, field, MAX_TEXT, MAX_TEXT)
        except InvalidInput as error:
            faults += error.faults
        except CannotRender as error:
            faults.append(Fault(field, str(error).partition(": ")[2]))
    if faults:
        raise InvalidInput(*faults)
    return written


def cost_of(content: Mapping[str, str]) -> int:
    """The tokens in all expressions of subject, text and html: the measure of the cost to check and compile them."""
    return sum(count_tokens(field, (content.get(field) or "")[:MAX_TEMPLATE]) for field in FIELDS)


def _single_template(field: str, source: str, names: frozenset[str], html: frozenset[str]) -> Template:
    """A template of single mails, checked for values of these names and compiled. Small templates are cached for the
    next mail. Raises InvalidInput."""
    if len(source) > _KEPT_TEMPLATE:
        return _compiled_single(field, source, names, html)
    return _kept_single(field, source, names, html)


def _compiled_single(field: str, source: str, names: frozenset[str], html: frozenset[str]) -> Template:
    if faults := _too_long(field, source) or _check_field(field, source, _known_to_mail(names, html), whole=False):
        raise InvalidInput(*faults)
    return language_of(field).from_string(source)


_kept_single = lru_cache(maxsize=256)(_compiled_single)


def _known_to_mail(names: frozenset[str], html: frozenset[str]) -> KnownNames:
    """Names of a single mail. Any of its values may be a list or an object."""
    return KnownNames(names, lacking_in_mail, nested=None, html=html)


def _too_long(field: str, source: str) -> list[Fault]:
    if len(source) <= MAX_TEMPLATE:
        return []
    return [Fault(field, f"with variables it has at most {MAX_TEMPLATE:,} characters")]


def _check_field(field: str, source: str, known: KnownNames, *, whole: bool = True) -> list[Fault]:
    """`whole`: the template is also cut into parts, for many recipients; otherwise it is rendered in one piece."""
    try:
        tree = _parsed(field, source)
        if faults := faults_of_tree(field, source, tree, known):
            return faults
        language_of(field).compile(tree)
        # Check the fixed text again in the form that is sent: a raw block could hide a substitution.
        if not whole:
            return []
        cut = cut_into_parts(field, source, later=known.nested or frozenset())
        return providers_own(field, cut.with_placeholders(lambda _: "\0"))
    except InvalidInput as error:
        return list(error.faults)
    except (TemplateError, SyntaxError, RecursionError, ValueError, OverflowError) as error:
        return [_fault_of(field, error)]


def _parsed(field: str, source: str) -> nodes.Template:
    """The template as a tree. Cheap counts go first, so that parsing and all later steps have a bounded cost.

    Raises InvalidInput with the place of the refused construct.
    """
    try:
        if faults := providers_own(field, source) or measure(field, source):
            raise InvalidInput(*faults)
        tree = language_of(field).parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError) as error:
        raise InvalidInput(_fault_of(field, error)) from None
    if faults := too_deep(field, tree):
        raise InvalidInput(*faults)
    return tree


def _fault_of(field: str, error: Exception) -> Fault:
    if isinstance(error, TemplateSyntaxError):
        close = next((sign for words, sign in _NOT_CLOSED.items() if words in (error.message or "")), None)
        words = f"something is opened and not closed: write {close} after it" if close else error.message
        return Fault(field, f"line {error.lineno}: {words}")
    if isinstance(error, TemplateError):
        return Fault(field, str(error))
    return Fault(field, "this template is nested too deep, or holds a number that is too long")
