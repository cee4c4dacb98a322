"""Checks of loops and of dotted values: which forms of them are offered, and over which values.

`nested` names the variables whose values may be lists and objects; None: all of them, as in single mails. A campaign's
recipients have plain values; what is equal for all recipients of a run, such as its feed, may be nested.
"""

from collections.abc import Iterator
from typing import Final

from jinja2 import nodes

from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_LOOPS_DEEP
from mailroom.domain.run_values import FEED
from mailroom.domain.template_filling import UNSUBSCRIBE_URL
from mailroom.domain.template_names import DEFAULTS, LOOP, base_of, free_names, names_within
from mailroom.domain.template_values import LOOP_NAMES

Nested = frozenset[str] | None
_OF_FILTERS: Final = DEFAULTS | {"first", "last"}  # `(items|first).name`
_NO_FEED: Final = "only a schedule with a feed has feed"
_NO_LOOPS: Final = "loops are not offered over recipients' values: these are plain"
_ONLY_LOOP: Final = "loop has no value of its own; write " + ", ".join(f"loop.{name}" for name in sorted(LOOP_NAMES))


def faults_of_scopes(field: str, node: nodes.Node, nested: Nested) -> list[Fault]:
    """The faults of loops and dotted values in a template, in the order of the template."""
    found = dict.fromkeys(_faults(node, nested, 0))
    return [Fault(field, f"line {line}: {message}") for line, message in found]


def _faults(node: nodes.Node, nested: Nested, loops: int) -> Iterator[tuple[int, str]]:
    """`loops`: how many loops this node stands in. Gives the lines and messages."""
    match node:
        case nodes.For():
            yield from _of_loop(node, nested, loops)
        case nodes.Getattr() | nodes.Getitem():
            yield from _of_dotted(node, nested, loops)
        case nodes.Name(name="loop") if loops:
            yield node.lineno, _ONLY_LOOP
        case _:
            for child in node.iter_child_nodes():
                yield from _faults(child, nested, loops)


def _of_loop(node: nodes.For, nested: Nested, loops: int) -> Iterator[tuple[int, str]]:
    yield from ((node.lineno, message) for message in _wrong_with(node, nested, loops))
    yield from _faults(node.iter, nested, loops)
    inside = None if nested is None else nested | names_within(node)
    for child in node.body:
        yield from _faults(child, inside, loops + 1)
    for child in node.else_:
        yield from _faults(child, nested, loops)


def _wrong_with(node: nodes.For, nested: Nested, loops: int) -> Iterator[str]:
    if loops >= MAX_LOOPS_DEEP:
        yield f"at most {MAX_LOOPS_DEEP} loops stand in one another"
    if not isinstance(node.target, nodes.Name):
        yield "a loop gives one name to each item, as in {% for item in items %}"
    elif node.target.name in (LOOP, UNSUBSCRIBE_URL) or node.target.name.startswith("_"):
        yield f"an item cannot be named {node.target.name}"
    if node.test is not None:
        yield "for … if is not offered: write {% if %} within the loop"
    if node.recursive:
        yield "recursive loops are not offered"
    if nested is not None and (others := free_names(node.iter) - nested):
        yield _NO_FEED if FEED in others else _NO_LOOPS


def _of_dotted(node: nodes.Getattr | nodes.Getitem, nested: Nested, loops: int) -> Iterator[tuple[int, str]]:
    base = base_of(node)
    if isinstance(base, nodes.Name) and base.name == LOOP and loops:
        if not (isinstance(node, nodes.Getattr) and node.node is base and node.attr in LOOP_NAMES):
            yield node.lineno, _ONLY_LOOP
        return
    if messages := list(_wrong_with_base(node, base, nested)):
        yield from ((node.lineno, message) for message in messages)
        return
    if not isinstance(base, nodes.Name):
        yield from _faults(base, nested, loops)
    step: nodes.Node = node
    while isinstance(step, nodes.Getattr | nodes.Getitem):
        key = step.attr if isinstance(step, nodes.Getattr) else step.arg
        if _is_hidden(key):
            yield node.lineno, "names that begin with _ are not offered"
        if isinstance(key, nodes.Node):
            yield from _faults(key, nested, loops)
        step = step.node


def _wrong_with_base(node: nodes.Getattr | nodes.Getitem, base: nodes.Node, nested: Nested) -> Iterator[str]:
    if isinstance(base, nodes.Filter) and base.name in _OF_FILTERS and base.node is not None:
        yield from _wrong_with_base(node, base_of(base.node), nested)
    elif not isinstance(base, nodes.Name):
        yield "only the values of variables have parts"
    elif nested is not None and base.name not in nested:
        what = "attributes" if isinstance(node, nodes.Getattr) else "parts"
        yield _NO_FEED if base.name == FEED else f"values are plain: they have no {what}"


def _is_hidden(key: object) -> bool:
    text = key.value if isinstance(key, nodes.Const) else key
    return isinstance(text, str) and text.startswith("_")
