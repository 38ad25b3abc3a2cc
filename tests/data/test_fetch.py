"""python -m annexe_demo.data: from whatever the Hub holds to the layout that is read, without trusting it."""

from __future__ import annotations

import io
import json
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from annexe_demo.data import __main__ as cli
from annexe_demo.data import archives
from annexe_demo.data import fetch as fetching
from annexe_demo.data.archives import find_archives
from annexe_demo.data.check import check
from annexe_demo.data.egoirgbench import EgoIRGBench, write_sample
from annexe_demo.data.fetch import FetchError, arrange, fetch, groups_by_name, place, split_of_whole
from annexe_demo.data.training import TrainingData

NAMES = {
    "train": ["ZY20210800001_H1_C11_N07_S185_s02_T2_00104", "ZY20210800001_H1_C11_N07_S185_s02_T2_00212"],
    "val": ["ZY20210800001_H1_C11_N07_S185_s02_T2_00079"],
    "test": ["ZY20210800001_H1_C11_N07_S185_s02_T2_00069"],
}
GROUP = {
    "masks_idx": [2, 3, 0, 0],
    "with_mask": 1,
    "caption": "The right hand of the person is holding a red mug.",
    "answer": "The mask of the right hand is <MSK_0>, the mask of mug is <MSK_1>.",
    "tokens": ["right hand", "mug", "", ""],
    "questions": [{"query": "Hands and objects in interaction.", "is_sentence": 0, "id": 7}],
}


@pytest.fixture(scope="session")
def layout(tmp_path_factory) -> dict[str, bytes]:
    """A complete small benchmark: content by path."""
    root = tmp_path_factory.mktemp("layout")
    rng = np.random.default_rng(0)
    for split, names in NAMES.items():
        for name in names:
            image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            mask = np.zeros((40, 60), np.uint8)
            mask[:20, :20], mask[20:, 20:] = 2, 3
            write_sample(root, split, name, image, mask, np.full((40, 60), 500.0), [GROUP])
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in files.items():
            file.writestr(path, content)
    return data.getvalue()


def tarred(files: dict[str, bytes | tarfile.TarInfo], compression: str = "") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as file:
        for path, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                file.addfile(content)
            else:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def below(layout: dict[str, bytes], folder: str, flat: bool = False) -> dict[str, bytes]:
    return {
        (p.removeprefix(f"{folder}/") if flat else p): content
        for p, content in layout.items()
        if p.startswith(f"{folder}/")
    }


def whole(layout: dict[str, bytes], split: str) -> bytes:
    files = below(layout, f"dataset_split/{split}", flat=True)
    return json.dumps({name.removesuffix(".json"): json.loads(data) for name, data in files.items()}).encode()


