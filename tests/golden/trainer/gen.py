"""Reference values for the optimiser (torch.optim.AdamW and a float64 moving average), for min-SNR-gamma weights (diffusers) and for
event files (TensorBoard's writer).

Run `python3 gen.py`; it writes optimizer.safetensors, min_snr.safetensors and events.safetensors beside itself. The versions used are in
their metadata.
"""

import io
import json
import pathlib

import diffusers
import numpy
import tensorboard
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from safetensors.numpy import save_file
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = pathlib.Path(__file__).parent
SEED = 20
STEPS = 5
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
EMA_DECAY = 0.8
GAMMA = 5.0


def min_snr() -> None:
    """The weights as examples/text_to_image/train_text_to_image.py of diffusers writes them, and min(SNR, gamma) for the image
    (Hang 2023, section 3.4)."""
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
    timesteps = torch.tensor([0, 1, 3, 10, 30, 60, 100, 140, 170, 200, 300, 400, 500, 700, 900, 999])
    snr = compute_snr(scheduler, timesteps)
    least = torch.stack([snr, GAMMA * torch.ones_like(snr)], dim=1).min(dim=1)[0]
    tensors = {
        "alphas_cumprod": scheduler.alphas_cumprod[timesteps],
        "epsilon": least / snr,
        "v_prediction": least / (snr + 1),
        "sample": least,
        "gamma": torch.tensor([GAMMA]),
    }
    save_file(
        {name: value.double().numpy() for name, value in tensors.items()},
        HERE / "min_snr.safetensors",
        metadata={"versions": json.dumps({"torch": torch.__version__, "diffusers": diffusers.__version__})},
    )


def events() -> None:
    """An event file of a run that was resumed after step 2: two numbers at step 3; a number and a picture at step 300."""
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    loss = summary_pb2.Summary.Value(tag="training/loss", simple_value=0.25)
    rate = summary_pb2.Summary.Value(tag="training/rate", simple_value=1e-4)
    picture = summary_pb2.Summary.Image(height=2, width=3, colorspace=3, encoded_image_string=b"not really a PNG")
    preview = summary_pb2.Summary.Value(tag="preview", image=picture)
    file = io.BytesIO()
    # Closing the writer would close the buffer.
    writer = RecordWriter(file)
    for event in (
        event_pb2.Event(wall_time=1.5, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=1.5, step=3, session_log=start),
        event_pb2.Event(wall_time=1.5, step=3, summary=summary_pb2.Summary(value=[loss, rate])),
        event_pb2.Event(wall_time=2.5, step=300, summary=summary_pb2.Summary(value=[loss, preview])),
    ):
        writer.write(event.SerializeToString(deterministic=True))
    save_file(
        {"file": numpy.frombuffer(file.getvalue(), numpy.uint8)},
        HERE / "events.safetensors",
        metadata={"versions": json.dumps({"tensorboard": tensorboard.__version__, "numpy": numpy.__version__})},
    )


def optimizer_steps() -> None:
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
    optimizer_steps()
    events()
    min_snr()
