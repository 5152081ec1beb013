"""Pictures of every kind: the very numbers that were written, or a refusal that names the file."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from equirgz.data.formats.files import FolderOptions
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.formats.levels import check_pixels, find_white, level_images
from equirgz.data.formats.pictures import decode_image
from equirgz.data.notes import note
from equirgz.data.own.folder_or_file import load_images
from equirgz.errors import DataError, InputError

SIDE = 6
FEW = settings(max_examples=25, deadline=None)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def numbers(low, high, channels=None, seed=0, dtype=np.uint8):
    """Return pixels that reach both ends of a range."""
    shape = (SIDE, SIDE) if channels is None else (SIDE, SIDE, channels)
    pixels = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    pixels.flat[0], pixels.flat[-1] = low, high
    return pixels.astype(dtype)


#: name -> (kind of file, array as Pillow takes it); what is read must be this array
EXACT = {
    "png8": ("PNG", np.uint8, 0, 255),
    "png16": ("PNG", np.uint16, 0, 65535),
    "tiff16": ("TIFF", np.uint16, 0, 65535),
    "tiff_int16": ("TIFF", np.int16, -300, 300),
    "tiff_int32": ("TIFF", np.int32, -(2**31), 2**31 - 1),
    "tiff_big_endian": ("TIFF", ">u2", 0, 65535),
    "bmp": ("BMP", np.uint8, 0, 255),
    "gif": ("GIF", np.uint8, 0, 255),
    "webp_lossless": ("WEBP", np.uint8, 0, 255),
}


@FEW
@given(name=st.sampled_from(sorted(EXACT)), seed=st.integers(0, 99), cut=st.integers(0, 4))
def test_whole_numbers_are_read_as_written(name, seed, cut):
    kind, dtype, low, high = EXACT[name]
    pixels = numbers(low >> cut, high >> cut, seed=seed, dtype=dtype)
    image = Image.fromarray(pixels) if dtype != np.int16 else signed_image(pixels)
    options = {"lossless": True} if kind == "WEBP" else {}
    read = decode_image(encode(image, kind, **options), "a")
    assert read.dtype.isnative and (read.astype(np.int64) == pixels.astype(np.int64)).all()


def signed_image(pixels):
    """Return an image of Pillow that is saved as a TIFF of signed 16-bit numbers."""
    return Image.frombuffer("I", pixels.shape[::-1], pixels.astype(np.int32).tobytes(), "raw", "I", 0, 1)


def tiff_of(pixels, sample_format, photometric=1):
    """Return a TIFF of one strip written by hand: the kinds that Pillow reads and does not write."""
    order = pixels.dtype.newbyteorder("<")
    bits = 8 * pixels.dtype.itemsize
    height, width = pixels.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, pixels.nbytes), (339, 3, sample_format)]
    entries = b"".join(np.array(tag[:2], "<u2").tobytes() + np.array([1, tag[2]], "<u4").tobytes() for tag in tags)
    at = 8 + pixels.nbytes
    head = b"II*\0" + np.array([at], "<u4").tobytes()
    return head + pixels.astype(order).tobytes() + np.array([len(tags)], "<u2").tobytes() + entries + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("dtype", "sample_format", "low", "high"),
    [
        (np.uint8, 1, 0, 255),
        (np.int8, 2, -128, 127),
        (np.uint16, 1, 0, 65535),
        (np.int16, 2, -32768, 32767),
        (np.uint32, 1, 0, 2**32 - 1),
        (np.int32, 2, -(2**31), 2**31 - 1),
    ],
)
def test_every_whole_number_of_tiff_keeps_its_value(dtype, sample_format, low, high):
    pixels = numbers(low, high, dtype=dtype)
    read = decode_image(tiff_of(pixels, sample_format), "a")
    assert (read.astype(np.int64) == pixels.astype(np.int64)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_tiff_keep_their_value(dtype):
    pixels = np.linspace(-1, 3, SIDE**2).reshape(SIDE, SIDE).astype(dtype)
    try:
        read = decode_image(tiff_of(pixels, 3), "a")
    except DataError as error:  # Pillow may not know 64 bits
        assert dtype == np.float64 and "a: expected a readable image" in str(error)
        return
    assert (read == pixels.astype(np.float32)).all()


def test_colour_palettes_and_alpha():
    colour, grey = numbers(0, 255, 3), numbers(0, 255)
    planes = np.moveaxis(colour, 2, 0)
    opaque = np.full((SIDE, SIDE, 1), 255, np.uint8)
    same = np.repeat(grey[..., None], 3, 2)
    assert (decode_image(encode(Image.fromarray(colour), "PNG"), "a") == planes).all()
    assert (decode_image(encode(Image.fromarray(np.concatenate([colour, opaque], 2)), "PNG"), "a") == planes).all()
    assert (decode_image(encode(Image.fromarray(np.concatenate([same, opaque], 2)), "PNG"), "a") == grey).all()
    assert (decode_image(encode(Image.fromarray(np.stack([grey, opaque[..., 0]], 2), "LA"), "PNG"), "a") == grey).all()
    forced = decode_image(encode(Image.fromarray(same), "PNG"), "a", colour=True)
    assert forced.shape == (3, SIDE, SIDE) and (forced == grey).all()
    few = Image.fromarray(colour).quantize(8, dither=Image.Dither.NONE)
    assert (decode_image(encode(few, "PNG"), "a") == np.moveaxis(np.asarray(few.convert("RGB")), 2, 0)).all()
    bits = Image.fromarray(grey > 99)
    assert (decode_image(encode(bits, "PNG"), "a") == np.where(grey > 99, 255, 0)).all()
    assert (decode_image(encode(bits, "TIFF"), "a") == np.where(grey > 99, 255, 0)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_refused_unless_it_hides_black_alone(mode):
    colour = numbers(1, 255, 3)
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[2:4, 2:4] = 100
    image = Image.fromarray(np.dstack([colour, alpha]))
    options = {}
    if mode == "LA":
        image = image.convert("LA")
    elif mode == "P":
        image = image.convert("RGB").quantize(8)
        options = {"transparency": int(np.asarray(image)[0, 0])}
    with pytest.raises(DataError, match=r"a: pixels: expected opaque ones, got transparency in \d+ of 36; flatten"):
        decode_image(encode(image, "PNG", **options), "a")
    if mode == "RGBA":
        colour[2:4, 2:4] = 0
        image = Image.fromarray(np.dstack([colour, alpha]))
        assert (decode_image(encode(image, "PNG"), "a") == np.moveaxis(colour, 2, 0)).all()


def png_of(pixels_HWC, colour_type):
    """Return a PNG of 16 bits per channel written by hand, which Pillow reads as 8."""
    import struct
    import zlib

    height, width = pixels_HWC.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels_HWC)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: png_of(numbers(0, 4095, 3, dtype=np.uint16), 2), "8 bits per channel, got RGB of 16 bits"),
        (lambda: png_of(numbers(0, 4095, 2, dtype=np.uint16), 4), "8 bits per channel"),
        (lambda: encode(Image.fromarray(numbers(0, 255, 4), "CMYK"), "JPEG"), "grey or RGB, got CMYK"),
        (lambda: encode(Image.fromarray(numbers(0, 255, 3), "LAB"), "TIFF"), "grey or RGB, got LAB"),
        (lambda: tiff_of(numbers(0, 65535, dtype=np.uint16), 1, photometric=0), "0 to be black, got WhiteIsZero"),
        (lambda: b"no picture", "a readable image"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_read_unchanged_is_refused_by_name(content, reason):
    with pytest.raises(DataError, match=f"a.png: expected {reason}") as caught:
        decode_image(content(), "a.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_pages_are_picked_or_refused(kind):
    pages = [numbers(0, 255, seed=k) for k in range(3)]
    first, *others = (Image.fromarray(page) for page in pages)
    content = encode(first, kind, save_all=True, append_images=others)
    with pytest.raises(DataError, match="a: expected one picture, got 3 pages or frames; say which with plane, 0 to 2"):
        decode_image(content, "a")
    assert (decode_image(content, "a", plane=2) == pages[2]).all()
    for plane in (3, "stokes=I"):
        with pytest.raises(InputError, match="a"):
            decode_image(content, "a", plane=plane)


def test_a_turned_photograph_is_upright_and_gamma_changes_nothing():
    grey = numbers(0, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_image(encode(Image.fromarray(grey), "PNG", exif=exif), "a")
    assert (turned == np.rot90(grey, -1)).all()
    import struct

    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100000))
    assert (decode_image(encode(Image.fromarray(grey), "PNG", pnginfo=info), "a") == grey).all()


@FEW
@given(bits=st.sampled_from([10, 12, 14, 16]), seed=st.integers(0, 99), byte=st.booleans())
def test_deep_pictures_are_shares_of_the_white_of_all(bits, seed, byte):
    white = 2**bits - 1
    bright, dark = numbers(0, white, seed=seed, dtype=np.uint16), numbers(0, 99, seed=seed, dtype=np.uint16)
    images = [bright, dark] + ([numbers(0, 255)] if byte else [])
    leveled, bad, said = level_images(images, ["a", "b", "c"][: len(images)])
    assert not bad and find_white(images) == white and bool(said) == (bits < 16)
    for image, read, top in zip(images, leveled, (white, white, 255), strict=False):
        np.testing.assert_allclose(read, image / top, rtol=1e-6)
    leveled, bad, _ = level_images(images, ["a", "b", "c"][: len(images)], white=99)
    assert list(bad) == [0] and "from 0 to white (99)" in bad[0]
    np.testing.assert_allclose(leveled[1], dark / 99, rtol=1e-6)


def test_numbers_without_a_meaning_are_refused():
    for pixels, reason in (
        (np.array([[0.0, 1.5]]), "floats from 0 to 1, got float64 from 0 to 1.5; set white"),
        (np.array([[-3, 200]]), "integers from 0 to 255 .* from -3 to 200"),
        (np.array([[0, 70000]]), "from 0 to 70000; set white"),
        (np.array([[np.nan, 0.5]]), "finite"),
        (np.array([[1j]]), "numbers"),
    ):
        with pytest.raises(DataError, match=f"a.*expected .*{reason}"):
            check_pixels(pixels, "a")
        _, bad, _ = level_images([pixels], ["a"])
        assert 0 in bad
    np.testing.assert_allclose(check_pixels(np.array([[0.0, 1.5]]), "a", 3.0), [[0, 0.5]])


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    note.cache_clear()


def test_a_folder_of_several_kinds_comes_in_one_type(tmp_path, own_cache, caplog):
    folder = tmp_path / "f"
    folder.mkdir()
    grey, deep = numbers(0, 255), numbers(0, 4092, dtype=np.uint16)
    Image.fromarray(grey).save(folder / "a.png")
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(folder / "b.png")
    Image.fromarray(deep).save(folder / "c.png")
    Image.fromarray((grey / 255).astype(np.float32)).save(folder / "d.tif")
    Image.fromarray(np.full((SIDE, SIDE), 7, np.uint8)).save(folder / "e.png")
    images = load_folder(folder, bad_list=tmp_path / "bad.txt")
    assert images.source_id_N.tolist() == list("abcd") and images.image_NHW.dtype == np.float32
    for k, expected in enumerate((grey / 255, grey / 255, deep / 4095, grey / 255)):
        np.testing.assert_allclose(images.image_NHW[k], expected, atol=1e-7)
    assert any("read as 12 bits (white 4095); set white" in message for message in caplog.messages)
    assert "e.png\te.png: pixels: expected more than one value, got 7 in all" in (tmp_path / "bad.txt").read_text()
    np.testing.assert_allclose(load_folder(folder, options=FolderOptions(white=8190)).image_NHW[2], deep / 8190)
    colour = numbers(0, 255, 3)
    Image.fromarray(colour).save(folder / "g.png")
    images = load_images(folder)
    assert images.image_NHW.shape == (5, 3, SIDE, SIDE) and any("three channels" in line for line in caplog.messages)
    np.testing.assert_allclose(images.image_NHW[4], np.moveaxis(colour, 2, 0) / 255, atol=1e-7)
    with pytest.raises(InputError, match="unknown 'wite'; did you mean 'white'"):
        load_images(folder, wite=3)
