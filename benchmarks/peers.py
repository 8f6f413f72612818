"""What users run today, on the same work as our benchmarks.

Each peer does what the Rust benchmark of the same name does, on data of the
same shape, and prints the best of some repetitions:

    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/peers.py tvn recall

The methods of TVN and recall are EFAAR's (recursionpharma/EFAAR_benchmarking),
written down again with the same libraries.
"""

import sys
import time

import numpy as np


def best_of(repeats, work):
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def tvn():
    """TVN of 20,000 x 384 in 20 batches, a fifth of them controls: scikit-learn and SciPy."""
    from scipy.linalg import fractional_matrix_power
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    rows, features, batches = 20_000, 384, 20
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (rows, 1)) * rng.uniform(-1, 1, (1, features))
    values = values + rng.uniform(-1, 1, (rows, features))
    batch = np.arange(rows) % batches
    is_control = np.arange(rows) // batches % 5 == 0

    def scaled(values):
        return StandardScaler().fit(values[is_control]).transform(values)

    def work():
        aligned = scaled(values)
        aligned = PCA().fit(aligned[is_control]).transform(aligned)
        aligned = scaled(aligned)
        for one in range(batches):
            of_batch = batch == one
            covariance = np.cov(aligned[of_batch & is_control], rowvar=False, ddof=1)
            whitening = fractional_matrix_power(covariance + 0.5 * np.eye(features), -0.5)
            aligned[of_batch] = aligned[of_batch] @ whitening

    print(f"TVN: {best_of(2, work):.2f} s (scikit-learn, SciPy)")


def recall():
    """Recall of 20,000 known pairs of 5,000 genes of 128 features: pandas and scikit-learn."""
    import pandas as pd
    from sklearn.metrics.pairwise import cosine_similarity

    genes, features, pairs = 5_000, 128, 20_000
    rng = np.random.default_rng(1)
    labels = [f"G{index}" for index in range(genes)]
    table = pd.DataFrame(rng.normal(size=(genes, features)), index=labels)
    ends = rng.integers(0, genes, (pairs, 2))
    known = pd.DataFrame({"entity1": np.take(labels, ends[:, 0]), "entity2": np.take(labels, ends[:, 1])})

    def work():
        cosines = pd.DataFrame(cosine_similarity(table, table), index=labels, columns=labels)
        null = np.sort(cosines.values[np.triu_indices(genes, k=1)])
        ordered = known.apply(lambda row: tuple(sorted([row.entity1, row.entity2])), axis=1)
        unique = pd.DataFrame(ordered.tolist()).drop_duplicates()
        unique = unique[unique[0] != unique[1]]
        query = np.array([cosines.loc[one, other] for one, other in unique.itertuples(index=False)])
        low = np.searchsorted(null, query, "left") / len(null)
        high = np.searchsorted(null, query, "right") / len(null)
        for tail in (0.05, 0.1):
            ((high <= tail) | (low >= 1 - tail)).mean()

    print(f"recall: {best_of(2, work):.2f} s (pandas, scikit-learn)")


PEERS = {"tvn": tvn, "recall": recall}

if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in PEERS]
    if unknown:
        sys.exit(f"no peer named {', '.join(unknown)}; there are {', '.join(PEERS)}")
    for name in sys.argv[1:] or PEERS:
        PEERS[name]()
