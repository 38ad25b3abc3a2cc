"""Chart of a training run: python -m annexe_demo.view.charts LOG --out PNG [--dark]

LOG is the ``train_log.jsonl`` that `annexe_demo.train` writes, or the model folder that holds it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG_FILE = "train_log.jsonl"
LOSSES = ("des", "ans", "cls", "pxl", "dep", "int")  # as `annexe_demo.train` names them
_LINE_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito; then the ink
_SMOOTHING = 0.95
_NOT_A_SERIES = {"step", "minutes", "norm", "val"}


@dataclass(frozen=True)
class Look:
    """Colours of a chart, those of the page (`annexe_demo.ui.theme.PALETTE`) and a blue that stands apart from its accent."""

    paper: str
    line: str
    ink: str
    muted: str
    accent: str
    second: str


LOOKS = {
    "light": Look("#fffdf9", "#ddd3c4", "#2a2520", "#665c51", "#a8431f", "#0072b2"),
    "dark": Look("#221e1a", "#3d362f", "#f1eae0", "#b5a999", "#f0926b", "#56b4e9"),
}


def style(axes: Axes, colors: Look, title: str) -> None:
    """A title at the left, a quiet grid, and everything in the look's colours."""
    axes.set_title(title, loc="left", fontsize="medium", color=colors.ink)
    axes.set_facecolor(colors.paper)
    axes.set_axisbelow(True)
    axes.grid(color=colors.line, linewidth=0.7)
    axes.tick_params(colors=colors.muted, labelcolor=colors.ink, labelsize="small")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(colors.line)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(colors.ink)


def legend(axes: Axes, colors: Look, **options: Any) -> None:
    """What the series are, without a frame."""
    axes.legend(frameon=False, fontsize="small", labelcolor=colors.ink, **options)


def read_training_log(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a log, one JSON object a line. A last line that training has not finished writing is left out.

    Raises:
        OSError: there is no such file.
        ValueError: another line is no JSON object with a ``step``.
    """
    rows = []
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: expected a JSON object but got {line[:60]!r}") from error
        if not isinstance(row, dict) or "step" not in row:
            raise ValueError(f"{path}, line {number}: expected a JSON object with a step but got {line[:60]!r}")
        rows.append(row)
    return rows


def smooth(values: np.ndarray, weight: float = _SMOOTHING) -> np.ndarray:
    """Exponential moving average of shape (N,), free of the start's bias; values that are not finite are skipped."""
    smoothed, total, mass = np.empty(len(values)), 0.0, 0.0
    for i, value in enumerate(values):
        if np.isfinite(value):
            total, mass = weight * total + (1 - weight) * value, weight * mass + (1 - weight)
        smoothed[i] = total / mass if mass else np.nan
    return smoothed


def plot_training_log(rows: list[dict[str, Any]], look: str = "light") -> Figure:
    """Losses, smoothed, above; what was measured on the validation split below, where the log has it.

    Args:
        rows: as `read_training_log` returns them.
        look: one of `LOOKS`.

    Returns:
        `matplotlib.figure.Figure`, made without pyplot: nothing global, so any thread may draw it.
    """
    from matplotlib.figure import Figure

    runs = split_runs(rows)
    train = [[r for r in run if "val" not in r] for run in runs]
    measured = [[{"step": r["step"], **r["val"]} for r in run if "val" in r] for run in runs]
    names = _series_names([r for run in measured for r in run])
    panels = [
        ("Training losses (moving average)", train, _series_names([r for run in train for r in run]), True),
        ("Validation losses", measured, [n for n in names if n in LOSSES or "loss" in n], False),
        ("Validation quality", measured, [n for n in names if n not in LOSSES and "loss" not in n], False),
    ]
    panels = [p for n, p in enumerate(panels) if n == 0 or p[2]]

    colors = LOOKS[look]
    line_colors = (*_LINE_COLORS, colors.ink)
    figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained", facecolor=colors.paper)
    first: Axes | None = None
    for n, (title, of_runs, names, noisy) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, n + 1, sharex=first)
        first = first or axes
        largest = 0.0
        for i, name in enumerate(names):
            color, dashes = line_colors[i % len(line_colors)], ("-", "--", ":")[i // len(line_colors) % 3]
            label: str | None = name
            for run in of_runs:
                steps = [r["step"] for r in run if name in r]
                values = np.array([r[name] for r in run if name in r], dtype=float)
                if not steps:
                    continue
                largest = max(largest, np.nanmax(values, initial=0))
                if noisy:
                    axes.plot(steps, values, color=color, alpha=0.15, linewidth=0.8)
                    values = smooth(values)
                marker = None if noisy else "."
                axes.plot(steps, values, color=color, label=label, linewidth=1.6, linestyle=dashes, marker=marker)
                label = None
        if "loss" in title and largest > 0:
            axes.set_yscale("log")
        for run in runs[1:]:
            axes.axvline(run[0]["step"], color=colors.muted, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_xlabel("step" if len(runs) < 2 else f"step ({len(runs)} runs, one after the other)")
        style(axes, colors, title)
        if names:
            # Beside the lines: where runs follow each other, no corner is free of them.
            legend(axes, colors, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def split_runs(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows by training run. A log that several runs have added to begins to count anew at each.

    A run that was resumed repeats the steps since its checkpoint: what it measured before in these is left out.

    Returns:
        The rows of each run, their ``step`` counted on from the end of the run before.
    """
    runs: list[list[dict[str, Any]]] = []
    offset, name = 0, None
    for row in rows:
        step = offset + row["step"]
        if not runs or row.get("run") != name or step <= runs[-1][0]["step"] and step < runs[-1][-1]["step"]:
            offset, name = runs[-1][-1]["step"] if runs else 0, row.get("run")
            step = offset + row["step"]
            runs.append([])
        elif step < runs[-1][-1]["step"]:
            runs[-1] = [r for r in runs[-1] if r["step"] < step]
        runs[-1].append({**row, "step": step})
    return runs


def _series_names(rows: list[dict[str, Any]]) -> list[str]:
    """Names of numeric fields, those of `LOSSES` first in its order, others in that of their first appearance."""
    names: dict[str, None] = {}
    for row in rows:
        for key, value in row.items():
            if key not in _NOT_A_SERIES and isinstance(value, (int, float)) and not isinstance(value, bool):
                names.setdefault(key)
    return sorted(names, key=lambda n: LOSSES.index(n) if n in LOSSES else len(LOSSES))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.view.charts", description="Draw a training log.")
    parser.add_argument("log", type=Path, metavar="LOG", help=f"{LOG_FILE}, or the model folder that holds it")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="picture to write")
    parser.add_argument("--dark", action="store_true", help="light lines on dark")
    args = parser.parse_args(argv)
    try:
        rows = read_training_log(args.log / LOG_FILE if args.log.is_dir() else args.log)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        plot_training_log(rows, "dark" if args.dark else "light").savefig(args.out, dpi=120)
    except (OSError, ValueError) as error:  # ValueError: a malformed line, or a picture format that does not exist
        print(f"annexe_demo.view.charts: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
