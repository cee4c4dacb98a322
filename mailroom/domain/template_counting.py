"""Before a template is compiled, its loops get counts, its dotted values the one way to read them, and what stands in a
loop the operators that count. What a template without loops and dots compiles to stays as it is."""

from typing import Final

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from mailroom.domain.template_operators import (
    ADDED,
    COMPARED,
    COUNTED_TESTS,
    JOINED,
    LOOPED,
    PART,
    TESTED,
)


def counted(node: nodes.Node, *, in_loop: bool = False) -> nodes.Node:
    """The node with its counts. The tree is changed in place; done twice, it is as done once. `in_loop`: it will be
    rendered at every turn of a loop."""
    changed: nodes.Node = _COUNTING.visit(node, in_loop)
    return changed


def steps_of(body: list[nodes.Node]) -> int:
    """The steps of one turn of a loop with this body."""
    steps = 1
    level = body
    while level:
        steps += len(level)
        level = [child for node in level for child in node.iter_child_nodes()]
    return steps


class _Counting(NodeTransformer):
    """Each method gets a node, and whether it stands in a loop; it returns the node to put there."""

    def visit_For(self, node: nodes.For, in_loop: bool) -> nodes.Node:
        iterable = self.visit(node.iter, in_loop)
        if not (isinstance(iterable, nodes.Filter) and iterable.name == LOOPED):
            name = node.target.name if isinstance(node.target, nodes.Name) else "…"
            iterable = _filter(LOOPED, iterable, nodes.Const(name), nodes.Const(steps_of(node.body)))
        node.iter = iterable
        node.body = [self.visit(child, True) for child in node.body]
        node.else_ = [self.visit(child, in_loop) for child in node.else_]
        return node

    def visit_Getattr(self, node: nodes.Getattr, in_loop: bool) -> nodes.Node:
        return self._part(node, in_loop)

    def visit_Getitem(self, node: nodes.Getitem, in_loop: bool) -> nodes.Node:
        return self._part(node, in_loop)

    def _part(self, node: nodes.Expr, in_loop: bool) -> nodes.Node:
        keys: list[nodes.Expr] = []
        base = node
        while isinstance(base, nodes.Getattr | nodes.Getitem):
            keys.append(nodes.Const(base.attr) if isinstance(base, nodes.Getattr) else self.visit(base.arg, in_loop))
            base = base.node
        name = base.name if isinstance(base, nodes.Name) else ""
        return _filter(PART, self.visit(base, in_loop), nodes.Const(name), *reversed(keys))

    def visit_Concat(self, node: nodes.Concat, in_loop: bool) -> nodes.Node:
        self.generic_visit(node, in_loop)
        return _filter(JOINED, *node.nodes) if in_loop else node

    def visit_Compare(self, node: nodes.Compare, in_loop: bool) -> nodes.Node:
        self.generic_visit(node, in_loop)
        if not in_loop:
            return node
        return _filter(COMPARED, node.expr, *(side for op in node.ops for side in (nodes.Const(op.op), op.expr)))

    def _calculation(self, node: nodes.BinExpr, in_loop: bool) -> nodes.Node:
        self.generic_visit(node, in_loop)
        return _filter(ADDED, node.left, nodes.Const(node.operator), node.right) if in_loop else node

    visit_Add = visit_Sub = visit_Div = visit_FloorDiv = _calculation

    def visit_Test(self, node: nodes.Test, in_loop: bool) -> nodes.Node:
        self.generic_visit(node, in_loop)
        if not in_loop or node.name not in COUNTED_TESTS:
            return node
        return nodes.Filter(
            node.node, TESTED, [nodes.Const(node.name), *node.args], node.kwargs, None, None, lineno=node.lineno
        )


_COUNTING: Final = _Counting()


def _filter(name: str, value: nodes.Expr, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)
