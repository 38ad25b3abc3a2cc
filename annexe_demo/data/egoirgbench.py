"""Read and write the file layout of Ego-IRGBench, the benchmark of egocentric interaction reasoning and pixel grounding.

    root/
      RGB/<name>.jpg                            photo
      depth/<name>.png                          single-channel depth, 8 or 16 bit (16 bit millimetres when written here)
      mask/<name>.png                           single-channel index map of the photo's size, 0 = background
      dataset_split/{train,val,test}/<name>.json  list of query groups
      facts/<name>.json                         scene facts; generated scenes only

Each group is ``{"masks_idx": [4 ints], "with_mask": 0 | 1, "caption": str, "answer": str, "tokens": [4 str],
"questions": [{"query": str, "is_sentence": 0 | 1, "id": ...}, ...]}``; generated scenes add ``"kind"``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np

from annexe_demo.data.facts import SceneFacts

Split = Literal["train", "val", "test"]
Kind = Literal["single", "multi", "no-target", "chat"]

SPLITS: tuple[str, ...] = get_args(Split)
KINDS: tuple[str, ...] = get_args(Kind)
MAX_TARGETS = 4
JPEG_QUALITY = 95

_PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
_MISSING = object()


class DatasetError(ValueError):
    """A file of the dataset is missing or does not hold what the layout says."""


@dataclass(frozen=True)
class Question:
    """One wording of a group's query. ``id`` is whatever the dataset gives: it only tells wordings apart."""

    query: str
    is_sentence: bool
    id: int | str | None = None


@dataclass(frozen=True)
class Group:
    """Queries of one picture that share one answer.

    Attributes:
        tokens: names of the targets, in the order in which the answer writes ``<MSK_0>``, ``<MSK_1>``, ...;
            up to `MAX_TARGETS`, without the layout's empty slots.
        masks_idx: the value of each target in the picture's index map, one per token.
        with_mask: the answer has masks.
        caption: the analysis of the picture, the same for all its groups.
        answer: the sentence that answers each of the questions.
        questions: wordings of the query.
        kind: "single", "multi", "no-target" or "chat" (a question whose plain answer needs no mask).
    """

    tokens: tuple[str, ...]
    masks_idx: tuple[int, ...]
    with_mask: bool
    caption: str
    answer: str
    questions: tuple[Question, ...]
    kind: Kind

    @classmethod
    def from_dict(cls, d: dict[str, Any], where: str = "group") -> Group:
        """Read one group of the layout.

        Args:
            d: the group as it stands in the JSON file.
            where: names the group in errors.

        Raises:
            DatasetError: a field is missing or has an unexpected value.
        """
        if not isinstance(d, dict):
            raise DatasetError(f"{where} must be an object but got {type(d).__name__}")
        slots = _field(d, "tokens", list, where)
        indices = _field(d, "masks_idx", list, where)
        if len(slots) != len(indices):
            raise DatasetError(
                f"{where}: tokens and masks_idx must be equally long but got {len(slots)} and {len(indices)}"
            )
        with_mask = bool(int(_field(d, "with_mask", (int, bool), where)))
        # A slot without a name is unused, whatever its index says.
        targets = [(str(t).strip(), int(i)) for t, i in zip(slots, indices, strict=True) if t and str(t).strip()]
        if not with_mask:
            targets = []
        kind = d.get("kind")
        if kind is None:
            kind = "no-target" if not targets else "single" if len(targets) == 1 else "multi"
        elif kind not in KINDS:
            raise DatasetError(f"{where}: kind must be one of {', '.join(KINDS)} but got {kind!r}")
        questions = []
        for n, q in enumerate(_field(d, "questions", list, where)):
            query = _field(q, "query", str, f"{where}, question {n}") if isinstance(q, dict) else str(q)
            is_sentence = bool(q.get("is_sentence", 1)) if isinstance(q, dict) else True
            questions.append(Question(query.strip(), is_sentence, q.get("id") if isinstance(q, dict) else None))
        return cls(
            tokens=tuple(t for t, _ in targets),
            masks_idx=tuple(i for _, i in targets),
            with_mask=with_mask,
            caption=_field(d, "caption", str, where).strip(),
            answer=_field(d, "answer", str, where).strip(),
            questions=tuple(questions),
            kind=kind,
        )

    def to_dict(self) -> dict[str, Any]:
        """The group as the layout writes it: tokens and masks_idx padded to `MAX_TARGETS`."""
        if len(self.tokens) != len(self.masks_idx) or len(self.tokens) > MAX_TARGETS:
            raise DatasetError(
                f"a group must have at most {MAX_TARGETS} tokens, each with its mask index, "
                f"but got {len(self.tokens)} tokens and {len(self.masks_idx)} indices"
            )
        unused = MAX_TARGETS - len(self.tokens)
        return {
            "masks_idx": [*self.masks_idx, *[0] * unused],
            "with_mask": int(self.with_mask),
            "caption": self.caption,
            "answer": self.answer,
            "tokens": [*self.tokens, *[""] * unused],
            "questions": [{"query": q.query, "is_sentence": int(q.is_sentence), "id": q.id} for q in self.questions],
            "kind": self.kind,
        }


