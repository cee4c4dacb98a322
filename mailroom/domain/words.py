"""Counts with their nouns, for the sentences of pages, commands and the API."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 email`, `2 emails`, `1,204 emails`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