def parts(name: str, data: bytes, endings: list[str]) -> dict[str, bytes]:
    size = -(-len(data) // len(endings))
    return {f"{name}{ending}": data[i * size : (i + 1) * size] for i, ending in enumerate(endings)}


def as_one_zip(files):
    junk = {"__MACOSX/RGB/._x.jpg": b"x", "Ego-IRGBench/.DS_Store": b"x", "Ego-IRGBench/readme.txt": b"x"}
    return {"README.md": b"# x", "Ego.zip": zipped({f"Ego-IRGBench/{p}": c for p, c in files.items()} | junk)}


def as_an_archive_for_each_folder(files):
    return {
        "RGB.zip": zipped(below(files, "RGB", flat=True)),
        "data/mask.tar.gz": tarred(below(files, "mask"), "gz"),
        "depth.tar": tarred({f"./{p}": c for p, c in below(files, "depth").items()}),
        "dataset_split.tar.xz": tarred(below(files, "dataset_split"), "xz"),
    }


def as_parts(files):
    rest = {p: c for p, c in files.items() if not p.startswith("RGB/")}
    return {
        **parts("RGB.zip", zipped(below(files, "RGB", flat=True)), [".001", ".002", ".003"]),
        **parts("rest.tar.gz", tarred(rest, "gz"), ["-aa", "-ab"]),
    }


def as_loose_files(files):
    return {f"Ego-IRGBench/{p.replace('mask/', 'masks/')}": c for p, c in files.items()}


def as_numbered_archives_with_splits_inside(files):
    photos = list(below(files, "RGB", flat=True).items())
    return {
        "RGB_1.zip": zipped(dict(photos[:2])),
        "RGB_2.zip": zipped({p: c for p, c in photos[2:]}),
        "others.zip": zipped({p: c for p, c in files.items() if p.startswith(("mask/", "depth/"))}),
        "training.zip": zipped(below(files, "dataset_split/train", flat=True)),
        "annotations/validation.zip": zipped(below(files, "dataset_split/val", flat=True)),
        "test/json/x.zip": zipped(below(files, "dataset_split/test", flat=True)),
    }


def as_whole_splits(files):
    splits = {f"annotations/egoirg_{s}.json": whole(files, s) for s in ("train", "val")}
    pictures = {p.replace("/", "\\"): c for p, c in files.items() if not p.startswith("dataset_split/")}
    return {"data.zip": zipped(pictures | {"test.json": whole(files, "test")}), **splits}


FORMS = [
    as_one_zip, as_an_archive_for_each_folder, as_parts, as_loose_files, as_numbered_archives_with_splits_inside,
    as_whole_splits,
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_any_form_becomes_the_layout(layout, tmp_path, form, monkeypatch):
    asked = []

    def snapshot_download(repo_id, *, repo_type, revision, local_dir):
        asked.append((repo_id, repo_type, revision))
        write(Path(local_dir), form(layout) | {".cache/huggingface/download/RGB.zip.metadata": b"x"})

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: type("Info", (), {"sha": "c0ffee"}))
    out = tmp_path / "bench"
    placed = fetch("yuki3585/Ego-IEGBench", out)
    assert asked == [("yuki3585/Ego-IEGBench", "dataset", "c0ffee")]
    assert (placed.problems, placed.doubles) == ([], []) and sum(placed.written.values()) == len(layout)
    for path, content in layout.items():
        same = json.loads((out / path).read_bytes()) == json.loads(content) if path.endswith("json") else None
        assert same or (out / path).read_bytes() == content
    outside = {p.relative_to(out).parts[0] for p in out.rglob("*")} - {"download", ".unpacked"}
    assert outside == {"RGB", "mask", "depth", "dataset_split"}
    assert not list(out.rglob("*/.Z*"))  # nothing half written

    report = check(out)
    assert report.usable, str(report)
    assert [(s.annotations, s.photos, s.masks, s.depth) for s in report.splits.values()] == [
        (2, 2, 2, 2), (1, 1, 1, 1), (1, 1, 1, 1),
    ]  # fmt: skip
    data = TrainingData(out, "train")
    assert len(data) == 2 and data[0].groups[0].tokens == ("right hand", "mug")


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("RGB/a.jpg", "RGB/a.jpg"), ("x/RGB/train/a.JPG", "RGB/a.jpg"), ("images/a.png", "RGB/a.png"),
        ("train/mask/a.png", "mask/a.png"), ("RGB/masks/a.png", "mask/a.png"), ("mask/a.jpg", None),
        ("depth/a.png", "depth/a.png"), ("depth_maps_2/a.png", "depth/a.png"), ("depth/a.npy", None),
        ("image_masks/a.png", "mask/a.png"), ("dataset_split/val/a.json", "dataset_split/val/a.json"),
        ("valid/x/a.json", "dataset_split/val/a.json"), ("split_testing_v2/a.json", "dataset_split/test/a.json"),
        ("a.json", None), ("a.jpg", None), ("facts/a.json", None), ("RGB/.a.jpg", None), ("__MACOSX/RGB/a.jpg", None),
        ("RGB/a", None), ("RGB/-rf.jpg", None), ("RGB/a\nb.jpg", None), ("RGB/.jpg", None), ("RGB/a (1).jpg", "RGB/a (1).jpg"),
    ],
)  # fmt: skip
def test_places(path, where):
    assert place(path) == where


