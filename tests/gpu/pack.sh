#!/bin/sh
# Builds target/gpu-bundle: everything that a machine with a GPU, python3 and torch 2.11 needs. Give the folder with the photographs of
# free-photos-train, or nothing for the one where `cargo xtask datasets fetch` puts them.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
photos=${1:-$root/datasets/cache/free-photos-train}
python=${MSDEBLUR_PYTHON:-python3}
bundle=$root/target/gpu-bundle
limit=67108864 # 64 MiB

cd "$root"
# One selection of packages for both, so that nothing is compiled twice with other features.
cargo build --release --workspace --bin msdeblur --bin train_timer
rm -rf "$bundle"
mkdir -p "$bundle/bin"
for program in msdeblur train_timer; do
    cp "target/release/$program" "$bundle/bin/"
    strip "$bundle/bin/$program"
done
cp tests/gpu/run.sh tests/gpu/run.py tests/gpu/measure.py tests/gpu/README.md "$bundle/"
"$python" tests/gpu/pack_photos.py "$photos" "$bundle/photos.tar"
size=$(find "$bundle" -type f -exec cat {} + | wc -c)
echo "$bundle: $size bytes"
if [ "$size" -ge "$limit" ]; then
    echo "larger than 64 MiB: make the photographs smaller with pack_photos.py --megabytes" >&2
    exit 1
fi
