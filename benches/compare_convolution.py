#!/usr/bin/env python3
"""Times our convolution, SciPy's fftconvolve and OpenCV's filter2D in turns in one run, and checks that the results agree.

Every side convolves one photo of three planes, one megapixel, float32, on one core. Ours and SciPy get it with its border mirrored and
keep what the whole kernel covers; OpenCV mirrors the border itself. A ratio above 1 means that ours is faster. Needs numpy, scipy and
opencv; our side is built with cargo.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The libraries read these when they are loaded.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}

import cv2
import numpy as np
from scipy.signal import fftconvolve

ROOT = pathlib.Path(__file__).resolve().parents[1]
# float32 transforms and sums against float64, on an image in [0, 1].
TOLERANCE = 1e-6
KERNELS = {
    "disc": {"family": "defocus", "radius": 15.4},
    "oblique Gaussian": {"family": "gaussian", "sigma": 3.75, "sigma_minor": 3.0, "angle_degrees": 30.0},
    "camera shake": {"family": "camera_shake", "extent": 24.0, "anxiety": 0.05, "exposure": 0.5, "seed": 3},
    "straight motion": {"family": "linear_motion", "length": 30.0, "angle_degrees": 20.0},
    "round Gaussian": {"family": "gaussian", "sigma": 3.75},
}


class Ours:
    """Our program; see crates/blur-synth/examples/convolution_timer.rs."""

    def __init__(self, folder):
        build = ["cargo", "build", "--quiet", "--release", "-p", "blur-synth", "--example", "convolution_timer"]
        subprocess.run(build, cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        program = ROOT / target / "release" / "examples" / "convolution_timer"
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = folder

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "our program ended"}')
        if "error" in answer:
            sys.exit(f"convolution_timer: {answer['error']}")
        return answer

    def load(self, blur, photo):
        """Taps and result for the photo, whose border is mirrored by the radius of the kernel; and that photo."""
        files = {name: str(self.folder / f"{name}.f32") for name in ("image", "taps", "output")}
        # The radius is known when the kernel is: a first request with a photo that is surely large enough.
        np.zeros((1, 257, 257), "<f4").tofile(files["image"])
        side = self.ask(blur=blur, shape=[1, 257, 257], **files)["side"]
        radius = side // 2
        padded = np.ascontiguousarray(np.pad(photo, ((0, 0), (radius, radius), (radius, radius)), mode="reflect"))
        padded.astype("<f4").tofile(files["image"])
        count = self.ask(blur=blur, shape=padded.shape, **files)["taps"]
        taps = np.fromfile(files["taps"], "<f4").reshape(side, side)
        return padded, taps, count, np.fromfile(files["output"], "<f4").reshape(photo.shape)


def timed(run):
    def one():
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return one


def in_turn(contestants, rounds):
    """Median and least of `rounds` times each, taken A B C, C B A, A B C, … so that a drift of the machine's speed hits all alike."""
    seconds = {name: [] for name in contestants}
    for turn in range(-1, rounds):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            value = contestants[name]()
            if turn >= 0:
                seconds[name].append(value)
    return {name: (statistics.median(values), min(values)) for name, values in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="times each convolution is timed; default 7")
    parser.add_argument("--side", type=int, default=1000, metavar="PIXELS", help="height and width of the photo, above 128; default 1000")
    parser.add_argument("--core", type=int, metavar="N", help="the core to run on; default: the last one allowed")
    options = parser.parse_args()
    if options.rounds < 1 or options.side <= 128:
        parser.error("--rounds must be at least 1 and --side above 128")
    # Children inherit it; where the system cannot pin, the variables above still keep each side to one thread.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if options.core is None else options.core})
    cv2.setNumThreads(1)
    photo = np.random.default_rng(7).random((3, options.side, options.side), dtype=np.float32)
    interleaved = np.ascontiguousarray(photo.transpose(1, 2, 0))
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(pathlib.Path(folder))
        for name, blur in KERNELS.items():
            padded, taps, count, result = ours.load(blur, photo)
            # filter2D correlates.
            flipped = np.ascontiguousarray(taps[::-1, ::-1])

            def scipy():
                return fftconvolve(padded, taps[None], mode="valid", axes=(1, 2))

            def opencv():
                return cv2.filter2D(interleaved, -1, flipped, borderType=cv2.BORDER_REFLECT_101)

            exact = fftconvolve(padded.astype(np.float64), taps[None].astype(np.float64), mode="valid", axes=(1, 2))
            errors = {
                "ours": np.abs(result - exact).max(),
                "scipy": np.abs(scipy() - exact).max(),
                "cv2": np.abs(opencv().transpose(2, 0, 1) - exact).max(),
            }
            contestants = {"ours": lambda: ours.ask()["seconds"], "scipy": timed(scipy), "cv2": timed(opencv)}
            if name == "round Gaussian":
                line = np.sqrt(np.diagonal(taps))

                def opencv_separable():
                    return cv2.sepFilter2D(interleaved, -1, line, line, borderType=cv2.BORDER_REFLECT_101)

                errors["cv2.sepFilter2D"] = np.abs(opencv_separable().transpose(2, 0, 1) - exact).max()
                contestants["cv2.sepFilter2D"] = timed(opencv_separable)
            seconds = in_turn(contestants, options.rounds)
            columns = "  ".join(
                f"{who} {median * 1e3:.1f} ms (least {least * 1e3:.1f}, error {errors[who]:.1e})" for who, (median, least) in seconds.items()
            )
            ratios = "  ".join(f"{who}/ours {median / seconds['ours'][0]:.2f}" for who, (median, _) in seconds.items() if who != "ours")
            print(f"{name}, {len(taps)}x{len(taps)}, {count} taps:  {columns}  {ratios}", flush=True)
            if not errors["ours"] <= TOLERANCE:
                sys.exit(f"{name}: our result is off by {errors['ours']:.1e}, more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
