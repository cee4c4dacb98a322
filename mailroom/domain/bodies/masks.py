"""Templates with a word in place of each `{{ … }}` and `{% … %}`: what reads HTML, CSS or Markdown need not know these,
and leaves each in its place."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailroom.domain.template_language import HTML

#: No content holds it: each process draws its own, and leaves it in nothing that it stores. Small letters and digits
#: stay as they are in names of tags and attributes, in URLs, in CSS and in Markdown.
KEY: Final = f"x{secrets.token_hex(8)}x"
WORD: Final = re.compile(rf"{KEY}(\d+)z")
_KEYWORD: Final = re.compile(r"\{%\s*(\w+)")
_BEGINS: Final = frozenset({"variable_begin", "block_begin", "raw_begin", "raw_end"})
_ENDS: Final = frozenset({"variable_end", "block_end", "raw_begin", "raw_end"})
_BRANCHES: Final = frozenset({"elif", "else"})
_OPENING: Final = frozenset({"if", "for", "block", "with", "filter", "macro", "call", "autoescape"})


@dataclass(frozen=True, slots=True)
class Construct:
    """One `{{ … }}` or `{% … %}`. `source`: as it was written, with the white space around it that its `-` removes.
    `plain`: without these; '' of `{% raw %}` and its end. `keyword`: the first word of a `{% … %}`, '' of a `{{ … }}`.
    """

    source: str
    plain: str
    keyword: str

    @property
    def opens(self) -> bool:
        return self.keyword in _OPENING

    @property
    def branches(self) -> bool:
        return self.keyword in _BRANCHES

    @property
    def closes(self) -> bool:
        return self.keyword.startswith("end") and self.keyword != "endraw"


@dataclass(frozen=True, slots=True)
class Masked:
    """`text`: a template with a word for each of its constructs."""

    text: str
    constructs: tuple[Construct, ...]

    def restored(self, text: str) -> str:
        """The text with the constructs, as they were written, in place of their words."""
        return WORD.sub(lambda word: self.constructs[int(word[1])].source, text)


def masked(source: str) -> Masked:
    """Line ends become `\\n`, as in all templates. The time is in proportion to the length.

    Raises TemplateSyntaxError.
    """
    pieces: list[str] = []
    constructs: list[Construct] = []
    for piece in pieces_of(source):
        if isinstance(piece, str):
            pieces.append(piece)
        else:
            pieces.append(word_of(len(constructs)))
            constructs.append(piece)
    return Masked("".join(pieces), tuple(constructs))


def unmasked(source: str) -> Masked:
    """Text that is no template: its braces are braces."""
    return Masked(source, ())


def word_of(index: int) -> str:
    return f"{KEY}{index}z"


def pieces_of(source: str) -> Iterator[str | Construct]:
    """Fixed text and constructs in order; together they are the source, with `\\n` for each line end. Raises
    TemplateSyntaxError."""
    source = "\n".join(re.split(r"\r\n|\r|\n", source))
    done = place = 0  # the end of what was given, and of what was read
    for _, kind, value in HTML.lexer.tokeniter(source, None):
        if kind in _BEGINS:
            if place > done:
                yield source[done:place]
            done = place
            # White space that a `-` removes is in no token.
            place = source.index(value, place)
        place += len(value)
        if kind in _ENDS:
            yield _construct(source[done:place])
            done = place
    if done < len(source):
        yield source[done:]


def _construct(source: str) -> Construct:
    plain = source.strip()
    plain = plain[:2] + plain[2:-2].removeprefix("-").removeprefix("+").removesuffix("-").removesuffix("+") + plain[-2:]
    keyword = _KEYWORD.match(plain)
    word = keyword[1] if keyword else ""
    return Construct(source, "" if word in ("raw", "endraw") else plain, word)
