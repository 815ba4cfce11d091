"""Reference values for the crate blur-synth, computed without it.

Run: python gen.py            (needs numpy, scipy, scikit-image, safetensors)
Writes reference.safetensors next to this file.

- camera response: scikit-image (grey pixels through rgb2xyz / xyz2rgb, whose Y is linear light)
- discs: averaging exact chord lengths over dense columns of each pixel
- Gaussians: averaging the density over a dense grid in each pixel
- straight motion, camera shake: sharing densely placed points bilinearly; the shake's trajectory is written again
  here from the formula, with SciPy's normal quantile
- convolution: scipy.signal.convolve in float64
- polygons: dense points of each pixel inside all half-planes
- custom kernels: scipy.ndimage.shift of the taps on a larger grid
- whole degradations without noise: the pieces above, put together here
- warps, moving layers, frame averages, highlights, noise and JPEG: scenes.py
- kernels as files: kernel_files.py
"""
import json
from pathlib import Path

import numpy as np
import PIL
import scipy
import skimage
import kernel_files
import scenes
from safetensors.numpy import save_file
from scipy.ndimage import shift
from scipy.signal import convolve
from scipy.special import ndtri
from skimage.color import rgb2xyz, xyz2rgb

SEED = 20240229
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


class SplitMix64:
    def __init__(self, seed, purpose):
        self.state = self.mix((seed + GOLDEN) & MASK)
        for byte in purpose.encode():
            self.state = self.mix(((self.state + GOLDEN) & MASK) ^ byte)

    @staticmethod
    def mix(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def next(self):
        self.state = (self.state + GOLDEN) & MASK
        return self.mix(self.state)

    def uniform(self):
        return (self.next() >> 11) / 2.0**53

    def normal(self):
        return ndtri(((self.next() >> 12) + 0.5) / 2.0**52)


def normalised(kernel):
    """Sum 1, border rings without any weight dropped."""
    kernel = kernel / kernel.sum()
    while len(kernel) > 1 and kernel.astype(np.float32)[[0, -1], :].max() == 0 == kernel.astype(np.float32)[:, [0, -1]].max():
        kernel = kernel[1:-1, 1:-1]
    return kernel


def disc(radius):
    """Densely placed columns of each pixel; the length of each that lies inside the disc is exact."""
    reach, dense = int(np.ceil(max(radius - 0.5, 0))), 100_000
    offsets = (np.arange(dense) + 0.5) / dense - 0.5
    kernel = np.zeros((2 * reach + 1,) * 2)
    for column in range(-reach, reach + 1):
        half = np.sqrt(np.clip(radius**2 - (column + offsets) ** 2, 0, None))
        for row in range(-reach, reach + 1):
            kernel[row + reach, column + reach] = np.mean(
                np.clip(np.minimum(half, row + 0.5) - np.maximum(-half, row - 0.5), 0, None))
    return normalised(kernel)


def polygon(radius, blades, rotation_degrees):
    """Rows of points are cut exactly by the half-planes; dense rows are averaged."""
    step, dense = 2 * np.pi / blades, 20_000
    corner = radius * np.sqrt(np.pi / (0.5 * blades * np.sin(step)))
    reach = int(np.ceil(max(corner - 0.5, 0)))
    # A side lies at the distance of the inradius, its normal halfway between two corners; y grows downwards.
    normals = np.deg2rad(rotation_degrees) + step * (np.arange(blades) + 0.5)
    inradius = corner * np.cos(step / 2)
    kernel = np.zeros((2 * reach + 1,) * 2)
    for row in range(-reach, reach + 1):
        y = row + (np.arange(dense) + 0.5) / dense - 0.5
        low, high = np.full(dense, -np.inf), np.full(dense, np.inf)
        for angle in normals:
            # x cos(a) - y sin(a) <= inradius
            bound = (inradius + y * np.sin(angle)) / np.cos(angle)
            if np.cos(angle) > 0:
                high = np.minimum(high, bound)
            else:
                low = np.maximum(low, bound)
        for column in range(-reach, reach + 1):
            length = np.minimum(high, column + 0.5) - np.maximum(low, column - 0.5)
            kernel[row + reach, column + reach] = np.clip(length, 0, None).mean()
    return normalised(kernel)


def custom(taps):
    """Taps moved so that their centroid is in the middle of a larger grid."""
    taps = np.array(taps, np.float64)
    rows, columns = np.indices(taps.shape)
    y, x = (rows * taps).sum() / taps.sum(), (columns * taps).sum() / taps.sum()
    reach = max(taps.shape) + 1
    grid = np.zeros((2 * reach + 1,) * 2)
    top, left = reach - int(np.floor(y)), reach - int(np.floor(x))
    grid[top:top + taps.shape[0], left:left + taps.shape[1]] = taps
    return normalised(shift(grid, [-(y % 1), -(x % 1)], order=1, prefilter=False))


def gaussian(sigma, sigma_minor, angle_degrees):
    reach, dense = int(np.ceil(4 * sigma)), 200
    angle = np.deg2rad(angle_degrees)
    coordinates = (np.arange((2 * reach + 1) * dense) + 0.5) / dense - 0.5 - reach
    kernel = np.zeros((2 * reach + 1,) * 2)
    for row in range(2 * reach + 1):
        y = coordinates[row * dense:(row + 1) * dense, None]
        x = coordinates[None, :]
        along = x * np.cos(angle) - y * np.sin(angle)
        across = x * np.sin(angle) + y * np.cos(angle)
        density = np.exp(-0.5 * ((along / sigma) ** 2 + (across / sigma_minor) ** 2))
        kernel[row] = density.sum(0).reshape(-1, dense).sum(1)
    return normalised(kernel)


def splat(points):
    """Shares each point [x, y] bilinearly among four pixels."""
    reach = int(np.ceil(np.abs(points).max()))
    kernel = np.zeros((2 * reach + 3,) * 2)
    base = np.floor(points).astype(int)
    fraction = points - base
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dx - fraction[:, 0]) * np.abs(1 - dy - fraction[:, 1])
            np.add.at(kernel, (base[:, 1] + dy + reach + 1, base[:, 0] + dx + reach + 1), share)
    return normalised(kernel)


