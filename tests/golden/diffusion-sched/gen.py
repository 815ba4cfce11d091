#!/usr/bin/env python3
"""Writes the reference values that crates/diffusion-sched is tested against.

Three files, each from sources that share no code with the crate:

schedules.safetensors  The formulas of the papers in 50-digit arithmetic (mpmath), rounded once to float64; the picked
                       timesteps are diffusers' own. Every schedule that diffusers has is cross-checked against it here.
noise.safetensors      Philox4x32-10 in Python integers and Box-Muller in 50-digit arithmetic.
loops.safetensors      Whole sampling loops of 10 steps with a small fixed convolutional denoiser and given noise: the
                       published update rules in float64, and diffusers' schedulers. Both are stored, and their
                       agreement is asserted here.

Run: python gen.py (needs numpy, torch, diffusers, mpmath, safetensors; about 20 seconds). Output is deterministic.
"""

import json
import math
import os
import struct

import diffusers
import mpmath
import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from mpmath import mp, mpf
from safetensors.numpy import save_file

torch.set_num_threads(1)
mp.dps = 50
HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20240229
VERSIONS = {
    "diffusers": diffusers.__version__,
    "torch": torch.__version__,
    "numpy": np.__version__,
    "mpmath": mpmath.__version__,
}


def doubles(values):
    return np.array([float(value) for value in values], dtype=np.float64)


