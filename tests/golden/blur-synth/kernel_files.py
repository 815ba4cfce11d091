"""Small kernels as files, written by NumPy, SciPy and Pillow; `files.NAME` is the file, `files.NAME.taps` what it holds."""
import io

import numpy as np
from PIL import Image
from scipy.io import savemat


def tensors():
    random = np.random.default_rng(20261123)
    kernel = random.random((5, 7))
    kernel[random.random((5, 7)) < 0.3] = 0
    counts = random.integers(0, 200, (4, 3))
    several = random.random((3, 4, 6))
    levels = random.integers(0, 65536, (6, 5))
    out = {}

    def add(name, taps, write):
        buffer = io.BytesIO()
        write(buffer)
        stored = buffer.getvalue()
        if name.startswith("mat."):
            # SciPy writes the time of day.
            stored = b"MATLAB 5.0 MAT-file, written by SciPy".ljust(116) + stored[116:]
        out[f"files.{name}"] = np.frombuffer(stored, np.uint8)
        out[f"files.{name}.taps"] = np.asarray(taps, np.float64)

    for kind in ["<f8", "<f4", ">f8", ">f4"]:
        stored = kernel.astype(kind)
        add(f"npy.{kind}", stored, lambda file: np.save(file, stored))
    for kind in ["|u1", "<i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<u8"]:
        add(f"npy.{kind}", counts, lambda file: np.save(file, counts.astype(kind)))
    add("npy.i1", counts // 2, lambda file: np.save(file, (counts // 2).astype(np.int8)))
    add("npy.bool", counts > 90, lambda file: np.save(file, counts > 90))
    add("npy.fortran", kernel, lambda file: np.save(file, np.asfortranarray(kernel)))
    add("npy.several", several, lambda file: np.save(file, several))
    add("npy.several.fortran", several, lambda file: np.save(file, np.asfortranarray(several)))
    add("npy.version2", kernel, lambda file: np.lib.format.write_array(file, kernel, (2, 0)))

    for compressed in [False, True]:
        ending = ".compressed" if compressed else ""
        for kind in ["f8", "f4", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8"]:
            stored = (kernel if kind[0] == "f" else counts // 2).astype(kind)
            add(f"mat.{kind}{ending}", stored,
                lambda file: savemat(file, {"f": stored}, do_compression=compressed))
        add(f"mat.mixed{ending}", kernel, lambda file: savemat(file, {
            "note": "text", "x": np.zeros((300, 4000 if compressed else 1)), "signed": kernel - 0.5, "number": 3.0, "cells": np.array([1, "a"], object),
            "complex": kernel * 1j, "structure": {"f": kernel}, "film": several, "f": kernel, "other_kernel": counts.astype(float)},
            do_compression=compressed))

    grey8, grey16 = (levels >> 8).astype(np.uint8), levels.astype(np.uint16)
    add("png.8", grey8 / 255, lambda file: Image.fromarray(grey8).save(file, "png"))
    add("png.16", grey16 / 65535, lambda file: Image.fromarray(grey16).save(file, "png"))
    add("png.rgb", grey8 / 255, lambda file: Image.fromarray(np.stack([grey8] * 3, 2)).save(file, "png"))
    opaque = np.stack([grey8] * 3 + [np.full_like(grey8, 255)], 2)
    add("png.rgba", grey8 / 255, lambda file: Image.fromarray(opaque).save(file, "png"))
    return out
