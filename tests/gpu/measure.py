"""The measurements of run.py: each function returns what goes into results.json."""

import json
import pathlib
import statistics
import subprocess
import threading
import time

import torch

# float32 sums in another order; convolutions on CUDA may round their inputs to TF32 (10 bits), as libtorch does by default.
TOLERANCES = {"forward": 1e-2, "sampler": 1e-2, "loss": 5e-3, "gradient norm": 2e-2, "weights moved": 0.5}


class Timer:
    """bin/train_timer: one JSON request a line, one answer a line."""

    def __init__(self, program, device, threads, batch, crop, precision, limit=300):
        self.limit = limit
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(do="load", device=device, threads=threads, batch=batch, crop=crop, precision=precision)

    def ask(self, **request):
        # A program that hangs must not take the rest of the time with it.
        watch = threading.Timer(self.limit, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        answer = json.loads(line or '{"error": "the program ended or took too long"}')
        if "error" in answer:
            raise RuntimeError(f"{request['do']}: {answer['error']}")
        return answer

    def peak_memory(self):
        """Largest resident memory of the process in bytes, where the system tells."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status")
        for line in status.read_text().splitlines() if status.exists() else []:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def used_on_device():
    free, total = torch.cuda.mem_get_info()
    return total - free


def machine():
    cuda = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name() if cuda else None,
        "device_memory": torch.cuda.mem_get_info()[1] if cuda else None,
        "cpu_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def agreement(plan):
    """CUDA against the CPU: forward pass, ten steps of the sampler, one training step."""
    with Timer(plan.timer, plan.device, plan.threads, plan.batches[0], plan.crop, "float32") as timer:
        differences = dict(timer.ask(do="agreement", side=plan.agreement_side)["differences"])
    wrong = [name for name, limit in TOLERANCES.items() if not differences[name] <= limit]
    return {"differences": differences, "tolerances": TOLERANCES, "agree": not wrong, "wrong": wrong}


def throughput(plan):
    """Seconds of a training step, images per second and memory, for each precision and batch."""
    rows = []
    for precision in ("float32", "bfloat16"):
        for batch in plan.batches:
            row = {"precision": precision, "batch": batch, "crop": plan.crop}
            before = used_on_device() if plan.cuda else 0
            try:
                with Timer(plan.timer, plan.device, plan.threads, batch, plan.crop, precision) as timer:
                    # The first steps choose algorithms and allocate.
                    timer.ask(do="steps", first=0, count=plan.warm_up)
                    seconds = timer.ask(do="steps", first=plan.warm_up, count=plan.steps)["seconds"]
                    # What the allocator holds after the steps is the most that it needed.
                    memory = used_on_device() - before if plan.cuda else timer.peak_memory()
                median = statistics.median(seconds)
                row |= {"seconds": median, "images_per_second": batch / median, "memory_bytes": memory}
            except RuntimeError as error:  # out of memory at a large batch is a result
                row |= {"error": str(error)}
            rows.append(row)
            print_row(row)
    return rows


def inference(plan):
    """Seconds of a restoration, pixels to pixels: `mean` (one pass) and ten Euler steps."""
    rows = []
    for precision in ("float32", "bfloat16"):
        with Timer(plan.timer, plan.device, plan.threads, 1, 64, "float32") as timer:
            for side in plan.sides:
                for steps in (0, 10):
                    seconds = timer.ask(do="restore", side=side, steps=steps, precision=precision, repeats=plan.repeats)["seconds"]
                    row = {"precision": precision, "side": side, "mode": "sample, 10 steps" if steps else "mean",
                           "seconds": statistics.median(seconds)}
                    rows.append(row)
                    print_row(row)
    return rows


def print_row(row):
    print("  " + "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()), flush=True)


def train(plan, limit_seconds):
    """One chunk of the training run; it goes on where the last one ended."""
    command = [str(plan.program), "train", "--photos", str(plan.photos), "--out", str(plan.run), "--preset", plan.preset, "--resume",
               "--time-limit", f"{limit_seconds / 60:.4f}", "--no-progress", "--json", *plan.train_options]
    print("  " + " ".join(command), flush=True)
    start = time.monotonic()
    log = plan.out / "train.log"
    with open(log, "w") as errors:
        # Saving at the end takes its time; a run that ignores its limit is ended.
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=limit_seconds + 120)
    print("".join(f"  {line}\n" for line in log.read_text().splitlines()[-12:]), end="", flush=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = {line["type"]: line["data"] for line in lines}
    if result.returncode != 0 or "finished" not in kinds:
        raise RuntimeError(f"msdeblur train ended with {result.returncode}; see train.log")
    return {
        "seconds": time.monotonic() - start,
        "resumed_at": kinds["started"]["resumed_at"],
        "steps": kinds["finished"]["steps"],
        "images_per_second": kinds.get("step", {}).get("images_per_second"),
        "validation": kinds["finished"]["validation"],
        "stopped_early": kinds["finished"]["stopped_early"],
    }
