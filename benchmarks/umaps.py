"""Maps of profiles: morphospace and umap-learn, in turns on the same tables.

    cargo build --release -p morphospace-map --example umap
    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/umaps.py [TABLE...]

Tables: clusters (2,000 x 50 in 20 clusters), wells (20,000 x 384: 1,000
perturbations in 20 wells each, a third of which move cells, in 30 directions),
groups (20,000 x 384 in 200 clusters) and nelisa (a real one, with
MORPHOSPACE_DATA). All defaults of umap-learn on both sides.

Ours is the whole process. umap-learn is timed twice: cold, the whole process, in
which numba compiles; and warm, a second table of the same size in that process.
Trustworthiness is scikit-learn's, 15 neighbours. The best of the turns each.
(Not umap.py: Python would take it for umap-learn.)
"""

import os
import pathlib
import sys
import tempfile
import time

import numpy as np

from scores import timed

PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release/examples/umap"
TURNS = 3

CHILD = """
import sys, time
import numpy as np, umap
table = np.load(sys.argv[1])
for turn in range(2):
    start = time.perf_counter()
    found = umap.UMAP().fit_transform(table)
    seconds = time.perf_counter() - start
    if turn == 0:
        np.save(sys.argv[2], found)
        if sys.argv[3] == "cold":
            break
print(seconds)
"""


def around(centres, rows, noise, rng):
    return (centres[np.arange(rows) % len(centres)] + noise * rng.normal(size=(rows, centres.shape[1]))).astype(np.float32)


def clusters():
    rng = np.random.default_rng(1)
    return around(rng.normal(size=(20, 50)), 2_000, 1.0, rng)


def groups():
    rng = np.random.default_rng(1)
    return around(0.4 * rng.normal(size=(200, 384)), 20_000, 1.0, rng)


def wells():
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(30, 384)) / np.sqrt(30)
    moves = (np.arange(1_000) % 3 == 0)[:, None]
    inner = around(2 * moves * rng.normal(size=(1_000, 30)), 20_000, 0.7, rng)
    return (inner @ directions + 0.3 * rng.normal(size=(20_000, 384))).astype(np.float32)


def nelisa():
    import pyarrow.parquet

    if "MORPHOSPACE_DATA" not in os.environ:
        return None
    path = pathlib.Path(os.environ["MORPHOSPACE_DATA"]) / "profiles/nelisa/nelisa_profiles.parquet"
    table = pyarrow.parquet.read_table(path).to_pandas()
    numbers = table.select_dtypes("number")
    numbers = numbers[[name for name in numbers if not name.startswith("Metadata_")]]
    return np.ascontiguousarray(numbers.dropna(axis=1).to_numpy(np.float32))


def compare(name, table):
    from sklearn.manifold import trustworthiness

    rows, features = table.shape
    ours, cold, warm, memory = [], [], [], [[], []]
    with tempfile.TemporaryDirectory() as folder:
        raw, saved, map_raw, map_saved = (os.path.join(folder, file) for file in ("t.f32", "t.npy", "m.f32", "m.npy"))
        table.tofile(raw)
        np.save(saved, table)
        for _ in range(TURNS):
            seconds, peak, _ = timed([PROGRAM, raw, str(features), map_raw])
            ours.append(seconds)
            memory[0].append(peak)
            seconds, peak, _ = timed([sys.executable, "-c", CHILD, saved, map_saved, "cold"])
            cold.append(seconds)
            memory[1].append(peak)
            warm.append(float(timed([sys.executable, "-c", CHILD, saved, map_saved, "warm"])[2]))
        mine = np.fromfile(map_raw, np.float32).reshape(rows, -1)
        theirs = np.load(map_saved)
    scores = [trustworthiness(table, found, n_neighbors=15) for found in (mine, theirs)]
    print(
        f"{name}, {rows:,} x {features}: "
        f"morphospace {min(ours):.2f} s, {max(memory[0]):.0f} MiB, trustworthiness {scores[0]:.4f}; "
        f"umap-learn {min(cold):.2f} s cold, {min(warm):.2f} s warm, {max(memory[1]):.0f} MiB, {scores[1]:.4f}; "
        f"{min(cold) / min(ours):.1f} x and {min(warm) / min(ours):.1f} x",
        flush=True,
    )


TABLES = {"clusters": clusters, "wells": wells, "groups": groups, "nelisa": nelisa}

if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in TABLES]
    if unknown:
        sys.exit(f"no table named {', '.join(unknown)}; there are {', '.join(TABLES)}")
    for name in sys.argv[1:] or TABLES:
        found = TABLES[name]()
        if found is None:
            print(f"{name}: SKIPPED, MORPHOSPACE_DATA is not set")
        else:
            compare(name, found)
