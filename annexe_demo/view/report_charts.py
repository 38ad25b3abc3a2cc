"""Charts of an evaluation: ours by category, query kind, hand and object size, and beside the published results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from annexe_demo.data.published import BENCHMARK, PUBLISHED
from annexe_demo.view.charts import LOOKS, legend, style
from annexe_demo.view.report import DIMENSION_TITLES, is_generated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.72  # of the room that a row has


def plot_masks(report: dict[str, Any], look: str = "light") -> Figure:
    """cIoU of each row of the report, in percent; `look` is one of `LOOKS`."""
    return _by_dimension(report, look, "cIoU, %", [("ciou", "cIoU", 100.0)], "{:.1f}")


def plot_texts(report: dict[str, Any], look: str = "light") -> Figure:
    """CIDEr of analysis and answer of each row of the report, 0 to 10."""
    series = [("analysis_cider", "analysis", 1.0), ("answer_cider", "answer", 1.0)]
    return _by_dimension(report, look, "CIDEr, 0 to 10", series, "{:.2f}")


def _by_dimension(
    report: dict[str, Any], look: str, title: str, series: Sequence[tuple[str, str, float]], number: str
) -> Figure:
    """One panel a dimension, categories at the left and the short ones above each other at the right.

    Args:
        series: name in the report, label, and the factor from its unit to the shown one.
        number: format of the value at a bar's end.
    """
    from matplotlib.figure import Figure

    colors = LOOKS[look]
    rows = {
        dimension: {n: r for n, r in of_dimension.items() if any(name in r for name, _, _ in series)}
        for dimension, of_dimension in report["by"].items()
    }
    rows = {dimension: of_dimension for dimension, of_dimension in rows.items() if of_dimension}
    right = [d for d in rows if d != "category"]
    height = max(len(rows.get("category", ())), sum(len(rows[d]) + 2 for d in right)) * (0.26 + 0.1 * len(series)) + 1.2
    figure = Figure(figsize=(11, max(3.0, height)), layout="constrained", facecolor=colors.paper)
    grid = figure.add_gridspec(max(1, len(right)), 2, height_ratios=[len(rows[d]) + 1 for d in right] or None)
    largest = max(
        (
            row[name] * factor
            for of in rows.values()
            for row in of.values()
            for name, _, factor in series
            if name in row
        ),
        default=0.0,
    )
    for dimension, of_dimension in rows.items():
        place = grid[:, 0] if dimension == "category" else grid[right.index(dimension), 1]
        axes = figure.add_subplot(place)
        labels = [f"{name} ({row['queries']})" for name, row in of_dimension.items()]
        values = [
            (label, [row[name] * factor if name in row else None for row in of_dimension.values()])
            for name, label, factor in series
        ]
        draw_bars(axes, labels, values, [colors.accent, colors.second], number, (largest or 1.0) * 1.16, colors.ink)
        style(axes, colors, f"by {DIMENSION_TITLES[dimension]}")
        without_rows(axes)
        if len(series) > 1 and dimension == next(iter(rows)):
            legend(axes, colors, ncols=len(series), loc="lower right", bbox_to_anchor=(1.0, 1.0))
    heading = f"{title}, {report['model']} (number of queries in brackets)"
    figure.suptitle(heading, color=colors.ink, fontsize="large", x=0.01, ha="left")
    return figure


def plot_published(report: dict[str, Any], look: str = "light") -> Figure:
    """Our figures above the published ones, a panel a measure; cIoU of the val split for a report on it, else of test."""
    from matplotlib.figure import Figure

    colors = LOOKS[look]
    others = is_generated(report)
    split = "val" if report["split"] == "val" else "test"
    ours = report["overall"]
    panels = [
        (f"cIoU ({split}), %", None if ours["ciou"] is None else 100 * ours["ciou"],
         [getattr(p, f"ciou_{split}") for p in PUBLISHED], "{:.1f}"),
        ("analysis METEOR", ours["analysis_meteor"], [p.analysis_meteor for p in PUBLISHED], "{:.3f}"),
        ("analysis CIDEr", ours["analysis_cider"], [p.analysis_cider for p in PUBLISHED], "{:.2f}"),
        ("answer METEOR", ours["answer_meteor"], [p.answer_meteor for p in PUBLISHED], "{:.3f}"),
        ("answer CIDEr", ours["answer_cider"], [p.answer_cider for p in PUBLISHED], "{:.2f}"),
    ]  # fmt: skip
    labels = [f"{report['model'].rstrip('/').split('/')[-1]} (ours)", *(p.model for p in reversed(PUBLISHED))]
    figure = Figure(figsize=(13, 3.4), layout="constrained", facecolor=colors.paper)
    for n, (title, own, published, number) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), n + 1)
        values = [own, *reversed(published)]
        top = max(v for v in values if v is not None) * 1.32
        draw_bars(
            axes, labels if n == 0 else [""] * len(labels), [("", values)], [colors.muted], number, top, colors.ink
        )
        axes.patches[0].set_color(colors.accent)
        if own is None:
            axes.text(top * 0.012, 0, "not measured", va="center", fontsize="x-small", color=colors.muted)
        style(axes, colors, title)
        without_rows(axes)
    figure.suptitle(
        f"Ours on {report['data']}, published ones on {BENCHMARK}" + (": other pictures, no ranking" if others else ""),
        color=colors.ink, fontsize="large", x=0.01, ha="left",
    )  # fmt: skip
    return figure


def draw_bars(
    axes: Axes,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float | None]]],
    bar_colors: Sequence[str],
    number: str,
    limit: float,
    ink: str,
) -> None:
    """Horizontal bars, the first label at the top, each with its value; None leaves its place free."""
    thickness = _BAR / len(series)
    for n, (name, values) in enumerate(series):
        at = [i + (n - (len(series) - 1) / 2) * thickness for i in range(len(labels))]
        lengths = [0.0 if v is None else v for v in values]
        axes.barh(at, lengths, thickness * 0.92, color=bar_colors[n], label=name or None)
        for y, value in zip(at, values, strict=True):
            text = "" if value is None else number.format(value)
            axes.text((value or 0.0) + limit * 0.012, y, text, va="center", fontsize="x-small", color=ink)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, limit)


def without_rows(axes: Axes) -> None:
    """No ticks and lines between bars, which say nothing."""
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


REPORT_CHARTS = {"published": plot_published, "masks": plot_masks, "texts": plot_texts}
