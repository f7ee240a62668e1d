"""ImageDecoder against Pillow, pixel for pixel, in all formats; broken pictures; how artefacts find libonnxc_images.so."""

import io
import shutil
import subprocess

import numpy as np
import onnx.parser
import onnxc
import PIL.Image
import pytest
from support.c_abi import CompiledModel
from support.compiler import compile_model, find_onnxc

RNG = np.random.default_rng(0)
WAVES = np.add.outer(3 * np.arange(37), 2 * np.arange(53))
COLOURS = np.stack([WAVES, 2 * WAVES, np.roll(WAVES, 5, 1)], 2) % 256 // 2 + RNG.integers(0, 40, (37, 53, 3))
RGB = PIL.Image.fromarray(COLOURS.astype(np.uint8))
RGBA = RGB.copy()
RGBA.putalpha(PIL.Image.fromarray(RNG.integers(0, 256, (37, 53)).astype(np.uint8)))
GREY, BITS, PALETTE, CMYK = (RGB.convert(mode) for mode in ("L", "1", "P", "CMYK"))


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


PICTURES = {
    "bmp": encoded(RGB, "BMP"),
    "bmp_palette": encoded(PALETTE, "BMP"),
    "bmp_bits": encoded(BITS, "BMP"),
    "bmp_alpha": encoded(RGBA, "BMP"),
    "jpeg": encoded(RGB, "JPEG"),
    "jpeg_444": encoded(RGB, "JPEG", subsampling=0),
    "jpeg_422": encoded(RGB, "JPEG", subsampling=1),
    "jpeg_progressive": encoded(RGB, "JPEG", progressive=True),
    "jpeg_grey": encoded(GREY, "JPEG"),
    "jpeg_cmyk": encoded(CMYK, "JPEG"),
    "png": encoded(RGB, "PNG"),
    "png_palette": encoded(PALETTE, "PNG", transparency=3),
    "png_bits": encoded(BITS, "PNG"),
    "png_grey_alpha": encoded(RGBA.convert("LA"), "PNG"),
    "png_alpha": encoded(RGBA, "PNG"),
    "tiff": encoded(RGB, "TIFF"),
    "tiff_palette": encoded(PALETTE, "TIFF"),
    "tiff_alpha": encoded(RGBA, "TIFF"),
    "tiff_lzw": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "tiff_jpeg": encoded(RGB, "TIFF", compression="jpeg"),
    "tiff_cmyk": encoded(CMYK, "TIFF"),
    **{f"tiff_turned_{i}": encoded(RGB, "TIFF", tiffinfo={274: i}) for i in range(2, 9)},
    "webp": encoded(RGB, "WEBP"),
    "webp_lossless": encoded(RGB, "WEBP", lossless=True),
    "webp_alpha": encoded(RGBA, "WEBP", lossless=True, exact=True),
    "jp2": encoded(RGB, "JPEG2000"),
    "jp2_lossy": encoded(RGB, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[10]),
    "jp2_grey": encoded(GREY, "JPEG2000"),
    "j2k_alpha": encoded(RGBA, "JPEG2000", no_jp2=True),
    "jp2_tiles": encoded(RGB, "JPEG2000", tile_size=(16, 16)),
    "ppm": encoded(RGB, "PPM"),
    "pgm": encoded(GREY, "PPM"),
    "pbm": encoded(BITS, "PPM"),
    "ppm_text": b"P3\n#a comment\n2 1\n15\n1 2 3 15 0 7\n",
    "pbm_text": b"P1 3 2 101 010\n",
    "ppm_100": b"P6 2 1 100\n" + bytes([1, 2, 3, 50, 99, 100]),
    "ppm_16": b"P6 2 1 65535\n" + bytes(range(10, 130, 10)),
}
FORMATS = ["bmp", "jpeg", "png", "tiff", "webp", "jp2", "ppm"]


def decoder(pixel_format):
    channels = 1 if pixel_format == "Grayscale" else 3
    return onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 20]>
