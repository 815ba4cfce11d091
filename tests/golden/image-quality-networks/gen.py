"""Reference values of LPIPS and DISTS by the authors' programs, on networks with few channels and random weights.

Run: python gen.py            (needs torch, torchvision, lpips, DISTS-pytorch, numpy, scikit-image, safetensors)
Writes weights and reference.safetensors next to this file. Everything is computed in float64 from float32 weights.
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage
import torch
import torchvision
from safetensors.numpy import save_file
from skimage.filters import gaussian

# DISTS loads a trained trunk while it is constructed; here the convolutions are given afterwards.
torchvision.models.vgg16 = lambda pretrained: torchvision.models.vgg.vgg16(weights=None)

import lpips  # noqa: E402
from DISTS_pytorch import DISTS  # noqa: E402

HERE = Path(__file__).parent
SEED = 20260
WIDTHS = {"alexnet": [6, 8, 7, 5, 4], "vgg16": [3, 4, 5, 6, 4]}
PACKAGES = ["torch", "torchvision", "lpips", "DISTS-pytorch", "numpy", "scikit-image", "safetensors"]


def images(random):
    """Pairs [3, H, W] of uint8: what a file holds."""
    photo = skimage.data.astronaut()[60:160, 180:270] / 255.0
    cat = skimage.data.chelsea()[100:180, 120:230] / 255.0
    blurred = gaussian(photo, sigma=1.7, channel_axis=-1) + random.normal(0, 0.01, photo.shape)
    noise = random.random((31, 31, 3))
    pairs = {
        "photo": (photo, blurred),
        "cat": (cat, np.clip(cat + random.normal(0, 0.1, cat.shape), 0, 1)),
        "shifted": (cat[:, 1:], cat[:, :-1]),
        "black_and_noise": (np.zeros_like(noise), noise),
        "grey_and_white": (np.full((40, 33, 3), 0.5), np.ones((40, 33, 3))),
        "smallest": (noise, noise[::-1]),
    }
    eight = lambda image: np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)  # noqa: E731
    return {name: [np.ascontiguousarray(eight(image).transpose(2, 0, 1)) for image in pair] for name, pair in pairs.items()}


def tensor(image):
    return torch.from_numpy(image).double()[None] / 255


def random_weights(network, generator):
    """Trunk and heads of LPIPS by their names in torchvision and lpips, with few channels."""
    layers = {
        "alexnet": [[(0, 11)], [(3, 5)], [(6, 3)], [(8, 3)], [(10, 3)]],
        "vgg16": [[(index, 3) for index in stage] for stage in ([0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28])],
    }[network]
    weights, channels = {}, 3
    for stage, (convolutions, width) in enumerate(zip(layers, WIDTHS[network])):
        for index, side in convolutions:
            scale = (2 / (channels * side**2)) ** 0.5
            weights[f"features.{index}.weight"] = torch.randn((width, channels, side, side), generator=generator) * scale
            weights[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
            channels = width
        weights[f"lin{stage}.model.1.weight"] = torch.rand((1, width, 1, 1), generator=generator)
    return weights


def give(stages, weights):
    """Puts weights into the convolutions of a program, found by torchvision's layer numbers."""
    for stage in stages:
        for name, layer in stage.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data = weights[f"features.{name}.weight"]
                layer.bias.data = weights[f"features.{name}.bias"]


def lpips_of(network, weights):
    metric = lpips.LPIPS(pretrained=False, pnet_rand=True, net={"alexnet": "alex", "vgg16": "vgg"}[network], verbose=False)
    give([getattr(metric.net, f"slice{index}") for index in range(1, 6)], weights)
    for index in range(5):
        metric.lins[index].model[1].weight.data = weights[f"lin{index}.model.1.weight"]
    return metric.double().eval()


def dists_of(weights, alpha, beta):
    metric = DISTS(load_weights=False)
    stages = [getattr(metric, f"stage{index}") for index in range(1, 6)]
    give(stages, weights)
    widths = [stage[-2].weight.shape[0] for stage in stages]
    for stage, width in zip(stages[1:], widths):
        # One copy of the window for each channel.
        stage[0].filter = stage[0].filter[:1].repeat(width, 1, 1, 1)
    metric.chns = [3, *widths]
    metric.alpha.data, metric.beta.data = alpha, beta
    return metric.double().eval()


def measure(pairs, metrics):
    with torch.no_grad():
        return {
            pair: {name: metric(tensor(a), tensor(b)).item() for name, metric in metrics.items()}
            for pair, (a, b) in pairs.items()
        }


def metrics_of(files):
    """The three metrics, from tensors by file name."""
    alexnet, vgg16 = (lpips_of(network, files[f"lpips_{network}"]) for network in WIDTHS)
    heads = files["dists_alpha_beta"]
    return {
        "lpips_alexnet": lambda a, b: alexnet(a, b, normalize=True),
        "lpips_vgg16": lambda a, b: vgg16(a, b, normalize=True),
        "dists": dists_of(files["lpips_vgg16"], heads["alpha"], heads["beta"]),
    }


def main():
    generator = torch.Generator().manual_seed(SEED)
    files = {f"lpips_{network}": random_weights(network, generator) for network in WIDTHS}
    shape = (1, 3 + sum(WIDTHS["vgg16"]), 1, 1)
    files["dists_alpha_beta"] = {name: torch.rand(shape, generator=generator) for name in ("alpha", "beta")}
    for name, weights in files.items():
        save_file({key: value.numpy().copy() for key, value in weights.items()}, HERE / f"{name}.safetensors")
    pairs = images(np.random.default_rng(SEED))
    values = measure(pairs, metrics_of(files))
    metadata = {
        "values": json.dumps(values),
        "seed": str(SEED),
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
    tensors = {f"{name}.{which}": image for name, pair in pairs.items() for which, image in zip("ab", pair)}
    save_file(tensors, HERE / "reference.safetensors", metadata)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
