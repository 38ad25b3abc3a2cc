import io

import numpy as np
import pytest
from PIL import Image

from annexe_demo import images
from annexe_demo.images import MAX_PIXELS, ImageError, load_image

UPRIGHT = np.zeros((40, 24, 3), np.uint8)  # portrait, each corner in a colour of its own
UPRIGHT[:20, :12], UPRIGHT[:20, 12:], UPRIGHT[20:, :12], UPRIGHT[20:, 12:] = (200, 0, 0), (0, 200, 0), (0, 0, 200), 200

# How a camera stores the upright picture for each value of the EXIF orientation.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(h=64, w=96, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    got = load_image(encode(stored, "JPEG", quality=100, subsampling=0, exif=exif))
    assert got.shape == (40, 24, 3)
    corners = [(5, 3), (5, 20), (35, 3), (35, 20)]
    for y, x in corners:
        assert np.abs(got[y, x].astype(int) - UPRIGHT[y, x]).max() < 12, (y, x)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_meaningless_orientation_leaves_the_picture_alone(value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(load_image(encode(Image.fromarray(UPRIGHT), exif=exif)), UPRIGHT)


def test_broken_exif_is_no_reason_to_refuse(recwarn):
    data = encode(Image.fromarray(UPRIGHT), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert load_image(data).shape == UPRIGHT.shape
    assert not recwarn.list


def test_every_way_in_gives_the_same_pixels(tmp_path):
    array = noise()
    image = Image.fromarray(array)
    image.save(tmp_path / "photo.png")
    data = (tmp_path / "photo.png").read_bytes()
    for source in (str(tmp_path / "photo.png"), tmp_path / "photo.png", data, bytearray(data), image, array):
        got = load_image(source)
        assert np.array_equal(got, array)
        assert got.dtype == np.uint8 and got.flags.c_contiguous and got.flags.writeable
    assert not np.shares_memory(load_image(array), array)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_formats(kind):
    smooth = np.tile(np.linspace(40, 200, 96).astype(np.uint8)[None, :, None], (64, 1, 3))
    got = load_image(encode(Image.fromarray(smooth), kind))
    assert np.abs(got.astype(int) - smooth).mean() < 4


def test_multi_picture_jpeg_of_a_phone():
    first, second = Image.fromarray(UPRIGHT), Image.fromarray(noise(40, 24))
    got = load_image(encode(first, "MPO", save_all=True, append_images=[second], quality=95))
    assert np.abs(got.astype(int) - UPRIGHT).mean() < 10


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (32, 32), c) for c in ("red", "lime", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(data)[10, 10].tolist() == [255, 0, 0]


def grey(mode):
    return Image.new("L", (20, 20), 100).convert(mode)


def palette_with_transparency():
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 20, 30, 255, 0, 0])
    image.paste(1, (0, 0, 10, 20))
    image.info["transparency"] = 0
    return image


def rgb_with_transparent_colour():
    image = Image.new("RGB", (20, 20), (1, 2, 3))
    image.info["transparency"] = (1, 2, 3)
    return image


@pytest.mark.parametrize(
    ("image", "x", "expected"),
    [
        (grey("L"), 0, (100, 100, 100)),
        (Image.new("1", (20, 20), 1), 0, (255, 255, 255)),
        (Image.new("LA", (20, 20), (0, 0)), 0, (255, 255, 255)),
        (Image.new("LA", (20, 20), (0, 128)), 0, (127, 127, 127)),
        (Image.new("RGBA", (20, 20), (255, 0, 0, 0)), 0, (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (255, 0, 0, 255)), 0, (255, 0, 0)),
        (palette_with_transparency(), 2, (255, 0, 0)),
        (palette_with_transparency(), 15, (255, 255, 255)),
        (rgb_with_transparent_colour(), 0, (255, 255, 255)),
        (Image.new("CMYK", (20, 20), (0, 255, 255, 0)), 0, (255, 0, 0)),
        (Image.fromarray(np.full((20, 20), 0x8080, np.uint16)), 0, (128, 128, 128)),
        (Image.fromarray(np.full((20, 20), 65535, np.int32)), 0, (255, 255, 255)),
        (Image.fromarray(np.full((20, 20), 0.5, np.float32)), 0, (128, 128, 128)),
    ],
)
def test_modes(image, x, expected):
    assert np.abs(load_image(image)[10, x].astype(int) - expected).max() <= 1


