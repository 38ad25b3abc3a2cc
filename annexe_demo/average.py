"""Average the weights of two models of one training: python -m annexe_demo.average BEFORE AFTER --share 0.5 --out DIR

Training on generated scenes makes a model better on such scenes and, after a while, worse on photographs. Between the
weights before and after lies a model that keeps much of both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
models", https://arxiv.org/abs/2109.01903). It is as large and as fast as each of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from torch import Tensor

PICTURE_MODULES = ("ground_image_encoder", "interaction_head")


def average(
    before: dict[str, Tensor], after: dict[str, Tensor], share: float, modules: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Weights between those of two models.

    Args:
        before, after: state dicts with the same names and shapes.
        share: of `after`, 0 to 1.
        modules: top-level modules to average, all by default; the others are those of `after`.

    Returns:
        A state dict in the types of `after`.

    Raises:
        ValueError: the models are not of one shape, the share is out of range, or there is no such module.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share must be 0 to 1 but got {share:g}")
    known = {name.partition(".")[0] for name in after}
    if unknown := sorted(set(modules or ()) - known):
        raise ValueError(f"modules must be among {', '.join(sorted(known))} but got {', '.join(unknown)}")
    chosen = known if modules is None else set(modules)
    names = [name for name in after if name.partition(".")[0] in chosen]
    other = [name for name in names if name not in before or before[name].shape != after[name].shape]
    if other:
        raise ValueError(f"both models must have the same weights but {other[0]} differs")
    mixed = {
        name: before[name].float().lerp(after[name].float(), share).to(after[name].dtype)
        for name in names
        if after[name].is_floating_point()
    }
    return after | mixed


def main(argv: Sequence[str] | None = None) -> int:
    from annexe_demo.model import AnnexeModel
    from annexe_demo.pipeline import AnnexePipeline

    parser = argparse.ArgumentParser(prog="python -m annexe_demo.average", description=__doc__.splitlines()[0])
    parser.add_argument("before", help="folder of the model that training started from")
    parser.add_argument("after", help="folder of the model that came of it")
    parser.add_argument("--share", type=float, default=0.5, help="of AFTER, 0 to 1 (default: %(default)s)")
    parser.add_argument("--out", required=True, help="folder of the result")
    parser.add_argument("--modules", nargs="+", metavar="NAME",
                        help=f"average these alone, e.g. {' '.join(PICTURE_MODULES)}; the others are AFTER's (default: all)")  # fmt: skip
    arguments = parser.parse_args(argv)
    try:
        before, after = AnnexeModel.from_pretrained(arguments.before), AnnexePipeline.from_pretrained(arguments.after)
        after.model.load_state_dict(
            average(before.state_dict(), after.model.state_dict(), arguments.share, arguments.modules)
        )
        after.model.save_pretrained(arguments.out, after.tokenizer)
    except (OSError, ValueError) as error:
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
