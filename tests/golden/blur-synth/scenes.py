"""Reference for what no single kernel describes: warps, moving layers, frame averages, highlights, noise, JPEG.

Written from the documented formulas with SciPy's interpolation and Pillow's JPEG codec; `gen.py` calls it.
"""
import io
import json

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

WARPS = [
    {"family": "rotation", "extent": 9.0, "center": [0.5, 0.5]},
    {"family": "rotation", "extent": 14.0, "center": [0.25, 0.875]},
    {"family": "zoom", "extent": 10.0, "center": [0.5, 0.5]},
    {"family": "zoom", "extent": 7.5, "center": [0.125, 0.375]},
]
OBJECT = {"center": [0.4375, 0.5625], "radius": 0.25, "irregularity": 0.5, "softness": 3.0, "seed": 11}
LINEAR = {"path": "linear_motion", "length": 8.0, "angle_degrees": 35.0}
SHAKE = {"path": "camera_shake", "extent": 7.0, "anxiety": 0.0625, "exposure": 0.5, "seed": 3}
STILL = {"path": "still"}
LAYERS = [
    {"family": "object_motion", "object": OBJECT, "foreground": LINEAR, "background": STILL},
    {"family": "object_motion", "object": OBJECT, "foreground": STILL, "background": SHAKE},
    {"family": "object_motion", "object": OBJECT, "foreground": SHAKE, "background": LINEAR},
]
JPEGS = [
    {"quality": 95, "chroma": "4:4:4"},
    {"quality": 60, "chroma": "4:4:4"},
    {"quality": 25, "chroma": "4:2:0"},
    {"quality": 85, "chroma": "4:2:0"},
]


def smooth_picture(channels, height, width):
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [0.5 + 0.25 * np.sin(0.4 * x + c) * np.cos(0.3 * y - c) + 0.2 * np.tanh(np.sin(0.13 * (x + y) + c) * 4)
              for c in range(channels)]
    return np.stack(planes).astype(np.float32)


def read(plane, x, y):
    """Bilinear, mirrored about the border pixels."""
    return map_coordinates(plane, [y, x], order=1, mode="mirror", prefilter=False)


def warp(light, blur, per_pixel):
    """Mean over the exposure. The number of instants follows the way of the farthest pixel of each row."""
    channels, height, width = light.shape
    centre = np.array(blur["center"]) * [width - 1, height - 1]
    corners = np.array([[x, y] for x in (0, width - 1) for y in (0, height - 1)]) - centre
    radius = np.hypot(corners[:, 0], corners[:, 1]).max()
    amount = blur["extent"] / radius
    out = np.zeros((channels, height, width))
    columns = np.arange(width) - centre[0]
    for row in range(height):
        y = row - centre[1]
        way = blur["extent"] * np.hypot(np.abs(columns).max(), y) / radius
        count = int(np.ceil(per_pixel * way)) + 1
        instants = amount * ((np.arange(count) + 0.5) / count - 0.5)
        if blur["family"] == "zoom":
            factors = 1 + instants + 0j
        else:
            factors = np.exp(1j * instants) / np.cos(instants).mean()
        for factor in factors:
            place = (columns + 1j * y) * factor
            for channel in range(channels):
                out[channel, row] += read(light[channel], place.real + centre[0], place.imag + centre[1]) / count
    return out


def outline(place, shape, splitmix):
    """Distance from the middle and of the outline, for places x + iy."""
    height, width = shape
    random = splitmix(OBJECT["seed"], "moving object")
    waves = []
    for harmonic in range(2, 6):
        phase = 2 * np.pi * random.uniform()
        waves.append((harmonic, random.uniform() * np.exp(1j * phase)))
    total = sum(abs(wave) for _, wave in waves)
    centre = OBJECT["center"][0] * (width - 1) + 1j * OBJECT["center"][1] * (height - 1)
    offset = place - centre
    angle = np.angle(offset)
    radius = 1 + sum((wave * np.exp(1j * harmonic * angle)).real for harmonic, wave in waves) * OBJECT["irregularity"] / total
    return np.abs(offset), radius * OBJECT["radius"] * min(height, width), centre


def coverage_of(distance, edge):
    inside = np.clip((edge - distance) / OBJECT["softness"] + 0.5, 0, 1)
    return inside * inside * (3 - 2 * inside)


def path_of(motion, shake_corners):
    if motion["path"] == "still":
        return np.zeros((2, 2))
    if motion["path"] == "linear_motion":
        angle = np.deg2rad(motion["angle_degrees"])
        half = 0.5 * motion["length"] * np.array([np.cos(angle), -np.sin(angle)])
        return np.stack([-half, half])
    return shake_corners({key: value for key, value in motion.items() if key != "path"})


def positions(corners, count):
    time = (np.arange(count) + 0.5) / count * (len(corners) - 1)
    moved = np.stack([np.interp(time, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1)], 1)
    return moved - moved.mean(0)


