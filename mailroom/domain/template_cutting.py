"""Templates are cut into fixed text and parts; what is equal for all recipients of a run becomes fixed text.

Without values of a run, a template is cut at its top level alone. With them, all that mentions no recipient's value is
rendered once: expressions, and whole loops and conditions. A loop over a run's list in which recipients' values stand
is unrolled; a condition on a run's values is decided. What mixes both stays one part, and carries the run's values.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, nodes

from mailroom.domain.limits import MAX_PARTS, MAX_SUBJECT, MAX_TEXT
from mailroom.domain.mailgun_substitutions import MAILGUNS
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.template_counting import counted, steps_of
from mailroom.domain.template_filling import (
    UNSUBSCRIBE_URL,
    CutTemplate,
    LaterPart,
    OwnLink,
    Piece,
    TemplatePart,
    filled_in,
)
from mailroom.domain.template_language import PROVIDERS_OWN, Language, language_of
from mailroom.domain.template_names import LOOP, free_names
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender, Spending
from mailroom.domain.template_values import SPENDING, list_to_loop

# What a provider would replace in fixed text.
_REPLACED: Final = re.compile(f"{PROVIDERS_OWN.pattern}|{MAILGUNS.pattern}", re.IGNORECASE)
_RESULT: Final = "result"  # the name of an evaluated expression, in a template of its own


@lru_cache(maxsize=32)
def compile_content(
    subject: str,
    text: str,
    html: str,
    *,
    linked: bool = False,
    run: RunValues = NO_RUN_VALUES,
    later: frozenset[str] = frozenset(),
) -> Compiled:
    """Compile content that has passed `check_content`. Equal content is compiled once. `linked`: the content has a
    topic, and its bodies may hold `{{ unsubscribe_url }}`. `later`: as for `cut_into_parts`.

    Raises CannotRender where the values of the run do not fit the content; never without such values.
    """
    return Compiled(
        cut_into_parts("subject", subject, run=run, later=later),
        cut_into_parts("text", text, linked=linked, run=run, later=later),
        cut_into_parts("html", html, linked=linked, run=run, later=later),
    )


def cut_into_parts(
    field: str,
    source: str,
    *,
    linked: bool = False,
    run: RunValues = NO_RUN_VALUES,
    later: frozenset[str] = frozenset(),
) -> CutTemplate:
    """Cut a template of subject, text or html that has passed `check_content`. `later`: names whose values come with a
    run and are not known yet. Raises TemplateError; CannotRender where the values of the run do not fit."""
    language = language_of(field)
    body = language.parse(source).body
    cutter = _Cutter(field, language, linked=linked, run=run, later=later)
    cutter.cut(body, run.by_name, unrolled=False)
    return cutter.done()


def is_link(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == UNSUBSCRIBE_URL


class _Cutter:
    """Cuts the template of one field. `bound`, in its methods, are the values that are equal for all recipients at the
    place of a node; `unrolled` is True within what has been unrolled or decided."""

    def __init__(self, field: str, language: Language, *, linked: bool, run: RunValues, later: frozenset[str]) -> None:
        self._field, self._language, self._linked, self._later = field, language, linked, later
        self._with_run = bool(run)
        self._pieces: list[Piece] = []
        self._texts: list[str] = []  # unrolled text that is not among the pieces yet
        self._most = self._room = MAX_SUBJECT if field == "subject" else MAX_TEXT  # characters of a run's fixed text
        self._parts = 0
        # By the id of a node, with the node itself: an id may be used again once its node is gone.
        self._compiled: dict[int, tuple[nodes.Node, Template]] = {}
        self._names: dict[int, tuple[nodes.Node, frozenset[str]]] = {}
        self._rests: dict[int, tuple[nodes.If, nodes.If]] = {}
        self._account = Spending(run.by_name)

    def cut(self, body: Sequence[nodes.Node], bound: Mapping[str, Any], *, unrolled: bool) -> None:
        for node in body:
            for child in node.nodes if isinstance(node, nodes.Output) else [node]:
                self._cut_one(child, bound, unrolled)

    def done(self) -> CutTemplate:
        self._flush()
        whole = CutTemplate(tuple(self._pieces))
        if self._with_run and (own := PROVIDERS_OWN.search(whole.with_placeholders(lambda _: "\0"))):
            raise CannotRender(f"{self._field}: '{own[0]}' is the provider's own substitution")
        return whole

    def _cut_one(self, node: nodes.Node, bound: Mapping[str, Any], unrolled: bool) -> None:
        if isinstance(node, nodes.TemplateData):
            self._add_text(node.data, unrolled)
            return
        if self._linked and is_link(node):
            self._add(OwnLink())
            return
        free = self._free(node)
        if free & self._later:
            self._add(LaterPart(self._next_key()))
        elif not unrolled and not free & bound.keys():
            self._add_part(node, {})
        elif free <= bound.keys():
            self._add_rendered(node, bound)
        elif isinstance(node, nodes.For) and self._free(node.iter) <= bound.keys():
            self._unroll(node, bound)
        elif isinstance(node, nodes.If) and self._free(node.test) <= bound.keys():
            self._decide(node, bound)
        else:
            self._add_part(node, bound)

    def _unroll(self, node: nodes.For, bound: Mapping[str, Any]) -> None:
        name = node.target.name if isinstance(node.target, nodes.Name) else ""
        steps = steps_of(node.body)
        value = self._value_of(node.iter, bound)
        try:
            items = list_to_loop(self._account, value, name, steps)
        except Exception as error:
            raise CannotRender(f"{self._field}: {error}") from None
        for index, item in enumerate(items):
            first, last = index == 0, index == len(items) - 1
            loop = {"index": index + 1, "index0": index, "first": first, "last": last, "length": len(items)}
            self.cut(node.body, {**bound, name: item, LOOP: loop}, unrolled=True)
        if not items:
            self.cut(node.else_, bound, unrolled=True)

    def _decide(self, node: nodes.If, bound: Mapping[str, Any]) -> None:
        """Cut the branch that holds. Where an earlier branch asks for a recipient's value, the rest is one part."""
        branches = [node, *node.elif_]
        for index, branch in enumerate(branches):
            if not self._free(branch.test) <= bound.keys():
                self._add_part(self._rest_of(node, index), bound)
                return
            if self._is_true(branch.test, bound):
                self.cut(branch.body, bound, unrolled=True)
                return
        self.cut(node.else_, bound, unrolled=True)

    def _rest_of(self, node: nodes.If, index: int) -> nodes.If:
        """The condition from a branch after the first on: the same node whenever it is asked for."""
        branch = node.elif_[index - 1]
        if id(branch) not in self._rests:
            rest = nodes.If(branch.test, branch.body, node.elif_[index:], node.else_, lineno=branch.lineno)
            self._rests[id(branch)] = (branch, rest)
        return self._rests[id(branch)][1]

    def _add(self, piece: Piece) -> None:
        self._flush()
        self._pieces.append(piece)

    def _add_part(self, node: nodes.Node, bound: Mapping[str, Any]) -> None:
        self._parts += 1
        if self._with_run and self._parts > MAX_PARTS:
            words = f"with the values of the run it has more than {MAX_PARTS:,} places that differ by recipient"
            raise CannotRender(f"{self._field}: {words}")
        self._flush()
        steps = steps_of([node]) if bound else 0
        template = self._template_of(node, counts=bool(bound))
        reads = tuple(sorted(self._free(node) - bound.keys()))
        bare = isinstance(node, nodes.Name) and not bound
        self._pieces.append(TemplatePart(self._next_key(), template, bound, steps, reads, bare))

    def _add_text(self, text: str, unrolled: bool) -> None:
        if not unrolled:
            self._add(text)
            return
        self._room -= len(text)
        if self._room < 0:
            words = f"with the values of the run it has more than {self._most:,} characters"
            raise CannotRender(f"{self._field}: {words}")
        self._texts.append(text)

    def _add_rendered(self, node: nodes.Node, bound: Mapping[str, Any]) -> None:
        """Fixed text that comes from values of the run. What a provider would replace in it travels as a recipient's
        value does, which no provider looks into."""
        context = {**bound, SPENDING: self._account}
        text = filled_in(self._template_of(node, counts=True), context, self._field, max(self._room, 0), self._most)
        at = 0
        for match in _REPLACED.finditer(text):
            self._add_text(text[at : match.start()], True)
            self._add_part(nodes.TemplateData(match[0], lineno=1), {})
            at = match.end()
        self._add_text(text[at:], True)

    def _flush(self) -> None:
        if self._texts:
            self._pieces.append("".join(self._texts))
            self._texts = []

    def _next_key(self) -> str:
        return f"{self._field[0]}{len(self._pieces)}"

    def _is_true(self, expression: nodes.Node, bound: Mapping[str, Any]) -> bool:
        value = self._value_of(expression, bound)
        try:
            return bool(value)
        except Exception as error:
            raise CannotRender(f"{self._field}: {error}") from None

    def _value_of(self, expression: nodes.Node, bound: Mapping[str, Any]) -> Any:
        if id(expression) not in self._compiled:
            result = nodes.Assign(nodes.Name(_RESULT, "store"), counted(expression, in_loop=True), lineno=1)
            self._compiled[id(expression)] = (expression, self._compile(result))
        template = self._compiled[id(expression)][1]
        context = template.new_context({**bound, SPENDING: self._account})
        try:
            for _ in template.root_render_func(context):
                pass
        except MemoryError:
            raise
        except Exception as error:
            raise CannotRender(f"{self._field}: {error}") from None
        return context.vars[_RESULT]

    def _template_of(self, node: nodes.Node, *, counts: bool) -> Template:
        """This node alone, compiled once. `counts`: as within a loop, since it may be rendered many times."""
        if id(node) not in self._compiled:
            whole = counted(node, in_loop=True) if counts else node
            output = nodes.Output([whole], lineno=node.lineno) if isinstance(whole, nodes.Expr) else whole
            self._compiled[id(node)] = (node, self._compile(output))
        return self._compiled[id(node)][1]

    def _free(self, node: nodes.Node) -> frozenset[str]:
        if id(node) not in self._names:
            self._names[id(node)] = (node, free_names(node))
        return self._names[id(node)][1]

    def _compile(self, statement: nodes.Node) -> Template:
        tree = nodes.Template([statement], lineno=1)
        tree.set_environment(self._language)
        return self._language.from_string(tree)