agraph (uint8[N] x) => (uint8[H, W, {channels}] y) {{ y = ImageDecoder <pixel_format = "{pixel_format}"> (x) }}""")


@pytest.fixture(scope="module")
def sessions():
    return {f: onnxc.InferenceSession(decoder(f).SerializeToString()) for f in ("RGB", "BGR", "Grayscale")}


def decode(session, picture):
    return session.run(None, {"x": np.frombuffer(picture, np.uint8)})[0]


@pytest.mark.parametrize("name", PICTURES)
def test_as_pillow(name, sessions):
    rgb = PIL.Image.open(io.BytesIO(PICTURES[name])).convert("RGB")
    np.testing.assert_array_equal(decode(sessions["RGB"], PICTURES[name]), np.array(rgb))
    np.testing.assert_array_equal(decode(sessions["BGR"], PICTURES[name]), np.array(rgb)[:, :, ::-1])
    np.testing.assert_array_equal(decode(sessions["Grayscale"], PICTURES[name])[:, :, 0], np.array(rgb.convert("L")))


def test_16_bits_become_8(sessions):
    wide = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
    pixels = decode(sessions["RGB"], encoded(PIL.Image.fromarray(wide), "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat((wide >> 8)[:, :, None], 3, 2))


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off(name, sessions):
    """The end of a PNG or BMP may hold nothing: half of it never does."""
    whole = PICTURES[name]
    for length in [*range(0, 60, 3), len(whole) // 2]:
        with pytest.raises(Exception, match="known format|damaged, cut off"):
            decode(sessions["RGB"], whole[:length])


@pytest.mark.parametrize("picture", [b"", b"\0", b"GIF89a" + bytes(100), bytes(1000), b"BM", b"P6", b"P9 1 1 1\n0"])
def test_no_picture(picture, sessions):
    with pytest.raises(Exception, match="known format|damaged, cut off"):
        decode(sessions["RGB"], picture)


def with_dims(name, height, width):
    """The picture with other dims in its header."""
    data = bytearray(PICTURES[name])

    def put(at, value, order="big", size=4):
        data[at : at + size] = value.to_bytes(size, order)

    if name == "bmp":
        put(18, width, "little"), put(22, height, "little")
    elif name == "png":
        put(16, width), put(20, height)
    elif name == "jpeg":
        frame = data.index(b"\xff\xc0")
        put(frame + 5, min(height, 65535), size=2), put(frame + 7, min(width, 65535), size=2)
    elif name == "jp2":
        size = data.index(b"\xff\x51")
        put(size + 6, width), put(size + 10, height)
    elif name == "tiff":
        entries = int.from_bytes(data[4:8], "little") + 2
        put(entries + 8, width, "little"), put(entries + 20, height, "little")
        put(entries + 2, 4, "little", 2), put(entries + 14, 4, "little", 2)
    elif name == "webp":
        frame = data.index(b"\x9d\x01\x2a")
        put(frame + 3, min(width, 16383), "little", 2), put(frame + 5, min(height, 16383), "little", 2)
    else:
        data = b"P6 %d %d 255\n" % (width, height) + data[-10:]
    return bytes(data)


@pytest.mark.parametrize("dims", [(0, 5), (60000, 60000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (3000, 5000)])
@pytest.mark.parametrize("name", FORMATS)
def test_absurd_dims(name, dims, sessions):
    with pytest.raises(Exception, match=r"known format|damaged, cut off|2\^28 pixels"):
        decode(sessions["RGB"], with_dims(name, *dims))


def test_damaged_bytes(sessions):
    """Whatever the bytes: pixels or an error, and the session goes on."""
    random = np.random.default_rng(1)
    for name in FORMATS:
        for _ in range(30):
            damaged = np.frombuffer(PICTURES[name], np.uint8).copy()
            damaged[random.integers(30, len(damaged), 3)] = random.integers(0, 256, 3)
            try:
                decode(sessions["Grayscale"], damaged.tobytes())
            except Exception as e:
                assert "damaged, cut off" in str(e) or "known format" in str(e) or "2^28" in str(e)
        decode(sessions["Grayscale"], PICTURES[name])


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_library_beside_the_model(backend, tmp_path):
    """The artefact names the library and no folder, and is the same wherever it is made."""
    onnx.save(decoder("RGB"), tmp_path / "m.onnx")
    made = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        assert compile_model(tmp_path / "m.onnx", tmp_path / folder / "m.so", [f"--backend={backend}"]).ok
        made.append((tmp_path / folder / "m.so").read_bytes())
    assert made[0] == made[1]
    dynamic = subprocess.run(["readelf", "-dW", tmp_path / "a/m.so"], capture_output=True, text=True, check=True).stdout
    assert dynamic.count("(NEEDED)") == 1 and "[libonnxc_images.so]" in dynamic and "(RUNPATH)" in dynamic
    assert "[$ORIGIN]" in dynamic
    assert str(find_onnxc().parent).encode() not in made[0]
    shutil.copy(find_onnxc().parent / "libonnxc_images.so", tmp_path / "a")
    model = CompiledModel(tmp_path / "a/m.so", host=True)
    (pixels,) = model.run({"x": np.frombuffer(PICTURES["png"], np.uint8)})
    np.testing.assert_array_equal(pixels, np.array(RGB))


def test_project_and_archive(tmp_path):
    onnx.save(decoder("RGB"), tmp_path / "m.onnx")
    assert compile_model(tmp_path / "m.onnx", tmp_path / "project/", ["--emit=cpp"]).ok
    assert "find_library(ONNXC_IMAGES onnxc_images)" in (tmp_path / "project/CMakeLists.txt").read_text()
    assert compile_model(tmp_path / "m.onnx", tmp_path / "m.a").ok
    symbols = subprocess.run(["nm", "-u", tmp_path / "m.a"], capture_output=True, text=True, check=True).stdout
    assert {"onnxc_images_dims", "onnxc_images_decode"} <= set(symbols.split())


def test_refused(tmp_path):
    onnx.save(decoder("RGB"), tmp_path / "m.onnx")
    generic = compile_model(tmp_path / "m.onnx", tmp_path / "m/", ["--emit=cpp", "--mcpu=generic"])
    assert not generic.ok and "libonnxc_images.so" in generic.text
    onnx.save(decoder("YUV"), tmp_path / "m.onnx")
    unknown = compile_model(tmp_path / "m.onnx", tmp_path / "m.so")
    assert not unknown.ok and 'no pixel_format "YUV"' in unknown.text
