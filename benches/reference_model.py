"""GuidedUNet in PyTorch, written from the formulas of the method and not from the Rust code.

Used by tests/golden/*/gen.py for reference values and by benches/compare_pytorch.py for timing. Parameter names are those of the
checkpoints, so `load_state_dict(strict=True)` takes a checkpoint as it is. Pieces that diffusers has are diffusers' own
(`TimestepEmbedding`, `Downsample2D`); the rest is torch.nn.

Notation: x sharp, y blurry, z = alpha t + sigma_vp eps the noisy state of the target t, sigma = sigma_vp / alpha.
"""

import json
import math

import numpy
import torch
import torch.nn.functional as F
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

METADATA_KEY = "msdeblur"
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def sinusoids(noise_level, channels):
    """Sines, then cosines of 1000 * level * 10000^(-i / (half - 1)), in float64: float32 angles of up to 1000 are off by 3e-5."""
    half = channels // 2
    frequencies = torch.tensor(
        [math.exp(-math.log(10000.0) * i / max(half - 1, 1)) for i in range(half)],
        dtype=torch.float64,
        device=noise_level.device,
    )
    angles = 1000.0 * noise_level.double()[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def pad_to_multiple(image, multiple):
    """Mirrors at the bottom and right (edge not repeated) until both sizes are multiples."""
    for axis in (2, 3):
        size = image.shape[axis]
        missing = -size % multiple
        if missing:
            index = numpy.pad(numpy.arange(size), (0, missing), mode="reflect")
            image = image.index_select(axis, torch.from_numpy(index).to(image.device))
    return image


class ResnetBlock2d(nn.Module):
    def __init__(self, in_channels, out_channels, embedding_channels, guidance_channels=None):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding_channels, 2 * out_channels)
        if guidance_channels is not None:
            self.guidance_proj = nn.Conv2d(guidance_channels, out_channels, 1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.guided = guidance_channels is not None
        self.projected = in_channels != out_channels

    def forward(self, x, embedding, guidance=None):
        hidden = self.conv1(F.silu(x))
        scale, shift = self.time_emb_proj(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = hidden * (1 + scale) + shift
        if self.guided:
            hidden = hidden + self.guidance_proj(guidance)
        return (self.conv_shortcut(x) if self.projected else x) + self.conv2(F.silu(hidden))


def level_factor(config):
    return {"full_resolution": 1, "space_to_depth": 2}[config["stem"]]


class Level(nn.Module):
    """Residual blocks of one resolution, with the change of resolution after them."""

    def __init__(self, resnets, downsampler=None, upsampler=None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if downsampler is not None:
            self.downsamplers = nn.ModuleList([downsampler])
        if upsampler is not None:
            self.upsamplers = nn.ModuleList([nn.ModuleDict({"conv": upsampler})])


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        widths, layers = config["block_out_channels"], config["layers_per_block"]
        embedding = config["embedding_channels"]
        self.config = config
        self.factor = level_factor(config)
        cell = self.factor**2
        self.multiple = self.factor * 2 ** (len(widths) - 1)
        # Level whose stride is 2^s takes the features of scale s.
        channels = config["guidance_channels"]
        self.at_input = config.get("guidance_entry", "blocks") == "input"
        self.scale_of_level = []
        for level in range(len(widths)):
            scale = int(math.log2(self.factor * 2**level))
            self.scale_of_level.append(scale if 1 <= scale <= len(channels) and not self.at_input else None)
        self.time_embedding = TimestepEmbedding(embedding, embedding, act_fn="silu")
        self.conv_in = nn.Conv2d(config["in_channels"] * cell, widths[0], 3, padding=1)
        if self.at_input:
            self.guidance_proj = nn.ModuleList([nn.Conv2d(features, widths[0], 1) for features in channels])
        down = []
        for level, width in enumerate(widths):
            scale = self.scale_of_level[level]
            guidance = None if scale is None else config["guidance_channels"][scale - 1]
            before = widths[max(level - 1, 0)]
            resnets = [
                ResnetBlock2d(before if layer == 0 else width, width, embedding, guidance) for layer in range(layers[level])
            ]
            last = level == len(widths) - 1
            down.append(Level(resnets, None if last else Downsample2D(width, use_conv=True, padding=1, name="op")))
        self.down_blocks = nn.ModuleList(down)
        middle = [ResnetBlock2d(widths[-1], widths[-1], embedding) for _ in range(config["mid_layers"])]
        self.mid_block = Level(middle)
        up = []
        for level in reversed(range(len(widths))):
            width = widths[level]
            resnets = [ResnetBlock2d(2 * width if layer == 0 else width, width, embedding) for layer in range(layers[level])]
            up.append(Level(resnets, upsampler=nn.Conv2d(width, 4 * widths[level - 1], 1) if level > 0 else None))
        self.up_blocks = nn.ModuleList(up)
        self.conv_out = nn.Conv2d(widths[0], config["out_channels"] * cell, 3, padding=1)

    def forward(self, x, noise_level, guidance):
        height, width = x.shape[2:]
        x = pad_to_multiple(x, self.multiple)
        embedding = F.silu(self.time_embedding(sinusoids(noise_level, self.config["embedding_channels"]).to(x.dtype)))
        x = self.conv_in(F.pixel_unshuffle(x, self.factor) if self.factor > 1 else x)
        if self.at_input:
            # A 1x1 convolution of the enlarged features, beside that of the image.
            for projection, features in zip(self.guidance_proj, guidance):
                x = x + projection(F.interpolate(features, size=x.shape[2:], mode="nearest-exact"))
        skips = []
        for level, block in enumerate(self.down_blocks):
            scale = self.scale_of_level[level]
            features = None if scale is None else guidance[scale - 1]
            for resnet in block.resnets:
                x = resnet(x, embedding, features)
            skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
        for resnet in self.mid_block.resnets:
            x = resnet(x, embedding)
        for block in self.up_blocks:
            x = torch.cat([x, skips.pop()], dim=1)
            for resnet in block.resnets:
                x = resnet(x, embedding)
            if hasattr(block, "upsamplers"):
                x = F.pixel_shuffle(block.upsamplers[0]["conv"](x), 2)
        x = self.conv_out(F.silu(x))
        x = F.pixel_shuffle(x, self.factor) if self.factor > 1 else x
        return x[:, :, :height, :width]


class GuidanceBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class GuidanceNetwork(nn.Module):
    def __init__(self, image, channels, blocks):
        super().__init__()
        self.conv_in = nn.Conv2d(image, channels, 3, padding=1)
        self.blocks = nn.ModuleList([GuidanceBlock(channels) for _ in range(blocks)])
        self.conv_out = nn.Conv2d(channels, image, 3, padding=1)

    def features(self, y):
        x = self.conv_in(y)
        for block in self.blocks:
            x = block(x)
        return x

    def prediction(self, y, features):
        return y + self.conv_out(F.silu(features))


def gray_pyramid(image, scales):
    """BT.601 luma, averaged over squares of 2^s pixels for s = 1..scales."""
    gray = torch.einsum("nchw,c->nhw", image, torch.tensor(LUMA, dtype=image.dtype, device=image.device))[:, None]
    return color_pyramid(gray, scales)


def color_pyramid(image, scales):
    """Averaged over squares of 2^s pixels for s = 1..scales."""
    return [F.interpolate(image, size=(image.shape[2] >> s, image.shape[3] >> s), mode="area") for s in range(1, scales + 1)]


class GuidedUNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.unet = UNet(config["unet"])
        channels = config["unet"]["guidance_channels"]
        color = config.get("guidance_input", "gray") == "color"
        self.pyramid = color_pyramid if color else gray_pyramid
        self.guidance = nn.ModuleList([GuidanceNetwork(3 if color else 1, c, config["guidance_blocks"]) for c in channels])
        target = config["target"]
        self.residual_scale = None if target == "image" else target["residual"]["scale"]

    def features(self, blurry):
        """Pyramid y_s and features h_s, finest first."""
        if not self.guidance:
            return [], []
        pyramid = self.pyramid(pad_to_multiple(blurry, self.unet.multiple), len(self.guidance))
        return pyramid, [network.features(y) for network, y in zip(self.guidance, pyramid)]

    def predictions(self, pyramid, maps):
        return [network.prediction(y, h) for network, y, h in zip(self.guidance, pyramid, maps)]

    def guidance_loss(self, predictions, sharp, weights):
        targets = self.pyramid(pad_to_multiple(sharp, self.unet.multiple), len(predictions))
        return sum(w * F.mse_loss(p, t) for w, p, t in zip(weights, predictions, targets))

    def forward(self, noisy, blurry, noise_level, maps):
        """The raw prediction (eps, v or t) for the VP state `noisy`."""
        return self.unet(torch.cat([noisy, blurry], dim=1), noise_level, maps)

    def denoise(self, noisy, sigma, blurry, maps):
        """E[t | noisy] from noisy = t + sigma eps, by the definitions eps = (z - alpha t) / sigma_vp, v = alpha eps - sigma_vp t."""
        alpha, sigma_vp = 1 / math.sqrt(1 + sigma**2), sigma / math.sqrt(1 + sigma**2)
        z = alpha * noisy
        level = torch.full((len(noisy),), alpha, dtype=torch.float64, device=noisy.device)
        prediction = self(z, blurry, level, maps)
        kind = self.config["prediction_type"]
        if kind == "epsilon":
            return (z - sigma_vp * prediction) / alpha
        if kind == "v_prediction":
            return alpha * z - sigma_vp * prediction
        assert kind == "sample", kind
        return prediction

    def target_to_image(self, target, blurry):
        return target if self.residual_scale is None else blurry + self.residual_scale * target

    def image_to_target(self, image, blurry):
        return image if self.residual_scale is None else (image - blurry) / self.residual_scale

    def diffusion_target(self, target, noise, alpha):
        """What the network is trained to return; `alpha` is [N]."""
        alpha = alpha.to(target.dtype)[:, None, None, None]
        sigma_vp = torch.sqrt(1 - alpha**2)
        state = alpha * target + sigma_vp * noise
        kind = self.config["prediction_type"]
        return state, {"epsilon": noise, "v_prediction": alpha * noise - sigma_vp * target, "sample": target}[kind]


def sigmas_karras(n, sigma_min, sigma_max, rho=7.0):
    """k-diffusion `get_sigmas_karras` in float64."""
    ramp = numpy.linspace(0, 1, n) if n > 1 else numpy.zeros(1)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return [float(s) for s in (high + ramp * (low - high)) ** rho] + [0.0]


def sample_euler(denoise, x, sigmas):
    """k-diffusion `sample_euler` without churn."""
    for sigma, sigma_next in zip(sigmas, sigmas[1:]):
        d = (x - denoise(x, sigma)) / sigma
        x = x + d * (sigma_next - sigma)
    return x


def sample_heun(denoise, x, sigmas):
    """k-diffusion `sample_heun` without churn."""
    for sigma, sigma_next in zip(sigmas, sigmas[1:]):
        d = (x - denoise(x, sigma)) / sigma
        if sigma_next == 0:
            x = x + d * (sigma_next - sigma)
        else:
            x_2 = x + d * (sigma_next - sigma)
            d_2 = (x_2 - denoise(x_2, sigma_next)) / sigma_next
            x = x + (d + d_2) / 2 * (sigma_next - sigma)
    return x


def load_checkpoint(path, dtype=torch.float32):
    """The model of a checkpoint and its description."""
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()[METADATA_KEY])
        weights = {name: file.get_tensor(name).float() for name in file.keys()}
    model = GuidedUNet(description["config"])
    model.load_state_dict(weights, strict=True)
    return model.to(dtype).eval(), description


def randomise(module, seed):
    """Weights of about unit gain everywhere, also in convolutions that training starts at 0, rounded to float32."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            if parameter.ndim == 1:
                value = 0.1 * torch.randn(parameter.shape, generator=generator)
            else:
                value = torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5
            parameter.copy_(value)
    return module


def write_reference(path, tensors, metadata):
    """Writes `tensors` as float32, with one metadata key: with more, the order in the file would change from run to run."""
    tensors = {name: value.detach().float().contiguous() for name, value in sorted(tensors.items())}
    save_file(tensors, path, metadata=metadata)
    path.chmod(0o644)
