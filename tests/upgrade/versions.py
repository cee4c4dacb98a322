"""The versions that run side by side: this checkout, and an earlier one from its wheel in a venv of its own."""

import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from local.children import Child
from tests.support.system import System

_ROOT: Final = Path(__file__).parents[2]
_INSTALL_S: Final = 900.0
_ANSWER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Version:
    """A version of Mailroom, by its command; a module of this checkout, if there is none."""

    name: str
    command: Path | None = None
    module: str = "cli.main"

    def start(self, system: System, name: str, *arguments: str, **settings: str) -> Child:
        """A process of this version, with the system's settings. It ends with the system."""
        if self.command is None:
            return system.start(name, self.module, *arguments, **settings)
        log, env = system.folder / "logs" / f"{name}.log", {**system.environment, **settings}
        child = Child(name, [str(self.command), *arguments], log=log, env=env)
        system.children.append(child)
        return child

    def answer(self, system: System, *arguments: str) -> str:
        """What a command of this version prints."""
        command = [sys.executable, "-m", self.module] if self.command is None else [str(self.command)]
        return _output([*command, *arguments], within_s=_ANSWER_S, env=system.environment).decode().strip()


THIS: Final = Version("new")
#: See control.py.
CONTROL: Final = Version("control", module="tests.upgrade.control")


def installed(source: str, folder: Path) -> Version:
    """The version of a wheel, or of a git revision of this repository, of which a wheel is made. It is installed with
    the versions of libraries that it was tested with, once for each folder.

    Raises RuntimeError with the words of the command that failed.
    """
    folder = folder.absolute()
    command, is_whole = folder / "venv" / "bin" / "mailroom", folder / "is-whole"
    if not is_whole.exists():
        wheel, constraints = _wheel(source, folder)
        venv.create(folder / "venv", with_pip=True, clear=True)
        pip = [str(command.with_name("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _output([*pip, "--constraint", str(constraints), str(wheel)], within_s=_INSTALL_S)
        is_whole.touch()
    return Version("old", command)


def _wheel(source: str, folder: Path) -> tuple[Path, Path]:
    """The wheel, and the versions of its libraries."""
    if source.endswith(".whl"):
        return Path(source).absolute(), _ROOT / "constraints.txt"
    code, wheels = folder / "code", folder / "wheels"
    archive = _output(["git", "-C", str(_ROOT), "archive", source], within_s=_ANSWER_S)
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(code, filter="data")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(code)]
    _output(wheel, within_s=_INSTALL_S)
    return next(wheels.glob("mailroom-*.whl")), code / "constraints.txt"


def _output(command: list[str], *, within_s: float, env: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=within_s, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return done.stdout
