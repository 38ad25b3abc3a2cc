"""The report as Markdown, in a terminal and as charts."""

import re

import pytest

from annexe_demo.data.published import PUBLISHED
from annexe_demo.ui.theme import PALETTE
from annexe_demo.view.charts import LOOKS
from annexe_demo.view.report import MASKS, SCENES, TEXTS, format_report, markdown, write_markdown
from annexe_demo.view.report_charts import plot_masks, plot_published, plot_texts


def report(**changes):
    overall = {f.name: 0.5 for f in (*MASKS, *TEXTS, *SCENES)} | {"ciou": 0.4321, "analysis_meteor": None}
    row = {"samples": 2, "queries": 12, "ciou": 0.25, "analysis_cider": 1.5, "answer_cider": 2.5}
    kinds = {"single": {"queries": 7, "ciou": 0.75, "answer_cider": 3.0}, "chat": {"queries": 5, "answer_cider": 2.0}}
    return {
        "model": "weights/mini", "data": "data/test", "split": "test", "samples": 2, "split_samples": 9, "queries": 12,
        "queries_per_image": 6, "overall": overall, "notes": {"analysis_meteor": "METEOR needs Java"},
        "by": {"kind": kinds, "category": {"mug": row}, "hand": {"left": row}, "size": {"large (> 5 %)": row}},
    } | changes  # fmt: skip


def table(text, first):
    """Rows below the heading line that starts with `first`, as lists of cells."""
    lines = text[text.index(f"\n| {first} |") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_ours_stands_beside_every_published_result_and_its_source():
    rows = table(markdown(report()), "model")
    assert rows[0][1:7] == [
        "analysis METEOR", "analysis CIDEr", "answer METEOR", "answer CIDEr", "cIoU test, %", "cIoU val, %",
    ]  # fmt: skip
    assert rows[2][:7] == ["**weights/mini**", "–", "0.50", "0.500", "0.50", "43.21", "–"]
    assert [r[0] for r in rows[3:]] == [p.model for p in PUBLISHED]
    annexe = next(r for r in rows if r[0] == "ANNEXE")
    assert annexe[1:7] == ["0.563", "1.494", "0.365", "2.590", "36.02", "35.14"]
    assert all(re.search(r"\(https://arxiv\.org/abs/\d{4}\.\d{5}\)", r[7]) for r in rows[3:])
    val = table(markdown(report(split="val")), "model")[2]
    assert val[5:7] == ["–", "43.21"]


def test_it_says_that_the_published_figures_come_from_other_pictures():
    text = markdown(report())
    assert "other pictures than the ones measured here" in text and "no ranking" in text
    # Pictures without facts may be the benchmark's own.
    text = markdown(report(notes={"truth": "..."}))
    assert "Unless 'data/test' is that benchmark" in text and "2 of its split's 9 pictures" in text


def test_rows_and_what_is_missing():
    text = markdown(report(), ["masks"])
    assert "- `analysis_meteor`: METEOR needs Java." in text
    kinds = table(text, "kind")
    assert kinds[0] == ["kind", "queries", "cIoU"] and kinds[2:] == [["single", "7", "75.0 %"], ["chat", "5", "–"]]
    assert kinds[1] == ["---", "---:", "---:"]
    assert table(text, "category")[2] == ["mug", "2", "12", "25.0 %"]
    assert "charts/masks-dark.png" in text and "texts" not in re.findall(r"charts/(\w+)-", text)
    printed = format_report(report())
    assert "43.2 %" in printed and "METEOR needs Java" in printed and not re.search(r" $", printed, re.MULTILINE)


def test_looks_have_the_colours_of_the_page():
    for n, look in enumerate(("light", "dark")):
        colors = LOOKS[look]
        page = {name: pair[n] for name, pair in PALETTE.items()}
        assert (colors.paper, colors.line, colors.ink, colors.muted, colors.accent) == tuple(
            page[name] for name in ("surface", "line", "ink", "muted", "accent")
        )


@pytest.mark.parametrize("look", LOOKS)
def test_bars_are_as_long_as_their_figures(look):
    figure = plot_masks(report(), look)
    panels = {axes.get_title("left"): axes for axes in figure.axes}
    assert [p.get_width() for p in panels["by query kind"].patches] == [75.0]  # plain questions have no cIoU
    assert [p.get_width() for p in panels["by category of the active object"].patches] == [25.0]
    assert figure.get_facecolor()[:3] == pytest.approx([int(LOOKS[look].paper[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def test_texts_of_a_kind_have_no_analysis():
    figure = plot_texts(report())
    kinds = next(axes for axes in figure.axes if axes.get_title("left") == "by query kind")
    assert [p.get_width() for p in kinds.patches] == [0, 0, 3.0, 2.0]
    assert [t.get_text() for t in kinds.texts] == ["", "", "3.00", "2.00"]


def test_ours_is_marked_among_the_published():
    figure = plot_published(report())
    ciou, meteor = figure.axes[:2]
    assert [p.get_width() for p in ciou.patches] == pytest.approx([43.21, *(p.ciou_test for p in reversed(PUBLISHED))])
    assert ciou.patches[0].get_facecolor() != ciou.patches[1].get_facecolor()
    assert "not measured" in [t.get_text() for t in meteor.texts]
    assert "no ranking" in figure.get_suptitle()
    figure = plot_published(report(split="val", notes={"truth": "..."}))
    assert figure.axes[0].patches[1].get_width() == PUBLISHED[-1].ciou_val
    assert "other pictures" not in figure.get_suptitle()


def test_charts_of_nothing_but_plain_questions(tmp_path):
    overall = dict.fromkeys(report()["overall"]) | {"answer_cider": 1.0}
    by = {"kind": {"chat": {"queries": 1, "answer_cider": 1.0}}, "category": {}, "hand": {}, "size": {}}
    write_markdown(tmp_path, report(overall=overall, by=by))
    text = (tmp_path / "report.md").read_text()
    linked = re.findall(r'"(charts/[^"]+)"', text)
    assert len(linked) == 6 and all((tmp_path / name).stat().st_size > 2000 for name in linked)
