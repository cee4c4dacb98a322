"""Layouts and partials: `{% extends "name" %}` with `{% block name %}`, and `{% include "name" %}`, made one flat
template.

They are resolved when a template is saved, from what is stored then. Nothing reads a layout later, and nothing is
looked up while a mail is rendered. A stored layout is flat too, but for its blocks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailroom.domain.bodies.masks import Construct, pieces_of
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE, MAX_TEMPLATE_DEPTH

#: The words that this module resolves.
STRUCTURAL: Final = frozenset({"extends", "include", "block", "endblock"})
_CLOSED_BY: Final = {"endif": "if", "endfor": "for"}
_BRANCHES: Final = frozenset({"elif", "else"})
_NAMED: Final = re.compile(r"""\{%\s*\w+\s+(["'])([a-z0-9][a-z0-9_-]{0,63})\1\s*%\}""")
_BLOCK: Final = re.compile(r"\{%\s*block\s+([A-Za-z][A-Za-z0-9_]{0,63})\s*%\}")
_END_OF_BLOCK: Final = re.compile(r"\{%\s*endblock(?:\s+([A-Za-z][A-Za-z0-9_]{0,63}))?\s*%\}")


@dataclass(frozen=True, slots=True)
class Included:
    """The place of a partial."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a layout that a template may say otherwise; or of a template, what it says there."""

    name: str
    line: int
    body: "tuple[StructurePiece, ...]"


StructurePiece = str | Included | Block


@dataclass(frozen=True, slots=True)
class Structure:
    """A template taken apart. `extends`: the name of its layout; '' without one."""

    extends: str
    pieces: tuple[StructurePiece, ...]

    @property
    def blocks(self) -> Iterator[Block]:
        """All its blocks, those within others too."""
        return _blocks_in(self.pieces)

    @property
    def included(self) -> frozenset[str]:
        """The names of its partials."""
        return _included_in(self.pieces)

    @property
    def named(self) -> frozenset[str]:
        """The names of its layout and its partials."""
        return frozenset({self.extends} - {""}) | self.included


def structure_of(field_: str, source: str) -> Structure:
    """Take a template apart that has passed `measure`. Raises InvalidInput, TemplateSyntaxError."""
    reader = _StructureReader(field_)
    for piece in pieces_of(source):
        reader.read(piece)
    return reader.done()


def without_structure(source: str) -> str:
    """The template with nothing in place of what this module resolves, each line where it was. Raises
    TemplateSyntaxError."""
    return "".join(
        "\n" * piece.source.count("\n")
        if isinstance(piece, Construct) and piece.keyword in STRUCTURAL
        else _text(piece)
        for piece in pieces_of(source)
    )


def flat(
    field_: str, own: Structure, layout: Structure | None, partials: Mapping[str, str], *, keeps_blocks: bool
) -> str:
    """The template as one text. `layout`: the one that it extends. `partials`: their flat texts by name.
    `keeps_blocks`: it is a layout itself. Raises InvalidInput if the text is too long, or has a block twice."""
    said = {block.name: block.body for block in own.pieces if isinstance(block, Block)} if layout else {}
    writer = _FlatWriter(field_, partials, said, keeps_blocks=keeps_blocks)
    writer.write((layout or own).pieces)
    return "".join(writer.texts)


class _StructureReader:
    """Reads the pieces of a template in order. `_open`: the blocks, conditions and loops that are open, each with its
    line. `_bodies`: what stands in the template and in each open block."""

    def __init__(self, field_: str) -> None:
        self._field, self._line, self._extends = field_, 1, ""
        self._open: list[tuple[str, int]] = []
        self._bodies: list[list[StructurePiece]] = [[]]
        self._names: list[str] = []
        self._seen: set[str] = set()

    def read(self, piece: str | Construct) -> None:
        if isinstance(piece, Construct) and piece.keyword in STRUCTURAL:
            {"extends": self._extend, "include": self._include, "block": self._begin, "endblock": self._end}[
                piece.keyword
            ](piece.plain)
        else:
            if isinstance(piece, Construct):
                self._follow(piece.keyword)
            self._bodies[-1].append(_text(piece))
        self._line += _text(piece).count("\n")

    def done(self) -> Structure:
        for name in self._names:
            raise self._refused(f"{{% block {name} %}} is not closed: write {{% endblock %}}")
        return Structure(self._extends, tuple(self._bodies[0]))

    def _extend(self, plain: str) -> None:
        before = "".join(piece if isinstance(piece, str) else "x" for piece in self._bodies[0])
        if self._extends or self._open or before.strip():
            raise self._refused("{% extends %} stands once, before everything else")
        self._extends = self._name_in(plain)

    def _include(self, plain: str) -> None:
        self._bodies[-1].append(Included(self._name_in(plain), self._line))

    def _begin(self, plain: str) -> None:
        match = _BLOCK.fullmatch(plain)
        if match is None:
            raise self._refused("write {% block name %}: letters, digits and _")
        if match[1] in self._seen:
            raise self._refused(f"the block {match[1]} is there already")
        self._seen.add(match[1])
        self._push("block")
        self._names.append(match[1])
        self._bodies.append([])

    def _end(self, plain: str) -> None:
        match = _END_OF_BLOCK.fullmatch(plain)
        if match is None:
            raise self._refused("write {% endblock %}")
        line = self._pop("block", "endblock")
        name, body = self._names.pop(), tuple(self._bodies.pop())
        if match[1] not in (None, name):
            raise self._refused(f"{{% endblock {match[1]} %}} closes the block {name}")
        self._bodies[-1].append(Block(name, line, body))

    def _follow(self, keyword: str) -> None:
        """Conditions and loops begin and end in the same block."""
        if keyword in _CLOSED_BY.values():
            self._push(keyword)
        elif keyword in _CLOSED_BY:
            self._pop(_CLOSED_BY[keyword], keyword)
        elif keyword in _BRANCHES and self._open and self._open[-1][0] == "block":
            raise self._refused(f"{{% {keyword} %}} stands in a block, and its condition or loop outside of it")

    def _push(self, keyword: str) -> None:
        self._open.append((keyword, self._line))
        if len(self._open) > MAX_TEMPLATE_DEPTH:
            raise self._refused(f"blocks are nested too deep; {MAX_TEMPLATE_DEPTH} levels fit")

    def _pop(self, keyword: str, by: str) -> int:
        """Returns the line of the beginning."""
        if not self._open or self._open[-1][0] != keyword:
            open_ = f"{{% {self._open[-1][0]} %}} of line {self._open[-1][1]} is open" if self._open else "none is open"
            raise self._refused(f"{{% {by} %}} closes a {keyword}, and {open_}")
        return self._open.pop()[1]

    def _name_in(self, plain: str) -> str:
        match = _NAMED.fullmatch(plain)
        if match is None:
            word = plain[2:].split()[0]
            raise self._refused(f'write {{% {word} "name" %}}, with the name of a stored template and nothing else')
        return match[2]

    def _refused(self, message: str) -> InvalidInput:
        return InvalidInput(Fault(self._field, f"line {self._line}: {message}"))


@dataclass(slots=True)
class _FlatWriter:
    field_: str
    partials: Mapping[str, str]
    said: Mapping[str, Sequence[StructurePiece]]
    keeps_blocks: bool = field(kw_only=True)
    texts: list[str] = field(default_factory=list)
    _left: int = MAX_TEMPLATE
    _blocks: set[str] = field(default_factory=set)

    def write(self, pieces: Sequence[StructurePiece]) -> None:
        for piece in pieces:
            match piece:
                case str():
                    self._add(piece)
                case Included(name):
                    self._add(self.partials[name])
                case Block():
                    self._write_block(piece)

    def _write_block(self, block: Block) -> None:
        if block.name in self._blocks:
            raise InvalidInput(Fault(self.field_, f"with its layout it has the block {block.name} twice"))
        self._blocks.add(block.name)
        body = self.said.get(block.name, block.body)
        if self.keeps_blocks:
            self._add(f"{{% block {block.name} %}}")
        self.write(body)
        if self.keeps_blocks:
            self._add("{% endblock %}")

    def _add(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            words = f"with its layout and partials it has more than {MAX_TEMPLATE:,} characters"
            raise InvalidInput(Fault(self.field_, words))
        self.texts.append(text)


def _text(piece: str | Construct) -> str:
    return piece if isinstance(piece, str) else piece.source


def _blocks_in(pieces: Sequence[StructurePiece]) -> Iterator[Block]:
    for piece in pieces:
        if isinstance(piece, Block):
            yield piece
            yield from _blocks_in(piece.body)


def _included_in(pieces: Sequence[StructurePiece]) -> frozenset[str]:
    inside = (_included_in(piece.body) for piece in pieces if isinstance(piece, Block))
    return frozenset(piece.name for piece in pieces if isinstance(piece, Included)).union(*inside)
