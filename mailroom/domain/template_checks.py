"""Checks of a template before rendering: constructs that are not offered, and required values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from typing import Final

from jinja2 import nodes

from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_PARTS
from mailroom.domain.run_values import FEED
from mailroom.domain.template_filling import UNSUBSCRIBE_URL
from mailroom.domain.template_filters import FILTERS
from mailroom.domain.template_language import PROVIDERS_OWN, REFUSED_NODES
from mailroom.domain.template_names import needed_names
from mailroom.domain.template_safety import faults_of_safe
from mailroom.domain.template_scopes import Nested, faults_of_scopes

_MOST_FAULTS: Final = 50  # reported at once


@dataclass(frozen=True, slots=True)
class KnownNames:
    """`everybody`: the names with a value for every recipient. `lacking`: the message for any other name. `nested`: of
    a campaign, the names whose values come with a run and may be lists and objects; of a single mail None, for all.
    `html`: the names whose values a template declares as HTML; None: any, where it is declared elsewhere."""

    everybody: frozenset[str]
    lacking: Callable[[str], str]
    nested: Nested = frozenset()
    html: frozenset[str] | None = frozenset()

    def with_feed(self) -> "KnownNames":
        """These, for a schedule that has a feed. A field of recipients named like the feed is not seen."""
        return replace(self, everybody=self.everybody | {FEED}, nested=(self.nested or frozenset()) | {FEED})


def lacking_in_mail(name: str) -> str:
    """The message for a single mail, whose caller gives the values."""
    return f'"{name}" is not among the variables'


def lacking_in_audience(name: str) -> str:
    """The message for a stored audience, of which only the common names are known."""
    return f'not every recipient has "{name}"'


def lacking_by_count(counts: Mapping[str, int], total: int) -> Callable[[str], str]:
    """The message for given recipients. `counts`: how many of the `total` have each name."""

    def words(name: str) -> str:
        without = total - counts.get(name, 0)
        number = "no recipient has" if without == total else f"{without:,} of {total:,} recipients have no"
        return f'{number} "{name}"'

    return words


def with_hint_at_topics(lacking: Callable[[str], str]) -> Callable[[str], str]:
    """The message, with a hint for the link that only mail of a topic has."""

    def words(name: str) -> str:
        hint = " (campaigns with a topic have it)" if name == UNSUBSCRIBE_URL else ""
        return lacking(name) + hint

    return words


def faults_of_tree(field: str, source: str, tree: nodes.Template, known: KnownNames) -> list[Fault]:
    """The faults of the first kind found: constructs not offered, names that recipients lack, too many expressions."""
    return (
        _not_offered(field, tree, known.nested)
        or _not_known(field, source, tree, known)
        or _too_many_parts(field, tree)
        or faults_of_safe(field, tree, known.html)
    )


def providers_own(field: str, text: str) -> list[Fault]:
    """The fault of a provider's own substitution, which the provider would replace behind our checks."""
    own = PROVIDERS_OWN.search(text)
    if own is None:
        return []
    message = f"{_place(text, own.start())}: '{own[0]}' is the provider's own substitution; write {{{{ name }}}}"
    return [Fault(field, message)]


def _not_offered(field: str, tree: nodes.Template, nested: Nested) -> list[Fault]:
    faults = [
        Fault(field, f"line {node.lineno}: {message}")
        for kind, message in REFUSED_NODES.items()
        for node in tree.find_all(kind)
    ]
    faults += [
        Fault(field, f"line {node.lineno}: there is no filter '{node.name}'")
        for node in tree.find_all(nodes.Filter)
        if node.name not in FILTERS
    ]
    faults += [
        Fault(field, f"line {node.lineno}: * is not offered in mail content")
        for node in tree.find_all((nodes.Filter, nodes.Test))
        if node.dyn_args is not None or node.dyn_kwargs is not None
    ]
    faults += faults_of_scopes(field, tree, nested)
    return faults[:_MOST_FAULTS]


def _too_many_parts(field: str, tree: nodes.Template) -> list[Fault]:
    """The fault of too many parts. Each part is compiled separately, and thousands would keep a processor busy."""
    parts = sum(1 for node in tree.find_all((nodes.Output, nodes.If)) for _ in node.iter_child_nodes())
    return [Fault(field, f"at most {MAX_PARTS:,} expressions")] if parts > 2 * MAX_PARTS else []


def _not_known(field: str, source: str, tree: nodes.Template, known: KnownNames) -> list[Fault]:
    first: dict[str, int] = {}
    for node in needed_names(tree, known.everybody):
        first.setdefault(node.name, node.lineno)
    lines = source.split("\n")
    return [
        Fault(field, f"{_place_of_name(name, line, lines)}: {_why_unknown(name, known)}")
        for name, line in islice(first.items(), _MOST_FAULTS)
    ]


def _why_unknown(name: str, known: KnownNames) -> str:
    folded = {word.lower(): word for word in sorted(known.everybody)}
    meant = get_close_matches(name.lower(), folded, n=1, cutoff=0.75)
    advice = f'Did you mean "{folded[meant[0]]}"?' if meant else f"Write {{{{ {name}|default('...') }}}} to do without."
    return f"{known.lacking(name)}. {advice}"


def _place_of_name(name: str, line: int, lines: list[str]) -> str:
    match = re.search(rf"\b{re.escape(name)}\b", lines[line - 1]) if line <= len(lines) else None
    return f"line {line}, column {match.start() + 1}" if match else f"line {line}"


def _place(source: str, offset: int) -> str:
    before = source[:offset]
    return f"line {before.count(chr(10)) + 1}, column {offset - before.rfind(chr(10))}"