def dense_polyline(corners, per_segment):
    position = (np.arange(per_segment) + 0.5) / per_segment
    start, step = corners[:-1, None, :], np.diff(corners, axis=0)[:, None, :]
    return (start + step * position[None, :, None]).reshape(-1, 2)


def linear_motion(length, angle_degrees):
    angle = np.deg2rad(angle_degrees)
    half = 0.5 * length * np.array([np.cos(angle), -np.sin(angle)])
    return splat(dense_polyline(np.stack([-half, half]), 400_000))


def shake_corners(extent, anxiety, exposure, seed, steps=2000, path_length=64.0):
    """Positions at equal time steps, their mean over time in the origin."""
    random = SplitMix64(seed, "camera shake")
    speed = path_length / (steps - 1)
    centripetal = 0.7 * random.uniform()
    jerk_probability = 0.2 * random.uniform() * anxiety
    shake = 10.0 * random.uniform()
    velocity = speed * np.exp(2j * np.pi * random.uniform())
    path = [0j]
    for _ in range(max(1, round(exposure * (steps - 1)))):
        jerk = 0
        if random.uniform() < jerk_probability:
            jerk = 2 * velocity * np.exp(1j * (np.pi + random.uniform() - 0.5))
        noise = random.normal() + 1j * random.normal()
        velocity = velocity + jerk + anxiety * (shake * noise - centripetal * path[-1]) * speed
        velocity *= speed / abs(velocity)
        path.append(path[-1] + velocity)
    corners = np.stack([np.real(path), np.imag(path)], 1)
    corners *= extent / np.ptp(corners, axis=0).max()
    return corners - (0.5 * (corners[1:] + corners[:-1])).mean(0)


def camera_shake(**parameters):
    return splat(dense_polyline(shake_corners(**parameters), 200))


def decode(encoded):
    return rgb2xyz(np.repeat(np.asarray(encoded, np.float64)[..., None], 3, -1))[..., 1]


# White of scikit-image's own matrix, so that grey in gives grey out.
WHITE = rgb2xyz(np.ones((1, 3)))[0]


def encode(linear):
    return xyz2rgb(np.asarray(linear, np.float64)[..., None] * WHITE)[..., 1]


