"""Keys by which lists sort and search names: without case, accents and punctuation.

A search matches a name if one of its words begins with the term: `dig` and `digest for r` match "Digest for Rome".
Text in the middle of a word does not match: an index cannot answer such a search at a bounded cost.
"""

import unicodedata
from typing import Final

MAX_WORDS: Final = 40  # words of a name that a search can match
MAX_TERM: Final = 60  # characters that a search compares


def name_key(name: str) -> str:
    """Letters and digits in lower case without accents, one space between words. Names with equal keys sort alike."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    letters = (sign for sign in plain if not unicodedata.combining(sign))
    return " ".join("".join(sign if sign.isalnum() else " " for sign in letters).split())


def word_starts(name: str) -> list[str]:
    """The key from each of its words on. A search matches the name if one of these begins with the term."""
    words = name_key(name).split()[:MAX_WORDS]
    return list(dict.fromkeys(" ".join(words[place:])[:MAX_TERM] for place in range(len(words))))


def term_key(term: str) -> str:
    """The key of a search term, for comparison with word starts; '' if the term has no letter and no digit."""
    return name_key(term)[:MAX_TERM]