def save(name, tensors, **extra):
    path = os.path.join(HERE, name)
    tensors = {key: np.ascontiguousarray(value) for key, value in sorted(tensors.items())}
    save_file(tensors, path, metadata={"versions": json.dumps(VERSIONS, sort_keys=True), "seed": str(SEED), **extra})
    sort_metadata(path)
    print(f"{name}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def sort_metadata(path):
    """safetensors writes its metadata in hash order; sorted, equal input gives equal bytes."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data[8 + size :])


# ---------------------------------------------------------------- schedules


def linspace(first, last, count):
    return [first + (last - first) * mpf(i) / (count - 1) for i in range(count)]


def linear(first, last, count):
    """Ho 2020. The ends are the float64 numbers that a program is given, not their decimal names."""
    return linspace(mpf(first), mpf(last), count)


def scaled_linear(first, last, count):
    return [root**2 for root in linspace(mpmath.sqrt(mpf(first)), mpmath.sqrt(mpf(last)), count)]


def cosine(count):
    """Nichol & Dhariwal 2021, eq. 17, with true division."""
    offset = mpf(0.008)

    def alpha_bar(t):
        return mpmath.cos((mpf(t) / count + offset) / (1 + offset) * mpmath.pi / 2) ** 2

    return [min(1 - alpha_bar(t + 1) / alpha_bar(t), mpf(0.999)) for t in range(count)]


def cumulative(betas):
    alpha_bars, product = [], mpf(1)
    for beta in betas:
        product *= 1 - beta
        alpha_bars.append(product)
    return alpha_bars, [mpmath.sqrt((1 - a) / a) for a in alpha_bars]


def schedules():
    tensors = {}
    cases = {
        "linear_1000": linear(1e-4, 0.02, 1000),
        "linear_250": linear(1e-4 * 4.0, 0.02 * 4.0, 250),
        "scaled_linear_1000": scaled_linear(0.00085, 0.012, 1000),
        "sr3_2000": linear(1e-6, 1e-2, 2000),
        "sr3_500": linear(1e-6 * 4.0, 1e-2 * 4.0, 500),
        "cosine_1000": cosine(1000),
        "cosine_50": cosine(50),
    }
    for name, betas in cases.items():
        alpha_bars, sigmas = cumulative(betas)
        tensors[f"{name}.betas"] = doubles(betas)
        tensors[f"{name}.alpha_bars"] = doubles(alpha_bars)
        tensors[f"{name}.sigmas"] = doubles(sigmas)

    configs = {
        "linear_1000": dict(beta_start=1e-4, beta_end=0.02, beta_schedule="linear"),
        "scaled_linear_1000": dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        "sr3_2000": dict(beta_start=1e-6, beta_end=1e-2, beta_schedule="linear"),
        "cosine_1000": dict(beta_schedule="squaredcos_cap_v2"),
    }
    for name, config in configs.items():
        count = int(name.rsplit("_", 1)[1])
        scheduler = DDIMScheduler(num_train_timesteps=count, **config)
        for key, value in (("betas", scheduler.betas), ("alpha_bars", scheduler.alphas_cumprod)):
            distance = np.abs(value.double().numpy() - tensors[f"{name}.{key}"]).max()
            assert distance < 1e-6, (name, key, distance)

    for count in (1000, 2000, 7):
        for spacing in ("leading", "linspace", "trailing"):
            scheduler = DDIMScheduler(num_train_timesteps=count, timestep_spacing=spacing)
            for steps in (1, 2, 3, 4, 7, 10, 32, 50, 150, 333, 999, 1000):
                if steps <= count:
                    scheduler.set_timesteps(steps)
                    tensors[f"timesteps.{spacing}.{count}.{steps}"] = scheduler.timesteps.numpy().astype(np.int64)

    for steps, low, high, rho in ((10, 0.002, 80.0, 7.0), (2, 0.01, 20.0, 5.0), (25, 0.03, 157.4, 3.0)):
        low_root, high_root = mpf(low) ** (1 / mpf(rho)), mpf(high) ** (1 / mpf(rho))
        grid = [root ** mpf(rho) for root in linspace(high_root, low_root, steps)] + [mpf(0)]
        tensors[f"karras.{steps}"] = doubles(grid)
        tensors[f"karras.{steps}.arguments"] = doubles([low, high, rho])
        euler = EulerDiscreteScheduler(use_karras_sigmas=True)
        euler.config.sigma_min, euler.config.sigma_max = low, high
        if rho == 7.0:
            own = euler._convert_to_karras(in_sigmas=np.array([high, low]), num_inference_steps=steps)
            assert np.abs(own / doubles(grid)[:-1] - 1).max() < 1e-6

    # Hoogeboom 2023, eq. 4 restricted to [log_snr_min, log_snr_max] as in its appendix.
    times = doubles([0.0, 1e-6, 0.01, 0.1, 0.3, 0.4999, 0.5, 0.7, 0.9, 0.99, 0.999999, 1.0])
    tensors["log_snr_cosine.times"] = times
    for low, high in ((-15.0, 15.0), (-20.0, 20.0), (-6.0, 12.0)):
        first, last = (mpmath.atan(mpmath.exp(-mpf(bound) / 2)) for bound in (high, low))
        log_snr = [-2 * mpmath.log(mpmath.tan(first + mpf(t) * (last - first))) for t in times]
        tensors[f"log_snr_cosine.{low:g}.{high:g}"] = doubles(log_snr)

    # WaveGrad's continuous level: sqrt(alpha_bar) uniform between the values of two neighbouring steps.
    _, sigmas = cumulative(cases["sr3_2000"])
    steps = [0, 0, 0, 1, 17, 999, 1998, 1999, 1999]
    uniforms = doubles([0.0, 0.25, 0.999, 0.5, 0.125, 0.7, 0.3, 0.0, 0.9])
    levels = []
    for t, u in zip(steps, uniforms):
        noisier = 1 / mpmath.sqrt(1 + sigmas[t] ** 2)
        cleaner = 1 / mpmath.sqrt(1 + sigmas[t - 1] ** 2) if t else mpf(1)
        alpha = noisier + mpf(u) * (cleaner - noisier)
        levels.append(mpmath.sqrt(1 - alpha**2) / alpha)
    tensors["continuous.steps"] = np.array(steps, dtype=np.int64)
    tensors["continuous.uniforms"] = uniforms
    tensors["continuous.sigmas"] = doubles(levels)
    save("schedules.safetensors", tensors)


# ---------------------------------------------------------------- noise


def philox4x32_10(counter, key):
    """Salmon 2011, with unbounded integers."""
    mask = 2**32 - 1
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & mask, (p0 >> 32) ^ c[3] ^ k1, p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c


def normal_at(seed, sample, step, channel, y, x):
    """The layout that the crate documents: counter (channel low 8 | x/4 low 24, y, step, sample), key = seed."""
    counter = [(channel % 256) << 24 | (x // 4) % 2**24, y % 2**32, step, sample]
    words = philox4x32_10(counter, [seed % 2**32 ^ channel >> 8, seed >> 32])
    radius, angle = words[0:2] if x % 4 < 2 else words[2:4]
    length = mpmath.sqrt(-2 * mpmath.log((radius + mpf(1) / 2) / 2**32))
    turn = 2 * mpmath.pi * angle / 2**32
    return float(length * (mpmath.cos(turn) if x % 2 == 0 else mpmath.sin(turn)))


def noise():
    assert philox4x32_10([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    generator = np.random.default_rng(SEED)
    places = [(0, 0, 0, 0, 0, x) for x in range(8)]
    places += [(1, 2, 3, 4, -1, x) for x in range(-9, 9)]
    places += [(2**64 - 1, 2**32 - 1, 2**32 - 1, 511, -(2**31), 2**25 - 1)]
    places += [(7, 0, 0, channel, 5, 6) for channel in (0, 1, 255, 256, 257, 65536)]
    for _ in range(300):
        seed = int(generator.integers(0, 2**63)) * 2 + int(generator.integers(0, 2))
        sample, step, channel = (int(generator.integers(0, bound)) for bound in (2**32, 2**32, 2000))
        y, x = (int(v) for v in generator.integers(-(2**24), 2**24, 2))
        places.append((seed, sample, step, channel, y, x))
    tensors = {
        "seed": np.array([place[0] for place in places], dtype=np.uint64),
        "place": np.array([place[1:] for place in places], dtype=np.int64),
        "normal": np.array([normal_at(*place) for place in places], dtype=np.float32),
    }
    save("noise.safetensors", tensors)


# ---------------------------------------------------------------- loops


class Denoiser:
    """A fixed nonlinear network: 0.8 tanh(conv3x3(c_in x) + b) + 0.2 c_in² x, c_in = 1 / sqrt(1 + sigma²)."""

    def __init__(self, generator):
        self.weight = torch.from_numpy(generator.normal(0.0, 0.4, (3, 3, 3, 3)).astype(np.float32)).double()
        self.bias = torch.from_numpy(generator.normal(0.0, 0.3, 3).astype(np.float32)).double()

    def __call__(self, x, sigma):
        c_in = 1.0 / math.sqrt(1.0 + float(sigma) ** 2)
        scaled = x.double() * c_in
        hidden = torch.nn.functional.conv2d(scaled, self.weight, self.bias, padding=1)
        return 0.8 * torch.tanh(hidden) + 0.2 * c_in * scaled


def k_euler(denoise, x, sigmas, noise):
    for s, n in zip(sigmas[:-1], sigmas[1:]):
        x = x + (x - denoise(x, s)) / s * (n - s)
    return x


def k_heun(denoise, x, sigmas, noise, churn=0.0, t_min=0.0, t_max=math.inf, s_noise=1.0):
    """Karras 2022, Alg. 2."""
    steps = len(sigmas) - 1
    for i, (s, n) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        gamma = min(churn / steps, math.sqrt(2) - 1) if t_min <= s <= t_max else 0.0
        hat = s * (1 + gamma)
        x = x + math.sqrt(hat**2 - s**2) * s_noise * noise[i]
        d = (x - denoise(x, hat)) / hat
        euler = x + (n - hat) * d
        x = euler if n == 0 else x + (n - hat) * (d + (euler - denoise(euler, n)) / n) / 2
    return x


def k_ancestral(denoise, x, sigmas, noise, eta):
    """k-diffusion, get_ancestral_step and sample_euler_ancestral."""
    for i, (s, n) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        up = min(n, eta * math.sqrt(n**2 * (s**2 - n**2) / s**2))
        down = math.sqrt(n**2 - up**2)
        x = x + (x - denoise(x, s)) / s * (down - s) + up * noise[i]
    return x


def ho_ancestral(denoise, x, sigmas, noise, large):
    """Ho 2020, Alg. 2, in its own VP coordinates and in terms of epsilon."""
    bars = [1 / (1 + s**2) for s in sigmas]
    z = x * math.sqrt(bars[0])
    for i, (bar, before) in enumerate(zip(bars[:-1], bars[1:])):
        alpha, beta = bar / before, 1 - bar / before
        eps = (z - math.sqrt(bar) * denoise(z / math.sqrt(bar), sigmas[i])) / math.sqrt(1 - bar)
        mean = (z - beta / math.sqrt(1 - bar) * eps) / math.sqrt(alpha)
        variance = beta if large else beta * (1 - before) / (1 - bar)
        z = mean + (math.sqrt(variance) * noise[i] if before < 1 else 0)
    return z


def k_dpmpp_2m(denoise, x, sigmas, noise):
    """k-diffusion, sample_dpmpp_2m."""
    old = None
    for i, (s, n) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        d = denoise(x, s)
        if n == 0:
            x = d
        else:
            h = math.log(s / n)
            target = d
            if old is not None:
                r = math.log(sigmas[i - 1] / s) / h
                target = (1 + 1 / (2 * r)) * d - 1 / (2 * r) * old
            x = n / s * x - math.expm1(-h) * target
        old = d
    return x


def k_dpmpp_2m_sde(denoise, x, sigmas, noise, eta=1.0):
    """k-diffusion, sample_dpmpp_2m_sde with solver_type 'midpoint'."""
    old = None
    for i, (s, n) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        d = denoise(x, s)
        if n == 0:
            x = d
        else:
            h = math.log(s / n)
            x = n / s * math.exp(-eta * h) * x - math.expm1(-h - eta * h) * d
            if old is not None:
                r = math.log(sigmas[i - 1] / s) / h
                x = x - 0.5 * math.expm1(-h - eta * h) / r * (d - old)
            x = x + noise[i] * n * math.sqrt(-math.expm1(-2 * eta * h))
        old = d
    return x


STEPS = 10


def exact(scheduler):
    """diffusers keeps its tables in float32, where 1 - alpha_bar loses half of its digits; this gives it float64 ones."""
    scheduler.betas = torch.from_numpy(np.linspace(1e-4, 0.02, 1000))
    scheduler.alphas = 1.0 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    return scheduler


def vp_sigmas(scheduler):
    bars = [float(scheduler.alphas_cumprod[t]) for t in scheduler.timesteps]
    return [math.sqrt((1 - bar) / bar) for bar in bars] + [0.0]


def run_vp(scheduler, denoise, noise, sigmas, **kwargs):
    """DDIM and DDPM: VP states, epsilon prediction."""
    z = noise[STEPS] * sigmas[0] / math.sqrt(1 + sigmas[0] ** 2)
    for i, t in enumerate(scheduler.timesteps):
        alpha = 1 / math.sqrt(1 + sigmas[i] ** 2)
        eps = (z / alpha - denoise(z / alpha, sigmas[i])) / sigmas[i]
        if isinstance(scheduler, DDPMScheduler):
            # DDPMScheduler.step cannot be given its noise.
            diffusers.schedulers.scheduling_ddpm.randn_tensor = lambda *_, **__: noise[i]
        elif kwargs.get("eta"):
            kwargs["variance_noise"] = noise[i]
        z = scheduler.step(eps, t, z, **kwargs).prev_sample
    return z


def run_ve(scheduler, denoise, noise):
    """Euler and Heun: VE states, v prediction (well conditioned at both ends)."""
    x = noise[STEPS] * float(scheduler.sigmas[0])
    for i, t in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[i])
        scheduler.scale_model_input(x, t)
        root = math.sqrt(1 + sigma**2)
        v = (x / root**2 - denoise(x, sigma)) * root / sigma
        x = scheduler.step(v, t, x).prev_sample
    return x


def run_dpm(scheduler, denoise, noise, sde):
    x = noise[STEPS] * float(scheduler.sigmas[0]) / math.sqrt(1 + float(scheduler.sigmas[0]) ** 2)
    for i, t in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[i])
        clean = denoise(x * math.sqrt(1 + sigma**2), sigma)
        x = scheduler.step(clean, t, x, **({"variance_noise": noise[i]} if sde else {})).prev_sample
    return x


def loops():
    generator = np.random.default_rng(SEED)
    denoise = Denoiser(generator)
    shape = (2, 3, 6, 8)
    noise = torch.from_numpy(generator.standard_normal((STEPS + 1, *shape)).astype(np.float32)).double()
    tensors = {
        "denoiser.weight": denoise.weight.numpy().astype(np.float32),
        "denoiser.bias": denoise.bias.numpy().astype(np.float32),
        # The last entry is the initial noise.
        "noise": noise.numpy().astype(np.float32),
    }

    def case(name, sigmas, reference, *args, theirs=None, tolerance=1e-5):
        sigmas = [float(sigma) for sigma in sigmas]
        x = noise[STEPS] * sigmas[0]
        own = reference(denoise, x, sigmas, noise, *args)
        tensors[f"{name}.sigmas"] = doubles(sigmas)
        tensors[f"{name}.result"] = own.numpy()
        if theirs is None:
            print(f"  {name}: published formula only")
            return
        distance = float((own - theirs.double()).abs().max() / own.abs().max())
        assert distance <= tolerance, (name, distance)
        tensors[f"{name}.diffusers"] = theirs.double().numpy()
        print(f"  {name}: diffusers differs by {distance:.1e}")

    linear_1000 = dict(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
    for eta in (0.0, 0.5, 1.0):
        spacing = "leading" if eta == 0.5 else "trailing"
        scheduler = exact(DDIMScheduler(**linear_1000, clip_sample=False, timestep_spacing=spacing))
        scheduler.set_timesteps(STEPS)
        sigmas = vp_sigmas(scheduler)
        case(f"ddim_{eta:g}", sigmas, k_ancestral, eta, theirs=run_vp(scheduler, denoise, noise, sigmas, eta=eta))

    for variance in ("fixed_small", "fixed_large"):
        scheduler = exact(
            DDPMScheduler(**linear_1000, clip_sample=False, timestep_spacing="leading", variance_type=variance)
        )
        scheduler.set_timesteps(STEPS)
        sigmas = vp_sigmas(scheduler)
        large = variance == "fixed_large"
        case(f"ddpm_{variance}", sigmas, ho_ancestral, large, theirs=run_vp(scheduler, denoise, noise, sigmas))

    for karras in (False, True):
        for name, kind, reference in (
            ("euler", EulerDiscreteScheduler, k_euler),
            ("heun", HeunDiscreteScheduler, k_heun),
        ):
            scheduler = kind(
                **linear_1000, prediction_type="v_prediction", use_karras_sigmas=karras, timestep_spacing="linspace"
            )
            scheduler = exact(scheduler)
            scheduler.set_timesteps(STEPS)
            sigmas = scheduler.sigmas.tolist()
            if name == "heun":
                sigmas = sigmas[:1] + sigmas[1:-1:2] + sigmas[-1:]
            args = () if name == "euler" else (0.0,)
            case(
                f"{name}_{'karras' if karras else 'linspace'}",
                sigmas,
                reference,
                *args,
                theirs=run_ve(scheduler, denoise, noise),
            )
    # diffusers' Heun scheduler has no churn.
    grid = tensors["heun_karras.sigmas"]
    case("heun_churn", grid, k_heun, 3.0, 0.05, 50.0, 1.003)

    for name, algorithm, reference in (
        ("dpmpp_2m", "dpmsolver++", k_dpmpp_2m),
        ("dpmpp_2m_sde", "sde-dpmsolver++", k_dpmpp_2m_sde),
    ):
        for karras in (False, True):
            scheduler = DPMSolverMultistepScheduler(
                **linear_1000,
                algorithm_type=algorithm,
                solver_order=2,
                solver_type="midpoint",
                prediction_type="sample",
                use_karras_sigmas=karras,
                timestep_spacing="leading",
                final_sigmas_type="zero",
            )
            scheduler = exact(scheduler)
            scheduler.set_timesteps(STEPS)
            theirs = run_dpm(scheduler, denoise, noise, name.endswith("sde"))
            case(f"{name}_{'karras' if karras else 'leading'}", scheduler.sigmas.tolist(), reference, theirs=theirs)
    case("dpmpp_2m_sde_half", grid, k_dpmpp_2m_sde, 0.5)
    save("loops.safetensors", tensors, shape=json.dumps(shape), steps=str(STEPS))


schedules()
noise()
loops()
