"""`AnnexeModel`: text generation and mask generation as one network, with its losses.

Follows ANNEXE (arXiv 2504.01472): L_des and L_ans (token cross-entropy of the two branches), L_cls (mask indicator),
L_pxl (pixel grounding) and L_dep (depth), weighted 1, 1, 1, 3 and 0.5. L_int, weighted 1, is ours: the interaction head
that texts and indicator read. Unlike the released code, the indicator reads the query's own words and nothing of the
answer, so training and inference see the same thing and repeat exactly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annexe_demo.data.facts import CATEGORIES, COLORS

from .interaction import UNKNOWN, FactLayout, InteractionHead, RegionSummary, region_places, summarize_regions
from .mask_generation import (
    QUERY_KINDS,
    REGIONS,
    GroundFeatures,
    GroundImageEncoder,
    MaskIndicator,
    PixelGroundingDecoder,
)
from .text_generation import CompactTextGeneration, VisualTokens

LOSS_WEIGHTS = {"des": 1.0, "ans": 1.0, "cls": 1.0, "pxl": 3.0, "dep": 0.5, "int": 1.0}
IGNORE = UNKNOWN


@dataclass
class AnnexeConfig:
    """Sizes of the network, and the words its object head knows."""

    backbone: str = "tf_efficientnet_lite0"
    width: int = 192
    hidden_size: int = 320
    layers: int = 6
    heads: int = 5
    vocab_size: int = 2048
    image_size: int = 448  # the longer side of the network's input, pixels
    categories: tuple[str, ...] = (*CATEGORIES, "other object")
    colors: tuple[str, ...] = COLORS

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"model_type": "annexe", **asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> AnnexeConfig:
        """Raises ValueError for a config of another model or with settings this version does not know."""
        values = json.loads(path.read_text())
        if values.pop("model_type", None) != "annexe":
            raise ValueError(f"{path} must have model_type 'annexe'")
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"{path} has settings this version does not know: {', '.join(sorted(unknown))}")
        for name in ("categories", "colors"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)


@dataclass
class Batch:
    """B pictures, each with its packed text: analysis first, then several queries with their answers.

    Attributes:
        pixels: (B, 3, h, w), -1 to 1.
        ids: (B, T) token ids.
        segments: (B, T); 0 analysis, 1.. one number a query with its answer, -1 padding.
        positions: (B, T) offsets after the visual tokens; every query starts where the analysis ends.
        labels: (B, T) next-token targets, `IGNORE` where nothing is predicted.
        queries: (Q, 2) picture and position of each query's ``<answer>`` token; targets: (Q,) 1 has a target, 0 none,
            -1 the question asks for no mask.
        prompts: (N, 2) picture and position of each ``<MSK>`` to ground, sorted by picture; masks: (N, h/4, w/4) bool.
        regions: (B, h/4, w/4) long; categories, colors: (B, h/8, w/8) long, `IGNORE` where unknown.
        depth: (B, h/4, w/4), 0 to 1 per picture; NaN where unknown.
        interaction: (B, 6) long, the values of `FactLayout`'s groups; others: (B, categories) long, 1 where an object of
            that category lies about untouched, else 0. `IGNORE` where unknown.
    """

    pixels: Tensor
    ids: Tensor
    segments: Tensor
    positions: Tensor
    labels: Tensor
    queries: Tensor
    targets: Tensor
    prompts: Tensor
    masks: Tensor
    regions: Tensor
    categories: Tensor
    colors: Tensor
    depth: Tensor
    interaction: Tensor
    others: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})


class AnnexeModel(nn.Module):
    """Unified analyzing, answering and pixel grounding of a first-person picture."""

    limitations = (
        "This compact model has learned from computer-generated scenes only. There it names most hands and objects rightly, "
        "and a wrong colour in one of five. It knows sixteen kinds of objects and calls others by the nearest name. On real "
        "photographs it finds most hands, but takes objects for others or overlooks them."
    )

    def __init__(self, config: AnnexeConfig):
        super().__init__()
        self.config = config
        self.layout = FactLayout(len(config.categories), len(config.colors))
        self.ground_image_encoder = GroundImageEncoder(
            config.backbone, config.width, self.layout.categories, self.layout.colors
        )
        self.interaction_head = InteractionHead(config.width, self.layout)
        self.visual_tokens = VisualTokens(config.width, self.layout, config.hidden_size)
        self.text_generation = CompactTextGeneration(config.vocab_size, config.hidden_size, config.layers, config.heads)
        self.mask_indicator = MaskIndicator(config.hidden_size, self.layout.size)
        self.to_prompt = nn.Sequential(
            nn.LayerNorm(config.hidden_size),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.width),
        )
        self.pixel_grounding_decoder = PixelGroundingDecoder(config.width)

    @property
    def device(self) -> torch.device:
        return self.visual_tokens.place.device

    def train(self, mode: bool = True) -> AnnexeModel:
        """Batch norms keep their ImageNet statistics: those of rendered pictures would not fit photographs."""
        super().train(mode)
        for module in self.ground_image_encoder.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def encode_image(self, pixels: Tensor) -> tuple[GroundFeatures, Tensor, Tensor]:
        """What texts and masks are made from.

        The facts are classified in the picture and in its mirror image, where left is right, and their logits averaged.

        Args:
            pixels: (B, 3, h, w), -1 to 1; h and w multiples of 32.

        Returns:
            features, visual tokens (B, V, hidden), and the probability of each fact of `FactLayout` (B, F).
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.shape[2] % 32 or pixels.shape[3] % 32:
            raise ValueError(f"pixels must be (B, 3, h, w) with h and w multiples of 32 but got {tuple(pixels.shape)}")
        both = self.ground_image_encoder(torch.cat([pixels, pixels.flip(-1)]))
        regions, logits = self._interaction(both)
        facts = self.layout.probabilities((logits[: len(pixels)] + self.layout.mirror(logits[len(pixels) :])) / 2)
        features = both[: len(pixels)]
        return features, self.visual_tokens(features, regions[: len(pixels)], facts), facts

    def see(self, pixels: Tensor) -> tuple[GroundFeatures, Tensor]:
        """(B, 3, h, w), -1 to 1 -> features and logits (B, layout.size) of the interaction's facts."""
        features = self.ground_image_encoder(pixels)
        return features, self._interaction(features)[1]

    def _interaction(self, features: GroundFeatures) -> tuple[RegionSummary, Tensor]:
        regions = summarize_regions(features)
        return regions, self.interaction_head(features, regions)

    def embed_text(self, ids: Tensor, visual: Tensor) -> Tensor:
        """Embeddings (B, T, hidden) of token ids (B, T) about pictures with visual tokens (B, V, hidden)."""
        return self.text_generation.embed(ids).to(visual.dtype) + visual[:, -1:]

    def ground(self, features: GroundFeatures, states: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits (N, h/4, w/4) and IoU logits (N,) of one picture's ``<MSK>`` states (N, hidden)."""
        return self.pixel_grounding_decoder(features, self.to_prompt(states)[:, None])

    def forward(self, batch: Batch, text: bool = True, picture: bool = True, told: bool = False) -> dict[str, Tensor]:
        """The losses, unweighted, by name: des, ans, cls, pxl, dep, and int of the interaction head.

        Args:
            batch: pictures and their packed texts.
            text: without it, only what is learned from the picture itself: dep, int, and pxl without prompted masks.
            picture: without it, the encoder is not trained: no dep, no int, and pxl of prompted masks only.
            told: the texts are written from the true facts instead of from the picture, which is not looked at: des, ans
                and cls only.
        """
        if told:
            visual, facts = self._told(batch)
            return self._text_losses(*self._text_states(visual, facts, batch), batch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and picture):
            features = self.ground_image_encoder(batch.pixels)
        regions, logits = self._interaction(features)
        losses = {}
        if picture:
            losses |= {"pxl": region_loss(features, batch), "dep": depth_loss(features, batch)}
            losses["int"] = self.layout.loss(logits, batch.interaction, batch.others)
        if text:
            # Where the true facts are known, texts do not teach the head, and its probabilities stay probabilities. Where
            # they are not (the real benchmark), texts are all that it learns from.
            known = (batch.interaction[:, 0] != IGNORE).any()
            facts = self.layout.probabilities(logits.detach() if known else logits)
            states, kinds = self._text_states(self.visual_tokens(features, regions, facts), facts, batch)
            losses |= self._text_losses(states, kinds, batch)
            losses["pxl"] = self._prompted_loss(features, states, batch) + losses.get("pxl", 0)
        return losses

    def _told(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summary (B, 1, hidden) of the true facts, and they (B, F): as unsure as a classifier may be but never wrong."""
        facts = self.layout.true(batch.interaction, batch.others)
        if self.training:
            noise = self.layout.probabilities(3 * torch.randn_like(facts))
            facts = self.layout.consistent(facts.lerp(noise, 0.45 * torch.rand(len(facts), 1, device=facts.device)))
        regions = F.one_hot(batch.regions, len(REGIONS)).permute(0, 3, 1, 2).float()
        return self.visual_tokens.summary(facts, region_places(regions)), facts

    def _text_states(self, visual: Tensor, facts: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """States (B, T, hidden) of the texts' tokens and logits (Q, 3) of the queries' kinds.

        A token sees the picture, the analysis, and what stands before it in its own query.
        """
        b, v, _ = visual.shape
        t = batch.ids.shape[1]
        picture, at = batch.queries.unbind(1)
        own = batch.segments[picture] == batch.segments[picture, at][:, None]
        place = torch.arange(t, device=at.device)
        words = self.text_generation.embed(batch.ids)[picture]
        kinds, found = self.mask_indicator(words, facts[picture], own & (place <= at[:, None]))
        verdict = self.mask_indicator.verdict(found, _query_kinds(batch))
        answers = own & (place >= at[:, None])
        text = self.embed_text(batch.ids, visual)
        text = text.index_add(0, picture, (answers[..., None] * verdict[:, None]).to(text.dtype))
        embeddings = torch.cat([visual, text], 1)
        segments = torch.cat([batch.segments.new_zeros(b, v), batch.segments], 1)
        causal = torch.ones(v + t, v + t, dtype=torch.bool, device=visual.device).tril()
        same = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
        count = self.visual_tokens.count
        positions = torch.arange(count - v, count, device=visual.device).expand(b, -1)
        positions = torch.cat([positions, count + batch.positions], 1)
        mask = (causal & same)[:, None]
        return self.text_generation(embeddings, attention_mask=mask, position_ids=positions)[:, v:], kinds

    def _text_losses(self, states: Tensor, kinds: Tensor, batch: Batch) -> dict[str, Tensor]:
        losses = {"cls": F.cross_entropy(kinds.float(), _query_kinds(batch))}
        for name, of_branch in (("des", batch.segments == 0), ("ans", batch.segments > 0)):
            where = of_branch & (batch.labels != IGNORE)
            logits = self.text_generation.logits(states[where]).float()
            losses[name] = F.cross_entropy(logits, batch.labels[where]) if len(logits) else states.sum() * 0.0
        return losses

    def _prompted_loss(self, features: GroundFeatures, states: Tensor, batch: Batch) -> Tensor:
        if not len(batch.prompts):
            return states.sum() * 0.0
        masks, scores = [], []
        for picture in batch.prompts[:, 0].unique(sorted=True).tolist():
            at = batch.prompts[batch.prompts[:, 0] == picture]
            mask, score = self.ground(features[picture : picture + 1], states[picture, at[:, 1]])
            masks.append(mask)
            scores.append(score)
        logits, score = torch.cat(masks).float(), torch.cat(scores).float()
        truth = batch.masks.float()
        with torch.no_grad():
            found = logits > 0
            iou = (found & batch.masks).sum((1, 2)) / (found | batch.masks).sum((1, 2)).clamp_min(1)
        overlap = dice_loss(logits.sigmoid(), truth).mean()
        edge = F.binary_cross_entropy_with_logits(logits, truth)
        return overlap + 2 * edge + 0.1 * F.binary_cross_entropy_with_logits(score, iou)

    def save_pretrained(self, folder: str | Path, tokenizer=None) -> None:
        """Write config.json, model.safetensors in half precision, and the tokenizer's files."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.save(folder / "config.json")
        half = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in self.state_dict().items()}
        save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | torch.device = "cpu") -> AnnexeModel:
        """Read what `save_pretrained` wrote, as float32 in eval mode.

        Raises:
            FileNotFoundError: config.json or model.safetensors is not in the folder.
            ValueError: the config is of another model.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"a model folder must hold config.json and model.safetensors but {folder / name} is missing"
                )
        model = cls(AnnexeConfig.load(folder / "config.json"))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.float().to(device).eval()


def _query_kinds(batch: Batch) -> Tensor:
    """(Q,) indices into `QUERY_KINDS`."""
    return torch.where(batch.targets < 0, QUERY_KINDS.index("plain question"), batch.targets)


def region_loss(features: GroundFeatures, batch: Batch) -> Tensor:
    """Deep supervision of the ground image encoder: what every pixel is, before any query prompts a mask.

    It teaches hands and active objects at every pixel of every picture, not only where a query happens to ask.
    """
    logits = features.regions.float()
    weight = logits.new_tensor([1.0, 2.0, 2.0, 3.0])
    loss = F.cross_entropy(logits, batch.regions, weight)
    truth = F.one_hot(batch.regions, len(REGIONS)).permute(0, 3, 1, 2).float()[:, 1:]
    present = truth.flatten(2).any(2)
    loss = loss + _mean(dice_loss(logits.softmax(1)[:, 1:], truth), present)
    for kind, target in ((features.categories, batch.categories), (features.colors, batch.colors)):
        known = target != IGNORE
        if known.any():
            loss = loss + 0.4 * F.cross_entropy(kind.float(), target, ignore_index=IGNORE)
    return loss


def depth_loss(features: GroundFeatures, batch: Batch) -> Tensor:
    """Mean absolute error of relative depth, where it is known."""
    return _mean((features.depth[:, 0].float() - batch.depth.nan_to_num()).abs(), batch.depth.isfinite())


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice of (..., h, w) maps, one value a map."""
    overlap = (probability * truth).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (probability.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the true places; 0 (with a gradient of 0) where there are none."""
    return (values * where).sum() / where.sum().clamp_min(1)
