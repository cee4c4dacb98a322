"""Where `|safe` may stand: behind a value that a stored template declares as HTML, as the last of its filters, and in
HTML between elements. Inside of a tag, a style or a comment a value is text, whatever it holds."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Final

from jinja2 import nodes

from mailroom.domain.errors import Fault
from mailroom.domain.html_pieces import Text, pieces_of
from mailroom.domain.template_names import free_names, names_within

SAFE: Final = "safe"
_NOT_DECLARED: Final = '|safe is only for values that a stored template declares as HTML: "html_fields"'
_NOT_LAST: Final = "|safe stands last, in an expression of its own: {{ body|safe }}"
_IN_A_TAG: Final = "|safe stands between elements: not inside of a tag, a style, a title or a comment"
_IN_A_LINE: Final = "|safe is not for a subject or a preheader: these are one line of text"
#: In place of a value, where its place in the HTML is looked for: no template holds it. Of letters, so that `<` before
#: it begins a tag, as it may before a value.
_MARK: Final = f"x{secrets.token_hex(8)}x"


def faults_of_safe(field: str, tree: nodes.Template, declared: frozenset[str] | None) -> list[Fault]:
    """The faults of each `|safe` in a template. `declared`: the names whose values are HTML; None: any."""
    if not any(node.name == SAFE for node in tree.find_all(nodes.Filter)):
        return []
    if field == "subject":
        return [Fault(field, _IN_A_LINE)]
    names = frozenset(name.name for name in tree.find_all(nodes.Name)) if declared is None else declared
    found = list(dict.fromkeys(_faults(tree.body, names)))
    if not found and field == "html" and not _stand_between_elements(tree):
        found = [(1, _IN_A_TAG)]
    return [Fault(field, f"line {line}: {message}") for line, message in found]


def _faults(body: Sequence[nodes.Node], declared: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in body:
        match node:
            case nodes.Filter(name="safe"):
                yield node.lineno, _NOT_LAST
            case nodes.Output():
                yield from (fault for child in node.nodes for fault in _of_expression(child, declared))
            case nodes.For():
                yield from _faults([node.iter], declared)
                yield from _faults(node.body, _within(node, declared))
                yield from _faults(node.else_, declared)
            case _:
                yield from _faults(list(node.iter_child_nodes()), declared)


def _of_expression(node: nodes.Node, declared: frozenset[str]) -> Iterator[tuple[int, str]]:
    if not (isinstance(node, nodes.Filter) and node.name == SAFE and node.node is not None):
        yield from _faults([node], declared)
        return
    names = free_names(node.node)
    if node.args or node.kwargs or not names or not names <= declared:
        yield node.lineno, _NOT_DECLARED
    yield from _faults([node.node], declared)


def _within(loop: nodes.For, declared: frozenset[str]) -> frozenset[str]:
    """The names that are HTML within a loop: its item is, where it comes out of a value that is."""
    inside = declared - names_within(loop)
    names = free_names(loop.iter)
    is_html = bool(names) and names <= declared and isinstance(loop.target, nodes.Name)
    return inside | {loop.target.name} if is_html and isinstance(loop.target, nodes.Name) else inside


def _stand_between_elements(tree: nodes.Template) -> bool:
    """True if a reader of the HTML comes across every `|safe` as text."""
    marked = "".join(_marked(tree.body))
    shown = sum(piece.text.count(_MARK) for piece in pieces_of(marked) if isinstance(piece, Text))
    return shown == marked.count(_MARK)


def _marked(body: Sequence[nodes.Node]) -> Iterator[str]:
    """The template's fixed text, all its branches one after the other, with a mark for each `|safe`."""
    for node in body:
        if isinstance(node, nodes.TemplateData):
            yield node.data
        elif isinstance(node, nodes.Filter) and node.name == SAFE:
            yield _MARK
        elif isinstance(node, nodes.Output):
            yield from _marked(node.nodes)
        elif isinstance(node, nodes.Expr):
            yield "x"
        else:
            yield from _marked([child for child in node.iter_child_nodes() if not isinstance(child, nodes.Expr)])
