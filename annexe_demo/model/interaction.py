"""Interaction head: what the picture shows as a handful of facts, and those facts as the summary that texts are written from.

A language model of a few million parameters learns to read hands, grasp, category and colour off visual tokens far more
slowly than a classifier learns to name them. So the facts are classified, with losses of their own, and their
probabilities are added to every text token. What the text says of the interaction then is as good as the classifier, and
the text can be learned apart from the pictures, from the true facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mask_generation import REGIONS, GroundFeatures

HAND_STATES = ("absent", "idle", "power", "pinch", "palm")
FACTS = ("left", "right", "lifted", "surface", "category", "color")  # the groups of `FactLayout`, by name
RESTING = 2  # of `HAND_STATES`, the first that do not interact
UNKNOWN = -100


def _interacting(hand: Tensor) -> Tensor:
    """(B, states) -> (B, 1)."""
    return hand[:, RESTING:].sum(-1, keepdim=True)


@dataclass(frozen=True)
class FactLayout:
    """Where each fact stands in a vector of facts: groups of exclusive values, then one independent value a category.

    Groups are the left hand's and the right hand's state (`HAND_STATES`), whether the active object is on its surface or
    lifted, table or floor, the active object's category and its colour (the last value of both: there is none).
    """

    categories: int
    colors: int

    @property
    def groups(self) -> tuple[int, ...]:
        return len(HAND_STATES), len(HAND_STATES), 2, 2, self.categories + 1, self.colors + 1

    @property
    def size(self) -> int:
        return sum(self.groups) + self.categories

    def split(self, facts: Tensor) -> list[Tensor]:
        """(B, size) -> one (B, n) for each group, then (B, categories) for what else lies about."""
        return list(facts.split([*self.groups, self.categories], -1))

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, size) logits -> (B, size) probabilities of facts that fit together."""
        *groups, others = self.split(logits.float())
        return self.consistent(torch.cat([*(g.softmax(-1) for g in groups), others.sigmoid()], -1))

    def consistent(self, facts: Tensor) -> Tensor:
        """(B, size) probabilities given that there is an active object if, and only if, a hand interacts.

        Each group is classified on its own. On pictures unlike those of the training they contradict each other (both
        hands idle, and a bowl is held), and a text written from contradictions is none.
        """
        left, right, lifted, surface, category, color, others = self.split(facts)
        interacts, rests = 1 - category[:, -1:], category[:, -1:]
        either = 1 - (1 - _interacting(left)) * (1 - _interacting(right))
        total = (interacts * either + rests * (1 - either)).clamp_min(1e-6)

        def hand(own: Tensor, other: Tensor) -> Tensor:
            others_part = interacts * _interacting(other) + rests * (1 - _interacting(other))
            return torch.cat([own[:, :RESTING] * others_part, own[:, RESTING:] * interacts], -1) / total

        none = rests * (1 - either) / total
        named = color[:, :-1] / color[:, :-1].sum(-1, keepdim=True).clamp_min(1e-6)
        return torch.cat(
            [
                hand(left, right),
                hand(right, left),
                lifted,
                surface,
                category[:, :-1] * either / total,
                none,
                named * (1 - none),
                none,
                others,
            ],
            -1,
        )

    def mirror(self, facts: Tensor) -> Tensor:
        """Logits or probabilities (B, size) of a picture -> those of its mirror image."""
        left, right, *others = self.split(facts)
        return torch.cat([right, left, *others], -1)

    def pairs(self, facts: Tensor) -> Tensor:
        """Absent, resting or interacting, left times right: (B, size) -> (B, 9). Which hands act is one fact of both."""
        left, right = (torch.cat([hand[:, :RESTING], _interacting(hand)], -1) for hand in self.split(facts)[:2])
        return (left[:, :, None] * right[:, None]).flatten(1)

    def true(self, interaction: Tensor, others: Tensor) -> Tensor:
        """(B, groups) indices and (B, categories) 0 or 1, as in `Batch` -> (B, size). Unknown is evenly spread."""
        parts = []
        for k, n in enumerate(self.groups):
            known = (interaction[:, k] != UNKNOWN)[:, None]
            parts.append(torch.where(known, F.one_hot(interaction[:, k].clamp_min(0), n).float(), 1 / n))
        return torch.cat([*parts, torch.where(others == UNKNOWN, 0.5, others).float()], -1)

    def loss(self, logits: Tensor, interaction: Tensor, others: Tensor) -> Tensor:
        """Mean cross-entropy of the groups' known values plus that of what else lies about."""
        *groups, rest = self.split(logits.float())
        loss = logits.float().sum() * 0
        for k, group in enumerate(groups):
            if (interaction[:, k] != UNKNOWN).any():
                loss = loss + F.cross_entropy(group, interaction[:, k], ignore_index=UNKNOWN)
        known = others != UNKNOWN
        if known.any():
            loss = loss + F.binary_cross_entropy_with_logits(rest[known], others[known].float())
        return loss


