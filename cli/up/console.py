"""What `mailroom up` says while it works."""

from rich.console import Console

console = Console(stderr=True, highlight=False)


def say(words: str) -> None:
    console.print(f"[dim]{words} …[/dim]")


def say_why_not(error: Exception) -> int:
    """Say why nothing was started. Returns the exit status."""
    console.print(f"[red]Mailroom did not start:[/red]\n{error}", markup=True)
    return 1
