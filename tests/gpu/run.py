#!/usr/bin/env python3
"""Everything that needs a GPU, in one command: agreement with the CPU, training throughput and memory, inference speed, and a chunk of a
training run that the next call continues. Start it with run.sh.

Results: results.json, results.txt, the log and the model of the run, and the run folder as a tar in parts of at most 15 MiB. Put the
folder with these files behind --state to go on with the run.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile
import time
import traceback

import torch

import measure

HERE = pathlib.Path(__file__).resolve().parent
PART = 15 * 2**20
TAR = "run.tar"
# Of the run folder: what the run goes on from, and what a person looks at. Older states stay behind.
CARRIED = ("state.safetensors", "config.toml", "metrics.jsonl", "model.safetensors", "best.safetensors", "curves.svg", "preview.png")
STAGES = ("agreement", "throughput", "inference", "train")
# For writing the last state and packing the results.
RESERVE_SECONDS = 25


@dataclasses.dataclass
class Plan:
    """What is done, on which device, at which sizes."""

    cuda: bool
    timer: pathlib.Path
    program: pathlib.Path
    out: pathlib.Path
    run: pathlib.Path
    photos: pathlib.Path
    threads: int
    preset: str
    train_options: list
    batches: tuple = (16, 32, 64, 128, 256)
    crop: int = 64
    agreement_side: int = 256
    warm_up: int = 5
    steps: int = 20
    sides: tuple = (256, 512, 1024)
    repeats: int = 5

    @property
    def device(self):
        return "cuda" if self.cuda else "cpu"


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def join_run(source, run):
    """Makes the run folder of an earlier call again."""
    parts = sorted(source.glob(f"{TAR}.part-*"))
    if not parts:
        sys.exit(f"{source}: no {TAR}.part-* of an earlier call")
    run.mkdir(parents=True)
    whole = run.parent / TAR
    with open(whole, "wb") as file:
        for part in parts:
            file.write(part.read_bytes())
    unpack(whole, run)
    whole.unlink()


def bring_back(run, out):
    """Copies the run into the results, in parts."""
    for old in out.glob(f"{TAR}.part-*"):
        old.unlink()
    whole = run.parent / TAR
    with tarfile.open(whole, "w") as tar:
        for name in CARRIED:
            if (run / name).exists():
                tar.add(run / name, name)
    with open(whole, "rb") as file:
        for index, data in enumerate(iter(lambda: file.read(PART), b"")):
            (out / f"{TAR}.part-{index:03}").write_bytes(data)
    whole.unlink()
    shutil.copy(run / "model.safetensors", out / "model.safetensors")


def text(results):
    """results.json for people."""
    lines = [" ".join(f"{key} {value}" for key, value in results["machine"].items())]
    for stage in STAGES:
        if stage not in results:
            continue
        rows = results[stage]
        lines.append(f"\n{stage}")
        for row in rows if isinstance(rows, list) else [rows]:
            lines.append("  " + "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()))
    lines += [f"\nfailed: {stage}: {problem}" for stage, problem in results["failures"].items()]
    return "\n".join(lines) + "\n"


def save(results, out):
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "results.txt").write_text(text(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9, help="the whole call, training included (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES, help="stages to run (default: all)")
    parser.add_argument("--preset", default="default", help="what is trained (default: %(default)s)")
    parser.add_argument("--state", type=pathlib.Path, metavar="DIR", help="results of an earlier call, whose run goes on")
    parser.add_argument("--photos", type=pathlib.Path, default=HERE / "photos.tar", help="tar or folder (default: photos.tar beside this)")
    parser.add_argument("--bin", type=pathlib.Path, default=HERE / "bin", metavar="DIR", help="folder of msdeblur and train_timer")
    parser.add_argument("--dry-run", action="store_true", help="the same on the CPU with tiny sizes, in under five minutes")
    parser.add_argument("train_options", nargs="*", metavar="OPTION", help="after `--`: further options of `msdeblur train`, such as --batch 64")
    arguments = parser.parse_args()
    start = time.monotonic()
    out = pathlib.Path(os.environ.get("OUT") or "gpu-results").resolve()
    out.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available() and not arguments.dry_run
    if not cuda and not arguments.dry_run:
        sys.exit("no CUDA device; --dry-run does the same on the CPU")
    if arguments.dry_run:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    work = pathlib.Path(tempfile.mkdtemp(prefix="msdeblur-gpu-"))
    sizes = {}
    minutes = arguments.minutes
    if arguments.dry_run:
        sizes = dict(batches=(2,), crop=32, agreement_side=64, warm_up=1, steps=2, sides=(64,), repeats=1)
        minutes = min(minutes, 5)
    plan = Plan(
        cuda=cuda, timer=arguments.bin / "train_timer", program=arguments.bin / "msdeblur", out=out, run=work / "run",
        photos=work / "photos", threads=torch.get_num_threads(), preset="tiny" if arguments.dry_run else arguments.preset,
        train_options=arguments.train_options, **sizes,
    )
    results = {"version": 1, "dry_run": arguments.dry_run, "machine": measure.machine(), "failures": {}}
    print(results["machine"], flush=True)

    def train():
        if arguments.photos.is_dir():
            plan.photos = arguments.photos
        else:
            unpack(arguments.photos, plan.photos)
        if arguments.state:
            join_run(arguments.state, plan.run)
        left = 60 * minutes - (time.monotonic() - start) - RESERVE_SECONDS
        if arguments.dry_run:
            left = min(left, 60)
        if left < 5:
            raise RuntimeError("no time is left for training")
        result = measure.train(plan, left)
        bring_back(plan.run, out)
        return result

    stages = {
        "agreement": lambda: measure.agreement(plan),
        "throughput": lambda: measure.throughput(plan),
        "inference": lambda: measure.inference(plan),
        "train": train,
    }
    for name, stage in stages.items():
        if name not in arguments.only:
            continue
        print(f"{name} (after {time.monotonic() - start:.0f} s)", flush=True)
        try:
            results[name] = stage()
            if name == "agreement" and not results[name]["agree"]:
                results["failures"][name] = f"differs in {', '.join(results[name]['wrong'])}"
        except Exception as error:  # one stage that fails must not cost the others
            traceback.print_exc()
            results["failures"][name] = f"{type(error).__name__}: {error}"
        # What was measured is kept, whatever happens next.
        save(results, out)
    shutil.rmtree(work, ignore_errors=True)
    print(text(results), end="")
    print(f"{time.monotonic() - start:.0f} s; results in {out}")
    return 1 if results["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
