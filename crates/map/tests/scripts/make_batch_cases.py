"""Writes the cases `coral`, `combat` and `harmony` beside this script.

    python -m venv venv
    venv/bin/pip install numpy==2.4.6 scipy==1.17.1 pandas==2.2.3 \
        scikit-learn==1.9.1 neuroCombat==0.2.12 harmonypy==0.0.10
    venv/bin/python make_batch_cases.py ../golden

Values are drawn from seeds. ComBat is neuroCombat's, let go on until it
arrives (the release stops at relative changes of 1e-4); Harmony is
harmonypy's, from given first centroids and with rows shuffled as morphospace
does: by a hash of their values, the seed and the round. CORAL is the formula
of Sun, Feng & Saenko in numpy and scipy. `shrinkage` in the case `coral` is
scikit-learn's `ledoit_wolf_shrinkage` of each batch.
"""

import hashlib
import importlib
import json
import pathlib
import struct
import sys

import numpy as np
import pandas as pd
import scipy.linalg

np.int = int  # neuroCombat 0.2.12 asks for it; numpy took it away

from harmonypy import harmony as harmonypy  # noqa: E402
from sklearn.covariance import ledoit_wolf_shrinkage  # noqa: E402

neurocombat = importlib.import_module("neuroCombat.neuroCombat")
U64 = (1 << 64) - 1


