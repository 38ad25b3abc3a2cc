"""An evaluation's ``report.json`` for people: tables in a terminal, and ``report.md`` with charts beside the published results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annexe_demo.data.published import BENCHMARK, BENCHMARK_URL, PUBLISHED

MARKDOWN_FILE = "report.md"
CHARTS_FOLDER = "charts"


@dataclass(frozen=True)
class Figure:
    """How a figure of the report is shown.

    Attributes:
        name: as in ``report.json``.
        title: its column's heading.
        style: "percent", "score" (three digits), "cider" (two digits) or "count".
    """

    name: str
    title: str
    style: str = "percent"

    def show(self, value: float | int | None) -> str:
        if value is None:
            return "–"
        return {"percent": f"{100 * value:.1f} %", "score": f"{value:.3f}", "cider": f"{value:.2f}"}.get(
            self.style, f"{value:,}"
        )


COUNTS = (Figure("samples", "pictures", "count"), Figure("queries", "queries", "count"))
MASKS = (
    Figure("ciou", "cIoU"),
    Figure("giou", "gIoU"),
    Figure("ciou_left_hand", "cIoU left hand"),
    Figure("ciou_right_hand", "cIoU right hand"),
    Figure("ciou_object", "cIoU object"),
    Figure("no_target_accuracy", "no-target accuracy"),
    Figure("indicator_accuracy", "indicator accuracy"),
)
TEXTS = (
    Figure("analysis_meteor", "analysis METEOR", "score"),
    Figure("analysis_cider", "analysis CIDEr", "cider"),
    Figure("answer_meteor", "answer METEOR", "score"),
    Figure("answer_cider", "answer CIDEr", "cider"),
)
SCENES = (
    Figure("hands_correct", "hands named correctly"),
    Figure("category_correct", "category"),
    Figure("color_correct", "colour"),
    Figure("depth_mae", "depth error (MAE, 0 to 1)", "score"),
)
GROUPS = {"Masks": MASKS, "Texts": TEXTS, "Scene": SCENES}
DIMENSION_TITLES = {
    "kind": "query kind",
    "category": "category of the active object",
    "hand": "interacting hand",
    "size": "size of the active object",
}
_NARROW = ("queries", "ciou", "giou", "no_target_accuracy", "analysis_cider", "answer_cider", "category_correct")


def format_report(report: dict[str, Any]) -> str:
    """``report.json`` as tables for a terminal; of the rows, the figures that fit beside each other."""
    lines = [_title(report), ""]
    shown = [*MASKS, *TEXTS, *SCENES]
    width = max(len(f.title) for f in shown)
    lines += [f"  {f.title:{width}s}  {f.show(report['overall'][f.name])}" for f in shown]
    narrow = [f for f in (*COUNTS, *shown) if f.name in _NARROW]
    for dimension, rows in report["by"].items():
        columns = [f for f in narrow if any(f.name in row for row in rows.values())]
        width = max(len(dimension) + 3, *map(len, rows))
        lines += ["", f"  {'by ' + dimension:{width}s}  " + "  ".join(f"{c.title:>7s}" for c in columns)]
        for name, row in rows.items():
            cells = (f"{c.show(row[c.name]) if c.name in row else '':>{max(7, len(c.title))}s}" for c in columns)
            lines.append((f"  {name:{width}s}  " + "  ".join(cells)).rstrip())
    lines += [f"\n  {name}: {note}" for name, note in report["notes"].items()]
    return "\n".join(lines)


def _title(report: dict[str, Any]) -> str:
    pictures = f"{report['samples']:,} of the split's {report['split_samples']:,} pictures"
    return f"{report['model']} on {report['data']}, split {report['split']}: {pictures}, {report['queries']:,} queries"


def markdown(report: dict[str, Any], charts: list[str] = ()) -> str:
    """``report.json`` as Markdown.

    Args:
        report: as `annexe_demo.evaluate.make_report` returns it.
        charts: names of the charts in `CHARTS_FOLDER`, each there as ``<name>-light.png`` and ``<name>-dark.png``.
    """
    parts = [f"# Evaluation of {report['model']}", _title(report) + "."]
    if report["notes"]:
        parts.append("\n".join(["What is missing:", "", *(f"- `{n}`: {note}." for n, note in report["notes"].items())]))
    for title, figures in GROUPS.items():
        parts += [
            f"## {title}",
            _table([f.title for f in figures], [[f.show(report["overall"][f.name]) for f in figures]]),
        ]
    parts += [
        "## Beside the published results",
        comparison(report),
        _published_table(report),
        *_pictures(charts, "published"),
    ]
    parts += [
        "## By query kind, category, hand and object size",
        *_pictures(charts, "masks"),
        *_pictures(charts, "texts"),
    ]
    for dimension, rows in report["by"].items():
        parts.append(f"### By {DIMENSION_TITLES[dimension]}")
        for figures in GROUPS.values():
            columns = [f for f in figures if any(f.name in row for row in rows.values())]
            if columns:
                counts = [f for f in COUNTS if any(f.name in row for row in rows.values())]
                cells = [[name, *(f.show(row.get(f.name)) for f in (*counts, *columns))] for name, row in rows.items()]
                parts.append(_table([dimension, *(f.title for f in (*counts, *columns))], cells))
    parts += ["## How it was measured", _protocol(report)]
    return "\n\n".join(parts) + "\n"


def is_generated(report: dict[str, Any]) -> bool:
    """Whether the pictures cannot be the benchmark's own: all have a facts file, and the benchmark has none."""
    return "truth" not in report["notes"]


