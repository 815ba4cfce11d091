#!/usr/bin/env python3
"""Packs the training photographs of `free-photos-train` into one tar that is small enough to carry.

Only the split `train` of the list is taken: `tune` is for choosing settings. Photographs are encoded again as JPEG without colour
subsampling, all with the highest quality at which the tar fits. Needs pillow.
"""

import argparse
import csv
import io
import pathlib
import sys
import tarfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def names(table):
    with open(table, newline="") as file:
        return [pathlib.PurePosixPath(row["path"]).name for row in csv.DictReader(file) if row["split"] == "train"]


def find(folder, wanted):
    there = {path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}
    missing = [name for name in wanted if name not in there]
    if missing:
        sys.exit(f"{folder}: {len(missing)} of {len(wanted)} photographs are missing, first {missing[0]}; "
                 "fetch them with: cargo xtask datasets fetch free-photos-train")
    return [there[name] for name in wanted]


def encode(path, quality):
    with Image.open(path) as photo:
        data = io.BytesIO()
        photo.convert("RGB").save(data, "JPEG", quality=quality, subsampling=0)
    return data.getvalue()


def pack(paths, out, limit):
    for quality in (94, 92, 90, 88, 85, 82, 78, 72):
        photos = []
        size = 1024
        for path in paths:
            photos.append(encode(path, quality))
            # A header, and whole blocks of 512 bytes.
            size += 512 + -(-len(photos[-1]) // 512) * 512
            if size > limit:
                break
        else:
            with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
                for path, data in zip(paths, photos):
                    info = tarfile.TarInfo(path.stem + ".jpg")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            return quality
    sys.exit(f"{len(paths)} photographs do not fit into {limit} bytes at a quality worth training on")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the photographs lie, in folders of any depth")
    parser.add_argument("out", type=pathlib.Path, help="the tar to write")
    parser.add_argument("--list", type=pathlib.Path, default=ROOT / "datasets/free-photos-train.csv", help="their names and splits")
    parser.add_argument("--megabytes", type=float, default=36, help="largest size of the tar in 10^6 bytes (default: %(default)s)")
    arguments = parser.parse_args()
    paths = find(arguments.folder, names(arguments.list))
    quality = pack(paths, arguments.out, int(arguments.megabytes * 1e6))
    print(f"{arguments.out}: {len(paths)} photographs, JPEG quality {quality}, {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
