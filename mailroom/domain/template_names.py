"""The names in a template: those that it mentions, those that it cannot do without, and those of its loops."""

from collections.abc import Iterator
from typing import Final

from jinja2 import nodes

LOOP: Final = "loop"
DEFAULTS: Final = frozenset({"default", "d"})


def names_of(tree: nodes.Template) -> frozenset[str]:
    """Every name that a template mentions, those of its loops included."""
    return frozenset(node.name for node in tree.find_all(nodes.Name))


def free_names(node: nodes.Node) -> frozenset[str]:
    """The names that a node takes from around it: all but those of the loops within it."""
    match node:
        case nodes.Name():
            return frozenset({node.name})
        case nodes.For():
            inside = frozenset[str]().union(*map(free_names, node.body)) - names_within(node)
            return inside.union(free_names(node.iter), *map(free_names, node.else_))
        case _:
            return frozenset[str]().union(*map(free_names, node.iter_child_nodes()))


def names_within(loop: nodes.For) -> frozenset[str]:
    """The names that the body of a loop has besides those around the loop."""
    target = loop.target
    items = [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
    return frozenset({LOOP, *(name.name for name in items)})


def base_of(node: nodes.Node) -> nodes.Node:
    """What a dotted value begins with: `order` of `order.lines[0].price`."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node


def needed_names(node: nodes.Node, defined: frozenset[str] = frozenset()) -> Iterator[nodes.Name]:
    """The names that must have a value in every rendering. `{{ city|default('x') }}` and
    `{% if city is defined %}{{ city }}{% endif %}` require no value. `defined`: the names with a value at this node.

    Of a dotted value the first name counts: its parts are known only while a mail is rendered."""
    match node:
        case nodes.Name():
            if node.name not in defined:
                yield node
        case nodes.Filter(name=name, node=value) if name in DEFAULTS and _is_of_a_name(value):
            yield from _needed_by_keys(value, defined)
            for argument in node.args:
                yield from needed_names(argument, defined)
        case nodes.Test(name="defined" | "undefined", node=value) if _is_of_a_name(value):
            yield from _needed_by_keys(value, defined)
        case nodes.If() | nodes.CondExpr():
            yield from _needed_by_condition(node, defined)
        case nodes.And():
            yield from needed_names(node.left, defined)
            yield from needed_names(node.right, defined | _defined_where(node.left, true=True))
        case nodes.Or():
            yield from needed_names(node.left, defined)
            yield from needed_names(node.right, defined | _defined_where(node.left, true=False))
        case nodes.For():
            yield from needed_names(node.iter, defined)
            for child in node.body:
                yield from needed_names(child, defined | names_within(node))
            for child in node.else_:
                yield from needed_names(child, defined)
        case _:
            for child in node.iter_child_nodes():
                yield from needed_names(child, defined)


def defaulted_names(node: nodes.Node, within: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of recipients' values that have a default where they stand. `within`: the names of loops around it."""
    match node:
        case nodes.Filter(name=filter_, node=nodes.Name(name=name)) if filter_ in DEFAULTS and name not in within:
            yield name
        case nodes.For():
            within |= names_within(node)
    for child in node.iter_child_nodes():
        yield from defaulted_names(child, within)


def printed_names(node: nodes.Node, looked_at: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names that are printed as they are, or changed by filters, whatever their values are. `looked_at`: the names
    that a condition around the node looks at: who wrote it has thought of a blank value."""
    match node:
        case nodes.Output():
            bases = (_filtered(child) for child in node.nodes)
            yield from (base.name for base in bases if isinstance(base, nodes.Name) and base.name not in looked_at)
        case nodes.If():
            inside = looked_at | free_names(node.test)
            for child in (*node.body, *node.elif_, *node.else_):
                yield from printed_names(child, inside)
        case nodes.For():
            for child in (*node.body, *node.else_):
                yield from printed_names(child, looked_at | names_within(node))
        case _:
            for child in node.iter_child_nodes():
                yield from printed_names(child, looked_at)


def _filtered(node: nodes.Node | None) -> nodes.Node | None:
    """What filters other than a default are applied to."""
    while isinstance(node, nodes.Filter) and node.name not in DEFAULTS:
        node = node.node
    return node


def _is_of_a_name(node: nodes.Node | None) -> bool:
    return node is not None and isinstance(base_of(node), nodes.Name)


def _needed_by_keys(node: nodes.Node | None, defined: frozenset[str]) -> Iterator[nodes.Name]:
    """The names in the brackets of a dotted value: `city` of `prices[city]`."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem):
            yield from needed_names(node.arg, defined)
        node = node.node


def _needed_by_condition(node: nodes.If | nodes.CondExpr, defined: frozenset[str]) -> Iterator[nodes.Name]:
    yield from needed_names(node.test, defined)
    inside = defined | _defined_where(node.test, true=True)
    outside = defined | _defined_where(node.test, true=False)
    if isinstance(node, nodes.CondExpr):
        yield from needed_names(node.expr1, inside)
        if node.expr2 is not None:
            yield from needed_names(node.expr2, outside)
        return
    for child in node.body:
        yield from needed_names(child, inside)
    for branch in node.elif_:
        yield from needed_names(branch, outside)
        outside |= _defined_where(branch.test, true=False)
    for child in node.else_:
        yield from needed_names(child, outside)


def _defined_where(test: nodes.Node, *, true: bool) -> frozenset[str]:
    """The names that certainly have a value if this condition is true (or false). A dotted value that is defined is
    one of a name that has a value."""
    match test:
        case nodes.Test(name="defined", node=value) if true:
            return _name_of(value)
        case nodes.Test(name="undefined", node=value) if not true:
            return _name_of(value)
        case nodes.Not():
            return _defined_where(test.node, true=not true)
        case nodes.And() if true:
            return _defined_where(test.left, true=True) | _defined_where(test.right, true=True)
        case nodes.Or() if not true:
            return _defined_where(test.left, true=False) | _defined_where(test.right, true=False)
        case nodes.And() | nodes.Or():
            return _defined_where(test.left, true=true) & _defined_where(test.right, true=true)
        case _:
            return frozenset()


def _name_of(value: nodes.Node) -> frozenset[str]:
    base = base_of(value)
    return frozenset({base.name}) if isinstance(base, nodes.Name) else frozenset()
