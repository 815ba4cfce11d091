#!/usr/bin/env python3
"""Writes the reference values of ms-guidance, next to itself. See README.md."""

import json
import pathlib
import sys

import diffusers
import numpy
import skimage
import torch
from skimage.transform import downscale_local_mean

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "benches"))
import reference_model  # noqa: E402

VERSIONS = {
    "torch": torch.__version__,
    "diffusers": diffusers.__version__,
    "numpy": numpy.__version__,
    "scikit-image": skimage.__version__,
}
SAMPLING_STEPS = 10
SIGMAS = [0.02, 0.7, 80.0]
GUIDANCE_WEIGHTS = [1.0, 0.5, 0.25]

# name: (seed, height, width, noise levels of the batch, model, unet)
CASES = {
    "guided_v_residual": (
        1,
        13,
        21,
        [0.0625, 0.875],
        dict(guidance_blocks=1, prediction_type="v_prediction", target={"residual": {"scale": 0.1}}),
        dict(block_out_channels=[6, 8, 10], layers_per_block=[1, 2, 1], stem="space_to_depth", guidance_channels=[3, 4, 5]),
    ),
    "guided_epsilon_image": (
        2,
        9,
        17,
        [0.5],
        dict(guidance_blocks=2, prediction_type="epsilon", target="image"),
        dict(block_out_channels=[4, 6, 8], layers_per_block=[1, 1, 1], stem="full_resolution", guidance_channels=[4, 3]),
    ),
    "color_at_the_input": (
        4,
        11,
        14,
        [0.625],
        dict(guidance_blocks=1, guidance_input="color", prediction_type="v_prediction", target={"residual": {"scale": 0.1}}),
        dict(block_out_channels=[4, 5, 6], layers_per_block=[1, 1, 1], stem="full_resolution", guidance_channels=[3, 2],
             guidance_entry="input"),
    ),
    "unguided_sample_residual": (
        3,
        16,
        8,
        [0.25, 0.75],
        dict(guidance_blocks=1, prediction_type="sample", target={"residual": {"scale": 0.25}}),
        dict(block_out_channels=[8, 6], layers_per_block=[1, 1], stem="space_to_depth", guidance_channels=[]),
    ),
}


def images(generator, *shape):
    """Smooth random images in [-1, 1], exact in float32."""
    coarse = torch.randn(*shape[:2], 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bicubic", align_corners=True)
    return torch.tanh(0.7 * smooth + 0.1 * torch.randn(shape, generator=generator)).double()


def model_case(seed, height, width, levels, model_fields, unet_fields):
    unet = {"schema_version": 1, "in_channels": 6, "out_channels": 3, "mid_layers": 1, "embedding_channels": 8} | unet_fields
    config = {"schema_version": 1, "unet": unet, "sigma_max": 80.0, "sigma_min": 0.02} | model_fields
    model = reference_model.randomise(reference_model.GuidedUNet(config).double(), seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    batch = len(levels)
    sharp, blurry = images(generator, batch, 3, height, width), images(generator, batch, 3, height, width)
    noise = torch.randn(batch, 3, height, width, generator=generator).double()
    noise_level = torch.tensor(levels, dtype=torch.float64)
    tensors = {"sharp": sharp, "blurry": blurry, "noise": noise, "noise_level": noise_level}

    target = model.image_to_target(sharp, blurry)
    state, wanted = model.diffusion_target(target, noise, noise_level)
    pyramid, maps = model.features(blurry)
    predictions = model.predictions(pyramid, maps)
    prediction = model(state, blurry, noise_level, maps)
    error = prediction - wanted
    # Near a zero of the error the sign in the gradient of |error| would depend on rounding.
    assert error.abs().min() > 1e-4 * error.abs().mean() / batch, "choose another seed"
    weights = GUIDANCE_WEIGHTS[: len(maps)]
    guidance_loss = model.guidance_loss(predictions, sharp, weights)
    loss = error.abs().mean() + guidance_loss
    loss.backward()
    tensors |= {"target": target, "state": state, "wanted": wanted, "prediction": prediction, "loss": loss,
                "guidance_loss": torch.as_tensor(guidance_loss)}
    for index, (y, h, p) in enumerate(zip(pyramid, maps, predictions)):
        tensors |= {f"pyramid.{index}": y, f"features.{index}": h, f"predictions.{index}": p}
    for name, parameter in model.named_parameters():
        # The last guidance convolution of an unguided model does not exist; every existing parameter has a gradient.
        tensors[f"gradient.{name}"] = parameter.grad

    with torch.no_grad():
        for index, sigma in enumerate(SIGMAS):
            tensors[f"denoised.{index}"] = model.denoise(target + sigma * noise, sigma, blurry, maps)

        def denoise(x, sigma):
            return model.denoise(x, sigma, blurry, maps)

        sigmas = reference_model.sigmas_karras(SAMPLING_STEPS, config["sigma_min"], config["sigma_max"])
        tensors["sigmas"] = torch.tensor(sigmas)
        for name, sample in (("euler", reference_model.sample_euler), ("heun", reference_model.sample_heun)):
            sampled = sample(denoise, config["sigma_max"] * noise, sigmas)
            tensors[name] = sampled
            tensors[f"{name}_image"] = model.target_to_image(sampled, blurry)
    return config, model, tensors


def gray_pyramid():
    """By numpy and scikit-image alone, without the network's file."""
    image = numpy.random.default_rng(7).uniform(-1, 1, (2, 3, 16, 24)).astype(numpy.float32)
    gray = 0.299 * image[:, 0].astype(float) + 0.587 * image[:, 1] + 0.114 * image[:, 2]
    tensors = {"image": torch.from_numpy(image), "gray": torch.from_numpy(gray)[:, None]}
    for scale in (1, 2, 3):
        small = downscale_local_mean(gray, (1, 2**scale, 2**scale))
        tensors[f"pyramid.{scale - 1}"] = torch.from_numpy(small)[:, None]
    return tensors


def main():
    torch.set_num_threads(1)

    def save(name, tensors, key, description):
        reference_model.write_reference(HERE / f"{name}.safetensors", tensors, {key: json.dumps(description)})

    for name, (seed, *arguments) in CASES.items():
        config, model, tensors = model_case(seed, *arguments)
        provenance = {"name": name, "producer": f"gen.py, torch {torch.__version__}", "licence": "MIT OR Apache-2.0",
                      "data": "random weights", "data_sha256": "", "steps": 0, "total_images": 0, "seed": seed,
                      "training": None, "metrics": {}}
        description = {"config": config, "provenance": provenance}
        save(f"{name}.checkpoint", dict(model.named_parameters()), reference_model.METADATA_KEY, description)
        save(name, tensors, "reference", {"versions": VERSIONS, "seed": seed, "sampling_steps": SAMPLING_STEPS,
                                          "denoised_at_sigma": SIGMAS, "guidance_weights": GUIDANCE_WEIGHTS})
    save("gray_pyramid", gray_pyramid(), "reference", {"versions": VERSIONS, "seed": 7})


if __name__ == "__main__":
    main()