def degrade(image, kernel):
    margin = len(kernel) // 2
    padded = np.pad(decode(image), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    blurred = np.stack([convolve(channel, kernel, mode="valid", method="direct") for channel in padded])
    return encode(np.clip(blurred, 0, 1))


BLURS = [
    {"family": "camera_shake", "extent": 12.0, "anxiety": 0.0625, "exposure": 0.25, "seed": 1},
    {"family": "camera_shake", "extent": 5.5, "anxiety": 0.0078125, "exposure": 1.0, "seed": 987654321},
    {"family": "camera_shake", "extent": 20.0, "anxiety": 0.09375, "exposure": 0.5, "seed": 4503599627370496},
    {"family": "camera_shake", "extent": 16.0, "anxiety": 0.03125, "exposure": 0.0625, "seed": 5},
    {"family": "linear_motion", "length": 9.25, "angle_degrees": 30.0},
    {"family": "linear_motion", "length": 3.0, "angle_degrees": 0.0},
    {"family": "linear_motion", "length": 14.5, "angle_degrees": 117.0},
    {"family": "defocus", "radius": 0.75},
    {"family": "defocus", "radius": 1.0},
    {"family": "defocus", "radius": 2.625},
    {"family": "defocus", "radius": 6.0},
    {"family": "defocus", "radius": 3.25, "blades": 6, "rotation_degrees": 10.0},
    {"family": "defocus", "radius": 4.5, "blades": 5, "rotation_degrees": 77.0},
    {"family": "defocus", "radius": 2.0, "blades": 3, "rotation_degrees": -20.0},
    {"family": "custom_kernel", "name": "small", "taps": [[0, 1, 2, 0.5], [0, 0, 3, 1.25], [0.25, 0, 0, 4]]},
    {"family": "custom_kernel", "name": "off the middle", "taps": [[1, 1, 0], [1, 1, 0], [0, 0, 0]]},
    {"family": "gaussian", "sigma": 0.625},
    {"family": "gaussian", "sigma": 3.0},
    {"family": "gaussian", "sigma": 2.5, "sigma_minor": 0.75, "angle_degrees": 25.0},
    {"family": "gaussian", "sigma": 2.0, "sigma_minor": 0.5, "angle_degrees": 100.0},
]


def kernel_of(blur):
    parameters = {key: value for key, value in blur.items() if key != "family"}
    if blur["family"] == "camera_shake":
        return camera_shake(**parameters)
    if blur["family"] == "linear_motion":
        return linear_motion(**parameters)
    if blur["family"] == "defocus" and "blades" in parameters:
        return polygon(**parameters)
    if blur["family"] == "defocus":
        return disc(**parameters)
    if blur["family"] == "custom_kernel":
        return custom(parameters["taps"])
    return gaussian(parameters["sigma"], parameters.get("sigma_minor", parameters["sigma"]),
                    parameters.get("angle_degrees", 0.0))


def main():
    random = np.random.default_rng(SEED)
    tensors = {}
    levels = np.concatenate([np.linspace(0, 1, 2049), np.geomspace(1e-6, 1, 512), [0.04045, 0.0031308]])
    levels = levels.astype(np.float32)
    tensors["response.values"] = levels
    tensors["response.decoded"] = decode(levels)
    tensors["response.encoded"] = encode(levels)

    image = random.random((3, 41, 53)).astype(np.float32)
    taps = random.random((9, 9)).astype(np.float32)
    taps[random.random((9, 9)) < 0.4] = 0
    taps /= taps.sum()
    factor = random.random(7).astype(np.float32)
    factor /= factor.sum()
    tensors["convolution.image"] = image
    tensors["convolution.taps"] = taps
    tensors["convolution.factor"] = factor
    valid = lambda kernel: np.stack([convolve(c.astype(np.float64), kernel, mode="valid", method="direct") for c in image])
    tensors["convolution.result"] = valid(taps.astype(np.float64))
    tensors["convolution.separable_result"] = valid(np.outer(factor, factor).astype(np.float64))

    small = random.random((2, 26, 31)).astype(np.float32)
    tensors["degradation.image"] = small
    for index, blur in enumerate(BLURS):
        kernel = kernel_of(blur)
        tensors[f"kernel.{index}"] = kernel
        tensors[f"degradation.{index}"] = degrade(small, kernel).astype(np.float32)

    more, records = scenes.tensors(decode, encode, lambda motion: shake_corners(**motion), SplitMix64)
    tensors |= {name: np.asarray(value, np.float32) for name, value in more.items()}
    tensors |= kernel_files.tensors()
    metadata = {
        **records,
        "blurs": json.dumps(BLURS),
        "seed": str(SEED),
        "versions": json.dumps({"numpy": np.__version__, "scipy": scipy.__version__, "skimage": skimage.__version__,
                                "pillow": PIL.__version__}),
    }
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), metadata)


if __name__ == "__main__":
    main()
