"""Mask generation module: ground image encoder, depth decoder, mask indicator, pixel grounding decoder.

The parts are those of ANNEXE (arXiv 2504.01472, section 3.3) at a size that two CPU cores carry. The pixel grounding
decoder is segment_anything's `MaskDecoder`, prompted by the state of each ``<MSK>`` token instead of by clicks.

Shapes use B pictures, N targets, and (h, w) for the network's input size; both are multiples of 32.
"""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor, nn

# What a pixel can be to the wearer's interaction, in the order of the region logits. The first four values are also
# the index values of the generated mask pictures.
REGIONS = ("background", "left hand", "right hand", "active object")


@dataclass
class GroundFeatures:
    """What the ground image encoder sees of B pictures.

    Attributes:
        stride4, stride8, stride16: features of shape (B, C, h/s, w/s).
        depth: relative depth, (B, 1, h/4, w/4), about 0 (nearest) to 1 (farthest).
        regions: logits of `REGIONS`, (B, 4, h/4, w/4).
        categories: logits of the object category at each place, (B, K, h/8, w/8).
        colors: logits of the object colour at each place, (B, C, h/8, w/8).
    """

    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    depth: Tensor
    regions: Tensor
    categories: Tensor
    colors: Tensor

    def region_margin(self, region: str) -> Tensor:
        """Logit of one of `REGIONS` against all the others together, (B, h/4, w/4)."""
        k = REGIONS.index(region)
        others = [i for i in range(len(REGIONS)) if i != k]
        return self.regions[:, k].float() - self.regions[:, others].float().logsumexp(1)

    def __getitem__(self, index: slice) -> GroundFeatures:
        return GroundFeatures(**{name: value[index] for name, value in vars(self).items()})


class _FullPrecision:
    """Mixed into a convolution: leaves autocast. On CPUs a depthwise convolution's gradient takes 3 to 6 times as long in
    bfloat16 as in float32 (oneDNN has no fast kernel for it), which was 40 % of a training step."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def keep_depthwise_full_precision(module: nn.Module) -> None:
    """Let every depthwise convolution inside `module` run in float32 under autocast."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d) and conv.groups == conv.in_channels > 1:
            kind = type(conv)
            conv.__class__ = type(f"FullPrecision{kind.__name__}", (_FullPrecision, kind), {})


def conv_block(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Depthwise-separable convolution, channel norm, GELU: a 3x3 convolution at an eighth of its cost."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, padding=kernel // 2, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1),
        LayerNorm2d(outputs),
        nn.GELU(),
    )


def resize_like(x: Tensor, reference: Tensor) -> Tensor:
    return F.interpolate(x, reference.shape[-2:], mode="bilinear", align_corners=False)


