"""Reference values for the classical deconvolution of the benchmark (xtask/src/bench_ood/classical).

Run: python gen.py            (needs numpy, scipy, scikit-image, safetensors)
Writes reference.safetensors next to this file.
"""
import json
from pathlib import Path

import numpy as np
import scipy
import skimage
from safetensors.numpy import save_file
from scipy.signal import convolve
from skimage.restoration import richardson_lucy, wiener

SEED = 1972
ITERATIONS = 12
BALANCE = 0.003


def kernel():
    """Unlike itself in every mirror, with its centroid in the middle."""
    taps = np.zeros((7, 7))
    for row, column, weight in [(0, -2, 1), (0, 1, 2), (-1, 0, 3), (3, 0, 1), (0, 0, 1), (1, 1, 1), (-1, -1, 1)]:
        taps[3 + row, 3 + column] = weight
    centroid = [float((taps * axis).sum() / taps.sum()) for axis in np.mgrid[-3:4, -3:4]]
    assert np.allclose(centroid, 0), centroid
    return taps / taps.sum()


def lucy_of_a_window(observed, taps, iterations, start, is_clipped):
    """Richardson-Lucy whose unknowns reach beyond the border by the radius of the kernel, in double precision."""
    turned = taps[::-1, ::-1]
    seen = convolve(np.ones_like(observed), turned, mode="full", method="direct")
    estimate = start.copy()
    for _ in range(iterations):
        ratio = observed / convolve(estimate, taps, mode="valid", method="direct")
        ratio = np.where(is_clipped, np.maximum(ratio, 1), ratio)
        correction = convolve(ratio, turned, mode="full", method="direct") / np.maximum(seen, 1e-30)
        estimate = np.where(seen > 0.01, estimate * correction, estimate)
    return estimate


def main():
    random = np.random.default_rng(SEED)
    taps = kernel()
    camera = skimage.data.camera()[100:136, 200:241] / 255.0

    # Dark within twice the radius of the border: there scikit-image, which takes the outside for black, needs no care.
    dark = np.zeros((48, 53))
    dark[6:-6, 6:-6] = camera
    dark = np.maximum(convolve(np.pad(dark[9:-9, 9:-9], 6), taps, mode="valid") , 0)
    lucy_observed = np.zeros((48, 53))
    lucy_observed[6:6 + dark.shape[0], 6:6 + dark.shape[1]] = dark
    lucy = richardson_lucy(lucy_observed, taps, num_iter=ITERATIONS, clip=False)

    # A window of a larger scene with noise and a lamp that is brighter than white.
    scene = skimage.data.camera()[300:342, 180:226] / 255.0
    scene[12:15, 20:24] = 6.0
    observed = convolve(scene, taps, mode="valid", method="direct")
    observed = np.clip(observed + random.normal(0, 0.004, observed.shape), 0.002, 1.0)
    is_clipped = observed >= 1.0
    assert 10 < is_clipped.sum() < 200, is_clipped.sum()
    start = np.full(scene.shape, 0.5)
    window = lucy_of_a_window(observed, taps, ITERATIONS, start, is_clipped)

    noisy = camera + random.normal(0, 0.01, camera.shape)
    even = noisy[:36, :40]
    wiener_even = wiener(even, taps, BALANCE, clip=False)
    wiener_odd = wiener(noisy[:35, :41], taps, BALANCE, clip=False)

    tensors = {
        "taps": taps,
        "lucy.observed": lucy_observed,
        "lucy.restored": lucy,
        "window.observed": observed,
        "window.is_clipped": is_clipped.astype(np.float64),
        "window.start": start,
        "window.restored": window,
        "wiener_even.observed": even,
        "wiener_even.restored": wiener_even,
        "wiener_odd.observed": noisy[:35, :41],
        "wiener_odd.restored": wiener_odd,
    }
    metadata = {
        "iterations": str(ITERATIONS),
        "balance": str(BALANCE),
        "seed": str(SEED),
        "versions": json.dumps({"numpy": np.__version__, "scipy": scipy.__version__, "skimage": skimage.__version__}),
    }
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), metadata)


if __name__ == "__main__":
    main()
