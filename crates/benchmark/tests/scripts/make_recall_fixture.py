"""Writes the two made-up recall cases beside this script.

An independent restatement with numpy only: the full cosine matrix, a sorted
null and `searchsorted`, as EFAAR_benchmarking 1.0 computes recall. Genes,
relationships and complexes are invented.

    python make_recall_fixture.py ../golden      # numpy 2.4, pyarrow 26
"""

import itertools
import json
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLDS = [(0.05, 0.95), (0.1, 0.9)]


def make_map(rng, num_genes, num_features, complex_size):
    genes = [f"GENE{i:03d}" for i in range(num_genes)]
    centres = rng.normal(size=(num_genes // complex_size + 1, num_features))
    values = np.stack([
        rng.normal(size=num_features) + 1.2 * centres[i // complex_size]
        for i in range(num_genes)
    ])
    order = rng.permutation(num_genes)  # rows are not sorted by gene
    return [genes[i] for i in order], values[order].round(6)


def make_sources(rng, num_genes, complex_size):
    """Members of a complex, and random pairs; with reversed, repeated, self
    and unknown rows, which filtering and the map must drop."""
    name = lambda i: f"GENE{i:03d}"
    same = [
        (name(i), name(j))
        for i, j in itertools.combinations(range(num_genes), 2)
        if i // complex_size == j // complex_size
    ]
    noise = [(name(i), name(j)) for i, j in rng.integers(0, num_genes, size=(60, 2))]
    return {
        "MadeUpComplexes": same
        + [(b, a) for a, b in same[:20]]
        + same[:5]
        + [(name(0), name(0)), ("UNKNOWN1", name(1)), ("UNKNOWN1", "UNKNOWN2")],
        "MadeUpNoise": noise + [(name(3), "UNKNOWN3")],
    }


def cosine_matrix(values):
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(length == 0, 1, length)
    return unit @ unit.T


def filtered(rows):
    pairs = (tuple(sorted(row)) for row in rows)
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))


def hits(null, query, low, high):
    null = np.sort(null)
    rank_left = np.searchsorted(null, query, side="left") / len(null)
    rank_right = np.searchsorted(null, query, side="right") / len(null)
    return rank_right <= low, rank_left >= high


def true_positive_rates(positives, negatives):
    """By definition: of all thresholds, the best with at most 5 % false positives."""
    best = 0.0
    for threshold in np.unique(np.concatenate([positives, negatives])):
        if np.mean(negatives >= threshold) <= 0.05:
            best = max(best, np.mean(positives >= threshold))
    return float(best), float(np.mean(positives > np.quantile(negatives, 0.95)))


def write_case(folder, name, what, genes, values, sources, samples):
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"gene": genes} | {f"feature_{j}": values[:, j] for j in range(values.shape[1])}
    pq.write_table(pa.table(columns), folder / "map.parquet")
    for source, rows in sources.items():
        lines = ["entity1,entity2"] + [f"{a},{b}" for a, b in rows]
        (folder / f"{source}.txt").write_text("\n".join(lines) + "\n")

    cosines = cosine_matrix(values)
    row_of = {gene: row for row, gene in enumerate(genes)}
    upper = cosines[np.triu_indices(len(genes), k=1)]
    if samples is None:
        null = upper
    else:
        left, right = samples
        pq.write_table(pa.table({"left": left, "right": right}), folder / "samples.parquet")
        null = cosines[np.ix_(left, right)][left[:, None] != right[None, :]]

    expected = {"sources": []}
    for source, rows in sources.items():
        pairs = [
            (row_of[a], row_of[b]) for a, b in filtered(rows) if a in row_of and b in row_of
        ]
        query = np.array([cosines[a, b] for a, b in pairs])
        found = {
            "source": source,
            "n_raw_rows": len(rows),
            "n_after_filter": len(filtered(rows)),
            "n_query": len(query),
            "null_size": len(null),
            "mean_query_cosine": float(query.mean()),
        }
        for low, high in THRESHOLDS:
            left_hits, right_hits = hits(null, query, low, high)
            found[f"recall_{low}_{high}"] = float((left_hits | right_hits).mean())
            found[f"hits_left_{low}_{high}"] = int(left_hits.sum())
            found[f"hits_right_{low}_{high}"] = int(right_hits.sum())
        is_positive = np.zeros_like(cosines, dtype=bool)
        for a, b in pairs:
            is_positive[min(a, b), max(a, b)] = True
        negatives = cosines[np.triu(np.ones_like(is_positive), k=1) & ~is_positive]
        on_curve, above = true_positive_rates(query, negatives)
        found |= {
            "tpr_at_5pct_fpr": on_curve,
            "tpr_above_95th_percentile_of_negatives": above,
            "n_pos": len(query),
            "n_neg": len(negatives),
        }
        expected["sources"].append(found)
    expected["null"] = {
        "min": float(null.min()),
        "max": float(null.max()),
        "mean": float(null.mean()),
        "q05": float(np.sort(null)[int(0.05 * len(null))]),
        "q95": float(np.sort(null)[int(0.95 * len(null))]),
    }
    case = {
        "name": name,
        "kind": "recall",
        "crate": "benchmark",
        "what": what,
        "reference": {
            "project": "own numpy restatement of EFAAR_benchmarking 1.0 recall",
            "version": f"numpy {np.__version__}",
            "function": "tests/scripts/make_recall_fixture.py",
        },
        "config": {"thresholds": THRESHOLDS, "sources": list(sources)},
        "inputs": {"map.parquet": f"gene map [{len(genes)} rows x {values.shape[1] + 1} columns]"}
        | ({} if samples is None else {"samples.parquet": "left and right rows of map.parquet"})
        | {f"{source}.txt": "made-up relationships" for source in sources},
        "outputs": {"expected.json": "scalars"},
        "tolerance": {
            "null_size,n_query,n_raw_rows,n_after_filter": "exact",
            "hits": "exact",
            "recall": "abs 1e-12",
            "tpr": "abs 1e-12",
            "null quantiles": "abs 1e-12",
        },
        "notes": ["no licence: genes and relationships are invented"],
    }
    for file, content in [("case.json", case), ("expected.json", expected)]:
        (folder / file).write_text(json.dumps(content, indent=1) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1])
    rng = np.random.default_rng(20)
    genes, values = make_map(rng, 60, 8, 6)
    values[7] = 0  # a gene without direction: cosine 0 with all others
    write_case(folder, "recall_made_up", "recall of a made-up map, all pairs as null",
               genes, values, make_sources(rng, 60, 6), None)
    genes, values = make_map(rng, 45, 5, 3)
    samples = rng.integers(0, 45, size=(2, 70))
    write_case(folder, "recall_made_up_sampled", "recall of a made-up map, two samples as null",
               genes, values, make_sources(rng, 45, 3), samples)


if __name__ == "__main__":
    main()
