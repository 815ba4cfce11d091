"""What the comparisons with PyTorch share: our side as a program that answers requests, and times taken in turn."""

import json
import pathlib
import statistics
import subprocess
import sys
import time

from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[1]


def cargo_run(name):
    """The command that builds and runs one of our programs."""
    return ["cargo", "run", "--release", "--quiet", "--package", "integration-benches", "--bin", name]


class Ours:
    """One of our programs that answer requests, a JSON object a line: src/bin/forward_timer.rs, src/bin/train_timer.rs."""

    def __init__(self, program, folder, **load):
        self.folder = folder
        self.name = program[-1]
        self.runs = 0
        self.process = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer(do="load", **load)

    def answer(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "our program ended"}')
        if "error" in answer:
            sys.exit(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, **request):
        return self.answer(**request)["seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()

    def run(self, inputs, **request):
        """Output and seconds of the first repeat, and a function that times one more."""
        self.runs += 1
        paths = self.folder / f"inputs-{self.runs}.safetensors", self.folder / f"outputs-{self.runs}.safetensors"
        save_file({name: value.contiguous() for name, value in inputs.items()}, paths[0])
        request |= {"inputs": str(paths[0])}
        self.ask(**request, outputs=str(paths[1]), repeats=1)
        return load_file(paths[1])["output"], lambda: self.ask(**request, repeats=1)[0]


def timed(run):
    def one():
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return one


def in_turn(contestants, rounds):
    """Medians of `rounds` times each, taken A B C, C B A, A B C, … so that a drift of the machine's speed hits all alike."""
    seconds = {name: [] for name in contestants}
    for turn in range(rounds):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            # The threads of the one before go to sleep first.
            time.sleep(0.05)
            seconds[name].append(contestants[name]())
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(title, error, tolerance, seconds):
    others = "  ".join(f"{name} {value * 1e3:9.1f} ms" for name, value in seconds.items())
    ratios = "  ".join(f"{name}/ours {seconds[name] / seconds['ours']:.3f}" for name in seconds if name != "ours")
    print(f"{title:34} error {error:.1e}   {others}   {ratios}", flush=True)
    if not error <= tolerance:
        sys.exit(f"{title}: the outputs differ by {error:.1e} of the largest value, more than {tolerance:.0e}")


def relative(got, want):
    # A model that was never trained gives zeros on both sides.
    return ((got - want).abs().max() / want.abs().max().clamp_min(1e-12)).item()
