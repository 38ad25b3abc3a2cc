"""What is true of one scene: the single source from which pictures, descriptions, queries and answers are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Side = Literal["left", "right"]
Grasp = Literal["power", "pinch", "palm"]

# The 16 object categories of HOI4D, as Ego-IRGBench words them.
CATEGORIES = (
    "toy car", "mug", "laptop", "storage furniture", "bottle", "safe", "bowl", "bucket",
    "scissors", "pliers", "kettle", "knife", "trash can", "lamp", "stapler", "chair",
)  # fmt: skip

COLORS = (
    "white", "black", "red", "blue", "light blue", "green", "yellow", "pink",
    "purple", "orange", "gray", "brown", "beige", "cyan", "silver",
)  # fmt: skip


@dataclass(frozen=True)
class HandFact:
    """A visible hand of the camera wearer. ``grasp`` is None for an idle hand, which interacts with nothing."""

    side: Side
    grasp: Grasp | None
    mask_id: int


@dataclass(frozen=True)
class ObjectFact:
    """A visible object. ``x`` and ``y`` are its mask's centroid and ``area`` its share of the picture, all 0 to 1."""

    category: str
    color: str
    mask_id: int
    x: float
    y: float
    area: float


@dataclass(frozen=True)
class SceneFacts:
    """One scene. Only what can be seen is listed: ``clutter`` holds no object that others hide.

    Attributes:
        active: the object that a hand touches or holds; None when every hand is idle or there is none.
        hands: visible hands of the wearer, at most one a side.
        lifted: the active object is off its surface.
        surface: "table" or "floor".
        clutter: other visible objects, which no hand touches.
    """

    active: ObjectFact | None
    hands: tuple[HandFact, ...]
    lifted: bool
    surface: Literal["table", "floor"]
    clutter: tuple[ObjectFact, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> SceneFacts:
        """Inverse of `to_dict`, also after a round trip through JSON."""
        return cls(
            active=ObjectFact(**d["active"]) if d["active"] else None,
            hands=tuple(HandFact(**h) for h in d["hands"]),
            lifted=d["lifted"],
            surface=d["surface"],
            clutter=tuple(ObjectFact(**o) for o in d["clutter"]),
        )
