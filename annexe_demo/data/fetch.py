"""Fetch Ego-IRGBench, and put its files where `egoirgbench.EgoIRGBench` looks for them.

    fetch("yuki3585/Ego-IEGBench", Path("data/ego-irgbench"))

The layout inside the Hub's repository is not documented, so each file finds its place by the names of the folders and of
the archive that it comes from, wherever they lie: ``Ego-IRGBench/RGB/x.jpg`` in ``data.zip``, ``x.jpg`` in ``RGB.tar.gz``
and ``RGB/train/x.jpg`` beside both all become ``RGB/x.jpg``. What has no place is counted and named, never guessed.

    out/
      download/                                 the repository as it is on the Hub; may be deleted afterwards
      .unpacked/<archive>.json                  one for each archive that has been unpacked to its end
      RGB/ depth/ mask/ dataset_split/          see `egoirgbench`

Each step can be interrupted and is resumed: finished downloads, archives and files are not made again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .archives import Archive, ArchiveError, damage, find_archives, read

DATASET = "yuki3585/Ego-IEGBench"  # spelt so
DOWNLOAD = "download"
MARKERS = ".unpacked"
SPARE_BYTES = 2**30  # left free on the disk
MAX_EXAMPLES = 5

_PICTURES = {
    "rgb": "RGB", "image": "RGB", "images": "RGB", "img": "RGB", "imgs": "RGB", "color": "RGB",
    "mask": "mask", "masks": "mask",
    "depth": "depth", "depths": "depth",
}  # fmt: skip
_ENDINGS = {"RGB": (".jpg", ".jpeg", ".png"), "mask": (".png",), "depth": (".png",)}
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
_NAME_KEYS = ("image", "image_name", "img", "img_name", "file_name", "filename", "name", "image_path")


class FetchError(RuntimeError):
    """The benchmark cannot be fetched; the message is one sentence that says what to do."""


@dataclass
class Placed:
    """What became of the files.

    Attributes:
        written: files by the layout's folder that were put there now.
        kept: files that stood there already.
        doubles: files left out because another one has the same place.
        unknown: files without a place, counted by ending, with some of their names in `examples`.
        problems: archives that were not unpacked, and why.
    """

    written: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    doubles: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def leave_out(self, path: str) -> None:
        self.unknown[Path(path).suffix.lower() or "no ending"] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(path)


def fetch(
    source: str, out: Path, revision: str | None = None, progress: Callable[[Iterable], Iterable] = iter
) -> Placed:
    """Download, unpack, and put every file in its place.

    Args:
        source: id of a dataset on the Hugging Face Hub, or a folder that it was downloaded to by other means.
        out: the folder to make; it is what ``--data`` takes.
        revision: commit, branch or tag on the Hub.
        progress: wraps what is iterated over, as tqdm does.

    Raises:
        FetchError: it cannot be downloaded, or the disk is too small.
    """
    folder = Path(source)
    if not folder.is_dir():
        if folder.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1:
            raise FetchError(f"the source must be a folder or a dataset's id ('user/name') but there is no {source!r}")
        folder = download(source, out, revision)
    return arrange(folder, out, progress)


def download(repo_id: str, out: Path, revision: str | None = None) -> Path:
    """Download a dataset of the Hub to ``out/download``, or what is missing of it there; returns that folder.

    Raises:
        FetchError: the Hub cannot be reached, has no such dataset, or wants a login.
    """
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    folder = out / DOWNLOAD
    page = f"https://huggingface.co/datasets/{repo_id}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First the commit: without a network, snapshot_download is content with whatever the folder holds.
        commit = HfApi().repo_info(repo_id, repo_type="dataset", revision=revision).sha
        snapshot_download(repo_id, repo_type="dataset", revision=commit, local_dir=folder)
    except HFValidationError as error:
        raise FetchError(f"{repo_id!r} is no id of a dataset ({_first_line(error)})") from error
    except GatedRepoError as error:
        raise FetchError(f"{repo_id} is open on request only: ask at {page}, then run: hf auth login") from error
    except RevisionNotFoundError as error:
        raise FetchError(f"{repo_id} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise FetchError(f"there is no dataset at {page}, or it is private: then run hf auth login first") from error
    except (httpx2.TransportError, OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise FetchError(
            f"the Hub cannot be reached ({_first_line(error)}); run the same command again to go on, or, to unpack what "
            f"is there: python -m annexe_demo.data fetch {folder} --out {out}"
        ) from error
    except HfHubHTTPError as error:
        raise FetchError(f"the Hub refuses {repo_id} ({_first_line(error)})") from error
    except OSError as error:
        raise FetchError(f"cannot write to {str(folder)!r}: {error.strerror or _first_line(error)}") from error
    return folder


def arrange(source: Path, out: Path, progress: Callable[[Iterable], Iterable] = iter) -> Placed:
    """Put the files of a folder, and those of the archives in it, into the layout at `out`.

    Loose files are linked where the file system can (no second copy), else copied. An archive that cannot be unpacked is
    noted in `Placed.problems`, and the others are unpacked all the same.

    Raises:
        FetchError: `out` cannot be written to, or the disk is full.
    """
    placed = Placed()
    seen: set[Path] = set()
    try:
        out.mkdir(parents=True, exist_ok=True)
        archives, files, placed.problems = find_archives(source, _files(source, out))
    except OSError as error:
        raise FetchError(f"cannot write to {str(out)!r}: {error.strerror or error}") from error
    with _disk_errors(out):
        for file in progress(files):
            _place_loose(file, source, out, placed, seen)
        for archive in archives:
            try:
                _unpack(archive, out, placed, seen, progress)
            except ArchiveError as error:
                placed.problems.append(str(error))
    return placed


def place(path: str) -> str | None:
    """Where a file belongs in the layout, by the nearest folder that tells.

    Args:
        path: with "/" between folders; the name of the archive that it comes from counts as a folder.

    Returns:
        "RGB/<name>.jpg", "depth/<name>.png", "mask/<name>.png" or "dataset_split/<split>/<name>.json"; None for a file
        that has no place.
    """
    *folders, name = [part for part in path.split("/") if part]
    stem, dot, ending = name.rpartition(".")
    ending = f".{ending.lower()}"
    if not stem or not re.fullmatch(r"[\w][\w .()+,@=-]*", stem) or _is_hidden(path):
        return None
    meant = _meant(folders, _SPLITS if ending == ".json" else _PICTURES)
    if meant is None:
        return None
    if ending == ".json":
        return f"dataset_split/{meant}/{stem}.json"
    return f"{meant}/{stem}{ending}" if ending in _ENDINGS[meant] else None


def _meant(folders: list[str], words: dict[str, str]) -> str | None:
    """What the nearest folder means that is called by one of the words, or else the nearest that has one in its name."""
    for folder in reversed(folders):
        if folder.lower() in words:
            return words[folder.lower()]
    for folder in reversed(folders):
        meant = {words[word] for word in re.split(r"[^a-z]+", folder.lower()) if word in words}
        if len(meant) > 1:
            meant.discard("RGB")  # "image_masks"
        if len(meant) == 1:
            return meant.pop()
    return None


def split_of_whole(path: str) -> str | None:
    """The split of a file that holds all annotations of one ("train.json", "annotations/ego_irg_val.json")."""
    *folders, name = path.lower().split("/")
    if not name.endswith(".json") or _is_hidden(path):
        return None
    if folders and folders[-1] in _SPLITS and name.removesuffix(".json") not in _SPLITS:
        return None  # one picture's, whatever it is called
    splits = {_SPLITS[word] for word in re.split(r"[^a-z]+", name.removesuffix(".json")) if word in _SPLITS}
    return splits.pop() if len(splits) == 1 else None


def groups_by_name(data: Any) -> dict[str, list] | None:
    """Annotations of a whole split, by the pictures' names.

    Args:
        data: ``{name: [group, ...]}``, or a list of groups each of which names its picture.

    Returns:
        None where the data are neither.
    """
    found: dict[str, list] = {}
    if isinstance(data, dict):
        entries = [(name, groups if isinstance(groups, list) else [groups]) for name, groups in data.items()]
    elif isinstance(data, list):
        entries = []
        for entry in data:
            key = next((k for k in _NAME_KEYS if isinstance(entry, dict) and isinstance(entry.get(k), str)), None)
            if key is None:
                return None
            entries.append((entry[key], [entry]))
    else:
        return None
    for name, groups in entries:
        if not all(isinstance(g, dict) and "questions" in g for g in groups):
            return None
        stem = re.sub(r"\.(?:jpe?g|png|json)$", "", name.replace("\\", "/").rsplit("/", 1)[-1], flags=re.IGNORECASE)
        if place(f"train/{stem}.json") is None:
            return None
        found.setdefault(stem, []).extend(groups)
    return found or None


# ---- one source after the other


def _files(source: Path, out: Path) -> Iterator[Path]:
    """All files below `source`, without hidden ones, and without `out` where that lies inside."""
    out = out.resolve()
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        folders[:] = [f for f in folders if not _is_hidden(f) and (here / f).resolve() != out]
        yield from (here / name for name in names if not _is_hidden(name))


def _place_loose(file: Path, source: Path, out: Path, placed: Placed, seen: set[Path]) -> None:
    path = file.relative_to(source).as_posix()
    if split := split_of_whole(path):
        with file.open("rb") as content:
            _split_whole(path, split, content, out, placed, seen)
        return
    target = _target(path, out, placed, seen)
    if target is None:
        return
    here, there = file.stat(), target.stat() if target.is_file() else None
    if there and (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns):
        placed.kept[target.parent.relative_to(out).as_posix()] += 1
        return
    with _appearing(target, 0) as temporary:
        temporary.unlink()
        try:
            os.link(file.resolve(), temporary)
        except OSError:  # another disk, or a file system without links
            _check_space(out, here.st_size)
            shutil.copy2(file, temporary)
    placed.written[target.parent.relative_to(out).as_posix()] += 1


def _unpack(archive: Archive, out: Path, placed: Placed, seen: set[Path], progress: Callable) -> None:
    marker = out / MARKERS / f"{archive.name}.{archive.kind}.json"
    before = _read_marker(marker)
    state = archive.state()
    if before.get("state") == state and all((out / folder).is_dir() for folder in before.get("files", {})):
        placed.kept.update(before["files"])
        return
    renewed = "state" in before and before["state"] != state  # the dataset has changed: sizes tell nothing then
    files: Counter[str] = Counter()
    with damage(archive):
        for member in progress(read(archive)):
            path = f"{archive.name}/{member.path}"
            if split := split_of_whole(path):
                files.update(_split_whole(path, split, member.file, out, placed, seen))
                continue
            target = _target(path, out, placed, seen)
            if target is None:
                continue
            folder = target.parent.relative_to(out).as_posix()
            files[folder] += 1
            if not renewed and target.is_file() and target.stat().st_size == member.size:
                placed.kept[folder] += 1
                continue
            with _appearing(target, member.size) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(member.file, file)
            placed.written[folder] += 1
    marker.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(marker, 0) as temporary:
        temporary.write_text(json.dumps({"state": state, "files": files}) + "\n")


def _target(path: str, out: Path, placed: Placed, seen: set[Path]) -> Path | None:
    where = place(path)
    if where is None:
        if not _is_hidden(path):
            placed.leave_out(path)
        return None
    target = out / where
    if target in seen:
        placed.doubles.append(path)
        return None
    seen.add(target)
    return target


def _split_whole(path: str, split: str, content: IO[bytes], out: Path, placed: Placed, seen: set[Path]) -> Counter[str]:
    """Write a split's annotations picture by picture; counts what belongs to the layout's folder."""
    folder = f"dataset_split/{split}"
    try:
        groups = groups_by_name(json.load(content))
    except (ValueError, RecursionError):
        groups = None
    if groups is None:
        placed.leave_out(path)
        return Counter()
    for name, entries in groups.items():
        target = out / folder / f"{name}.json"
        data = (json.dumps(entries, ensure_ascii=False) + "\n").encode()
        if target in seen:
            placed.doubles.append(f"{path}: {name}")
            continue
        seen.add(target)
        if target.is_file() and target.read_bytes() == data:
            placed.kept[folder] += 1
            continue
        with _appearing(target, len(data)) as temporary:
            temporary.write_bytes(data)
        placed.written[folder] += 1
    return Counter({folder: len(groups)})


@contextmanager
def _appearing(target: Path, size: int) -> Iterator[Path]:
    """A temporary file beside `target` that becomes it in the end: `target` is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _check_space(target.parent, size)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size and free - size < SPARE_BYTES:
        raise FetchError(
            f"the disk of {folder} is full: a file of {size:,} bytes would leave less than {SPARE_BYTES / 2**30:.0f} GiB "
            "free; make room and run the same command again"
        )


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(f"cannot write to {str(out)!r}: {error.strerror or error}") from error


def _read_marker(marker: Path) -> dict[str, Any]:
    try:
        data = json.loads(marker.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
