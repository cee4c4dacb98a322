"""A forked child is what a started process would be, and outlives neither its server nor us."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.children import Child
from local.forked import ForkedChild, ForkServer
from tests.support.system import wait_for


@pytest.fixture
def server() -> Iterator[ForkServer]:
    made = ForkServer(["json.tool", "timeit"])
    yield made
    made.close()


def a_child(server: ForkServer, folder: Path, name: str, module: str, *arguments: str, **env: str) -> Child:
    log = folder / f"{name}.log"
    return ForkedChild(name, module, arguments, log=log, env={"PATH": os.environ["PATH"], **env}, server=server)


def a_sleeper(server: ForkServer, folder: Path, name: str = "sleeper") -> Child:
    return a_child(server, folder, name, "timeit", "-n1", "-r1", "import time; time.sleep(600)")


def test_it_has_its_own_arguments_environment_log_session_and_return_code(server: ForkServer, tmp_path: Path) -> None:
    code = "import os, time; print(os.environ['WHO'], os.getsid(0) == os.getpid(), time.localtime(0).tm_hour)"

    child = a_child(server, tmp_path, "one", "timeit", "-n1", "-r1", code, WHO="Ann", TZ="EST5")
    wrong = a_child(server, tmp_path, "two", "timeit", "--no-such-option")

    assert (child.process.wait(30), wrong.process.wait(30)) == (0, 2)
    assert child.tail().startswith("Ann True 19\n")
    assert "--no-such-option" in wrong.tail()


def test_its_name_is_shown_by_ps(server: ForkServer, tmp_path: Path) -> None:
    child = a_sleeper(server, tmp_path, "a-name-of-more-than-15-letters")

    wait_for(lambda: psutil.Process(child.pid).name() == "a-name-of-more-", within_s=10, what="it is named")


def test_the_next_one_comes_from_a_new_server_when_the_server_was_killed(server: ForkServer, tmp_path: Path) -> None:
    before = a_sleeper(server, tmp_path)
    os.kill(psutil.Process(before.pid).ppid(), signal.SIGKILL)
    wait_for(lambda: not before.alive(), within_s=10, what="the child died with its server")

    after = a_sleeper(server, tmp_path)

    assert before.process.returncode == -signal.SIGKILL
    assert after.alive()


def test_one_that_died_with_a_killed_server_is_asked_about_after_the_next_began(
    server: ForkServer, tmp_path: Path
) -> None:
    first, second = a_sleeper(server, tmp_path, "first"), a_sleeper(server, tmp_path, "second")
    os.kill(psutil.Process(first.pid).ppid(), signal.SIGKILL)
    wait_for(lambda: not first.alive(), within_s=10, what="the children died with their server")

    after = a_sleeper(server, tmp_path, "third")

    assert second.process.wait(10) == -signal.SIGKILL
    assert after.alive()


def test_children_end_with_us_even_by_kill_9(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from local.forked import ForkedChild, ForkServer\n"
        "arguments = ['-n1', '-r1', 'import time; time.sleep(600)']\n"
        "env = dict(os.environ); log = Path(sys.argv[1]) / 'log'\n"
        "one = ForkedChild('one', 'timeit', arguments, log=log, env=env, server=ForkServer(['timeit']))\n"
        "print(one.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))

        parent.kill()

    wait_for(lambda: not child.is_running(), within_s=10, what="the kernel has ended it")
