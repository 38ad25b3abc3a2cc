"""What a folder in the layout of Ego-IRGBench holds, and what it lacks: said in words, with an example for each.

report = check(Path("data/ego-irgbench"))
print(report)
report.usable   # every split has annotations, each with its photo and its index map
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .egoirgbench import SPLITS, DatasetError, EgoIRGBench

PICTURES = 20_504  # of the published benchmark, all splits together
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
LOOKED_AT = 3  # pictures of each split whose pixels are read
_KINDS = ("photos", "masks", "depth")


@dataclass
class SplitReport:
    """One split: how many annotation files it has, and how many of these have the other files."""

    annotations: int = 0
    photos: int = 0
    masks: int = 0
    depth: int = 0
    groups: int = 0
    queries: int = 0


@dataclass
class Report:
    """What was found below `root`.

    Attributes:
        splits: by name.
        missing: sentences about what must be there and is not, or cannot be read.
        notes: sentences about what is missing or odd without harm.
    """

    root: Path
    splits: dict[str, SplitReport]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not self.missing

    def __str__(self) -> str:
        lines = [str(self.root)]
        for name, s in self.splits.items():
            lines.append(
                f"  {name:5}  annotations {s.annotations:,}  photos {s.photos:,}  masks {s.masks:,}  depth {s.depth:,}"
                f"  groups {s.groups:,}  queries {s.queries:,}"
            )
        lines += [f"missing: {line}" for line in self.missing] + [f"note: {line}" for line in self.notes]
        return "\n".join(lines)


def check(root: Path, progress: Callable[[Iterable], Iterable] = iter) -> Report:
    """Look through a folder. Every annotation file is read, and the pixels of the first `LOOKED_AT` pictures of a split.

    Args:
        root: the folder that ``--data`` takes.
        progress: wraps what is iterated over, as tqdm does.
    """
    report = Report(root, {split: SplitReport() for split in SPLITS})
    if not root.is_dir():
        report.missing.append(f"expected a folder at {root}, but there is none")
        return report
    if not (root / "dataset_split").is_dir() and (inner := _inner_root(root)):
        report.missing.append(f"the layout stands in {inner}, not in {root}: give that folder")
        return report
    present = {kind: _stems(root / folder, endings) for kind, folder, endings in _folders()}
    annotated: set[str] = set()
    for split, found in report.splits.items():
        annotated |= _check_split(root, split, found, present, report, progress)
    for kind, folder, endings in _folders():
        if not present[kind]:
            line = f"expected {kind} at {root / folder}/<name>{endings[0]}, but there is none"
            (report.notes if kind == "depth" else report.missing).append(line)
    if spare := present["photos"] - annotated:
        report.notes.append(f"{len(spare):,} photos belong to no annotation file, the first is RGB/{min(spare)}")
    if annotated and len(annotated) != PICTURES:
        report.notes.append(f"{len(annotated):,} pictures are annotated; the published benchmark has {PICTURES:,}")
    return report


def _folders() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return ("photos", "RGB", PHOTO_ENDINGS), ("masks", "mask", (".png",)), ("depth", "depth", (".png",))


def _check_split(
    root: Path, split: str, found: SplitReport, present: dict[str, set[str]], report: Report, progress: Callable
) -> set[str]:
    """Fill in `found`; returns the names of the split's pictures."""
    try:
        data = EgoIRGBench(root, split)
    except DatasetError:
        data = None
    if data is None or not len(data):
        report.missing.append(
            f"expected the annotations of {split} at {root / 'dataset_split' / split}/<name>.json, but there is none"
        )
        return set()
    names = set(data.names)
    found.annotations = len(names)
    for kind, folder, endings in _folders():
        setattr(found, kind, len(names & present[kind]))
        without = names - present[kind]
        if without and present[kind]:  # a folder that is empty altogether is told once
            line = (
                f"{len(without):,} of {len(names):,} annotations of {split} have no {kind}; the first was expected at "
                f"{root / folder / min(without)}{endings[0]}"
            )
            (report.notes if kind == "depth" else report.missing).append(line)
    broken: list[str] = []
    looked_at = 0
    for name in progress(data.names):
        if name not in present["photos"] or name not in present["masks"]:
            continue
        try:
            sample = data.load(name)
            found.groups += len(sample.groups)
            found.queries += sum(len(group.questions) for group in sample.groups)
            if looked_at < LOOKED_AT:
                looked_at += 1
                sizes = {"photo": sample.load_image().shape[:2], "mask": sample.load_mask().shape}
                depth = sample.load_depth()
                if depth is not None:
                    sizes["depth"] = depth.shape
                if len(set(sizes.values())) > 1:
                    said = ", ".join(f"{kind} {w} x {h}" for kind, (h, w) in sizes.items())
                    broken.append(f"{name} must have one size but has {said}")
        except DatasetError as error:
            broken.append(str(error))
    if broken:
        report.missing.append(f"{len(broken):,} samples of {split} cannot be used; the first: {broken[0]}")
    return names


def _stems(folder: Path, endings: tuple[str, ...]) -> set[str]:
    if not folder.is_dir():
        return set()
    return {p.stem for p in folder.iterdir() if p.suffix in endings and not p.name.startswith(".")}


def _inner_root(root: Path) -> Path | None:
    """A folder one or two levels deeper that holds the layout: what unpacking by hand leaves."""
    for pattern in ("*/dataset_split", "*/*/dataset_split"):
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and not any(part.startswith(".") for part in path.relative_to(root).parts):
                return path.parent
    return None
