"""What the authors' programs say of the images of gen.py with the published weights.

Run: python with_weights.py FOLDER   (with lpips_alexnet, lpips_vgg16 and dists_alpha_beta .safetensors)
Writes published.json next to this file.
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import gen
from safetensors.torch import load_file


def main():
    folder = Path(sys.argv[1])
    names = ["lpips_alexnet", "lpips_vgg16", "dists_alpha_beta"]
    metrics = gen.metrics_of({name: load_file(folder / f"{name}.safetensors") for name in names})
    pairs = gen.images(gen.np.random.default_rng(gen.SEED))
    record = {
        "versions": {name: version(name) for name in gen.PACKAGES},
        "values": gen.measure(pairs, metrics),
    }
    Path(__file__).with_name("published.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
