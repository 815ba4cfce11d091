#!/bin/sh
# Everything that needs a GPU, in one command; README.md beside this file says what. Results go to $OUT, or to gpu-results here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${MSDEBLUR_PYTHON:-python3}
# The programs were linked against another libtorch of the same version; this one goes first.
libraries=$("$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parent / "lib")')
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH PYTHONUNBUFFERED=1
exec "$python" "$here/run.py" "$@"
