"""Charts for the page's results: one small figure a measure, so that each can be read on a phone, in two looks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annexe_demo.data.published import PUBLISHED
from annexe_demo.view.charts import LOOKS, style
from annexe_demo.view.report import DIMENSION_TITLES, is_generated
from annexe_demo.view.report_charts import draw_bars, without_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 4.4  # inches, of every figure


@dataclass(frozen=True)
class Measure:
    """A measure that published tables and our reports share.

    Attributes:
        name: in ``report.json``'s ``overall``.
        published: in `PublishedResult`.
        title: of its figure.
        factor: from our unit to the published one.
        number: how a value is written.
    """

    name: str
    published: str
    title: str
    factor: float
    number: str


MEASURES = (
    Measure("ciou", "ciou_test", "cIoU of the masks, %", 100.0, "{:.1f}"),
    Measure("analysis_meteor", "analysis_meteor", "Analysis METEOR, 0 to 1", 1.0, "{:.3f}"),
    Measure("analysis_cider", "analysis_cider", "Analysis CIDEr, 0 to 10", 1.0, "{:.2f}"),
    Measure("answer_meteor", "answer_meteor", "Answer METEOR, 0 to 1", 1.0, "{:.3f}"),
    Measure("answer_cider", "answer_cider", "Answer CIDEr, 0 to 10", 1.0, "{:.2f}"),
)


def plot_measure(measure: Measure, report: dict[str, Any] | None, look: str = "light") -> Figure:
    """Published figures of one measure from the highest down, and ours apart below a line, where there is a report.

    Args:
        measure: one of `MEASURES`.
        report: ``report.json``, or None.
        look: one of `LOOKS`.
    """
    colors = LOOKS[look]
    on_val = measure.name == "ciou" and report is not None and report["split"] == "val"
    published = "ciou_val" if on_val else measure.published
    rows = sorted(((p.model, getattr(p, published)) for p in PUBLISHED), key=lambda row: -row[1])
    own = None if report is None else report["overall"].get(measure.name)
    value = None if own is None else own * measure.factor
    if report is not None:
        where = "generated scenes" if is_generated(report) else report["data"].rstrip("/").split("/")[-1]
        rows.append((f"{model_name(report)} (ours,\n{where})", value))
    limit = max(v for _, v in rows if v is not None) * 1.2 or 1.0
    figure, axes = _figure(len(rows), look)
    draw_bars(
        axes, [n for n, _ in rows], [("", [v for _, v in rows])], [colors.muted], measure.number, limit, colors.ink
    )
    if report is not None:
        axes.patches[len(rows) - 1].set(facecolor=colors.accent, hatch="///", edgecolor=colors.paper)
        axes.axhline(len(rows) - 1.5, color=colors.muted, linewidth=1.2, linestyle=(0, (4, 3)))
        if value is None:
            axes.text(limit * 0.012, len(rows) - 1, "not measured", va="center", fontsize="small", color=colors.muted)
    style(axes, colors, f"{measure.title} ({'val' if on_val else 'test'} split)")
    without_rows(axes)
    return figure


def plot_dimension(dimension: str, report: dict[str, Any], look: str = "light") -> Figure | None:
    """Our cIoU in percent by the rows of one dimension of the report; None where nothing was measured."""
    rows = {name: row for name, row in report["by"].get(dimension, {}).items() if row.get("ciou") is not None}
    if not rows:
        return None
    colors = LOOKS[look]
    figure, axes = _figure(len(rows), look)
    values = [100 * row["ciou"] for row in rows.values()]
    labels = [f"{name} ({row['queries']:,})" for name, row in rows.items()]
    draw_bars(axes, labels, [("", values)], [colors.accent], "{:.1f}", max(values) * 1.2 or 1.0, colors.ink)
    # The whole of it would be cut off at a third of the page's width.
    style(axes, colors, f"Our cIoU by {DIMENSION_TITLES[dimension].removesuffix(' of the active object')}, %")
    without_rows(axes)
    return figure


def to_svg(figure: Figure) -> str:
    """A figure as SVG, the same one each time."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _figure(rows: int, look: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 0.9 + 0.28 * rows), layout="constrained", facecolor=LOOKS[look].paper)
    return figure, figure.add_subplot()


def model_name(report: dict[str, Any]) -> str:
    """The model's own name, without the folder that it was read from."""
    return report["model"].rstrip("/").split("/")[-1]
