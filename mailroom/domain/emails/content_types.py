"""The type of an attachment: `text/calendar; method=REQUEST; charset=utf-8`, read by RFC 2045 5.1."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"
_TYPE: Final = re.compile(rf"({_WORD})/({_WORD})")
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*(?:({_WORD})=(?:({_WORD})|"([^"\\\x00-\x1f\x7f]*)"))?[ \t]*')
# The filename has its own field, and the boundary of a multipart is generated when the mail is written.
_OURS: Final = frozenset({"name", "boundary"})


@dataclass(frozen=True, slots=True)
class ContentType:
    """A type in small letters, such as `text/calendar`, and its parameters by name in small letters."""

    main: str
    sub: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join([f"{self.main}/{self.sub}", *(f"{name}={_quoted(v)}" for name, v in self.parameters.items())])


def parse_content_type(text: str) -> ContentType:
    """Raises ValueError if the text is not a MIME type, or repeats a parameter."""
    kind = _TYPE.match(text)
    if kind is None or not text.isascii():
        raise ValueError("a MIME type such as application/pdf or text/calendar; method=REQUEST")
    parameters: dict[str, str] = {}
    at = kind.end()
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            raise ValueError("after the type come parameters such as ; charset=utf-8")
        at = parameter.end()
        name, plain, quoted = parameter.groups()
        if name is None:
            continue  # a lone semicolon has no meaning
        if name.lower() in parameters:
            raise ValueError(f"the parameter {name} is there twice")
        parameters[name.lower()] = plain if plain is not None else quoted
    kept = {name: value for name, value in parameters.items() if name not in _OURS}
    return ContentType(kind[1].lower(), kind[2].lower(), kept)


def _quoted(value: str) -> str:
    return value if re.fullmatch(_WORD, value) else f'"{value}"'
