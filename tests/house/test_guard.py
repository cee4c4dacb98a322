"""No decision is written without the guard of its lane, and nobody but `lanes.under` makes one."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Lane, Token
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import claims, doubts, exclusions, outcomes, splits
from mailroom.storage.guard import GuardEnded, LaneGuard
from mailroom.storage.schedules import awaited_feeds, due_schedules, run_planning

ROOT = Path(__file__).parents[2]
DECISIONS: tuple[Callable[..., Any], ...] = (
    claims.claim,
    claims.put_off,
    doubts.conclude_not_accepted,
    doubts.conclude_unknown,
    exclusions.leave_out,
    outcomes.doubt_abandoned,
    outcomes.fail,
    outcomes.return_to_pending,
    run_planning.advance,
    awaited_feeds.skip,
    due_schedules.move_on,
    due_schedules.set_aside,
    splits.split,
)


def guarded_functions() -> Iterator[Callable[..., Any]]:
    for module in (claims, doubts, exclusions, outcomes, splits, awaited_feeds, due_schedules, run_planning):
        for _, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and "guard" in inspect.signature(function).parameters:
                yield function


def test_every_decision_asks_for_a_guard_and_for_no_session() -> None:
    assert {*guarded_functions()} == {*DECISIONS}
    for decision in DECISIONS:
        assert inspect.signature(decision).parameters["guard"].default is inspect.Parameter.empty
        assert "session" not in inspect.signature(decision).parameters


def test_a_decision_without_its_guard_does_not_type_check(tmp_path: Path) -> None:
    """Each is called once with everything but the guard, and once with a session in the guard's place."""
    lines = ["from typing import Any", "from mailroom.storage.database import Session"]
    lines += [f"from {f.__module__} import {f.__name__} as f{number}" for number, f in enumerate(DECISIONS)]
    lines += ["", "def forget(it: Any, session: Session) -> None:"]
    calls = len(lines)
    for number, decision in enumerate(DECISIONS):
        names = {name: p for name, p in inspect.signature(decision).parameters.items() if name != "guard"}
        arguments = ", ".join(f"{name}=it" for name, p in names.items() if p.default is inspect.Parameter.empty)
        lines += [f"    f{number}({arguments})", f"    f{number}({arguments}, guard=session)"]
    script = tmp_path / "forgetful.py"
    script.write_text("\n".join(lines) + "\n")

    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "setup.cfg"), str(script)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout

    for number in range(len(DECISIONS)):
        forgotten, mistaken = calls + 2 * number + 1, calls + 2 * number + 2
        assert f'forgetful.py:{forgotten}: error: Missing named argument "guard"' in told, told
        assert f'forgetful.py:{mistaken}: error: Argument "guard"' in told, told


def test_nobody_else_makes_a_guard() -> None:
    with pytest.raises(TypeError):
        LaneGuard(None, made_by=object())  # type: ignore[arg-type]


def test_a_guard_ends_with_its_block_and_a_stale_token_gets_none(db: Db) -> None:
    lane, kept = Lane("mail/0"), []
    lanes.raise_tokens(db, {lane: Token(2)}, "ann", now=server_now(db))

    def decide(token: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            with lanes.under(db, {lane: Token(token)}, session) as guard:
                kept.append(guard)
                assert guard.session is session

        return work

    in_transaction(db, decide(2))
    with pytest.raises(StaleToken):
        in_transaction(db, decide(1))

    (guard,) = kept
    with pytest.raises(GuardEnded):
        guard.session  # noqa: B018
