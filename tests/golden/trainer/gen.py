"""Reference values for the optimiser: torch.optim.AdamW and a float64 moving average.

Run `python3 gen.py`; it writes optimizer.safetensors beside itself. The versions used are in its metadata.
"""

import json
import pathlib

import numpy
import torch
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
SEED = 20
STEPS = 5
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
EMA_DECAY = 0.8


def main() -> None:
    generator = torch.Generator().manual_seed(SEED)
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3, generator=generator))
    bias = torch.nn.Parameter(torch.randn(4, generator=generator))
    optimizer = torch.optim.AdamW(
        [{"params": [weight], "weight_decay": WEIGHT_DECAY}, {"params": [bias], "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.99),
        eps=1e-8,
    )
    tensors = {"weight_start": weight.detach().clone(), "bias_start": bias.detach().clone()}
    average = {"weight": weight.detach().double().clone(), "bias": bias.detach().double().clone()}
    for step in range(STEPS):
        # The scale falls so that first and second moments matter differently at each step.
        weight.grad = torch.randn(weight.shape, generator=generator) * 0.5**step
        bias.grad = torch.randn(bias.shape, generator=generator) * 0.5**step
        tensors[f"weight_gradient_{step}"] = weight.grad.clone()
        tensors[f"bias_gradient_{step}"] = bias.grad.clone()
        optimizer.step()
        for name, parameter in (("weight", weight), ("bias", bias)):
            average[name] = EMA_DECAY * average[name] + (1 - EMA_DECAY) * parameter.detach().double()
    tensors |= {"weight_end": weight.detach(), "bias_end": bias.detach()}
    tensors |= {f"{name}_average": value.float() for name, value in average.items()}
    save_file(
        {name: numpy.ascontiguousarray(value.numpy()) for name, value in tensors.items()},
        HERE / "optimizer.safetensors",
        metadata={
            "versions": json.dumps({"torch": torch.__version__, "numpy": numpy.__version__}),
            "seed": str(SEED),
            "learning_rate": str(LEARNING_RATE),
            "weight_decay": str(WEIGHT_DECAY),
            "ema_decay": str(EMA_DECAY),
            "steps": str(STEPS),
        },
    )


if __name__ == "__main__":
    main()
