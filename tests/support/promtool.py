"""Prometheus' own tool, and the rules that it is asked about."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

CONFIGURATION: Final = Path(__file__).parents[2] / "config/prometheus"


def promtool(*command: object) -> subprocess.CompletedProcess[str]:
    tool = os.environ.get("PROMTOOL_BIN") or shutil.which("promtool")
    if tool is None and not os.environ.get("CI"):
        pytest.skip("no promtool: apt-get install prometheus")
    return subprocess.run([tool or "promtool", *map(str, command)], capture_output=True, text=True, check=False)


@functools.cache
def rules() -> list[dict[str, Any]]:
    """Alerts and recording rules of every file."""
    groups = [group for path in rule_files() for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def rule_files() -> list[Path]:
    return [path for path in sorted(CONFIGURATION.glob("*.yml")) if path.name != "prometheus.yml"]