def comparison(report: dict[str, Any]) -> str:
    """What the published figures are beside ours, in plain sentences."""
    told = f"The published figures were measured on [{BENCHMARK}]({BENCHMARK_URL})"
    if is_generated(report):
        return (
            f"{told}, which has other pictures than the ones measured here. They show where the field "
            "stands; they are no ranking beside ours."
        )
    asked = "all wordings" if report["queries_per_image"] is None else f"up to {report['queries_per_image']} queries"
    return (
        f"{told}, by their authors. Unless {report['data']!r} is that benchmark, they come from other pictures "
        f"and are no ranking beside ours. If it is, mind that this report asked {asked} of each of "
        f"{report['samples']:,} of its split's {report['split_samples']:,} pictures, and computed the figures anew."
    )


def _published_table(report: dict[str, Any]) -> str:
    ours, split = report["overall"], report["split"]
    ciou = f"{100 * ours['ciou']:.2f}" if ours["ciou"] is not None else "–"
    texts = [f.show(ours[f.name]) for f in TEXTS]
    rows = [
        [f"**{report['model']}**", *texts, ciou if split == "test" else "–", ciou if split == "val" else "–",
         f"this report, on `{report['data']}`" + ("" if split != "train" else f", train split: cIoU {ciou}")]
    ]  # fmt: skip
    for p in PUBLISHED:
        texts = [
            f"{p.analysis_meteor:.3f}",
            f"{p.analysis_cider:.3f}",
            f"{p.answer_meteor:.3f}",
            f"{p.answer_cider:.3f}",
        ]
        source = f"[{p.source}]({p.source_url})"
        if p.paper_url != p.source_url:
            source += f"; model: [{p.paper}]({p.paper_url})"
        rows.append([p.model, *texts, f"{p.ciou_test:.2f}", f"{p.ciou_val:.2f}", source])
    return _table(["model", *(f.title for f in TEXTS), "cIoU test, %", "cIoU val, %", "source"], rows)


def _protocol(report: dict[str, Any]) -> str:
    asked = (
        "every wording of each of its queries"
        if report["queries_per_image"] is None
        else f"up to {report['queries_per_image']} of its queries, one of a group, the kinds in turn"
    )
    return "\n".join(
        [
            f"- Each picture was encoded and analyzed once, then asked {asked}.",
            "- cIoU: sum of intersections over sum of unions, of all queries that have a target. gIoU: mean of each query's "
            "IoU; a query without a target counts 1 when the model said so, else 0.",
            "- A query whose mask indicator is below 0.5 counts as answered without a mask. Plain questions count for "
            "their texts only.",
            "- METEOR (0 to 1) and CIDEr (0 to 10) by pycocoevalcap, the true sentence as reference. CIDEr of a row is the "
            "mean over its sentences, with the word frequencies of all; METEOR of a row is that of the row alone.",
            "- Object size: the active object's share of the picture's pixels. Depth: mean absolute error of maps scaled "
            "to 0 to 1 within each picture.",
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; cells of numbers alone stand at the right."""
    right = [all(row[n][:1] in "0123456789–-" for row in rows) for n in range(len(head))]
    rule = ["---:" if is_number else "---" for is_number in right]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def _pictures(charts: list[str], name: str) -> list[str]:
    if name not in charts:
        return []
    light, dark = (f"{CHARTS_FOLDER}/{name}-{look}.png" for look in ("light", "dark"))
    return [
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{_ALT[name]}"></picture>'
    ]


_ALT = {
    "published": "Our figures and the published ones, which come from other pictures, as bars",
    "masks": "cIoU by category, query kind, hand and object size, as bars",
    "texts": "CIDEr of analysis and answer by category, query kind, hand and object size, as bars",
}


def write_markdown(folder: Path, report: dict[str, Any]) -> None:
    """Write `MARKDOWN_FILE` and the PNGs of `CHARTS_FOLDER`, light and dark."""
    from annexe_demo.view.charts import LOOKS
    from annexe_demo.view.report_charts import REPORT_CHARTS

    (folder / CHARTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for name, plot in REPORT_CHARTS.items():
        for look in LOOKS:
            plot(report, look).savefig(folder / CHARTS_FOLDER / f"{name}-{look}.png", dpi=120)
    (folder / MARKDOWN_FILE).write_text(markdown(report, list(REPORT_CHARTS)), encoding="utf-8")
