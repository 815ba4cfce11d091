#!/usr/bin/env python3
"""Times the same checkpoint here and in PyTorch, in turn in one run, and checks that both give the same numbers.

Forward: one pass of the diffusion network, guidance features given. Restoration: guidance, initial noise, Euler steps, pixels to pixels.
`train`: whole training steps on one batch, see compare_training.py.
A ratio above 1 means that ours is faster. Needs torch 2.11, diffusers, numpy and safetensors; our side is built with cargo.
"""

import argparse
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file

import compare_training
import reference_model
from side_by_side import ROOT, Ours, cargo_run, in_turn, relative, report, timed

SEED = 7


def bfloat16_in_hardware():
    if sys.platform != "linux":
        return False
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def forward(ours, model, compiled, side, dtype, rounds):
    generator = torch.Generator().manual_seed(side)
    noisy, blurry = (torch.rand(1, 3, side, side, generator=generator) * 2 - 1 for _ in range(2))
    level = torch.tensor([0.5])
    name = str(dtype).removeprefix("torch.")
    ours_output, ours_timer = ours.run(
        {"noisy": noisy, "blurry": blurry, "noise_level": level}, do="forward", kind=name
    )
    arguments = [x.to(dtype).contiguous(memory_format=torch.channels_last) for x in (noisy, blurry)]
    # As ours, features are computed before; the timed part starts with joining noisy and blurry.
    maps = model.features(arguments[1])[1]
    output = model(*arguments, level, maps).float()
    contestants = {"ours": ours_timer, "eager": timed(lambda: model(*arguments, level, maps))}
    if compiled is not None:
        compiled(*arguments, level, maps)
        contestants["compile"] = timed(lambda: compiled(*arguments, level, maps))
    tolerance = 1e-4 if dtype == torch.float32 else 5e-2
    report(f"forward {name} 1x3x{side}x{side}", relative(ours_output, output), tolerance, in_turn(contestants, rounds))


def restoration(ours, model, side, steps, rounds):
    generator = torch.Generator().manual_seed(side)
    photo = torch.rand(3, side, side, generator=generator)
    config = model.config
    noise_path = ours.folder / "noise.safetensors"
    ours.ask(do="noise", height=side, width=side, seed=SEED, outputs=str(noise_path))
    noise = load_file(noise_path)["noise"]
    ours_output, ours_timer = ours.run({"photo": photo}, do="restore", kind="float32", steps=steps, seed=SEED)

    def restore(noise):
        blurry = (photo[None] * 2 - 1).contiguous(memory_format=torch.channels_last)
        maps = model.features(blurry)[1]
        start = (config["sigma_max"] * noise).contiguous(memory_format=torch.channels_last)
        sigmas = reference_model.sigmas_karras(max(steps, 1), config["sigma_min"], config["sigma_max"])
        target = reference_model.sample_euler(lambda x, sigma: model.denoise(x, sigma, blurry, maps), start, sigmas)
        return ((model.target_to_image(target, blurry)[0] + 1) / 2).clamp(0, 1).contiguous()

    assert side % model.unet.multiple == 0, "the size is padded on our side before noise is drawn"
    error = relative(ours_output, restore(noise))
    # Timed with noise of its own, as ours draws its noise too. One forward pass of ours is timed in the same turns.
    blurry = photo[None] * 2 - 1
    _, forward_timer = ours.run(
        {"noisy": -blurry, "blurry": blurry, "noise_level": torch.tensor([0.5])}, do="forward", kind="float32"
    )
    contestants = {
        "ours": ours_timer,
        "forward": forward_timer,
        "eager": timed(lambda: restore(torch.randn(1, 3, side, side))),
    }
    seconds = in_turn(contestants, rounds)
    outside = 1 - max(steps, 1) * seconds.pop("forward") / seconds["ours"]
    name = f"{steps} Euler steps" if steps else "mean"
    report(f"restoration {name} 1x3x{side}x{side}", error, 1e-4, seconds)
    print(f"{'':34} of ours, outside of forward passes (guidance, noise, sampler, pixels): {100 * outside:.1f} %")


def compile_model(model):
    try:
        compiled = torch.compile(model)
        image = torch.zeros(1, 3, 64, 64)
        compiled(image, image, torch.tensor([0.5]), model.features(image)[1])
        return compiled
    except Exception as error:  # whatever keeps the compiler from working here is worth a line, not the run
        print(f"torch.compile does not work here: {str(error).splitlines()[0]}")
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["restore", "train"], default="restore", help="what is compared (default: %(default)s)")
    parser.add_argument("--checkpoint", type=pathlib.Path, default=ROOT / "crates/deblur/model/default.safetensors",
                        help="safetensors checkpoint (default: the shipped model)")
    parser.add_argument("--program", nargs="+", metavar="PART", help="our timer, if it is built already",
                        default=None)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="for both sides (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], metavar="PIXELS", help="sides of the squares")
    parser.add_argument("--rounds", type=int, default=7, help="times per contestant; medians are shown (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="Euler steps of the restoration at the first size; at the second it is the mean, one step (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes to start")
    parser.add_argument("--batch", type=int, default=16, help="crops of a training step (default: %(default)s)")
    parser.add_argument("--crop", type=int, default=64, metavar="PIXELS", help="side of a crop in training (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checkpoint = arguments.checkpoint.resolve()
    if arguments.what == "train":
        compare_training.main(arguments, checkpoint)
        return
    model, description = reference_model.load_checkpoint(checkpoint)
    model = model.to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{description['provenance']['name'] or checkpoint.name}: {parameters} parameters; torch {torch.__version__}, "
          f"{arguments.threads} threads, {torch.backends.cpu.get_cpu_capability()}, medians of {arguments.rounds}")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        program = arguments.program or cargo_run("forward_timer")
        ours = Ours(program, pathlib.Path(folder), checkpoint=str(checkpoint), threads=arguments.threads)
        compiled = None if arguments.no_compile else compile_model(model)
        for side in arguments.sizes:
            forward(ours, model, compiled, side, torch.float32, arguments.rounds)
        for side, steps in zip(arguments.sizes, (arguments.steps, 0)):
            restoration(ours, model, side, steps, arguments.rounds)
        if bfloat16_in_hardware():
            model = model.to(torch.bfloat16)
            for side in arguments.sizes:
                forward(ours, model, None, side, torch.bfloat16, arguments.rounds)
        else:
            print("bfloat16: this processor does not compute it in hardware, so it is not compared")
        ours.end()


if __name__ == "__main__":
    main()
