"""Small image files of every kind, written and decoded by Pillow and tifffile, as reference for image-io.

Writes files/* and expected.safetensors (NAME -> uint8 or uint16 [H, W, C] samples of the upright picture) next to this
script. Run it with Pillow, tifffile, numpy and safetensors installed; versions are stored in the metadata.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import tifffile
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin
from safetensors.numpy import save_file

SEED = 20230512
HERE = Path(__file__).parent
FILES = HERE / "files"
WIDTH, HEIGHT = 37, 22  # odd against 8 and 16 pixel blocks, and not square

expected: dict[str, np.ndarray] = {}


def picture(channels: int, maximum: int) -> np.ndarray:
    """Smooth waves with an edge and some noise: survives JPEG, differs in every channel and direction."""
    random = np.random.default_rng(SEED + channels)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = []
    for channel in range(channels):
        wave = 0.5 + 0.4 * np.sin(0.21 * x * (channel + 1) ** 0.5 + 0.13 * y + channel)
        wave[x + 2 * y > 50] *= 0.6
        planes.append(wave + random.normal(0, 0.01, wave.shape))
    values = np.clip(np.stack(planes, -1), 0, 1)
    return np.round(values * maximum).astype(np.uint16 if maximum > 255 else np.uint8)


def keep(name: str, content: bytes, samples: np.ndarray) -> None:
    (FILES / name).write_bytes(content)
    expected[name] = np.ascontiguousarray(samples.reshape(samples.shape[0], samples.shape[1], -1))


def decoded(content: bytes, mode: str) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert(mode))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(color_type: int, depth: int, rows: list[bytes], extra: list[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG assembled by hand, for kinds that Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def jpegs() -> None:
    rgb = Image.fromarray(picture(3, 255))
    gray = Image.fromarray(picture(1, 255)[..., 0])
    cmyk = Image.fromarray(picture(4, 255), "CMYK")
    for name, image, mode, options in [
        ("baseline-444.jpg", rgb, "RGB", dict(quality=92, subsampling=0)),
        ("baseline-420.jpg", rgb, "RGB", dict(quality=92, subsampling=2)),
        ("progressive-444.jpg", rgb, "RGB", dict(quality=92, subsampling=0, progressive=True)),
        ("progressive-420.jpg", rgb, "RGB", dict(quality=92, subsampling=2, progressive=True)),
        ("restart.jpg", rgb, "RGB", dict(quality=92, subsampling=0, restart_marker_blocks=2)),
        ("gray.jpg", gray, "L", dict(quality=92)),
        ("cmyk.jpg", cmyk, "RGB", dict(quality=92)),
        ("rgb-colors.jpg", rgb, "RGB", dict(quality=92, keep_rgb=True)),
    ]:
        content = saved(image, "JPEG", **options)
        keep(name, content, decoded(content, mode))
    # The same coefficients read as YCCK: the transform byte of the Adobe segment says so.
    content = bytearray(saved(cmyk, "JPEG", quality=92))
    adobe = content.index(b"Adobe")
    assert content[adobe + 11] == 0
    content[adobe + 11] = 2
    keep("ycck.jpg", bytes(content), decoded(bytes(content), "RGB"))
    # CMYK without the Adobe segment.
    del content[adobe - 4 : adobe + 12]
    keep("cmyk-without-adobe.jpg", bytes(content), decoded(bytes(content), "RGB"))


def pngs() -> None:
    gray, rgb = picture(1, 255)[..., 0], picture(3, 255)
    for depth in (1, 2, 4):
        levels = (gray >> (8 - depth)).astype(np.uint8)
        bits = ((levels[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(HEIGHT, -1)
        content = png(0, depth, [bytes(np.packbits(row)) for row in bits])
        # Pillow keeps 1 bit as such; a level stands for level / (2^depth - 1).
        keep(f"gray{depth}.png", content, (levels * (255 // (2**depth - 1))).astype(np.uint8))
    keep("gray8.png", saved(Image.fromarray(gray), "PNG"), gray)
    palette = Image.fromarray(rgb).quantize(30, method=Image.Quantize.MEDIANCUT)
    keep("palette.png", saved(palette, "PNG"), np.asarray(palette.convert("RGB")))
    content = saved(palette, "PNG", transparency=bytes(range(0, 240, 8)))
    keep("palette-alpha.png", content, decoded(content, "RGBA"))
    keep("la8.png", saved(Image.fromarray(picture(2, 255), "LA"), "PNG"), picture(2, 255))
    keep("rgba8.png", saved(Image.fromarray(picture(4, 255)), "PNG"), picture(4, 255))
    for name, color_type, channels in [("gray16", 0, 1), ("rgb16", 2, 3), ("la16", 4, 2), ("rgba16", 6, 4)]:
        samples = picture(channels, 65535)
        keep(f"{name}.png", png(color_type, 16, [row.astype(">u2").tobytes() for row in samples]), samples)
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    keep("animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), rgb)
    content = png(2, 8, [row.tobytes() for row in rgb], [(b"gAMA", struct.pack(">I", 100000))])
    keep("linear-gamma.png", content, rgb)


def tiffs() -> None:
    def tiff(name: str, samples: np.ndarray, wanted: np.ndarray | None = None, **options) -> None:
        out = io.BytesIO()
        tifffile.imwrite(out, samples, metadata=None, **options)
        keep(name, out.getvalue(), samples if wanted is None else wanted)

    rgb = picture(3, 255)
    tiff("rgb8.tiff", rgb, photometric="rgb")
    tiff("rgb16-big-endian.tiff", picture(3, 65535), photometric="rgb", byteorder=">")
    tiff("rgb16-deflate.tiff", picture(3, 65535), photometric="rgb", compression="zlib")
    tiff("gray16.tiff", picture(1, 65535)[..., 0], photometric="minisblack")
    tiff("white-is-zero.tiff", picture(1, 255)[..., 0], 255 - picture(1, 255), photometric="miniswhite")
    tiff("rgba8.tiff", picture(4, 255), photometric="rgb", extrasamples=["unassalpha"])
    tiff("rgba16.tiff", picture(4, 65535), photometric="rgb", extrasamples=["unassalpha"])
    tiff("la8.tiff", picture(2, 255), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    tiff("planar.tiff", np.moveaxis(rgb, -1, 0), rgb, photometric="rgb", planarconfig="separate")
    tiff("tiled.tiff", rgb, photometric="rgb", tile=(16, 16))
    tiff("bigtiff.tiff", rgb, photometric="rgb", bigtiff=True)
    tiff("la16-planar.tiff", np.moveaxis(picture(2, 65535), -1, 0), picture(2, 65535), photometric="minisblack",
         planarconfig="separate", extrasamples=["unassalpha"])
    tiff("rgb-and-depth.tiff", picture(4, 255), picture(4, 255)[..., :3], photometric="rgb", extrasamples=["unspecified"])
    gray = picture(1, 255)[..., 0]
    tiff("gray-float32.tiff", (gray / 255).astype(np.float32), gray.astype(np.uint16) * 257, photometric="minisblack")
    floats = picture(3, 65535).astype(np.float32) / 65535
    tiff("float32.tiff", floats, picture(3, 65535), photometric="rgb")
    # Premultiplied: 16 bit, so that dividing loses less than a level of 8 bit.
    plain = picture(4, 65535).astype(np.float64) / 65535
    plain[..., 3] = 0.25 + 0.75 * plain[..., 3]
    multiplied = plain.copy()
    multiplied[..., :3] *= plain[..., 3:]
    integers = lambda values: np.round(values * 65535).astype(np.uint16)
    tiff("premultiplied.tiff", integers(multiplied), integers(plain), photometric="rgb", extrasamples=["assocalpha"])
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
        name = f"rgb8-{compression.removeprefix('tiff_').replace('_', '-')}.tiff"
        keep(name, saved(Image.fromarray(rgb), "TIFF", compression=compression), rgb)
    content = saved(Image.fromarray(rgb), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    keep("rgb8-lzw-predictor.tiff", content, rgb)
    cmyk = Image.fromarray(picture(4, 255), "CMYK")
    content = saved(cmyk, "TIFF")
    keep("cmyk.tiff", content, decoded(content, "RGB"))
    bilevel = Image.fromarray(picture(1, 255)[..., 0]).convert("1")
    keep("gray1.tiff", saved(bilevel, "TIFF"), np.asarray(bilevel.convert("L")))
    pages = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    keep("pages.tiff", saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), rgb)


def webps() -> None:
    rgb, rgba = Image.fromarray(picture(3, 255)), Image.fromarray(picture(4, 255))
    keep("lossless.webp", saved(rgb, "WEBP", lossless=True), picture(3, 255))
    keep("lossless-alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True), picture(4, 255))
    for name, image, mode in [("lossy.webp", rgb, "RGB"), ("lossy-alpha.webp", rgba, "RGBA")]:
        content = saved(image, "WEBP", quality=90)
        keep(name, content, decoded(content, mode))
    other = Image.fromarray(255 - picture(3, 255))
    content = saved(rgb, "WEBP", lossless=True, save_all=True, append_images=[other], duration=100)
    keep("animated.webp", content, picture(3, 255))


def oriented() -> None:
    """All eight orientations in every format, with the fields that EXIF usually has."""
    rgb = Image.fromarray(picture(3, 255)).crop((0, 0, 13, 9))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "Maker"
        exif[0x0132] = "2023:05:12 10:11:12"
        exif.get_ifd(0x8769)[0x829A] = TiffImagePlugin.IFDRational(1, 250)  # ExposureTime
        exif.get_ifd(0x8825)[1] = "N"  # GPSLatitudeRef
        for suffix, kind, options in [
            ("png", "PNG", {}),
            ("jpg", "JPEG", dict(quality=95, subsampling=0)),
            ("webp", "WEBP", dict(lossless=True)),
            ("tiff", "TIFF", {}),
        ]:
            content = saved(rgb, kind, exif=exif, **options)
            keep(f"orientation{orientation}.{suffix}", content, decoded(content, "RGB"))


def tiff_with_directories() -> None:
    """A big-endian TIFF with camera and GPS directories, assembled by hand: Pillow leaves them out when it writes TIFF."""
    samples = picture(1, 255)[..., 0]
    strip_at = 8
    main_at = strip_at + samples.size + samples.size % 2

    def directory(entries: list[tuple[int, int, int, bytes]], at: int) -> bytes:
        values_at = at + 2 + 12 * len(entries) + 4
        head, values = struct.pack(">H", len(entries)), b""
        for tag, kind, count, data in sorted(entries):
            head += struct.pack(">HHI", tag, kind, count)
            if len(data) <= 4:
                head += data.ljust(4, b"\0")
            else:
                head += struct.pack(">I", values_at + len(values))
                values += data + b"\0" * (len(data) % 2)
        return head + struct.pack(">I", 0) + values

    long = lambda value: struct.pack(">I", value)
    short = lambda value: struct.pack(">H", value)
    camera = [(0x829A, 5, 1, long(1) + long(250)), (0x9000, 7, 4, b"0232")]
    position = [(1, 2, 2, b"N\0"), (2, 5, 3, b"".join(long(value) for value in (47, 1, 30, 1, 5, 1)))]

    def main(camera_at: int, position_at: int) -> list[tuple[int, int, int, bytes]]:
        return [
            (256, 4, 1, long(WIDTH)), (257, 4, 1, long(HEIGHT)), (258, 3, 1, short(8)), (259, 3, 1, short(1)),
            (262, 3, 1, short(1)), (271, 2, 6, b"Maker\0"), (273, 4, 1, long(strip_at)), (274, 3, 1, short(3)),
            (277, 3, 1, short(1)), (278, 4, 1, long(HEIGHT)), (279, 4, 1, long(samples.size)),
            (306, 2, 20, b"2023:05:12 10:11:12\0"), (0x8769, 4, 1, long(camera_at)), (0x8825, 4, 1, long(position_at)),
        ]

    camera_at = main_at + len(directory(main(0, 0), main_at))
    position_at = camera_at + len(directory(camera, camera_at))
    content = b"MM\0\x2a" + long(main_at) + samples.tobytes() + b"\0" * (samples.size % 2)
    content += directory(main(camera_at, position_at), main_at)
    content += directory(camera, camera_at) + directory(position, position_at)
    found = Image.open(io.BytesIO(content)).getexif()
    assert found.get_ifd(0x8769)[0x829A] == 1 / 250 and found.get_ifd(0x8825)[2] == (47.0, 30.0, 5.0)
    keep("directories.tiff", content, decoded(content, "L"))


def profiles() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (HERE / "srgb.icc").write_bytes(profile)
    rgb = Image.fromarray(picture(3, 255))
    for suffix, kind, options in [
        ("png", "PNG", {}),
        ("jpg", "JPEG", dict(quality=95, subsampling=0)),
        ("webp", "WEBP", dict(lossless=True)),
        ("tiff", "TIFF", {}),
    ]:
        content = saved(rgb, kind, icc_profile=profile, **options)
        keep(f"profile.{suffix}", content, decoded(content, "RGB"))


def main() -> None:
    FILES.mkdir(exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    jpegs()
    pngs()
    tiffs()
    webps()
    oriented()
    tiff_with_directories()
    profiles()
    versions = {"pillow": PIL.__version__, "tifffile": tifffile.__version__, "numpy": np.__version__}
    metadata = {"versions": json.dumps(versions), "seed": str(SEED), "generator": "gen.py"}
    save_file(expected, HERE / "expected.safetensors", metadata)


if __name__ == "__main__":
    main()