def layers(light, blur, shake_corners, splitmix, density):
    channels, height, width = light.shape
    paths = [path_of(blur[name], shake_corners) for name in ("foreground", "background")]
    way = max(np.hypot(*np.diff(path, axis=0).T).sum() for path in paths)
    count = density * (int(np.ceil(2 * way)) + 1)
    front, back = [positions(path, count) for path in paths]
    # Layers on a larger grid, so that what moves in from outside is there.
    pad = 32
    y, x = np.mgrid[-pad:height + pad, -pad:width + pad].astype(np.float64)
    distance, edge, centre = outline(x + 1j * y, (height, width), splitmix)
    cover = coverage_of(distance, edge)
    covered = edge - 0.5 * OBJECT["softness"]
    offset = x + 1j * y - centre
    safe = np.maximum(distance, 1e-9)
    behind = np.where(distance >= covered, x + 1j * y, centre + offset * (2 * covered - distance) / safe)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.zeros((channels, height, width))
    for f, b in zip(front, back):
        moved = read(cover, columns - f[0] + pad, rows - f[1] + pad)
        for channel in range(channels):
            plane = read(light[channel], x, y)
            scene = read(light[channel], behind.real, behind.imag)
            out[channel] += (read(cover * plane, columns - f[0] + pad, rows - f[1] + pad)
                             + (1 - moved) * read(scene, columns - b[0] + pad, rows - b[1] + pad)) / count
    return out


def sensor_noise(light, shot, floor, seed, splitmix):
    """`light + sqrt(shot * light + floor^2) * n`, one stream for each channel and row."""
    out = np.empty_like(light)
    for channel in range(light.shape[0]):
        for row in range(light.shape[1]):
            stream = splitmix(seed, "sensor noise")
            index = (channel << 32) | row
            stream.state = stream.mix(stream.state ^ stream.mix((index + 0x9E3779B97F4A7C15) & ((1 << 64) - 1)))
            normal = np.array([stream.normal() for _ in range(light.shape[2])])
            values = light[channel, row]
            out[channel, row] = values + np.sqrt(shot * values + floor**2) * normal
    return out


def jpeg(image, setting):
    levels = np.floor(np.asarray(image, np.float64) * 255 + 0.5).astype(np.uint8)
    picture = Image.fromarray(levels.transpose(1, 2, 0) if len(levels) == 3 else levels[0])
    stream = io.BytesIO()
    options = {"subsampling": setting["chroma"]} if len(levels) == 3 else {}
    picture.save(stream, "JPEG", quality=setting["quality"], **options)
    decoded = np.asarray(Image.open(stream), np.float64) / 255
    return decoded.transpose(2, 0, 1) if len(levels) == 3 else decoded[None]


def tensors(decode, encode, shake_corners, splitmix):
    """All reference tensors of this file, and the records they belong to."""
    out = {}
    picture = smooth_picture(3, 44, 52)
    light = decode(picture)
    out["scene.picture"] = picture
    for index, blur in enumerate(WARPS):
        out[f"warp.{index}"] = encode(np.clip(warp(light, blur, 2.0), 0, 1))
        out[f"warp.{index}.dense"] = encode(np.clip(warp(light, blur, 40.0), 0, 1))
    for index, blur in enumerate(LAYERS):
        out[f"layers.{index}"] = encode(np.clip(layers(light, blur, shake_corners, splitmix, 1), 0, 1))
        out[f"layers.{index}.dense"] = encode(np.clip(layers(light, blur, shake_corners, splitmix, 10), 0, 1))
    frames = np.stack([np.roll(picture, shift, axis=2) for shift in (0, 1, 3, 4, 6)])
    out["frames"] = frames
    out["frames.mean"] = encode(decode(frames).mean(0))
    threshold, gain = 0.5, 8.0
    luminance = np.tensordot([0.2126, 0.7152, 0.0722], light, 1)
    expanded = light * (1 + gain * np.maximum(luminance - threshold, 0) / (1 - threshold))
    box = np.full((5, 5), 1 / 25)
    padded = np.pad(expanded, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    out["highlights"] = encode(np.clip((windows * box).sum((-2, -1)), 0, 1))
    noisy = sensor_noise(light, 3e-3, 2e-2, 12345, splitmix)
    out["noise"] = np.floor(encode(np.clip(noisy, 0, 1)) * 255 + 0.5) / 255
    coarse = np.concatenate([picture, 0.2 + 0.6 * (np.indices((44, 52)).sum(0) % 7 < 3)[None]])[[0, 3, 1]].astype(np.float32)
    out["jpeg.picture"] = coarse
    for index, setting in enumerate(JPEGS):
        out[f"jpeg.{index}"] = jpeg(coarse, setting)
    out["jpeg.grey"] = jpeg(coarse[:1], JPEGS[1])
    records = {"warps": json.dumps(WARPS), "layers": json.dumps(LAYERS), "jpegs": json.dumps(JPEGS)}
    return out, records
