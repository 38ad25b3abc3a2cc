"""Published results on Ego-IRGBench, as printed, each with its source. Facts to compare with; none was measured here."""

from __future__ import annotations

from dataclasses import dataclass

_EARL = "EARL, ICML 2026, Table 1"
_EARL_URL = "https://arxiv.org/abs/2605.14742"


@dataclass(frozen=True)
class PublishedResult:
    """One model's row of a published table.

    Attributes:
        model: its name, with "zero-shot" where it was not trained on the benchmark.
        analysis_meteor, answer_meteor: METEOR on the test split, 0 to 1.
        analysis_cider, answer_cider: CIDEr on the test split, 0 to 10.
        ciou_test, ciou_val: cIoU on the test and the val split, percent.
        paper: where the model is from, with its address in `paper_url`.
        source: the table in which the figures stand, with its address in `source_url`.
    """

    model: str
    analysis_meteor: float
    analysis_cider: float
    answer_meteor: float
    answer_cider: float
    ciou_test: float
    ciou_val: float
    paper: str
    paper_url: str
    source: str = _EARL
    source_url: str = _EARL_URL


BENCHMARK = "Ego-IRGBench"
BENCHMARK_URL = "https://huggingface.co/datasets/yuki3585/Ego-IEGBench"  # spelt so

# From the lowest cIoU on the test split to the highest.
PUBLISHED = (
    PublishedResult(
        "Qwen3-VL-4B, zero-shot", 0.134, 0.041, 0.882, 4.945, 22.84, 23.31,
        "Qwen3-VL, arXiv 2511.21631", "https://arxiv.org/abs/2511.21631",
    ),
    PublishedResult(
        "Qwen2.5-VL-7B, zero-shot", 0.206, 0.119, 0.739, 2.477, 23.71, 22.46,
        "Qwen2.5-VL, arXiv 2502.13923", "https://arxiv.org/abs/2502.13923",
    ),
    PublishedResult(
        "Sa2VA-8B", 0.188, 0.115, 0.754, 2.656, 32.69, 34.89,
        "Sa2VA, arXiv 2501.04001", "https://arxiv.org/abs/2501.04001",
    ),
    PublishedResult(
        "ANNEXE", 0.563, 1.494, 0.365, 2.590, 36.02, 35.14,
        "ANNEXE, CVPR 2025, arXiv 2504.01472", "https://arxiv.org/abs/2504.01472",
    ),
    PublishedResult(
        "Seg-Zero", 0.309, 0.049, 0.742, 2.380, 57.11, 58.03,
        "Seg-Zero, arXiv 2503.06520", "https://arxiv.org/abs/2503.06520",
    ),
    PublishedResult(
        "EARL", 0.542, 1.522, 0.939, 6.682, 65.48, 62.71,
        "EARL, ICML 2026, arXiv 2605.14742", "https://arxiv.org/abs/2605.14742",
    ),
)  # fmt: skip
