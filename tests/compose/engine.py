"""podman and podman-compose in Docker's place: containers of one project, started, asked, killed and removed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from config.dev_env import dev_env

ROOT: Final = Path(__file__).parents[2]
# crun, podman's own choice, fails in a sandbox; without systemd there is nobody to make cgroups.
_CONFIGURATION: Final = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""


def environment(folder: Path) -> dict[str, str]:
    """For podman, with its configuration in the folder."""
    path = folder / "containers.conf"
    path.write_text(_CONFIGURATION)
    return {**os.environ, "CONTAINERS_CONF": str(path)}


class Project:
    """One or more Compose files, as one project."""

    def __init__(self, name: str, files: Sequence[str], folder: Path, **settings: str) -> None:
        self.name, self._environment = name, environment(folder)
        self.env_file = folder / f"{name}.env"
        lines = [line for line in dev_env().splitlines() if "COMPOSE_FILE" not in line]
        self.env_file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in settings.items()), ""]))
        chosen = [word for file in files for word in ("-f", file)]
        compose = str(Path(sys.executable).parent / "podman-compose")
        self._compose = [compose, "-p", name, "--env-file", str(self.env_file), *chosen]
        self._services = _services(files)

    def up(self, *, within_s: float) -> None:
        """Start all services as `depends_on` asks for. podman 4.3 does not wait for conditions, and starts nothing that
        depends on a container which has ended. Raises TimeoutError."""
        started: set[str] = set()
        while waiting := {name: asked for name, asked in self._services.items() if name not in started}:
            ready = [name for name, asked in waiting.items() if asked.keys() <= started]
            for needed, asked in {pair for name in ready for pair in waiting[name].items()}:
                self._wait_for(needed, asked, within_s=within_s)
            self._run([*self._compose, "up", "-d", "--no-build", "--no-deps", *ready], timeout_s=within_s)
            started |= set(ready)

    def down(self) -> None:
        """Remove what was made; safe to call twice."""
        label = f"label=io.podman.compose.project={self.name}"
        for kind, listing, removing in (
            ("containers", ["ps", "-aq"], ["rm", "-f", "-t", "0", "--depend"]),
            ("pods", ["pod", "ps", "-q"], ["pod", "rm", "-f"]),
            ("volumes", ["volume", "ls", "-q"], ["volume", "rm", "-f"]),
            ("networks", ["network", "ls", "-q"], ["network", "rm", "-f"]),
        ):
            chosen = f"name=pod_{self.name}" if kind == "pods" else label
            if found := self.podman(*listing, "--filter", chosen).split():
                self.podman(*removing, *found, check=False)

    def containers(self, service: str = "") -> list[str]:
        """The names of all running containers of a service, or of all services."""
        filters = ["--filter", f"label=io.podman.compose.project={self.name}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        return sorted(self.podman("ps", "--format", "{{.Names}}", *filters).split())

    def wait_until_healthy(self, *names: str, within_s: float) -> None:
        """Run each health check, as Docker does by itself, until these containers, or all, have passed. Raises
        TimeoutError."""
        deadline = time.monotonic() + within_s
        waiting: dict[str, str] = dict.fromkeys(names or self._checked(), "was not asked")
        while waiting:
            for name in list(waiting):
                done = self._done(["podman", "healthcheck", "run", name])
                if done.returncode == 0:
                    del waiting[name]
                else:
                    waiting[name] = (done.stdout + done.stderr).strip()[-200:]
            if waiting and time.monotonic() > deadline:
                raise TimeoutError(f"not healthy: {waiting}")

    def execute(self, container: str, *command: str, check: bool = True) -> str:
        return self.podman("exec", container, *command, check=check)

    def kill(self, container: str) -> None:
        """SIGKILL."""
        self.podman("kill", "--signal", "KILL", container)

    def stop(self, container: str) -> None:
        """As Docker does it: the container's signal, and its grace."""
        self.podman("stop", "-t", "90", container)

    def start(self, container: str) -> None:
        """Docker starts what has died again by itself; podman without systemd does not always."""
        self.podman("start", container, check=False)

    def logs(self, container: str) -> str:
        done = self._done(["podman", "logs", "--tail", "40", container])
        return done.stdout + done.stderr

    def podman(self, *command: str, check: bool = True) -> str:
        return self._run(["podman", *command], check=check)

    def _wait_for(self, service: str, asked: str, *, within_s: float) -> None:
        if asked == "service_healthy":
            self.wait_until_healthy(*self.containers(service), within_s=within_s)
        elif asked == "service_completed_successfully":
            ended = self._run(["podman", "wait", f"{self.name}_{service}_1"], timeout_s=within_s).strip()
            if ended != "0":
                raise RuntimeError(f"{service} ended with {ended}\n{self.logs(f'{self.name}_{service}_1')}")

    def _checked(self) -> list[str]:
        told: list[dict[str, Any]] = json.loads(self.podman("inspect", *self.containers()))
        return [
            one["Name"].lstrip("/")
            for one in told
            if (one["Config"].get("Healthcheck") or {}).get("Test", ["NONE"]) != ["NONE"]
        ]

    def _run(self, command: Sequence[str], *, timeout_s: float = 300, check: bool = True) -> str:
        done = self._done(command, timeout_s=timeout_s)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:6])} …: {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def _done(self, command: Sequence[str], *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(command),
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def _services(files: Sequence[str]) -> dict[str, dict[str, str]]:
    """The conditions of each service's start, by the names of the services that it needs."""
    told: dict[str, dict[str, str]] = {}
    for file in files:
        for name, service in yaml.safe_load((ROOT / file).read_text())["services"].items():
            if not service.get("profiles"):
                asked = {needed: one["condition"] for needed, one in service.get("depends_on", {}).items()}
                told[name] = told.get(name, {}) | asked
    return told
