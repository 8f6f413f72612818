"""Scores of profiles: morphospace and the Python tools, in turns on the same table.

    cargo build --release
    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/scores.py [FACTOR]

Mean average precision of 300 perturbations in four wells each against 256 controls,
192 features, 10,000 random orders; FACTOR times as many perturbations and controls.
Our time is the whole process, with reading; that of copairs its functions alone. The
best of three turns each.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
from copairs import map as copairs_map
from copairs.matching import assign_reference_index

PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "morphospace"
TURNS = 3
FEATURES = 192


def table(factor):
    rng = np.random.default_rng(1)
    names = np.repeat([f"p{index:05}" for index in range(300 * factor)], 4)
    names = np.concatenate([names, ["DMSO"] * (256 * factor)])
    # A third of the perturbations move cells.
    effects = {name: rng.normal(size=FEATURES) for name in np.unique(names)[::3]}
    shift = np.stack([effects.get(name, np.zeros(FEATURES)) for name in names])
    features = pd.DataFrame(rng.normal(size=(len(names), FEATURES)) + shift * (names != "DMSO")[:, None])
    features.columns = [f"feature_{index}" for index in range(FEATURES)]
    features.insert(0, "Metadata_treatment", names)
    features.insert(1, "Metadata_role", np.where(names == "DMSO", "negcon", "trt"))
    return features


def theirs(table):
    start = time.perf_counter()
    meta = assign_reference_index(
        table[["Metadata_treatment", "Metadata_role"]], "Metadata_role == 'negcon'",
        reference_col="Metadata_index", default_value=-1)
    both = ["Metadata_treatment", "Metadata_index"]
    found = copairs_map.average_precision(
        meta, table.filter(like="feature_").values, pos_sameby=both, pos_diffby=[], neg_sameby=[], neg_diffby=both)
    found = found.dropna(subset=["average_precision"])
    found = copairs_map.mean_average_precision(
        found, ["Metadata_treatment"], null_size=10_000, threshold=0.05, seed=0)
    return time.perf_counter() - start, found.mean_average_precision.mean()


def ours(path):
    start = time.perf_counter()
    done = subprocess.run(
        [PROGRAM, "benchmark", "mean-average-precision", path, "--pos-sameby", "Metadata_treatment",
         "--neg-diffby", "Metadata_treatment", "--reference", "Metadata_role=negcon"],
        check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stdout.splitlines()[1].split()[5])


def main():
    factor = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    data = table(factor)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "profiles.parquet")
        data.to_parquet(path)
        turns = [(ours(path), theirs(data)) for _ in range(TURNS)]
    (mine, value), (peers, expected) = (min(side) for side in zip(*turns))
    print(f"{len(data):,} rows: morphospace {mine:.2f} s ({value}), copairs {peers:.2f} s ({expected:.4f}), {peers / mine:.1f} x")


if __name__ == "__main__":
    main()
