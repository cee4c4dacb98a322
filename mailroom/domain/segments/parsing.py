"""The language of filters: `city = "Rome" and not opened in last 3 runs`.

A filter is read by a grammar into a tree of plain nodes; nothing of it is ever run as code. Its length and its nesting
are bounded, so reading one takes a millisecond or two."""

import re
from datetime import date
from functools import lru_cache
from typing import Any, Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, VisitError

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_RUNS
from mailroom.domain.segments.nodes import (
    AllOf,
    AnyOf,
    Compared,
    DayCompared,
    EventInDays,
    EventInRuns,
    InLastDays,
    Literal,
    Node,
    Not,
    OneOf,
    Present,
)

EVENTS: Final = ("opened", "clicked", "delivered", "bounced", "mailed")
_MAX_DAYS: Final = 3_660
_SHOWN: Final = 20  # characters of what is not expected

_GRAMMAR: Final = r"""
?start: any
?any: all ("or"i all)*
?all: not ("and"i not)*
?not: "not"i not                                         -> negated
    | "(" any ")"
    | FIELD OPERATOR _value                              -> compared
    | FIELD "in"i "(" _value ("," _value)* ")"           -> one_of
    | FIELD "not"i "in"i "(" _value ("," _value)* ")"    -> none_of
    | FIELD "contains"i TEXT                             -> contains
    | FIELD "starts"i "with"i TEXT                       -> starts
    | FIELD "ends"i "with"i TEXT                         -> ends
    | FIELD "is"i "set"i                                 -> present
    | FIELD "is"i "not"i "set"i                          -> absent
    | FIELD "before"i TEXT                               -> before
    | FIELD "after"i TEXT                                -> after
    | FIELD "on"i TEXT                                   -> on
    | FIELD "in"i "last"i WHOLE ("days"i | "day"i)       -> recent
    | EVENT "in"i "last"i WHOLE ("runs"i | "run"i)       -> happened
    | EVENT "in"i "last"i WHOLE ("days"i | "day"i)       -> happened_lately
_value: TEXT | WHOLE | DECIMAL | TRUE | FALSE
TRUE: "true"i
FALSE: "false"i
OPERATOR: "!=" | "<=" | ">=" | "=" | "<" | ">"
EVENT.2: /(opened|clicked|delivered|bounced|mailed)(?![A-Za-z0-9_])/i
FIELD: /[a-z][a-z0-9_]*/i
TEXT: /"[^"\n]*"/ | /'[^'\n]*'/
DECIMAL.2: /-?[0-9]+\.[0-9]+/
WHOLE: /-?[0-9]+/
%ignore /[ \t\r\n]+/
"""


@lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """The filter as a tree. Raises InvalidInput with the place of what cannot be read."""
    if len(text) > MAX_FILTER:
        raise _refused(f"at most {MAX_FILTER:,} characters")
    if text.count("(") + text.lower().count("not") > MAX_FILTER_DEPTH:
        raise _refused(f"at most {MAX_FILTER_DEPTH} brackets and 'not' together")
    if not text.strip():
        raise _refused('write a filter, such as city = "Rome"')
    try:
        node: Node = _Reader().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise _refused(_in_words(error, text)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidInput):
            raise error.orig_exc from None
        raise
    return node


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual")


@v_args(inline=True)
class _Reader(Transformer[Token, Node]):
    """From the grammar's rules to nodes."""

    def any(self, *parts: Node) -> Node:
        return AnyOf(parts)

    def all(self, *parts: Node) -> Node:
        return AllOf(parts)

    def negated(self, part: Node) -> Node:
        return Not(part)

    def compared(self, field: Token, operator: Token, value: Token) -> Node:
        return Compared(str(field), str(operator), _literal(value))

    def one_of(self, field: Token, *values: Token) -> Node:
        return OneOf(str(field), tuple(map(_literal, values)))

    def none_of(self, field: Token, *values: Token) -> Node:
        return Not(self.one_of(field, *values))

    def contains(self, field: Token, text: Token) -> Node:
        return Compared(str(field), "contains", _literal(text))

    def starts(self, field: Token, text: Token) -> Node:
        return Compared(str(field), "starts", _literal(text))

    def ends(self, field: Token, text: Token) -> Node:
        return Compared(str(field), "ends", _literal(text))

    def present(self, field: Token) -> Node:
        return Present(str(field))

    def absent(self, field: Token) -> Node:
        return Not(Present(str(field)))

    def before(self, field: Token, text: Token) -> Node:
        return DayCompared(str(field), "before", _day(text))

    def after(self, field: Token, text: Token) -> Node:
        return DayCompared(str(field), "after", _day(text))

    def on(self, field: Token, text: Token) -> Node:
        return DayCompared(str(field), "on", _day(text))

    def recent(self, field: Token, days: Token) -> Node:
        return InLastDays(str(field), _number(days, "days", _MAX_DAYS))

    def happened(self, event: Token, runs: Token) -> Node:
        return EventInRuns(_event(event), _number(runs, "runs", MAX_FILTER_RUNS))

    def happened_lately(self, event: Token, days: Token) -> Node:
        return EventInDays(_event(event), _number(days, "days", _MAX_DAYS))


def _event(token: Token) -> str:
    """The letters of the grammar are those of ASCII and what Python takes for the same, such as a dotless i."""
    return next(event for event in EVENTS if re.fullmatch(event, str(token), re.IGNORECASE))


def _literal(token: Token) -> Literal:
    match token.type:
        case "TEXT":
            return str(token)[1:-1]
        case "WHOLE":
            return int(token)
        case "DECIMAL":
            return float(token)
        case _:
            return str(token).lower() == "true"


def _day(token: Token) -> date:
    try:
        return date.fromisoformat(str(token)[1:-1].strip())
    except ValueError:
        raise _refused(f'{_place(token)}: {token} is no day; write it as "2026-12-31"') from None


def _number(token: Token, unit: str, most: int) -> int:
    if not 1 <= int(token) <= most:
        raise _refused(f"{_place(token)}: from 1 to {most:,} {unit}")
    return int(token)


def _place(token: Any) -> str:
    return f"line {token.line}, column {token.column}"


def _in_words(error: UnexpectedInput, text: str) -> str:
    if isinstance(error, UnexpectedEOF) or getattr(getattr(error, "token", None), "type", "") == "$END":
        return "it is not complete: something is missing at its end"
    if isinstance(error, UnexpectedCharacters):
        found = text[error.pos_in_stream :].split(maxsplit=1)[0][:_SHOWN]
    else:
        found = str(getattr(error, "token", ""))[:_SHOWN]
    return f"{_place(error)}: '{found}' is not expected there"


def _refused(words: str) -> InvalidInput:
    return InvalidInput(Fault("filter", words))
