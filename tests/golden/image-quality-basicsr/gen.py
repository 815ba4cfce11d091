"""Reference values for the crate image-quality from BasicSR 1.4.2: PSNR and SSIM on luma, and NIQE.

Run: python gen.py            (needs numpy, scipy, opencv-python-headless, torch, scikit-image, safetensors, basicsr)
BasicSR is taken where it is installed, or from its unpacked source package: BASICSR=FOLDER python gen.py. Its own modules are
loaded one by one; the package as a whole would load all of its networks.

Writes reference.safetensors next to this file: images [3, H, W] in 8 bits, a model for NIQE made of noise, and the values. With
NIQE_MODEL=niqe_pris_params.npz the published model is used too, on whole photos of scikit-image: published.json.
"""
import importlib.util
import json
import os
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import scipy
import skimage
import torch
from safetensors.numpy import save_file
from skimage.filters import gaussian

SEED = 20261125
HERE = Path(__file__).parent


def load_basicsr():
    folder = os.environ.get("BASICSR")
    if folder is None:
        folder = Path(importlib.util.find_spec("basicsr").origin).parent.parent
    root = Path(folder) / "basicsr"
    version = "1.4.2"
    # Folders without their __init__.py, which would load everything.
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    from basicsr.utils import color_util
    sys.modules["basicsr.utils"].bgr2ycbcr = color_util.bgr2ycbcr
    # Where SciPy has the function today.
    filters = types.ModuleType("scipy.ndimage.filters")
    filters.convolve = scipy.ndimage.convolve
    sys.modules["scipy.ndimage.filters"] = filters
    from basicsr.metrics import niqe, psnr_ssim
    return version, niqe, psnr_ssim


def eight_bits(image):
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def main():
    version, niqe, psnr_ssim = load_basicsr()
    random = np.random.default_rng(SEED)
    photo = skimage.data.astronaut()[20:230, 150:400]
    blurred = eight_bits(gaussian(photo / 255.0, sigma=1.3, channel_axis=-1) + random.normal(0, 0.01, photo.shape))
    # A part of the picture is flat: its blocks have no statistics.
    part = photo[:192, :192].copy()
    part[:96, 96:] = 128
    images = {
        "photo": photo,
        "blurred": blurred,
        "noise": eight_bits(random.random((192, 96, 3))),
        "part": part,
    }
    statistics = random.normal(size=(36, 40))
    model = {
        "mu_pris_param": random.normal(size=(1, 36)) * 0.5 + 0.8,
        "cov_pris_param": statistics @ statistics.T / 40 + np.eye(36) * 0.05,
        "gaussian_window": np.outer(*[cv2.getGaussianKernel(7, 7 / 6).ravel()] * 2),
    }

    def score(image, model):
        # What calculate_niqe does before it calls niqe, without the model that lies beside it.
        bgr = image[..., ::-1].astype(np.float32)
        luma = np.squeeze(niqe.to_y_channel(bgr)).round()
        return float(niqe.niqe(luma, *model.values()))

    values = {"niqe": {name: score(image, model) for name, image in images.items()}}
    a, b = photo[..., ::-1], blurred[..., ::-1]
    values["luma"] = {
        "psnr": float(psnr_ssim.calculate_psnr(a, b, 0, test_y_channel=True)),
        "ssim": float(psnr_ssim.calculate_ssim(a, b, 0, test_y_channel=True)),
    }
    values["rgb"] = {
        "psnr": float(psnr_ssim.calculate_psnr(a, b, 0)),
        "ssim": float(psnr_ssim.calculate_ssim(a, b, 0)),
    }
    tensors = {name: np.ascontiguousarray(image.transpose(2, 0, 1)) for name, image in images.items()}
    versions = {"basicsr": version, "numpy": np.__version__, "scipy": scipy.__version__, "torch": torch.__version__,
                "scikit-image": skimage.__version__, "opencv-python-headless": cv2.__version__}
    metadata = {"values": json.dumps(values), "seed": str(SEED), "versions": json.dumps(versions)}
    save_file(tensors | model, HERE / "reference.safetensors", metadata)
    print(json.dumps(values, indent=1))

    if "NIQE_MODEL" in os.environ:
        published = dict(np.load(os.environ["NIQE_MODEL"]))
        names = ["mu_pris_param", "cov_pris_param", "gaussian_window"]
        published = {name: published[name] for name in names}
        photos = {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
        scores = {name: score(image, published) for name, image in photos.items()}
        (HERE / "published.json").write_text(json.dumps({"niqe": scores, "versions": versions}, indent=1) + "\n")


if __name__ == "__main__":
    main()
