"""What the authors' programs say of the images of gen.py with the published weights.

Run: python with_weights.py FOLDER   (needs clean-fid and pillow as well)
FOLDER has lpips_alexnet, lpips_vgg16 and dists_alpha_beta .safetensors, and inception/default_1.pt.
Writes published.json next to this file.
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import gen
import numpy as np
import torch
from cleanfid.resize import build_resizer
from PIL import Image
from safetensors.torch import load_file
from torch_fidelity.metric_kid import kernel_mmd

HERE = Path(__file__).parent
# Of the 2048 features, these are kept.
EVERY = 64


def features(network, image):
    """Of an image [H, W, 3] of uint8, resized as clean-fid does."""
    resized = torch.from_numpy(build_resizer("clean")(image).copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        return network((resized - 128) / 128)[0].numpy()


def inception(path, pairs):
    network = torch.jit.load(path).eval()
    china = np.asarray(Image.open(HERE / "china_299.png"))
    sets = [np.stack([features(network, pair[which].transpose(1, 2, 0)) for pair in pairs.values()]) for which in (0, 1)]
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    return {
        "china": {"mean": float(features(network, china).mean()), "first": features(network, china)[:4].tolist()},
        "features": {
            f"{name}.{which}": values[::EVERY].tolist()
            for which, rows in zip("ab", sets)
            for name, values in zip(pairs, rows)
        },
        "squared_mmd": float(kernel_mmd(*[rows.astype(np.float64) for rows in sets], **options)),
    }


def main():
    folder = Path(sys.argv[1])
    names = ["lpips_alexnet", "lpips_vgg16", "dists_alpha_beta"]
    metrics = gen.metrics_of({name: load_file(folder / f"{name}.safetensors") for name in names})
    pairs = gen.images(np.random.default_rng(gen.SEED))
    record = {
        "versions": {name: version(name) for name in [*gen.PACKAGES, "clean-fid", "torch-fidelity"]},
        "values": gen.measure(pairs, metrics),
        "inception": inception(folder / "inception/default_1.pt", pairs),
    }
    (HERE / "published.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
