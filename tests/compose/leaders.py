"""Which container of a cluster leads, as the stores themselves say."""

import json
from typing import Final

from config.cluster import ETCD, MONGO, SENTINELS, SET
from tests.compose.engine import Project

_MONGOSH: Final = (
    *("mongosh", "--quiet", "--tls", "--tlsCAFile=/run/secrets/mongo-ca"),
    *("--tlsCertificateKeyFile=/run/secrets/mongo-server", "--eval", "db.hello().isWritablePrimary"),
)
_SENTINEL: Final = (
    "REDISCLI_AUTH=$(cat /run/secrets/redis-password) redis-cli -p 26379 --tls --cacert /run/secrets/redis-ca"
    " --cert /run/secrets/redis-server --key /run/secrets/redis-server sentinel get-master-addr-by-name"
)


def leader(project: Project, store: str) -> str:
    """The service that leads; "" while none does, or nobody answers who knows it."""
    return {"mongo": _primary, "etcd": _etcd_leader, "redis": _master}[store](project)


def _primary(project: Project) -> str:
    return next((name for name in MONGO if _said(project, name, *_MONGOSH).strip() == "true"), "")


def _etcd_leader(project: Project) -> str:
    for name in ETCD:
        if told := _said(project, name, "etcdctl", "endpoint", "status", "-w", "json"):
            status = json.loads(told)[0]["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return name
    return ""


def _master(project: Project) -> str:
    """As all Sentinels that answer say."""
    told = {_said(project, name, "sh", "-c", f"{_SENTINEL} {SET}").partition("\n")[0] for name in SENTINELS} - {""}
    return told.pop() if len(told) == 1 else ""


def _said(project: Project, service: str, *command: str) -> str:
    """The output of a command in the service's container; "" if the command fails, or the container is down."""
    return project.execute(found[0], *command, check=False) if (found := project.containers(service)) else ""
