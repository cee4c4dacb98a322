"""The figures of all sizes as a plot of ratios to the smallest size, in SVG."""

from pathlib import Path
from typing import Final

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from benchmarks.growth.report import Found, costs, grown, grown_pages, pages, ratios

_PLOTS: Final = {
    "a mail": ("a mail: sender, us", "a mail: stores, us"),
    "a due schedule": ("a due schedule: sender, us", "a due schedule: stores, us", "lateness p99, s"),
    "an event": (
        "an event of a mail just sent: intake, us",
        "an event of a mail just sent: stores, us",
        "an event of any mail: intake, us",
        "an event of any mail: stores, us",
    ),
}


def plot(found: Found, path: Path) -> None:
    """Four panels: a mail, a due schedule, an event, and the pages, of which only those that grow are named."""
    sizes, rows, slower = grown(found), costs(found), grown_pages(found)
    panels = {title: {name: ratios(rows[name]) for name in names} for title, names in _PLOTS.items()}
    panels["pages and lists of the API"] = {name: ratios(row) for name, row in pages(found).items()}
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), sharex=True)
    for one, (title, lines) in zip(axes.flat, panels.items(), strict=True):
        for name, ratio in lines.items():
            named = title in _PLOTS or name in slower
            style = {"label": name} if named else {"color": "#9db4c0"}
            one.plot(sizes, ratio[: len(sizes)], marker="o", markersize=3, linewidth=1, **style)
        one.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
        one.set_xscale("log")
        one.set_ylim(0, max(2.0, 1.1 * max(max(ratio) for ratio in lines.values())))
        one.set_title(title, fontsize=10)
        one.spines[["top", "right"]].set_visible(False)
        if one.get_legend_handles_labels()[1]:
            one.legend(fontsize=7, frameon=False)
    for one in axes[1]:
        one.set_xlabel("stored mails")
    for one in axes[:, 0]:
        one.set_ylabel("times the smallest size")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
