#!/bin/sh
# Checks run directories with the reference implementation of SigMF (Python package sigmf 1.14.0):
#   pip install sigmf==1.14.0; core/recording/tests/sigmf_validate.sh DIR...
# Without a directory, writes an example run and checks that.
set -eu
if [ $# -eq 0 ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cargo run --quiet --release -p crqkd-recording --example write_run -- "$scratch/run"
    set -- "$scratch/run"
fi
for dir in "$@"; do
    # Schema, order of captures and annotations, and the checksum of the samples.
    sigmf_validate "$dir"/*.sigmf-meta
    # The collection, which sigmf_validate cannot read: the hash of every member's description.
    python3 - "$dir"/*.sigmf-collection <<'PYTHON'
import pathlib, sys
import sigmf
from sigmf import sigmffile

for path in map(pathlib.Path, sys.argv[1:]):
    collection = sigmffile.fromfile(str(path))
    names = collection.get_stream_names()
    assert names, f"{path}: no member"
    for name in names:
        recording = collection.get_SigMFFile(stream_name=name)
        assert recording.sample_count > 0, f"{path}: {name} is empty"
        assert recording.get_global_info()["core:collection"] == path.stem, name
    print(f"{path}: {len(names)} members, sigmf {sigmf.__version__}: ok")
PYTHON
done