@dataclass
class RegionSummary:
    """Each region's pooled features (B, 3, `region_size`) and where and how large the regions are (B, 12), with the
    probabilities they were pooled by: of `REGIONS`, (B, 4, h/4, w/4), and of categories and colours, (B, K + C, h/8, w/8)."""

    features: Tensor
    places: Tensor
    probabilities: Tensor
    labels: Tensor

    def __getitem__(self, index: slice) -> RegionSummary:
        return RegionSummary(**{name: value[index] for name, value in vars(self).items()})


def region_places(probabilities: Tensor) -> Tensor:
    """Centre x and y, log share of the picture / 4, and greatest probability of each region but the background.

    Args:
        probabilities: of `REGIONS`, (B, 4, h, w).

    Returns:
        (B, 12): four values for each of three regions.
    """
    p = probabilities[:, 1:]
    h, w = p.shape[-2:]
    y, x = torch.meshgrid(
        torch.linspace(0, 1, h, device=p.device), torch.linspace(0, 1, w, device=p.device), indexing="ij"
    )
    mass = p.sum((2, 3)) + 8
    position = torch.stack([(p * x).sum((2, 3)) / mass, (p * y).sum((2, 3)) / mass], -1)
    size = torch.stack([p.mean((2, 3)).clamp_min(1e-6).log() / 4, p.amax((2, 3))], -1)
    return torch.cat([position, size], -1).flatten(1)


def summarize_regions(f: GroundFeatures) -> RegionSummary:
    """Features of the pixels that the region head gives to each hand and to the active object."""
    probabilities = f.regions.float().softmax(1)
    places = region_places(probabilities)
    labels = torch.cat([f.categories.softmax(1), f.colors.softmax(1)], 1)
    p8 = F.adaptive_avg_pool2d(probabilities, f.stride8.shape[-2:])[:, 1:]
    p16 = F.adaptive_avg_pool2d(probabilities, f.stride16.shape[-2:])[:, 1:]
    mean = lambda p, x: torch.einsum("brhw,bchw->brc", p, x.float()) / (p.sum((2, 3))[..., None] + 0.5)  # noqa: E731
    features = [mean(p16, f.stride16), mean(p8, f.stride8), mean(p8, labels), places.unflatten(1, (3, 4))]
    return RegionSummary(torch.cat(features, -1), places, probabilities, labels)


def region_size(width: int, layout: FactLayout) -> int:
    """Values of one region's pooled features: of strides 16 and 8, of categories and colours, and its place."""
    return width + width // 2 + layout.categories + layout.colors + 4


def presence(probabilities: Tensor) -> Tensor:
    """Log-odds (B, 2) that the left and the right hand are there, from how much of the picture `REGIONS` (B, 4, h, w) give
    to each: 0 at 0.5 %, at most 4.

    On photographs, what pixels are is known more surely than what the whole picture is.
    """
    share = probabilities[:, 1:3].float().mean((2, 3)).clamp_min(1e-6)
    return (3 * (share / 0.005).log()).clamp(-4, 4)


class InteractionHead(nn.Module):
    """Classifies the facts of `FactLayout`: one learned query a group looks over the picture, beside the pooled regions.

    Whether a hand is there at all, its pixels have a say in.
    """

    def __init__(self, width: int, layout: FactLayout):
        super().__init__()
        self.layout = layout
        groups = [*layout.groups, layout.categories]
        region = region_size(width, layout) * (len(REGIONS) - 1)
        self.queries = nn.Parameter(torch.randn(len(groups), width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 6, batch_first=True)
        self.regions = nn.Sequential(nn.LayerNorm(region), nn.Linear(region, 2 * width), nn.GELU())
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(3 * width), nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, n))
            for n in groups
        )

    def forward(self, f: GroundFeatures, regions: RegionSummary) -> Tensor:
        """Logits (B, layout.size)."""
        places = self.norm(f.stride16.float().flatten(2).transpose(1, 2))
        seen, _ = self.attention(self.queries.expand(len(places), -1, -1), places, places, need_weights=False)
        pooled = self.regions(regions.features.flatten(1))
        groups = [head(torch.cat([seen[:, k], pooled], -1)) for k, head in enumerate(self.heads)]
        for group, there in zip(groups, presence(regions.probabilities.detach()).to(pooled.dtype).T, strict=False):
            group[:, 0] = group[:, 0] - there
        return torch.cat(groups, -1)
