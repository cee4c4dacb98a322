"""What a run of the benchmarks found, as a table in Markdown and a plot in SVG, for docs/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

Found = Mapping[str, Mapping[str, Any]]  # by contender: median, least, most, doubled, cpu_us


def as_table(found: Found, *, base: str) -> str:
    """A row for each contender, fastest first, with its ratio to `base` in the same run."""
    head = f"| who | mails a second, median (least to most) | times {base} | doubled | CPU, microseconds a mail |"
    rows = [head, "| --- | --- | --- | --- | --- |"]
    for name, row in _fastest_first(found):
        ratio = row["median"] / found[base]["median"]
        cpu = ", ".join(f"{part} {spent}" for part, spent in row["cpu_us"].items())
        span = f"{row['median']:,} ({row['least']:,} to {row['most']:,})"
        rows.append(f"| {name} | {span} | {ratio:.2f} | {row['doubled']} | {cpu} |")
    return "\n".join(rows)


def plot(found: Found, path: Path, *, title: str) -> None:
    """Medians as bars, the span of the rounds as a line on each."""
    ordered = list(reversed(_fastest_first(found)))
    medians = [row["median"] for _, row in ordered]
    spans = [[row["median"] - row["least"] for _, row in ordered], [row["most"] - row["median"] for _, row in ordered]]
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.45 * len(ordered)))
    colours = ["#1f5f8b" if name.startswith("mailroom") else "#9db4c0" for name, _ in ordered]
    axes.barh([name for name, _ in ordered], medians, xerr=spans, color=colours, ecolor="#333333", capsize=3)
    axes.set_xlabel("mails a second")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _fastest_first(found: Found) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(found.items(), key=lambda item: -item[1]["median"])