def drawn(seed, num_rows, num_features, num_batches, offset=2.0):
    """Rows of two groups whose batches are shifted and stretched."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(num_batches, size=num_rows)
    batch[:num_batches] = np.arange(num_batches)
    group = (np.arange(num_rows) // 2) % 3
    mixing = rng.normal(size=(num_features, num_features))
    groups = 2.0 * rng.normal(size=(3, num_features))
    shift = rng.normal(size=(num_batches, num_features))
    stretch = 0.7 + 0.6 * rng.random((num_batches, num_features))
    values = rng.normal(size=(num_rows, num_features)) @ mixing + groups[group]
    values = values * stretch[batch] + shift[batch] + offset
    return values.round(4), [f"b{b}" for b in batch], [f"g{g}" for g in group]


def write(folder, kind, what, config, expected, reference, tolerance):
    folder = folder / kind
    folder.mkdir(parents=True, exist_ok=True)
    case = {
        "name": kind, "kind": kind, "crate": "map", "what": what,
        "reference": reference, "config": config, "inputs": {"expected.json": "values, batch"},
        "outputs": {"expected.json": "one entry per variant"},
        "tolerance": {"all": f"abs {tolerance}"},
        "made_by": "crates/map/tests/scripts/make_batch_cases.py",
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def rounded(values, digits=11):
    return [[float(f"{x:.{digits}g}") for x in row] for row in np.asarray(values)]


def coral(folder):
    values, batch, _ = drawn(11, 30, 3, 3)
    batches = np.array(batch)
    names = sorted(set(batch))
    within = np.zeros(3)
    for name in names:
        rows = values[batches == name]
        within += ((rows - rows.mean(0)) ** 2).sum(0)
    sd = np.sqrt(within / len(values))

    def covariances(shrunk):
        found = {}
        for name in names:
            rows = values[batches == name] / sd
            s = np.cov(rows, rowvar=False, ddof=1)
            if shrunk:
                a = ledoit_wolf_shrinkage(rows)
                s = (1 - a) * s + a * np.trace(s) / 3 * np.eye(3)
            found[name] = s
        return found

    def pooled(found, left_out=None):
        kept = [n for n in names if n != left_out]
        degrees = {n: (batches == n).sum() - 1 for n in kept}
        return sum(degrees[n] * found[n] for n in kept) / sum(degrees.values())

    def aligned(regularisation, target, shrunk):
        found = covariances(shrunk)
        result = np.zeros_like(values)
        for name in names:
            rows = batches == name
            of = {"pooled": lambda: pooled(found),
                  "other_batches": lambda: pooled(found, name),
                  "b1": lambda: found["b1"]}[target]()
            eye = regularisation * np.eye(3)
            power = scipy.linalg.fractional_matrix_power
            matrix = power(found[name] + eye, -0.5) @ power(of + eye, 0.5)
            mean = values[batches == "b1"].mean(0) if target == "b1" else values.mean(0)
            result[rows] = (values[rows] - values[rows].mean(0)) / sd @ matrix * sd + mean
        return rounded(result)

    variants = [
        {"regularisation": 1.0}, {"regularisation": 0.0, "target": "other_batches"},
        {"regularisation": 0.25, "target": {"batch": "b1"}, "shrinkage": "ledoit_wolf"},
    ]
    expected = {
        "values": values.tolist(), "batch": batch,
        "shrinkage": {n: ledoit_wolf_shrinkage(values[batches == n] / sd) for n in names},
        "variants": [
            {"settings": {"reference": "all", **variants[0]}, "aligned": aligned(1.0, "pooled", False)},
            {"settings": {"reference": "all", **variants[1]}, "aligned": aligned(0.0, "other_batches", False)},
            {"settings": {"reference": "all", **variants[2]}, "aligned": aligned(0.25, "b1", True)},
        ],
    }
    write(folder, "coral", "correlation alignment of batches", {}, expected,
          {"project": "numpy, scipy, scikit-learn", "version": "2.4.6, 1.17.1, 1.9.1"}, "1e-9")


def combat(folder):
    values, batch, group = drawn(12, 27, 4, 3)
    neurocombat.it_sol.__defaults__ = (1e-12,)
    table = pd.DataFrame({"batch": batch, "group": group})

    def aligned(covariate, **settings):
        columns = ["group"] if covariate else None
        found = neurocombat.neuroCombat(
            values.T.copy(), table, "batch", categorical_cols=columns, **settings)
        return rounded(found["data"].T)

    variants = [
        ({}, aligned(False)),
        ({"covariate": "group"}, aligned(True)),
        ({"prior": "non_parametric"}, aligned(False, parametric=False)),
        ({"mean_only": True}, aligned(False, mean_only=True)),
        ({"covariate": "group", "reference_batch": "b1"}, aligned(True, ref_batch="b1")),
    ]
    neurocombat.it_sol.__defaults__ = (1e-4,)
    stopped_early = np.abs(np.array(aligned(False)) - np.array(variants[0][1])).max()
    print(f"combat: the release's own stopping changes values by up to {stopped_early:.1e}")
    expected = {
        "values": values.tolist(), "batch": batch, "covariate": group,
        "variants": [{"settings": s, "aligned": a} for s, a in variants],
    }
    write(folder, "combat", "empirical Bayes correction of batches", {}, expected,
          {"project": "neuroCombat", "version": "0.2.12"}, "1e-9")


def seed_split(seed, kind, part):
    digest = hashlib.sha256(b"morphospace seed" + struct.pack("<Q", seed) + kind + part).digest()
    return struct.unpack("<Q", digest[:8])[0]


def mixed(value):
    value = (value + 0x9E3779B97F4A7C15) & U64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & U64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & U64
    return value ^ (value >> 31)


def row_hash(row):
    found = 0
    for value in row:
        found = mixed(found ^ struct.unpack("<Q", struct.pack("<d", value + 0.0))[0])
    return found


def harmony(folder):
    values, batch, _ = drawn(13, 90, 4, 3, offset=5.0)
    assert (values.max(axis=1) > 0).all(), "harmonypy turns rows without a positive value round"
    hashes = [row_hash(row) for row in values]
    table = pd.DataFrame({"batch": batch})
    initial = [0, 31, 62, 8]

    def aligned(seed, **settings):
        blocks = seed_split(seed_split(seed, b"name", b"harmony"), b"name", b"blocks")
        rounds = 0

        def shuffle(order):
            nonlocal rounds
            rounds += 1
            drawn_with = seed_split(blocks, b"index", struct.pack("<Q", rounds))
            order[:] = sorted(order, key=lambda i: mixed(hashes[i] ^ drawn_with) >> 11)

        harmonypy.np.random.shuffle = shuffle
        found = harmonypy.run_harmony(
            values, table, "batch", nclust=len(initial), verbose=False,
            cluster_fn=lambda data, k: data[initial], **settings)
        print(f"harmony {settings}: {rounds} rounds, objective {found.objective_harmony}")
        return {
            "aligned": rounded(found.Z_corr.T[::3]),
            "objective": [float(x) for x in found.objective_harmony],
            "num_rounds": rounds,
        }

    variants = [
        ({"theta": 1.0}, {}, 0),
        ({"seed": 5, "theta": 2.0, "lambda": 0.5, "sigma": 0.2, "tau": 5.0, "block_size": 0.2,
          "max_iter_harmony": 3, "max_iter_kmeans": 6},
         {"theta": 2.0, "lamb": 0.5, "sigma": 0.2, "tau": 5, "block_size": 0.2,
          "max_iter_harmony": 3, "max_iter_kmeans": 6}, 5),
    ]
    expected = {
        "values": values.tolist(), "batch": batch, "initial_rows": initial, "every": 3,
        "variants": [
            {"settings": {"nclust": len(initial), **ours}, **aligned(seed, **theirs)}
            for ours, theirs, seed in variants
        ],
    }
    write(folder, "harmony", "Harmony from given centroids and orders of rows", {}, expected,
          {"project": "harmonypy", "version": "0.0.10"}, "1e-9")


def main(folder):
    coral(folder)
    combat(folder)
    harmony(folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