class DepthDecoder(nn.Module):
    """Depth from ground features, and the depth-aware features that the masks are made from."""

    def __init__(self, stride8: int, stride16: int, width: int = 48):
        super().__init__()
        self.features = nn.Sequential(conv_block(stride8, width), conv_block(width, width, 5))
        self.head = nn.Conv2d(width, 1, 1)
        self.to_ground = nn.Conv2d(width, stride16, 2, stride=2)

    def forward(self, stride8: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h/8, w/8) -> depth (B, 1, h/4, w/4) and depth features for stride 16 (B, C', h/16, w/16)."""
        x = self.features(stride8)
        depth = F.interpolate(self.head(x), scale_factor=2, mode="bilinear", align_corners=False)
        return depth, self.to_ground(x)


class GroundImageEncoder(nn.Module):
    """A convolutional backbone with a feature pyramid, and what each place of the picture is.

    Which hand is the left one depends on where its arm comes from, far from the hand itself, so two transformer layers
    let every place of the coarsest level see every other before the pyramid goes down to fine strides.
    """

    def __init__(self, backbone: str, width: int, categories: int, colors: int):
        super().__init__()
        self.backbone = timm.create_model(backbone, features_only=True, out_indices=(1, 2, 3, 4), pretrained=False)
        c4, c8, c16, c32 = self.backbone.feature_info.channels()
        w8, w4 = width // 2, width // 4
        self.lateral32 = nn.Conv2d(c32, width, 1)
        self.position = PositionEmbeddingRandom(width // 2)
        layer = nn.TransformerEncoderLayer(width, 6, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.mixer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.lateral16, self.lateral8, self.lateral4 = (
            nn.Conv2d(c16, width, 1),
            nn.Conv2d(c8, w8, 1),
            nn.Conv2d(c4, w4, 1),
        )
        self.down8, self.down4 = nn.Conv2d(width, w8, 1), nn.Conv2d(w8, w4, 1)
        self.smooth16, self.smooth8, self.smooth4 = conv_block(width, width), conv_block(w8, w8), conv_block(w4, w4)
        self.depth = DepthDecoder(w8, width)
        self.region_head = nn.Sequential(conv_block(w4, w4, 5), nn.Conv2d(w4, len(REGIONS), 1))
        self.object_head = nn.Sequential(conv_block(w8, w8, 5), nn.Conv2d(w8, categories + colors, 1))
        self.categories = categories
        keep_depthwise_full_precision(self)

    def freeze_stem(self) -> None:
        """Edges and textures are learned best from photographs: keep the first stages as ImageNet made them."""
        for name, parameter in self.backbone.named_parameters():
            if name.startswith(("conv_stem", "bn1", "blocks.0", "blocks.1")):
                parameter.requires_grad_(False)

    def forward(self, pixels: Tensor) -> GroundFeatures:
        """(B, 3, h, w), normalised to -1..1 -> `GroundFeatures`."""
        f4, f8, f16, f32 = self.backbone(pixels)
        x = self.lateral32(f32)
        b, c, h, w = x.shape
        tokens = (x + self.position((h, w)).to(x.dtype)).flatten(2).transpose(1, 2)
        x = x + self.mixer(tokens).transpose(1, 2).reshape(b, c, h, w)
        p16 = self.smooth16(self.lateral16(f16) + resize_like(x, f16))
        p8 = self.smooth8(self.lateral8(f8) + resize_like(self.down8(p16), f8))
        p4 = self.smooth4(self.lateral4(f4) + resize_like(self.down4(p8), f4))
        depth, depth_features = self.depth(p8)
        objects = self.object_head(p8)
        return GroundFeatures(
            stride4=p4,
            stride8=p8,
            stride16=p16 + depth_features,
            depth=depth,
            regions=self.region_head(p4),
            categories=objects[:, : self.categories],
            colors=objects[:, self.categories :],
        )


class PixelGroundingDecoder(MaskDecoder):
    """segment_anything's mask decoder with the encoder's finer strides added while it upsamples.

    Active objects are often a few hundred pixels large; stride-16 features alone cannot draw their outline. A target is
    nearly always one of `REGIONS`, so their logits, which every pixel of every picture teaches, are part of each mask: the
    prompt says with what share.
    """

    def __init__(self, width: int):
        super().__init__(
            transformer_dim=width,
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, num_heads=8, mlp_dim=2 * width),
            num_multimask_outputs=1,
            iou_head_hidden_dim=width,
        )
        self.fine8 = nn.Conv2d(width // 2, width // 4, 1)
        self.fine4 = nn.Conv2d(width // 4, width // 8, 1)
        self.region_prompt = nn.Conv2d(len(REGIONS), width, 1)
        self.region_share = nn.Linear(width, len(REGIONS))
        nn.init.zeros_(self.region_share.bias)
        self.position = PositionEmbeddingRandom(width // 2)

    def forward(self, features: GroundFeatures, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Masks of N targets in one picture.

        Args:
            features: of one picture (B = 1).
            prompts: (N, 1, width), one sparse prompt a target.

        Returns:
            mask logits (N, h/4, w/4) and predicted IoU logits (N,).
        """
        image, n = features.stride16, len(prompts)
        h, w = image.shape[-2:]
        probabilities = F.adaptive_avg_pool2d(features.regions.softmax(1), (h, w))
        tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight[:1]])
        tokens = torch.cat([tokens.expand(n, -1, -1), prompts], 1)
        source = (image + self.region_prompt(probabilities)).expand(n, -1, -1, -1)
        position = self.position((h, w)).to(image.dtype).expand(n, -1, -1, -1)
        states, source = self.transformer(source, position, tokens)
        source = source.transpose(1, 2).reshape(n, -1, h, w)
        up8, norm, act8, up4, act4 = self.output_upscaling
        x = act8(norm(up8(source) + self.fine8(features.stride8)))
        x = act4(up4(x) + self.fine4(features.stride4))
        kernel = self.output_hypernetworks_mlps[0](states[:, 1])
        masks = (kernel[:, :, None, None] * x).sum(1)
        masks = masks + torch.einsum("nr,rhw->nhw", self.region_share(states[:, 1]), features.regions[0])
        return masks, self.iou_prediction_head(states[:, 0])[:, 0]


QUERY_KINDS = ("no target", "target", "plain question")


class MaskIndicator(nn.Module):
    """R_c: does this query have a target in this picture? A classifier of queries into `QUERY_KINDS`.

    Whether the left hand that a query names can be seen, or the mug is what the hand holds, is a conjunction of a word
    and a fact. So it looks over the query's words and multiplies what they ask with what is true of the picture. (Read
    off the language model's state at the end of the query, the same was not learned in a thousand steps.) What it
    finds is added to every token of the answer, so that the answer names what was asked for and masks agree with it.
    """

    def __init__(self, hidden_size: int, facts: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden_size)
        self.look = nn.Linear(hidden_size, heads)
        self.asked = nn.Linear(hidden_size, hidden_size)
        self.true = nn.Linear(facts, hidden_size)
        self.layers = nn.Sequential(
            nn.LayerNorm(2 * hidden_size),
            nn.Linear(2 * hidden_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, len(QUERY_KINDS)),
        )
        self.found = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.zeros_(self.found.weight)
        self.kinds = nn.Embedding(len(QUERY_KINDS), hidden_size)
        nn.init.normal_(self.true.weight, std=0.5)

    def forward(self, words: Tensor, facts: Tensor, where: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Classify Q queries.

        Args:
            words: embeddings of the queries' tokens, (Q, T, hidden).
            facts: probabilities of what is true of each query's picture, (Q, F).
            where: (Q, T) bool, the tokens that belong to the query; all by default.

        Returns:
            logits (Q, 3) of `QUERY_KINDS`, and what was found (Q, hidden), for `verdict`.
        """
        words = self.norm(words)
        weight = self.look(words)
        if where is not None:
            weight = weight.masked_fill(~where[..., None], -torch.inf)
        asked = self.asked(words).unflatten(-1, (self.heads, -1))
        asked = torch.einsum("qth,qthd->qhd", weight.softmax(1), asked).flatten(1)
        found = asked * self.true(facts)
        return self.layers(torch.cat([asked, found], -1)), found

    def verdict(self, found: Tensor, kind: Tensor) -> Tensor:
        """(Q, hidden), to be added to every token of each answer: what was found, and the query's kind (Q,)."""
        return self.found(found) + self.kinds(kind)
