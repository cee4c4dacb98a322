"""Groups of commands. A module is imported when its command is called: neither help nor completion waits for others."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from cli.uncollected import uncollected

_SHORT: Final = 100  # characters of a line of help
JSON: Final = "mailroom.json"  # in a context's meta: whether the answer is JSON


@dataclass(frozen=True, slots=True)
class TableEntry:
    """Where a command lives (`module:attribute`), and the line of help that stands for it until it is imported."""

    place: str
    help: str


class _Imported(MutableMapping[str, click.Command]):
    """The commands by name, each imported at its first use."""

    def __init__(self, entries: Mapping[str, TableEntry]) -> None:
        self._entries = dict(entries)
        self._known: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._known:
            module, _, attribute = self._entries[name].place.partition(":")
            with uncollected():
                self._known[name] = getattr(import_module(module), attribute)
        return self._known[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._entries, **self._known})

    def __len__(self) -> int:
        return len(self._entries.keys() | self._known.keys())

    def help_of(self, name: str) -> str:
        entry = self._entries.get(name)
        return entry.help if entry else self._known[name].get_short_help_str(_SHORT)


class CommandTable(click.Group):
    """A group of commands that are imported at their first use. `aliases`: other names, by which they answer too."""

    def __init__(
        self, *args: Any, entries: Mapping[str, TableEntry], aliases: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._imported = _Imported(entries)
        self.commands = self._imported
        self._aliases = dict(aliases or {})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, self._aliases.get(cmd_name, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._imported.help_of(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self._imported.help_of(name)) for name in names), *options]


def _choose_json(ctx: click.Context, _: click.Parameter, chosen: bool) -> None:
    ctx.meta[JSON] = chosen


class Answering(click.Command):
    """A command that answers: as text for a person, or with `--json` as one JSON document on standard output."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = "Answer with one JSON document, with the fields of the API."
        option = click.Option(["--json"], is_flag=True, expose_value=False, callback=_choose_json, help=words)
        self.params.append(option)


class Noun(click.Group):
    """The commands about one kind of thing."""

    command_class = Answering
