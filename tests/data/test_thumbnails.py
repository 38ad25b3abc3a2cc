"""Thumbnails: small, kept, and made anew with their photo."""

import os

import pytest
from PIL import Image

from annexe_demo.data.thumbnails import THUMBNAIL_SIZE, Thumbnails


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (1920, 1080), (200, 30, 30)).save(path)
    return path


def test_a_thumbnail_is_small_and_made_once(photo, tmp_path):
    thumbnails = Thumbnails(tmp_path / "small")
    (path,) = thumbnails.paths([photo])
    assert Image.open(path).size == THUMBNAIL_SIZE and Image.open(path).format == "JPEG"
    made = path.stat().st_ino
    assert thumbnails.paths([photo]) == [path] and path.stat().st_ino == made


def test_a_photo_that_was_replaced_gets_a_new_one(photo, tmp_path):
    thumbnails = Thumbnails(tmp_path / "small")
    thumbnails.paths([photo])
    Image.new("RGB", (640, 360), (30, 30, 200)).save(photo)
    os.utime(photo, ns=(10**18, 10**18))
    (path,) = thumbnails.paths([photo])
    assert Image.open(path).getpixel((5, 5))[2] > 150


def test_a_missing_and_a_damaged_photo_get_a_grey_picture_and_the_others_theirs(photo, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    paths = Thumbnails(tmp_path / "small").paths([None, tmp_path / "bad.jpg", tmp_path / "gone.jpg", photo])
    assert paths[0] == paths[1] == paths[2] != paths[3]
    assert Image.open(paths[0]).size == THUMBNAIL_SIZE


def test_where_nothing_can_be_written_a_temporary_folder_is_used(photo, tmp_path):
    (tmp_path / "file").write_text("")
    thumbnails = Thumbnails(tmp_path / "file" / "small")
    assert thumbnails.paths([photo])[0].is_file()
