"""`compare_pytorch.py train`: whole training steps here and in PyTorch eager, in turn in one run.

Both sides start from the same checkpoint and train on the same batch: forward, backward, clipping, AdamW, moving average. The first steps
use the same noise and noise levels, and losses and gradient norms must agree. In the timed ones each side draws its own noise, as in a
run. PyTorch has three contestants, and the fastest of them counts: AdamW with foreach and fused, activations in the order of the batch and
channels-last.
"""

import pathlib
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import reference_model
from side_by_side import Ours, cargo_run, in_turn, timed

LEARNING_RATE = 8e-4  # that of the default recipe, and the following
WEIGHT_DECAY = 1e-4
LARGEST_NORM = 1.0
HALF_LIFE_IMAGES = 4000
COMPARED_STEPS = 3
# The same sums in another order, through some twenty layers and the steps before.
TOLERANCE = 2e-4


def batch(count, side):
    """Smooth shapes with fine grain, and their means over 5 x 5 pixels."""
    generator = torch.Generator().manual_seed(count * side)
    coarse = torch.rand(count, 3, side // 8, side // 8, generator=generator) * 2 - 1
    sharp = F.interpolate(coarse, size=(side, side), mode="bicubic")
    sharp = (sharp + 0.1 * torch.randn(sharp.shape, generator=generator)).clamp(-1, 1)
    return sharp.contiguous(), F.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False).contiguous()


class Eager:
    """The loop in PyTorch."""

    def __init__(self, checkpoint, sharp, blurry, fused, channels_last):
        self.model, _ = reference_model.load_checkpoint(checkpoint)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = self.model.train().to(memory_format=layout)
        self.sharp, self.blurry = (x.contiguous(memory_format=layout) for x in (sharp, blurry))
        self.parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99), fused=fused, foreach=not fused)
        self.averages = [p.detach().clone() for p in self.parameters]
        self.steps = 0

    def step(self, noise=None, alpha=None):
        """Loss and gradient norm of one step."""
        if noise is None:
            noise = torch.randn(self.sharp.shape)
            alpha = torch.rand(len(noise), dtype=torch.float64)
        model = self.model
        target = model.image_to_target(self.sharp, self.blurry)
        state, wanted = model.diffusion_target(target, noise, alpha)
        pyramid, maps = model.features(self.blurry)
        diffusion = (model(state, self.blurry, alpha, maps) - wanted).abs().mean()
        predictions = model.predictions(pyramid, maps)
        loss = diffusion + model.guidance_loss(predictions, self.sharp, [1.0] * len(predictions))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, LARGEST_NORM)
        self.optimizer.step()
        decay = min(0.5 ** (len(noise) / HALF_LIFE_IMAGES), (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)
        self.steps += 1
        return loss.item(), norm.item()


def compare(ours, eager, folder):
    """Losses and norms of the first steps, with the noise of ours."""
    worst = 0.0
    for step in range(COMPARED_STEPS):
        ours.answer(do="draw", step=step, outputs=str(folder / "drawn.safetensors"))
        drawn = load_file(folder / "drawn.safetensors")
        got = ours.answer(do="steps", first=step, count=1)
        loss, norm = eager.step(drawn["noise"], drawn["alpha"])
        for name, mine, theirs in (("loss", got["losses"][0], loss), ("gradient norm", got["gradient_norms"][0], norm)):
            difference = abs(mine - theirs) / abs(theirs)
            worst = max(worst, difference)
            print(f"step {step} {name:14} ours {mine:.6f}  eager {theirs:.6f}  difference {difference:.1e}", flush=True)
            if not difference <= TOLERANCE:
                raise SystemExit(f"{name} of step {step} differs by {difference:.1e}, more than {TOLERANCE:.0e}")
    ours.answer(do="weights", outputs=str(folder / "weights.safetensors"))
    weights = load_file(folder / "weights.safetensors")
    for label, prefix, theirs in (("weights", "", eager.parameters), ("averages", "average:", eager.averages)):
        names = [name for name, _ in eager.model.named_parameters()]
        both = zip(names, theirs)
        squares = [((weights[prefix + name] - value.detach()).square().sum(), value.detach().square().sum()) for name, value in both]
        difference = (sum(a for a, _ in squares) / sum(b for _, b in squares)).sqrt().item()
        print(f"{label} after {COMPARED_STEPS} steps: difference {difference:.1e} of their norm", flush=True)
        if not difference <= TOLERANCE:
            raise SystemExit(f"{label} differ by {difference:.1e}, more than {TOLERANCE:.0e}")
    return worst


def main(arguments, checkpoint):
    sharp, blurry = batch(arguments.batch, arguments.crop)
    contestants = {
        "eager foreach": Eager(checkpoint, sharp, blurry, fused=False, channels_last=False),
        "eager fused": Eager(checkpoint, sharp, blurry, fused=True, channels_last=False),
        "eager fused channels-last": Eager(checkpoint, sharp, blurry, fused=True, channels_last=True),
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours = Ours(
            arguments.program or cargo_run("train_timer"), folder, checkpoint=str(checkpoint), device="cpu",
            threads=arguments.threads, batch=arguments.batch, crop=arguments.crop, precision="float32",
        )
        save_file({"sharp": sharp, "blurry": blurry}, folder / "batch.safetensors")
        ours.answer(do="batch", inputs=str(folder / "batch.safetensors"))
        compare(ours, contestants["eager fused channels-last"], folder)
        step = COMPARED_STEPS

        def our_step():
            nonlocal step
            step += 1
            return ours.ask(do="steps", first=step, count=1)[0]

        timers = {"ours": our_step} | {name: timed(eager.step) for name, eager in contestants.items()}
        for timer in timers.values():
            timer()
        seconds = in_turn(timers, arguments.rounds)
        ours.end()
    fastest = min((name for name in seconds if name != "ours"), key=seconds.get)
    print(f"training step {arguments.batch}x3x{arguments.crop}x{arguments.crop}, {arguments.threads} threads, torch {torch.__version__}, "
          f"medians of {arguments.rounds}")
    for name, value in seconds.items():
        print(f"  {name:26} {value * 1e3:8.1f} ms  {arguments.batch / value:7.1f} images/s  {value / seconds['ours']:.3f} of ours")
    print(f"  {fastest}/ours {seconds[fastest] / seconds['ours']:.3f}: above 1 ours is faster")
