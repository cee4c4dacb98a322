"""The documents against the code: what they name exists, and what exists they name."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import click
import pytest
from flask import Flask

from cli.main import main
from config.descriptions import DESCRIPTIONS
from config.edge import KEYED
from mailroom.assembly.api import ApiServices
from mailroom.domain.dispatches.states import MOVES, DispatchState
from scheduler_api.app import create_app
from tests.support.exposed import FIGURES, Metric, metrics_of_the_code

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
    if path.relative_to(ROOT).parts[0] != "data"
)
WIDTH = 120
#: Labels whose values are words of closed lists.
BOUNDED = {
    *("answer", "change", "code", "kind", "method", "outcome", "priority", "provider", "result", "route", "state"),
    *("mailbox", "status", "store", "verdict", "went_twice"),
}
VERBS = {"get", "post", "put", "patch", "delete"}
PATH = re.compile(r"`((?:[\w.]+/)+[\w.-]+\.(?:py|lua|md|yml|html))`")
TEST = re.compile(r"`(test_\w+)(\.\.\.)?`")
RULE = re.compile(r"\|[ |-]+$")  # between a table's head and its rows


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def prose_of(name: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


def rows_of(name: str) -> Iterator[list[str]]:
    """The cells of each row of a page's tables, without their heads."""
    for line, below in pairwise([*text_of(name).splitlines(), ""]):
        row = line.strip()
        if row.startswith("|") and not RULE.match(row) and not RULE.match(below.strip()):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))]


def test_the_readme_is_short_enough_for_a_first_visit() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


@pytest.mark.parametrize("name", PAGES)
def test_lines_are_wrapped(name: str) -> None:
    """Rows of tables cannot be."""
    lines = text_of(name).splitlines()

    assert [line for line in lines if len(line) > WIDTH and not line.lstrip().startswith("|")] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(name)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if heading:
            assert heading in headings_of(file.read_text()), target


