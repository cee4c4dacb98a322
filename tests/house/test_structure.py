"""Where things live: one home for each collection, one class for each name, one place that knows how ids are made."""

import ast
import configparser
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("mailroom", "sender", "scheduler_api", "web", "cli", "config", "local")


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """Each module's path from the root, and its text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


@pytest.mark.parametrize("collection", ["dispatches", "messages"])
def test_only_its_own_room_names_a_collection(collection: str) -> None:
    named = re.compile(rf"\bdb\.{collection}\b|\bdb\[.{collection}.\]")

    assert not [
        name
        for name, text in modules(*OURS)
        if named.search(text) and not name.startswith(f"mailroom/storage/{collection}/")
    ]


def test_a_class_name_stands_for_one_thing() -> None:
    homes = defaultdict(list)
    for name, text in modules(*OURS):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(name)

    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_ids_are_taken_apart_in_one_place() -> None:
    surgery = re.compile(r"""partition\(["']-d["']\)|\}-d["']|\}-e["']|2\s*\*\*\s*40\b(?! \+ 1)""")

    found = [name for name, text in modules(*OURS) if surgery.search(text)]

    assert found == ["mailroom/domain/ids.py"]


def test_no_test_imports_another_test() -> None:
    shared = re.compile(r"^(?:from|import) tests\.[\w.]*\btest_\w+", re.MULTILINE)

    assert not [name for name, text in modules("tests", "benchmarks") if shared.search(text)]


@pytest.mark.parametrize("room", ["mailroom/services/dispatching", "mailroom/services/reconciliation"])
def test_a_function_that_can_break_once_is_short_and_takes_little(room: str) -> None:
    found = [
        f"{name}: {node.name}"
        for name, text in modules(room)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (_lines(node) > 40 or _parameters(node) > 6)
    ]

    assert not found


def test_nothing_above_storage_has_any_type() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")

    rooms = next(name for name in settings.sections() if settings[name].get("disallow_any_explicit") == "true")

    assert rooms.removeprefix("mypy-").split(",") == ["mailroom.services.*", "sender.*", "web.*"]
    assert not [name for name in settings.sections() if settings[name].get("disallow_any_explicit") == "false"]
    excepted = [
        name for name, text in modules("mailroom/services", "sender", "web") for _ in re.findall("explicit-any", text)
    ]
    assert len(excepted) <= 8, excepted


def _lines(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: ast.FunctionDef) -> int:
    taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([arg for arg in taken if arg.arg not in ("self", "cls")])


@pytest.mark.parametrize("module", ["sender.process", "scheduler_api.app", "web.app", "cli.api_and_sender"])
def test_a_process_imports_nothing_large_that_few_need(module: str) -> None:
    """Each start pays for each import: boto3 alone costs half a second. It is imported where it is used."""
    code = f"import sys, {module}; print(*{{'boto3', 'botocore', 'dns.resolver', 'feedparser'}} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.split() == []
