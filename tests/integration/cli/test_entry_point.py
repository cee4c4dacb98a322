"""The command itself: its version, its help, its completion, its options that all share."""

import subprocess
from collections.abc import Iterator

import click
import pytest

from cli.command_table import Answering
from cli.main import ANSWERING, SERVING, main
from tests.support.terminal import MAILROOM


def commands(command: click.Command, *words: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, *words, name)
    else:
        yield " ".join(words), command


def typed(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without any settings."""
    return subprocess.run([MAILROOM, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_that_answers_takes_json_and_a_command_that_serves_does_not() -> None:
    without = {name for name, command in commands(main) if not isinstance(command, Answering)}

    assert without == {*SERVING, "completion", "audiences export"}  # a script, and a file


def test_the_help_of_the_whole_says_the_same_as_that_of_each_command() -> None:
    known = {name: main.commands[name].get_short_help_str(200) for name in ANSWERING}

    assert {name: entry.help.rstrip(".") for name, entry in ANSWERING.items()} == {
        name: words.rstrip(".") for name, words in known.items()
    }
    assert main.commands.keys() == {*ANSWERING, *SERVING}


def test_version_and_help_need_no_settings_and_an_unknown_command_is_reported() -> None:
    version, shown, unknown = typed("--version"), typed("--help"), typed("fly")

    assert (version.returncode, version.stdout.split()[0]) == (0, "mailroom")
    assert shown.returncode == 0
    assert "schedules" in shown.stdout
    assert (unknown.returncode, "No such command 'fly'" in unknown.stderr) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_a_script_that_completes(shell: str) -> None:
    script = typed("completion", shell, PATH="/usr/bin:/bin")

    assert script.returncode == 0, script.stderr
    assert "_MAILROOM_COMPLETE" in script.stdout


def test_commands_options_and_words_are_completed() -> None:
    def completed(*words: str) -> set[str]:
        line = ["mailroom", *words]
        asked = {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words)), "_MAILROOM_COMPLETE": "bash_complete"}
        return {reply.partition(",")[2] for reply in typed(**asked).stdout.splitlines()}

    assert completed("sch") == {"schedules"}
    assert {"pause", "preview"} == completed("schedules", "p")
    assert {"--status", "--sort"} <= completed("schedules", "list", "--s")
    assert {"in_doubt"} == completed("dispatches", "list", "--state", "in_")
    assert {"rotate", "revoke"} == completed("tokens", "r")