def headings_of(text: str) -> set[str]:
    """Headings as GitHub links them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_exists(name: str) -> None:
    """But where a recipe names what is to be made."""
    named = {path for path in PATH.findall(prose_of(name)) if "acme" not in path}

    assert {path for path in named if not (ROOT / path).exists() and not (DOCS / path).exists()} == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = TEST.findall(prose_of(name))
    known = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")) if named else ""

    assert [test for test, dots in named if not re.search(rf"def {test}{'' if dots else '[(]'}", known)] == []


def test_every_setting_has_its_row_with_its_default_and_no_other_has() -> None:
    rows = [cells for cells in rows_of("docs/settings.md") if cells[0].startswith("`")]
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows}

    assert len(told) == len(rows)
    assert told.keys() - {"MAILROOM_SIMULATOR_PORT"} == DESCRIPTIONS.keys()
    assert {name: told[name] for name in DESCRIPTIONS} == {name: of[0] or "" for name, of in DESCRIPTIONS.items()}


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_that_is_named_is_one(name: str) -> None:
    others = ("cli/up/environment.py", "docker-compose.yml", "tests/support/pages.py")
    elsewhere = "".join(map(text_of, others))
    named = {setting.removesuffix("_FILE") for setting in re.findall(r"`(MAILROOM_[A-Z_]+)`", prose_of(name))}

    assert {setting for setting in named if setting not in DESCRIPTIONS and setting not in elsewhere} == set()


def the_api() -> Flask:
    """Its routes alone: nothing is asked of it, so it needs no services."""
    return create_app(cast(ApiServices, None))


def test_every_operation_of_the_openapi_document_has_its_row_and_no_other_has() -> None:
    document = the_api().extensions["openapi"]()
    operations = {f"{verb.upper()} {path}" for path, of in document["paths"].items() for verb in of if verb in VERBS}
    rows = [cells[0].strip("`") for cells in rows_of("docs/api.md")]

    assert len(rows) == len(set(rows))
    assert {row for row in rows if " " in row} == operations


def test_the_edge_repeats_with_a_key_exactly_the_operations_that_take_one() -> None:
    paths = the_api().extensions["openapi"]()["paths"]
    keyed = {
        path
        for path, of in paths.items()
        for verb in of
        if verb in VERBS and any(one.get("name") == "Idempotency-Key" for one in of[verb].get("parameters", ()))
    }

    assert {f"/v1/{path}" for path in KEYED} == keyed | {"/v1/mail"}


def test_every_plain_route_is_named_too() -> None:
    app = the_api()
    documented = app.extensions["openapi"]()["paths"]
    plain = {route for rule in app.url_map.iter_rules() for route in spelled_out(str(rule))} - {"/", *documented}
    text = text_of("docs/api.md")

    assert "/webhooks/mailgun" in plain
    assert {route for route in plain if f"`{route}`" not in text and f"`POST {route}`" not in text} == set()


def spelled_out(rule: str) -> set[str]:
    """The routes of a rule that has one choice of names, or none; nothing where it has another part."""
    choice = re.search(r"<any\(([^)]*)\):\w+>", rule)
    routes = {rule.replace(choice[0], name.strip()) for name in choice[1].split(",")} if choice else {rule}
    return {route for route in routes if "<" not in route}


def commands(command: click.Command, *words: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, *words, name)
    else:
        yield " ".join(words), command


# Said once, at the head of the page.
OF_MANY_COMMANDS = {"--json", "--yes", "-y", "--limit", "--cursor"}


def test_every_command_has_its_row_with_each_of_its_options_and_no_other_has() -> None:
    known = dict(commands(main, "mailroom"))
    named: dict[str, set[str]] = {}
    for cells in rows_of("docs/commands.md"):
        name = cells[0].strip("`").partition(" --")[0]
        named.setdefault(name, set()).update(re.findall(r"--[a-z-]+", " ".join(cells)))

    assert named.keys() == known.keys()
    for name, command in known.items():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
        assert named[name] - OF_MANY_COMMANDS == options - OF_MANY_COMMANDS, name
    text = text_of("docs/commands.md")
    assert {option for option in OF_MANY_COMMANDS - {"-y"} if f"`{option}`" not in text} == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_is_named_exists(name: str) -> None:
    known = dict(commands(main, "mailroom"))
    groups = {command.rpartition(" ")[0] for command in known}
    for words in re.findall(r"`mailroom ((?:[a-z+][a-z+-]* ?)+)", prose_of(name)):
        command = "mailroom " + words.strip()
        assert command in groups or any(command == one or command.startswith(f"{one} ") for one in known), command


#: The parts that show what stands under each of these headings of docs/watching.md.
SHOWN_BY = {
    "Every part": {"api", "web", "webhooks-in", "sender"},
    "API, pages and webhooks-in": {"api", "web", "webhooks-in"},
    "API and pages": {"api", "web"},
    "API and webhooks-in": {"api", "webhooks-in"},
    "API, pages and senders": {"api", "web", "sender"},
    "Sender": {"sender"},
    "The whole system": {FIGURES},
}


def metrics_of_the_page() -> dict[Metric, set[str]]:
    told: dict[Metric, set[str]] = {}
    for section in re.split(r"^### ", text_of("docs/watching.md"), flags=re.MULTILINE)[1:]:
        for row in re.findall(r"^\| `(mailroom_\w+)` \| (\w+) \| ([^|]*)\|", section, re.MULTILINE):
            name, kind, labels = row
            assert (name, kind, tuple(re.findall(r"`(\w+)`", labels))) not in told, f"{name} stands there twice"
            told[name, kind, tuple(re.findall(r"`(\w+)`", labels))] = SHOWN_BY[section.partition("\n")[0]]
    return told


def test_every_metric_has_its_row_with_its_type_labels_and_part_and_no_other_has() -> None:
    assert metrics_of_the_page() == metrics_of_the_code()


def test_metrics_are_named_as_prometheus_asks() -> None:
    """Counters end in _total, durations are in seconds, and nothing else says either."""
    for name, kind, labels in metrics_of_the_code():
        assert name.startswith("mailroom_"), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name
        assert not re.search(r"_(ms|millis|minutes|bytes_mb|percent)\b", name), name
        assert set(labels) <= BOUNDED, name


@pytest.mark.parametrize("name", PAGES)
def test_every_metric_that_is_named_exists(name: str) -> None:
    known = {metric[0] for metric in metrics_of_the_code()}
    named = set(re.findall(r"`(mailroom_[a-z_]+)[`{]", prose_of(name)))

    assert named <= known


# The walk through the protocol

STEPS = ["form", "stored", "planned", "claimed", "fenced", "called", "recorded"]
WALK = [cells for cells in rows_of("docs/protocol.md") if len(cells) == 4 and cells[1].endswith(".py`")]


@pytest.mark.parametrize("cells", WALK, ids=lambda cells: f"{cells[1]} {cells[2]}")
def test_every_function_of_the_walk_stands_in_its_file(cells: list[str]) -> None:
    file, functions = cells[1].strip("`"), re.findall(r"`([\w.]+)`", cells[2])

    assert functions
    assert set(functions) <= set(functions_of(ROOT / file))


def functions_of(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))


def test_the_walk_names_the_steps_in_order() -> None:
    steps = [cells[0] for cells in WALK if cells[0]]
    walked = list(dict.fromkeys(step for step in steps if step in STEPS))

    assert walked == STEPS


def test_no_step_of_the_walk_goes_back_to_a_file_but_through_the_loop() -> None:
    walk = text_of("docs/protocol.md").partition("## The walk")[2].partition("## The states")[0]
    tables = [re.findall(r"^\|[^|]*\| `(\S+\.py)` \|", part, re.MULTILINE) for part in walk.split("| --- | --- |")]

    assert len(tables) > 5
    for files in tables:
        assert len(files) == len(set(files)), files


# The states of a dispatch

Move = tuple[str, str, str]


def moves() -> set[Move]:
    return {(trigger, before, after) for trigger, (leaves, after) in MOVES.items() for before in leaves}


def test_the_table_of_moves_is_the_state_machine() -> None:
    told: set[Move] = set()
    for cells in rows_of("docs/protocol.md"):
        names = [re.findall(r"`(\w+)`", cell) for cell in cells]
        if len(cells) == 4 and names[0] and names[0][0] in MOVES:
            told |= {(names[0][0], before, names[2][0]) for before in names[1]}

    assert told == moves()


def test_the_drawing_shows_each_move_but_late_facts_and_no_other() -> None:
    drawing = ElementTree.parse(DOCS / "images" / "dispatch-states.svg").getroot()
    drawn = {
        (trigger, path.attrib["data-from"], path.attrib["data-to"])
        for path in drawing.iter("{http://www.w3.org/2000/svg}path")
        for trigger in path.attrib.get("data-triggers", "").split()
    }
    late: set[Any] = {
        *(("accepted", before, "accepted") for before in ("pending", "accepted", "failed", "cancelled")),
        *(("answered_in_part", before, "split") for before in ("unknown", "pending", "failed")),
    }

    assert drawn == moves() - late
    assert {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")} >= set(DispatchState)