@dataclass(frozen=True)
class Sample:
    """One picture with its query groups. Pixels are read from disk on each call of a ``load_*`` method."""

    name: str
    image_path: Path
    depth_path: Path | None
    mask_path: Path
    groups: list[Group]
    facts: SceneFacts | None = None

    def load_image(self) -> np.ndarray:
        """The photo: (H, W, 3) uint8 RGB."""
        # Without its EXIF turn: the index map lies over the pixels as they are stored.
        bgr = _read_pixels(self.image_path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def load_mask(self) -> np.ndarray:
        """The index map: (H, W) uint8, 0 = background."""
        mask = _one_channel(_read_pixels(self.mask_path, cv2.IMREAD_UNCHANGED), self.mask_path)
        if mask.dtype != np.uint8:
            if mask.max(initial=0) > 255:
                raise DatasetError(f"{self.mask_path}: mask indices must be 0 to 255 but got {mask.max()}")
            mask = mask.astype(np.uint8)
        return mask

    def load_depth(self) -> np.ndarray | None:
        """The depth: (H, W) float32 in the file's own unit (millimetres for generated scenes), None without a file."""
        if self.depth_path is None:
            return None
        depth = _one_channel(_read_pixels(self.depth_path, cv2.IMREAD_UNCHANGED), self.depth_path)
        return depth.astype(np.float32)


class EgoIRGBench(Sequence[Sample]):
    """One split of a folder in the layout of Ego-IRGBench. Lazy: a sample's files are opened when it is asked for.

    Args:
        root: the folder that holds ``RGB``, ``mask`` and ``dataset_split``.
        split: "train", "val" or "test".

    Raises:
        DatasetError: the folder has no such split.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        self.root = Path(root)
        self.split = _check_split(split)
        folder = self.root / "dataset_split" / split
        if not folder.is_dir():
            raise DatasetError(f"expected the query files of split {split!r} in {folder}, but there is no such folder")
        # Hidden names are unfinished writes.
        self.names = sorted(p.stem for p in folder.glob("*.json") if not p.name.startswith("."))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        if isinstance(index, slice):
            raise TypeError("index must be an int but got a slice")
        return self.load(self.names[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self.load(name) for name in self.names)

    def __repr__(self) -> str:
        return f"EgoIRGBench({str(self.root)!r}, {self.split!r}): {len(self)} samples"

    def load(self, name: str) -> Sample:
        """The sample called ``name``.

        Raises:
            DatasetError: a file is missing or malformed.
        """
        json_path = self.root / "dataset_split" / self.split / f"{name}.json"
        entries = _read_json(json_path)
        if isinstance(entries, dict):
            entries = [entries]
        if not isinstance(entries, list):
            raise DatasetError(f"{json_path} must hold a list of groups but holds {type(entries).__name__}")
        groups = [Group.from_dict(d, f"{json_path}, group {n}") for n, d in enumerate(entries)]

        image_path = next((p for s in _PHOTO_SUFFIXES if (p := self.root / "RGB" / f"{name}{s}").is_file()), None)
        if image_path is None:
            raise DatasetError(
                f"expected the photo of {name!r} at {self.root / 'RGB' / name}.jpg, but there is no such file"
            )
        mask_path = self.root / "mask" / f"{name}.png"
        if not mask_path.is_file():
            raise DatasetError(f"expected the index map of {name!r} at {mask_path}, but there is no such file")
        depth_path = self.root / "depth" / f"{name}.png"
        facts_path = self.root / "facts" / f"{name}.json"
        return Sample(
            name=name,
            image_path=image_path,
            depth_path=depth_path if depth_path.is_file() else None,
            mask_path=mask_path,
            groups=groups,
            facts=SceneFacts.from_dict(_read_json(facts_path)) if facts_path.is_file() else None,
        )


def is_written(root: str | os.PathLike[str], split: str, name: str) -> bool:
    """Whether `write_sample` has completed this sample."""
    return (Path(root) / "dataset_split" / _check_split(split) / f"{name}.json").is_file()


def write_sample(
    root: str | os.PathLike[str],
    split: str,
    name: str,
    image: np.ndarray,
    mask: np.ndarray,
    depth_mm: np.ndarray | None,
    groups: Sequence[dict[str, Any] | Group],
    facts: SceneFacts | None = None,
) -> None:
    """Write one sample. Each file appears whole, and the query file last: a sample that has one is complete.

    Args:
        root: the dataset's folder; created when missing.
        split: "train", "val" or "test".
        name: file name without its ending.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) index map, 0 to 255.
        depth_mm: (H, W) depth in millimetres, rounded and clipped to 16 bit; None writes no depth.
        groups: the sample's query groups, as `Group` or in the layout's own form.
        facts: what is true of a generated scene.

    Raises:
        DatasetError: an argument does not fit the layout.
    """
    _check_split(split)
    if not name or Path(name).name != name or name.startswith("."):
        raise DatasetError(f"name must be a plain file name but got {name!r}")
    image, mask = np.asarray(image), np.asarray(mask)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DatasetError(f"image must be (H, W, 3) uint8 but got {image.shape} {image.dtype}")
    size = image.shape[:2]
    if mask.shape != size or mask.dtype.kind not in "uib":
        raise DatasetError(f"mask must be integers of shape {size} but got {mask.shape} {mask.dtype}")
    if mask.size and not 0 <= int(mask.min()) <= int(mask.max()) <= 255:
        raise DatasetError(f"mask indices must be 0 to 255 but got {mask.min()} to {mask.max()}")
    if depth_mm is not None and np.shape(depth_mm) != size:
        raise DatasetError(f"depth_mm must be of shape {size} but got {np.shape(depth_mm)}")
    # Through Group and back: what is written is what can be read.
    entries = [
        (g if isinstance(g, Group) else Group.from_dict(g, f"group {n}")).to_dict() for n, g in enumerate(groups)
    ]

    root = Path(root)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _write_pixels(root / "RGB" / f"{name}.jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    _write_pixels(root / "mask" / f"{name}.png", mask.astype(np.uint8))
    if depth_mm is not None:
        depth = np.nan_to_num(np.asarray(depth_mm, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        _write_pixels(root / "depth" / f"{name}.png", np.clip(np.rint(depth), 0, 65535).astype(np.uint16))
    if facts is not None:
        _write_atomically(root / "facts" / f"{name}.json", _to_json(facts.to_dict()))
    _write_atomically(root / "dataset_split" / split / f"{name}.json", _to_json(entries))


def _check_split(split: str) -> str:
    if split not in SPLITS:
        raise DatasetError(f"split must be one of {', '.join(SPLITS)} but got {split!r}")
    return split


def _field(d: dict[str, Any], key: str, types: type | tuple[type, ...], where: str) -> Any:
    value = d.get(key, _MISSING)
    if value is _MISSING:
        raise DatasetError(f"{where} must have {key!r} but has only {', '.join(map(repr, d)) or 'nothing'}")
    if not isinstance(value, types):
        names = " or ".join(t.__name__ for t in (types if isinstance(types, tuple) else (types,)))
        raise DatasetError(f"{where}: {key} must be {names} but got {value!r}")
    return value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"expected {path}, but there is no such file") from None
    except ValueError as error:
        raise DatasetError(f"{path} must be JSON in UTF-8: {error}") from error


def _read_pixels(path: Path, flags: int) -> np.ndarray:
    # Decoding from memory, since cv2.imread cannot open every path on every system and hides why it failed.
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise DatasetError(f"expected a picture at {path}, but there is no such file") from None
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None:
        raise DatasetError(f"{path} must be a JPEG or PNG picture, but its {data.size:,} bytes cannot be decoded")
    return pixels


def _one_channel(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    # Some tools save gray values three times; anything else is no index or depth map.
    first = pixels[..., 0]
    if all(np.array_equal(first, pixels[..., c]) for c in range(1, min(pixels.shape[2], 3))):
        return np.ascontiguousarray(first)
    raise DatasetError(f"{path} must have a single channel but has {pixels.shape[2]} different ones")


def _to_json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _write_pixels(path: Path, pixels: np.ndarray, params: Sequence[int] = ()) -> None:
    ok, data = cv2.imencode(path.suffix, pixels, list(params))
    if not ok:
        raise DatasetError(f"{path}: cannot encode pixels of shape {pixels.shape} {pixels.dtype}")
    _write_atomically(path, data.tobytes())


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the dataset from other users
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