def test_files_of_whole_splits():
    assert split_of_whole("dataset_split/train.json") == "train" and split_of_whole("train/train.json") == "train"
    assert split_of_whole("irg-val-v2.json") == "val" and split_of_whole("train_and_val.json") is None
    assert split_of_whole("test/test_00012.json") is None and split_of_whole("train.jsonl") is None
    assert groups_by_name({"a.jpg": [GROUP], "b": GROUP}) == {"a": [GROUP], "b": [GROUP]}
    listed = [GROUP | {"image": "RGB/a.jpg"}, GROUP | {"image": "RGB/a.jpg"}, GROUP | {"image": "b.jpg"}]
    assert {k: len(v) for k, v in groups_by_name(listed).items()} == {"a": 2, "b": 1}
    for other in ([GROUP], {"info": {}, "images": []}, 7, [], {"../x\n": [GROUP]}):
        assert groups_by_name(other) is None


@pytest.mark.parametrize(
    ("names", "found", "problem"),
    [
        (["RGB.zip.md5", "RGB.tar.txt", "zip", "x.gz"], [], None),
        (["RGB.tar.gz", "mask.tgz"], [("RGB", "tar", 1), ("mask", "tar", 1)], None),
        (["d.zip.001", "d.zip.002"], [("d", "zip", 2)], None),
        (["d.zip.part10", *(f"d.zip.part{i}" for i in range(1, 10))], [("d", "zip", 10)], None),
        (["d.tar.gzab", "d.tar.gzaa", "d.tar.gzac"], [("d", "tar", 3)], None),
        (["d.zip", "d.zip.001"], [("d", "zip", 1)], None),
        (["d.zip.001", "d.zip.003"], [], "the one after d.zip.001 is missing"),
        (["d.zip.002", "d.zip.003"], [], "the one before d.zip.002 is missing"),
        (["d.zip.7"], [], "the one before d.zip.7 is missing"),
        (["d.z01", "d.z02", "d.zip"], [], "join them with zip -s 0 d.zip --out d-joined.zip"),
        (["d.7z", "e.part1.rar"], [], "a kind that is not known here"),
    ],
)  # fmt: skip
def test_archives_by_their_names(tmp_path, names, found, problem):
    write(tmp_path, dict.fromkeys(names, b""))
    archives, others, problems = find_archives(tmp_path, tmp_path.iterdir())
    assert sorted((a.name, a.kind, len(a.parts)) for a in archives) == found
    for a in archives:
        numbers = [int("".join(c for c in p.name.split("part")[-1] if c.isdigit()) or 0) for p in a.parts]
        assert numbers == sorted(numbers)
    assert bool(problems) == bool(problem) and all(problem in p for p in problems)
    assert len(others) == (len(names) if not found and not problem else 0)


# ---- what must not be trusted


def link(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(name: str, target: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, target)
        file.writestr("RGB/good.jpg", b"good")
    return data.getvalue()


EVIL = "../../RGB/evil.jpg"


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.zip", zipped({"RGB/good.jpg": b"good", EVIL: b"evil"}), f"not to be trusted: it holds a file called '{EVIL}'"),
        ("a.tar.gz", tarred({"RGB/good.jpg": b"good", EVIL: b"evil"}, "gz"), "not to be trusted"),
        ("a.tar", tarred({"RGB/good.jpg": b"good", "/RGB/evil.jpg": b"evil"}), "called '/RGB/evil.jpg'"),
        ("a.zip", zipped({"RGB/good.jpg": b"good", "RGB\\..\\..\\mask\\evil.png": b"evil"}), "not to be trusted"),
        ("a.zip", zipped({"RGB/good.jpg": b"good", "C:\\RGB\\evil.jpg": b"evil"}), "not to be trusted"),
        ("a.tar", tarred({"RGB/good.jpg": b"good", "l": link("RGB/evil.jpg", tarfile.SYMTYPE)}), None),
        ("a.tar", tarred({"RGB/good.jpg": b"good", "l": link("RGB/evil.jpg", tarfile.LNKTYPE, "RGB/good.jpg")}), None),
        ("a.tar", tarred({"RGB/good.jpg": b"good", "l": link("RGB/evil.jpg", tarfile.CHRTYPE)}), None),
        ("a.tar", tarred({"RGB/good.jpg": b"good", "l": link("RGB/evil.jpg", tarfile.FIFOTYPE)}), None),
        ("a.zip", zip_link("RGB/evil.jpg", "/etc/passwd"), None),
        ("a.zip", b"PK but no zip", "a.zip is damaged, incomplete or no zip"),
        ("a.tar", b"no tar" * 1000, "a.tar is damaged, incomplete or no tar"),
        ("a.zip", b"", "damaged"),
    ],
)  # fmt: skip
def test_archives_that_are_not_to_be_trusted(tmp_path, name, data, problem):
    source = write(tmp_path / "deep" / "source", {name: data, "mask/other.png": b"other"})
    out = tmp_path / "deep" / "out"
    before = {p for p in tmp_path.rglob("*")}
    placed = arrange(source, out)
    made = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert {p.relative_to(out).as_posix() for p in made} <= {"RGB/good.jpg", "mask/other.png", ".unpacked/a.zip.json",
                                                            ".unpacked/a.tar.json"}  # fmt: skip
    assert (out / "mask/other.png").read_bytes() == b"other"  # what is beside it is used all the same
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))
    assert [problem in p for p in placed.problems] == ([True] if problem else [])
    if problem is None:
        assert (out / "RGB/good.jpg").read_bytes() == b"good" and (out / ".unpacked").is_dir()
    else:
        assert not (out / ".unpacked").exists()  # tried again the next time