def test_modes_survive_a_file():
    assert load_image(encode(palette_with_transparency()))[10, 15].tolist() == [255, 255, 255]
    sixteen = Image.fromarray(np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20))
    got = load_image(encode(sixteen))
    assert got[0, 0, 0] == 0 and got[-1, -1, 0] == 255 and 120 < got[10, 0, 0] < 136
    cmyk = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    assert np.abs(load_image(encode(cmyk, "JPEG", quality=95))[10, 10].astype(int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((20, 20), 7, np.uint8), 7),
        (np.full((20, 20, 1), 7, np.uint8), 7),
        (np.full((20, 20, 3), 7, np.int64), 7),
        (np.full((20, 20, 3), 257 * 9, np.uint16), 9),
        (np.full((20, 20, 3), 0.2, np.float32), 51),
        (np.ones((20, 20), bool), 255),
        (np.dstack([np.zeros((20, 20, 3), np.uint8), np.full((20, 20), 255, np.uint8)]), 0),
        (np.zeros((20, 20, 4), np.uint8), 255),
    ],
)
def test_arrays(array, expected):
    got = load_image(array)
    assert got.shape == (20, 20, 3) and got.dtype == np.uint8
    assert (got == expected).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((20, 20, 2), np.uint8), r"\(20, 20, 2\)"),
        (np.zeros(20, np.uint8), r"\(20,\)"),
        (np.zeros((0, 20, 3), np.uint8), "too small"),
        (np.full((20, 20, 3), 255.0), "0 to 1 but got 255"),
        (np.full((20, 20, 3), np.nan), "0 to 1 but got nan"),
        (np.full((20, 20, 3), -1), "0 to 255 but got -1"),
        (np.full((20, 20), "x"), "numbers"),
    ],
)
def test_arrays_that_are_no_pictures(array, words):
    with pytest.raises(ImageError, match=words):
        load_image(array)


def heic(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(64)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not a picture.*JPEG, PNG"),
        (b"%PDF-1.4", "not a picture"),
        (heic(b"heic"), "HEIC.*convert.*JPEG or PNG"),
        (heic(b"mif1"), "HEIC.*convert.*JPEG or PNG"),
        (heic(b"avif"), "AVIF.*convert.*JPEG or PNG"),
        (encode(Image.fromarray(noise()), "JPEG")[:1500], "damaged or incomplete"),
        (encode(Image.fromarray(noise()))[:3000], "damaged or incomplete"),
        (encode(Image.fromarray(noise(8, 200))), "too small.*16.*200 x 8"),
    ],
)
def test_files_that_cannot_be_used(data, words):
    with pytest.raises(ImageError, match=words) as caught:
        load_image(data)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_sixteen_pixels_are_enough():
    assert load_image(np.zeros((16, 16, 3), np.uint8)).shape == (16, 16, 3)


def bitmap_header(width: int, height: int) -> bytes:
    """A 1-bit BMP that promises `width` x `height` and holds none of it."""
    header = b"BM" + (1000).to_bytes(4, "little") + bytes(4) + (62).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return header + info + b"\1\0\1\0" + bytes(24) + b"\0\0\0\0\xff\xff\xff\0"


@pytest.mark.parametrize("side", [8000, 11_000, 60_000])  # above our limit, Pillow's warning, Pillow's error
def test_size_is_refused_from_the_header_alone(side, recwarn):
    with pytest.raises(ImageError, match="too large: at most 50 megapixels"):
        load_image(bitmap_header(side, side))
    assert not recwarn.list


def test_just_enough_pixels_pass_the_check():
    images._check_size(10_000, MAX_PIXELS // 10_000)
    with pytest.raises(ImageError):
        images._check_size(10_000, MAX_PIXELS // 10_000 + 1)


def test_large_files_are_refused_before_reading(tmp_path):
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(ImageError, match="at most 30 MB"):
        load_image(path)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(ImageError, match="no file.*nothing.jpg"):
        load_image(tmp_path / "nothing.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError):
        load_image("photo\0.jpg")
    with pytest.raises(TypeError, match="but got int"):
        load_image(3)
