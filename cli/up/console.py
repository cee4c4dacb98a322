"""What `mailroom up` says while it works."""

from rich.console import Console

console = Console(stderr=True, highlight=False)


def say(words: str) -> None:
    console.print(f"[dim]{words} …[/dim]")
