"""Text with the breaks between its lines and paragraphs, written from left to right, through conditions and loops.

A break goes before the text that follows it, so that several become one, and none stands at the end. A condition may
leave a line out, so a break that is due goes before a condition, or at the end of what stands within it: with the
condition and without, the lines are apart.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from mailroom.domain.bodies.masks import Construct


class Break(IntEnum):
    NONE = 0
    SPACE = 1
    LINE = 2
    PARAGRAPH = 3


_WRITTEN: Final = {Break.NONE: "", Break.SPACE: " ", Break.LINE: "\n", Break.PARAGRAPH: "\n\n"}


class _Block:
    """A condition or loop that is open. `at`: its place in what is written. `start`: the break before it; `ends`: those
    at the ends of its branches so far. `filled`: it holds text."""

    def __init__(self, at: int, start: Break) -> None:
        self.at, self.start = at, start
        self.ends: list[Break] = []
        self.filled = self.has_else = False


class Lines:
    """`on_branch`: called before each end of a branch, with the number of conditions that are open."""

    def __init__(self, on_branch: Callable[[int], None] = lambda _: None) -> None:
        self.pieces: list[str | Construct] = []
        self._on_branch = on_branch
        self._blocks: list[_Block] = []
        self._behind = Break.PARAGRAPH  # at the end of what is written; nothing needs no break
        self._due = Break.NONE

    @property
    def depth(self) -> int:
        """How many conditions and loops are open."""
        return len(self._blocks)

    @property
    def at_line(self) -> bool:
        """True if what follows begins a line."""
        return max(self._behind, self._due) >= Break.LINE

    def break_(self, wanted: Break) -> None:
        self._due = max(self._due, wanted)

    def write(self, piece: str | Construct) -> None:
        """Text without breaks, or a `{{ … }}`."""
        self._flush()
        self.pieces.append(piece)
        self._behind = Break.NONE
        for block in self._blocks[-1:]:
            block.filled = True

    def lead(self, text: str) -> None:
        """Text that what follows stands right behind, such as the bullet of an item."""
        self.write(text)
        self._behind = Break.PARAGRAPH

    def forget_break(self) -> Break:
        """What follows stands right after what was written. Returns the break that was due."""
        due, self._due = self._due, Break.NONE
        return due

    def pass_(self, construct: Construct) -> None:
        """A `{% … %}`: it keeps its place between what was written and what follows."""
        if construct.opens:
            self._flush()
            self._blocks.append(_Block(len(self.pieces), self._behind))
            self.pieces.append(construct)
        elif self._blocks and construct.branches:
            self._end_branch()
            block = self._blocks[-1]
            block.has_else |= construct.keyword == "else"
            self._behind = block.start
            self.pieces.append(construct)
        elif self._blocks and construct.closes:
            self._close(construct)
        else:
            self.pieces.append(construct)

    def _close(self, construct: Construct) -> None:
        self._end_branch()
        block = self._blocks.pop()
        if not block.filled:
            del self.pieces[block.at :]
            self._behind = block.start
            return
        self._behind = min(block.ends if block.has_else else [*block.ends, block.start])
        self.pieces.append(construct)
        for around in self._blocks[-1:]:
            around.filled = True

    def _end_branch(self) -> None:
        self._on_branch(self.depth)
        self._flush()
        self._blocks[-1].ends.append(self._behind)

    def _flush(self) -> None:
        if self._due > self._behind:
            line_to_paragraph = (self._behind, self._due) == (Break.LINE, Break.PARAGRAPH)
            self.pieces.append("\n" if line_to_paragraph else _WRITTEN[self._due])
            self._behind = self._due
        self._due = Break.NONE
