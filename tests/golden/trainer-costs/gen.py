"""Reference values for the costs of networks: PyTorch's own counter of operations over the model of benches/reference_model.py.

Run `python3 gen.py`; it writes costs.safetensors beside itself. The versions used are in its metadata.
"""

import json
import pathlib
import sys

import numpy
import torch
from safetensors.numpy import save_file
from torch.utils.flop_counter import FlopCounterMode

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "benches"))
import reference_model  # noqa: E402

# name: (side of the crop, sizes of the UNet, guidance blocks)
NETWORKS = {
    "tiny": (
        32,
        dict(block_out_channels=[8, 12, 16], layers_per_block=[1, 1, 1], mid_layers=1, embedding_channels=16,
             stem="space_to_depth", guidance_channels=[4, 6, 8]),
        1,
    ),
    "small": (
        64,
        dict(block_out_channels=[32, 64, 128], layers_per_block=[1, 2, 2], mid_layers=1, embedding_channels=64,
             stem="space_to_depth", guidance_channels=[16, 32, 64]),
        2,
    ),
    "full_resolution": (
        48,
        dict(block_out_channels=[6, 10, 14, 18], layers_per_block=[2, 1, 3, 2], mid_layers=2, embedding_channels=12,
             stem="full_resolution", guidance_channels=[5, 7]),
        3,
    ),
    "unguided": (
        32,
        dict(block_out_channels=[9, 13], layers_per_block=[1, 2], mid_layers=1, embedding_channels=8,
             stem="space_to_depth", guidance_channels=[]),
        1,
    ),
}


def multiply_adds(side, sizes, blocks):
    """Multiply-adds of a forward pass over one crop: [all, guidance networks], and the parameters."""
    unet = {"schema_version": 1, "in_channels": 6, "out_channels": 3} | sizes
    model = reference_model.GuidedUNet({"unet": unet, "guidance_blocks": blocks, "target": "image", "prediction_type": "epsilon"})
    image = torch.zeros(1, 3, side, side)
    counts = []
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            pyramid, maps = model.features(image)
            model.predictions(pyramid, maps)
        # The product with the luma weights makes the grey image; it is no layer.
        counts.append(sum(n for op, n in counter.get_flop_counts().get("Global", {}).items() if "convolution" in str(op)) // 2)
        with FlopCounterMode(display=False) as counter:
            model(image, image, torch.ones(1, dtype=torch.float64), maps)
        counts.append(counter.get_total_flops() // 2)
    return [sum(counts), counts[0], sum(p.numel() for p in model.parameters())]


def main() -> None:
    tensors = {name: numpy.array(multiply_adds(*network), dtype=numpy.float64) for name, network in NETWORKS.items()}
    networks = {name: {"side": side, "unet": unet, "blocks": blocks} for name, (side, unet, blocks) in NETWORKS.items()}
    metadata = {"versions": {"torch": torch.__version__, "numpy": numpy.__version__}, "networks": networks}
    save_file(tensors, HERE / "costs.safetensors", metadata={"reference": json.dumps(metadata)})


if __name__ == "__main__":
    main()
