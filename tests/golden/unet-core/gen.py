#!/usr/bin/env python3
"""Writes the reference values of unet-core, next to itself. See README.md."""

import json
import pathlib
import sys

import diffusers
import numpy
import torch
from diffusers.models.embeddings import get_timestep_embedding

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "benches"))
import reference_model  # noqa: E402

VERSIONS = {"torch": torch.__version__, "diffusers": diffusers.__version__, "numpy": numpy.__version__}

# name: (seed, height, width, noise levels of the batch, configuration)
CASES = {
    "space_to_depth_guided": (
        1,
        13,
        21,
        [0.03125, 0.8125],
        dict(block_out_channels=[6, 8, 10], layers_per_block=[1, 2, 1], mid_layers=1, stem="space_to_depth",
             guidance_channels=[3, 4, 5]),
    ),
    "space_to_depth_unguided": (
        2,
        16,
        12,
        [0.5],
        dict(block_out_channels=[8, 6], layers_per_block=[2, 1], mid_layers=2, stem="space_to_depth", guidance_channels=[]),
    ),
    "full_resolution_guided": (
        3,
        11,
        6,
        [1.0, 0.25],
        dict(block_out_channels=[5, 6, 8], layers_per_block=[1, 1, 2], mid_layers=1, stem="full_resolution",
             guidance_channels=[4, 3]),
    ),
    "guided_at_the_input": (
        6,
        13,
        10,
        [0.375, 0.5],
        dict(block_out_channels=[5, 6, 7], layers_per_block=[1, 1, 1], mid_layers=1, stem="space_to_depth",
             guidance_channels=[2, 3, 4], guidance_entry="input"),
    ),
    "full_resolution_unguided": (
        4,
        9,
        17,
        [0.00390625],
        dict(block_out_channels=[7], layers_per_block=[2], mid_layers=1, stem="full_resolution", guidance_channels=[]),
    ),
    "smaller_than_the_multiple": (
        5,
        3,
        1,
        [0.75],
        dict(block_out_channels=[4, 5, 6], layers_per_block=[1, 1, 1], mid_layers=1, stem="space_to_depth",
             guidance_channels=[2]),
    ),
}


def forward_case(seed, height, width, levels, sizes):
    config = {"schema_version": 1, "in_channels": 6, "out_channels": 3, "embedding_channels": 8} | sizes
    model = reference_model.randomise(reference_model.UNet(config).double(), seed)
    generator = torch.Generator().manual_seed(1000 + seed)

    def normal(*shape):
        # Rounded to float32, so that both sides start from the same numbers.
        return torch.randn(shape, generator=generator).double()

    batch = len(levels)
    noise_level = torch.tensor(levels, dtype=torch.float64)
    input = normal(batch, 6, height, width).requires_grad_()
    padded = [-(-n // model.multiple) * model.multiple for n in (height, width)]
    guidance = [
        normal(batch, channels, padded[0] >> s, padded[1] >> s).requires_grad_()
        for s, channels in enumerate(config["guidance_channels"], 1)
    ]
    target = normal(batch, 3, height, width)
    output = model(input, noise_level, guidance)
    loss = ((output - target) ** 2).mean()
    loss.backward()
    tensors = {"input": input, "noise_level": noise_level, "target": target, "output": output, "loss": loss,
               "input_gradient": input.grad}
    for index, features in enumerate(guidance):
        tensors[f"guidance.{index}"] = features
        tensors[f"guidance_gradient.{index}"] = features.grad
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter
        tensors[f"gradient.{name}"] = parameter.grad
    return config, tensors


def save(name, tensors, **description):
    metadata = {"reference": json.dumps({"versions": VERSIONS, **description})}
    reference_model.write_reference(HERE / f"{name}.safetensors", tensors, metadata)


def main():
    torch.set_num_threads(1)
    for name, (seed, *arguments) in CASES.items():
        config, tensors = forward_case(seed, *arguments)
        save(name, tensors, config=config, seed=seed, loss="mean((output - target)^2)")
    levels = torch.cat([torch.linspace(0, 1, 97), torch.logspace(-6, 0, 31)])
    tensors = {"noise_level": levels}
    for channels in (4, 6, 16, 64):
        tensors[f"exact.{channels}"] = reference_model.sinusoids(levels, channels)
        tensors[f"diffusers.{channels}"] = get_timestep_embedding(1000 * levels, channels, downscale_freq_shift=1)
    save("noise_level_embedding", tensors)


if __name__ == "__main__":
    main()