def test_damage_in_the_middle(tmp_path, layout):
    photos = below(layout, "RGB")
    broken = bytearray(zipped(photos))
    broken[len(broken) // 2] ^= 0xFF
    write(tmp_path / "a", {"x.zip": bytes(broken)})
    write(tmp_path / "b", {"x.tar.gz": tarred(photos, "gz")[:-2000]})
    for source in ("a", "b"):
        out = tmp_path / f"out-{source}"
        placed = arrange(tmp_path / source, out)
        assert len(placed.problems) == 1 and "is damaged" in placed.problems[0]
        whole_ones = [p for p in out.rglob("*") if p.is_file()]
        assert 0 < len(whole_ones) < len(photos)
        assert all(p.read_bytes() == photos[p.relative_to(out).as_posix()] for p in whole_ones)


def test_a_password_is_told(tmp_path):
    data = bytearray(zipped({"RGB/a.jpg": b"x"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    placed = arrange(write(tmp_path / "s", {"a.zip": bytes(data)}), tmp_path / "out")
    assert placed.problems == ["a.zip must have no password but 'RGB/a.jpg' has one"]


@pytest.mark.parametrize(
    ("limit", "value", "problem"),
    [
        ("MAX_MEMBERS", 2, "at most 2 files but holds more"),
        ("MAX_MEMBER_BYTES", 100, "is too large when unpacked: 'RGB/b.jpg' has 1,000,000 bytes"),
        ("MAX_TOTAL_BYTES", 1500, "too large when unpacked"),
    ],
)
@pytest.mark.parametrize("make", [zipped, lambda files: tarred(files, "gz")])
def test_limits(tmp_path, monkeypatch, limit, value, problem, make):
    monkeypatch.setattr(archives, limit, value)
    data = make({"RGB/a.jpg": b"a", "RGB/b.jpg": b"b" * 10**6, "RGB/c.jpg": b"c"})
    placed = arrange(write(tmp_path / "s", {"a.zip" if make is zipped else "a.tgz": data}), tmp_path / "out")
    assert len(placed.problems) == 1 and problem in placed.problems[0]
    assert not (tmp_path / "out/RGB/c.jpg").exists()


def test_a_zip_that_lies_about_a_size_writes_no_more_than_it_says(tmp_path):
    data = bytearray(zipped({"RGB/a.jpg": b"a" * 10**6}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    placed = arrange(write(tmp_path / "s", {"a.zip": bytes(data)}), tmp_path / "out")
    assert "damaged" in placed.problems[0] and not list((tmp_path / "out").rglob("*.jpg"))


def test_a_full_disk_is_told_before_it_is_full(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=fetching.SPARE_BYTES + 5))
    source = write(tmp_path / "s", {"a.zip": zipped({"RGB/a.jpg": b"1234", "RGB/b.jpg": b"123456"})})
    with pytest.raises(FetchError, match="disk of .* is full: a file of 6 bytes would leave less than 1 GiB"):
        arrange(source, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out/RGB").iterdir()] == ["a.jpg"]


# ---- going on


def test_an_interrupted_archive_goes_on_where_it_stopped(tmp_path, layout, monkeypatch):
    source = write(tmp_path / "s", {"a.zip": zipped(layout)})
    out = tmp_path / "out"
    real, calls = shutil.copyfileobj, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "copyfileobj", interrupted)
        arrange(source, out)
    assert len([p for p in out.rglob("*") if p.is_file()]) == 5  # whole ones only

    placed = arrange(source, out)
    assert (sum(placed.written.values()), sum(placed.kept.values())) == (len(layout) - 5, 5)

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "read", lambda archive: pytest.fail("a finished archive is not read again"))
        placed = arrange(source, out)
    assert not placed.written and sum(placed.kept.values()) == len(layout)

    shutil.rmtree(out / "mask")
    assert arrange(source, out).written == {"mask": 4}

    path = "dataset_split/val/" + NAMES["val"][0] + ".json"
    changed = layout | {path: layout[path].replace(b"red mug", b"tan mug")}  # of the same size
    write(source, {"a.zip": zipped(changed) + b"\0"})
    assert sum(arrange(source, out).written.values()) == len(layout)
    assert b"tan mug" in (out / path).read_bytes()


def test_loose_files_are_linked_and_renewed(tmp_path):
    source, out = write(tmp_path / "s", {"RGB/a.jpg": b"one"}), tmp_path / "out"
    assert arrange(source, out).written == {"RGB": 1}
    assert (out / "RGB/a.jpg").samefile(source / "RGB/a.jpg")
    assert arrange(source, out).kept == {"RGB": 1}
    (source / "RGB/a.jpg").unlink()
    (source / "RGB/a.jpg").write_bytes(b"two")
    assert arrange(source, out).written == {"RGB": 1} and (out / "RGB/a.jpg").read_bytes() == b"two"


def test_loose_files_are_copied_to_another_disk(tmp_path, monkeypatch):
    source, out = write(tmp_path / "s", {"RGB/a.jpg": b"one"}), tmp_path / "out"

    def link(*_):
        raise OSError("another device")

    monkeypatch.setattr("os.link", link)
    assert arrange(source, out).written == {"RGB": 1}
    assert not (out / "RGB/a.jpg").samefile(source / "RGB/a.jpg") and (out / "RGB/a.jpg").read_bytes() == b"one"
    assert arrange(source, out).kept == {"RGB": 1}


def test_what_has_no_place_or_a_taken_one_is_told(tmp_path):
    files = {"RGB/a.jpg": b"1", "old/RGB/a.jpg": b"2", "x.parquet": b"", "notes/b.txt": b"", "train.json": b"[1]"}
    placed = arrange(write(tmp_path / "s", files), tmp_path / "out")
    assert placed.doubles == ["old/RGB/a.jpg"] and (tmp_path / "out/RGB/a.jpg").read_bytes() == b"1"
    assert placed.unknown == {".parquet": 1, ".txt": 1, ".json": 1}
    assert set(placed.examples) == {"x.parquet", "notes/b.txt", "train.json"}


def test_a_folder_that_was_unpacked_in_place(tmp_path, layout):
    write(tmp_path, layout)
    before = sorted(tmp_path.rglob("*"))
    placed = arrange(tmp_path, tmp_path)
    assert not placed.written and sum(placed.kept.values()) == len(layout) and sorted(tmp_path.rglob("*")) == before
    for _ in range(2):  # the new folder is not looked through itself
        inside = arrange(tmp_path, tmp_path / "out")
        assert sum((inside.written + inside.kept).values()) == len(layout) and not inside.doubles


# ---- the Hub


def response(code: int) -> httpx2.Response:
    return httpx2.Response(code, request=httpx2.Request("GET", "https://huggingface.co"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (httpx2.ConnectError("no route to host"), "the Hub cannot be reached .no route.*data fetch .*download --out"),
        (GatedRepoError("gated", response=response(403)), "open on request only: ask at https://huggingface.co/datasets/a/b"),
        (RepositoryNotFoundError("none", response=response(404)), "no dataset at https://.*a/b, or it is private"),
        (RevisionNotFoundError("none", response=response(404)), "a/b has no revision 'v9'"),
        (HFValidationError("bad id"), "'a/b' is no id of a dataset"),
        (OSError(28, "No space left on device"), "cannot write to .*download': No space left"),
    ],
)  # fmt: skip
def test_errors_of_the_hub_are_one_sentence(tmp_path, monkeypatch, capsys, error, sentence):
    def repo_info(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", repo_info)
    with pytest.raises(FetchError, match=sentence):
        fetch("a/b", tmp_path / "out", "v9")
    assert cli.main(["fetch", "a/b", "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "a/b/c", "none"])
def test_a_source_that_is_none(tmp_path, source):
    with pytest.raises(FetchError, match="must be a folder or a dataset's id"):
        fetch(source, tmp_path / "out")


# ---- check


def test_what_is_missing_is_named_with_its_place(tmp_path, layout):
    write(tmp_path, layout)
    first, second = NAMES["train"]
    (tmp_path / f"mask/{first}.png").unlink()
    (tmp_path / f"depth/{second}.png").unlink()
    shutil.rmtree(tmp_path / "dataset_split/val")
    (tmp_path / f"dataset_split/train/{second}.json").write_text("[{}]")
    report = check(tmp_path)
    text = str(report)
    assert not report.usable and len(report.missing) == 3
    assert f"1 of 2 annotations of train have no masks; the first was expected at {tmp_path}/mask/{first}.png" in text
    assert f"expected the annotations of val at {tmp_path}/dataset_split/val/<name>.json" in text
    assert f"1 samples of train cannot be used; the first: {tmp_path}/dataset_split/train/{second}.json" in text
    assert f"note: 1 of 2 annotations of train have no depth; the first was expected at {tmp_path}/depth/" in text
    assert f"note: 1 photos belong to no annotation file, the first is RGB/{NAMES['val'][0]}" in text
    assert "note: 3 pictures are annotated; the published benchmark has 20,504" in text


def test_masks_of_another_size_are_found(tmp_path, layout):
    import cv2

    write(tmp_path, layout)
    cv2.imwrite(str(tmp_path / f"mask/{NAMES['test'][0]}.png"), np.zeros((10, 20), np.uint8))
    assert check(tmp_path).missing == [
        f"1 samples of test cannot be used; the first: {NAMES['test'][0]} must have one size but has photo 60 x 40, "
        "mask 20 x 10, depth 60 x 40"
    ]


def test_no_depth_is_no_fault(tmp_path, layout):
    write(tmp_path, {p: c for p, c in layout.items() if not p.startswith("depth/")})
    report = check(tmp_path)
    assert report.usable and f"expected depth at {tmp_path}/depth/<name>.png, but there is none" in report.notes


def test_a_layout_one_folder_deeper_is_pointed_at(tmp_path, layout):
    write(tmp_path / "a" / "Ego-IRGBench", layout)
    assert check(tmp_path).missing == [
        f"the layout stands in {tmp_path}/a/Ego-IRGBench, not in {tmp_path}: give that folder"
    ]
    assert check(tmp_path / "none").missing == [f"expected a folder at {tmp_path}/none, but there is none"]
    (tmp_path / "b").mkdir()
    assert len(check(tmp_path / "b").missing) == 5  # three splits, photos, masks


# ---- the command line


def test_the_command_says_what_became_of_everything(tmp_path, layout, capsys):
    source = write(tmp_path / "s", as_an_archive_for_each_folder(layout) | {"old.7z": b"", "README.md": b""})
    out = str(tmp_path / "out")
    assert cli.main(["fetch", str(source), "--out", out]) == 1
    printed = capsys.readouterr().out
    assert "RGB: 4 files new, 0 were there" in printed and "not unpacked: old.7z is an archive of a kind" in printed
    assert "no place is known for 1 .md; for example README.md" in printed
    assert "train  annotations 2  photos 2  masks 2  depth 2  groups 2  queries 2" in printed
    (source / "old.7z").unlink()
    assert cli.main(["fetch", str(source), "--out", out]) == 0
    assert "RGB: 0 files new, 4 were there" in capsys.readouterr().out
    assert cli.main(["check", out]) == 0 and len(EgoIRGBench(out, "train")) == 2
    assert cli.main(["check", str(tmp_path)]) == 1
    assert f"the layout stands in {out}" in capsys.readouterr().out
