"""Charts of a training run, from the ``train_log.jsonl`` that `annexe_demo.train` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LOSSES = ("des", "ans", "cls", "pxl", "dep")  # as `annexe_demo.train` names them
_LINE_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
_SMOOTHING = 0.95
_NOT_A_SERIES = {"step", "minutes", "norm", "val"}


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


def plot_training_log(rows: list[dict[str, Any]]):
    """Losses, smoothed, above; what was measured on the validation split below, where the log has it.

    Args:
        rows: as `read_training_log` returns them.

    Returns:
        `matplotlib.figure.Figure`, made without pyplot: nothing global, so any thread may draw it.
    """
    from matplotlib.figure import Figure

    train = [r for r in rows if "val" not in r]
    measured = [(r["step"], r["val"]) for r in rows if "val" in r]
    panels: list[tuple[str, dict[str, tuple[list, list]], bool]] = []
    names = _series_names(train)
    losses = {n: ([r["step"] for r in train if n in r], [r[n] for r in train if n in r]) for n in names}
    panels.append(("Training losses (moving average)", losses, True))
    if measured:
        names = _series_names([v for _, v in measured])
        series = {n: ([s for s, v in measured if n in v], [v[n] for _, v in measured if n in v]) for n in names}
        held_out = {n: xy for n, xy in series.items() if n in LOSSES or "loss" in n}
        quality = {n: xy for n, xy in series.items() if n not in held_out}
        panels += [p for p in (("Validation losses", held_out, False), ("Validation quality", quality, False)) if p[1]]

    figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained")
    for n, (title, series, noisy) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, n + 1)
        for i, (name, (steps, values)) in enumerate(series.items()):
            values = np.asarray(values, dtype=float)
            color = _LINE_COLORS[i % len(_LINE_COLORS)]
            if noisy:
                axes.plot(steps, values, color=color, alpha=0.15, linewidth=0.8)
                values = smooth(values)
            axes.plot(steps, values, color=color, label=name, linewidth=1.6, marker=None if noisy else ".")
        if "loss" in title and any(np.nanmax(v, initial=0) > 0 for _, v in series.values()):
            axes.set_yscale("log")
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.25)
        if series:
            axes.legend(fontsize="small", ncols=2)
    return figure


def _series_names(rows: list[dict[str, Any]]) -> list[str]:
    """Names of numeric fields in the order of their first appearance."""
    names: dict[str, None] = {}
    for row in rows:
        for key, value in row.items():
            if key not in _NOT_A_SERIES and isinstance(value, (int, float)) and not isinstance(value, bool):
                names.setdefault(key)
    return list(names)
