#!/usr/bin/env python3
"""Times our LPIPS on AlexNet and the Python package `lpips` in turns in one run, and checks that the distances agree.

Both get the same pair of images in memory, the same weights and the same number of threads; both run libtorch. A ratio above 1 means that
ours is faster. Needs torch, torchvision, lpips, numpy and safetensors, and the weights of `cargo xtask datasets fetch metric-weights`.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import lpips
import numpy as np
import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
# float32 sums in another order.
TOLERANCE = 1e-5


def ours(weights, side, threads):
    build = ["cargo", "build", "--quiet", "--release", "-p", "image-quality", "--features", "torch", "--example", "lpips_timer"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "examples" / "lpips_timer"
    return subprocess.Popen([program, str(weights), str(side), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


def theirs(weights):
    metric = lpips.LPIPS(pretrained=False, pnet_rand=True, net="alex", verbose=False).eval()
    tensors = load_file(weights)
    for part in (metric.net.slice1, metric.net.slice2, metric.net.slice3, metric.net.slice4, metric.net.slice5):
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data = tensors[f"features.{name}.weight"]
                layer.bias.data = tensors[f"features.{name}.bias"]
    for index, head in enumerate(metric.lins):
        head.model[1].weight.data = tensors[f"lin{index}.model.1.weight"]
    return metric


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=pathlib.Path, help="lpips_alexnet.safetensors")
    parser.add_argument("--side", type=int, default=256, help="pixels (default: 256)")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each side (default: 30)")
    parser.add_argument("--threads", type=int, default=1, help="of libtorch on both sides (default: 1)")
    arguments = parser.parse_args()

    random = np.random.default_rng(7)
    images = [(random.integers(0, 256, (3, arguments.side, arguments.side)) / 255).astype(np.float32) for _ in range(2)]
    torch.set_num_threads(arguments.threads)
    metric = theirs(arguments.weights)
    times = {"ours": [], "lpips": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(pathlib.Path(folder) / f"{index}.f32") for index in range(2)]
        for path, image in zip(paths, images):
            image.tofile(path)
        process = ours(arguments.weights, arguments.side, arguments.threads)
        for turn in range(arguments.rounds + 3):
            process.stdin.write("\t".join(paths) + "\n")
            process.stdin.flush()
            distance, seconds = map(float, process.stdout.readline().split())
            start = time.perf_counter()
            with torch.no_grad():
                tensors = [torch.from_numpy(image)[None] for image in images]
                expected = metric(*tensors, normalize=True).item()
            elapsed = time.perf_counter() - start
            if abs(distance - expected) > TOLERANCE * expected:
                sys.exit(f"the distances differ: {distance} and {expected}")
            # The first turns plan convolutions and fill caches.
            if turn >= 3:
                times["ours"].append(seconds)
                times["lpips"].append(elapsed)
        process.stdin.close()
        process.wait()
    median = {name: statistics.median(values) for name, values in times.items()}
    ratios = [theirs / ours for ours, theirs in zip(times["ours"], times["lpips"])]
    print(f"{arguments.side} x {arguments.side}, {arguments.threads} thread(s): ours {median['ours'] * 1e3:.1f} ms, "
          f"lpips {median['lpips'] * 1e3:.1f} ms, ratio {statistics.median(ratios):.2f} (median of {arguments.rounds} turns)")


if __name__ == "__main__":
    main()
