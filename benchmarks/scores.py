"""Corrections and scores of profiles: morphospace and the Python tools, in turns on the same tables.

    cargo build --release
    cargo build --release --examples -p morphospace-benchmark
    cargo build --release --example align -p morphospace-map
    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/scores.py [WORK...] [--rows ROWS] [--turns TURNS]

    tvn, pca_center_scale   100,000 wells x 384 in 50 batches, a fifth controls  (EFAAR_benchmarking)
    align                   the same TVN, tables read and written                (with pandas)
    recall                  17,000 genes x 384, its five sources of relationships (EFAAR_benchmarking)
    recall_scores           the same as a command, with intervals and chance     (without them)
    energy_distance         500 perturbations in 20 wells, 1,000 controls, x 128  (EFAAR_benchmarking, geomloss)
    mean_average_precision  5,000 wells x 384, a fifth controls, 10,000 orders    (copairs)
    probe                   20,000 sites x 384 of 1,139 classes                   (scikit-learn)

Our time is that of the whole process, with reading and writing its tables; that of
the peers their functions alone, in a process of their own. Of probe, recall and the
alignments it is the function alone on both sides: the probe is part of larger commands;
the command for recall does more than the peer, see `recall_scores`; and reading and
writing take longer than aligning, see `align`, the whole on both sides but for
importing. The least of the turns each. Peak memory is of the whole process on both sides, importing included. `--rows`
sets the rows (or genes, or perturbations) in place of those above.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd

BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"


def program(*arguments):
    return [str(argument) for argument in (BUILT / "morphospace", *arguments)]


def embeddings(rows, features, rng):
    """Rows as networks make them: features that go together, a spectrum that falls."""
    mixed = rng.normal(size=(features, features)) / np.sqrt(features)
    strength = 1 / np.sqrt(1 + np.arange(features) / 8)
    return (rng.normal(size=(rows, features)) * strength) @ mixed


def feature_table(values, **metadata):
    table = pd.DataFrame(values.astype(np.float32))
    table.columns = [f"feature_{index}" for index in range(values.shape[1])]
    for name, column in metadata.items():
        table.insert(0, f"Metadata_{name}", column)
    return table


def features_of(table):
    return table.filter(like="feature_").to_numpy(np.float64)


class Alignment:
    rows = 100_000
    features, batches = 384, 50

    def __init__(self, method):
        self.method = method

    def table(self, rows):
        rng = np.random.default_rng(0)
        batch = np.arange(rows) % self.batches
        values = embeddings(rows, self.features, rng) + 0.3 * rng.normal(size=(self.batches, self.features))[batch]
        role = np.where(np.arange(rows) // self.batches % 5 == 0, "negcon", "trt")
        return feature_table(values, Batch=[f"b{one}" for one in batch], role=role)

    def ours(self, path, folder):
        table = pd.read_parquet(path)
        features_of(table).astype("<f4").tofile(folder / "values.f32")
        batch = table.Metadata_Batch.str[1:].to_numpy(int)
        (2 * batch + (table.Metadata_role == "negcon")).to_numpy("<u4").tofile(folder / "batches.u32")
        return [str(part) for part in (BUILT / "examples/align", self.method, folder / "values.f32", folder / "batches.u32")]

    def shown(self, output):
        return "sum of magnitudes " + output.split()[-1]

    def seconds(self, output):
        return float(output.split()[0])

    def aligned(self, table):
        from efaar_benchmarking import efaar

        values, metadata = features_of(table), table[["Metadata_Batch", "Metadata_role"]]
        on_controls = dict(metadata=metadata, pert_col="Metadata_role", control_key="negcon", batch_col="Metadata_Batch")
        if self.method == "tvn":
            return efaar.tvn_on_controls(values, **on_controls)
        # pca_centerscale_on_controls, which is younger than version 1.0.
        from sklearn.decomposition import PCA

        reduced = PCA().fit(values[metadata.Metadata_role == "negcon"]).transform(values)
        return efaar.centerscale_on_controls(reduced, **on_controls)

    def theirs(self, path):
        table = pd.read_parquet(path)
        return lambda: self.aligned(table), lambda found: f"sum of magnitudes {np.abs(found).sum():.6e}"


class WholeAlignment(Alignment):
    def ours(self, path, folder):
        return program("align", path, "--method", self.method, "--controls", "Metadata_role=negcon",
                       "--output", folder / "aligned.parquet")

    def shown(self, _output):
        return ""

    seconds = None  # of the whole process

    def theirs(self, path):
        def work():
            table = pd.read_parquet(path)
            aligned = feature_table(self.aligned(table), Batch=table.Metadata_Batch, role=table.Metadata_role)
            aligned.to_parquet(f"{path}.aligned")

        return work, lambda _: ""


class Recall:
    rows = 17_000
    features = 384

    def sources(self):
        from efaar_benchmarking import constants

        return [pathlib.Path(constants.BENCHMARK_DATA_DIR) / f"{name}.txt" for name in constants.BENCHMARK_SOURCES]

    def table(self, rows):
        rng = np.random.default_rng(1)
        known = pd.concat([pd.read_csv(path) for path in self.sources()])
        genes = pd.unique(known[["entity1", "entity2"]].to_numpy().ravel())
        genes = [*genes, *(f"GENE{index}" for index in range(rows))]
        return feature_table(embeddings(rows, self.features, rng), gene=genes[:rows])

    def ours(self, path, folder):
        table = pd.read_parquet(path)
        features_of(table).astype("<f4").tofile(folder / "values.f32")
        (folder / "genes.txt").write_text("\n".join(table.Metadata_gene))
        files = (BUILT / "examples/recall", folder / "values.f32", folder / "genes.txt", *self.sources())
        return [str(file) for file in files]

    def shown(self, output):
        return output.strip()

    def seconds(self, output):
        return float(output.split()[0])

    def theirs(self, path):
        table = pd.read_parquet(path)
        from efaar_benchmarking import benchmarking
        from sklearn.utils import Bunch

        data = Bunch(features=pd.DataFrame(features_of(table)), metadata=table[["Metadata_gene"]])

        def work():
            return benchmarking.known_relationship_benchmark(data, "Metadata_gene", min_req_entity_cnt=0)

        return work, lambda found: "recall " + ", ".join(f"{value:.4f}" for value in found["recall_0.05_0.95"])


class RecallScores(Recall):
    """The command, which also tells intervals and chance."""

    def ours(self, path, _folder):
        sources = [part for source in self.sources() for part in ("--relationships", source)]
        return program("benchmark", "relationship-recall", path, *sources)

    def shown(self, output):
        return "recall " + ", ".join(re.findall(r"recall 5/95, \w+ +\w+ +\w+ +([0-9.]+)", output))

    seconds = None  # of the whole process


class EnergyDistance:
    rows = 500
    wells, controls, features = 20, 1_000, 128

    def table(self, rows):
        rng = np.random.default_rng(2)
        # A tenth, as unexpressed genes, does nothing: the null of EFAAR.
        names = [f"null{index}" if index % 10 == 0 else f"p{index}" for index in range(rows)]
        names = np.concatenate([np.repeat(names, self.wells), ["DMSO"] * self.controls])
        effects = {name: rng.normal(size=self.features) * 0.5 for name in np.unique(names) if name.startswith("p")}
        shift = np.stack([effects.get(name, np.zeros(self.features)) for name in names])
        values = embeddings(len(names), self.features, rng) + shift
        batch = [f"b{index % 10}" for index in range(len(names))]
        role = np.where(names == "DMSO", "negcon", "trt")
        return feature_table(values, treatment=names, role=role, Batch=batch)

    def ours(self, path, folder):
        return program("benchmark", "perturbation-magnitude", path, "--controls", "Metadata_role=negcon",
                       "--perturbations", folder / "distances.csv")

    def shown(self, output):
        return "mean " + re.split(r"\s{2,}", output.splitlines()[1])[3]

    def theirs(self, path):
        table = pd.read_parquet(path)
        from efaar_benchmarking import benchmarking

        values, metadata = features_of(table), table[["Metadata_treatment"]].copy()
        nulls = [name for name in metadata.Metadata_treatment.unique() if name.startswith("null")]

        def work():
            return benchmarking.pert_signal_magnitude_benchmark(
                values, metadata, "Metadata_treatment", nulls, "DMSO", max_controls=self.controls, n_jobs=2)

        def shown(found):
            return f"mean of {len(found) - 1} that are not its null {found.edist[found.pert != 'DMSO'].mean():.4f}"

        return work, shown


class MeanAveragePrecision:
    rows = 5_000
    features = 384

    def table(self, rows):
        rng = np.random.default_rng(1)
        controls = rows // 5
        names = np.repeat([f"p{index:05}" for index in range((rows - controls) // 4)], 4)
        names = np.concatenate([names, ["DMSO"] * controls])
        # A third of the perturbations move cells.
        effects = {name: rng.normal(size=self.features) for name in np.unique(names)[::3]}
        shift = np.stack([effects.get(name, np.zeros(self.features)) for name in names])
        values = rng.normal(size=(len(names), self.features)) + shift * (names != "DMSO")[:, None]
        return feature_table(values, treatment=names, role=np.where(names == "DMSO", "negcon", "trt"))

    def ours(self, path, _folder):
        return program(
            "benchmark", "mean-average-precision", path, "--pos-sameby", "Metadata_treatment",
            "--neg-diffby", "Metadata_treatment", "--reference", "Metadata_role=negcon")

    def shown(self, output):
        return output.splitlines()[1].split()[5]

    def theirs(self, path):
        table = pd.read_parquet(path)
        from copairs import map as copairs_map
        from copairs.matching import assign_reference_index

        values = features_of(table)

        def work():
            meta = assign_reference_index(
                table[["Metadata_treatment", "Metadata_role"]], "Metadata_role == 'negcon'",
                reference_col="Metadata_index", default_value=-1)
            both = ["Metadata_treatment", "Metadata_index"]
            found = copairs_map.average_precision(
                meta, values, pos_sameby=both, pos_diffby=[], neg_sameby=[], neg_diffby=both)
            found = found.dropna(subset=["average_precision"])
            return copairs_map.mean_average_precision(
                found, ["Metadata_treatment"], null_size=10_000, threshold=0.05, seed=0)

        return work, lambda found: f"{found.mean_average_precision.mean():.4f}"


class Probe:
    """Both sides to the same optimum: their tolerance is set so that their objective is as low as ours."""

    rows = 20_000
    features, classes = 384, 1_139

    def table(self, rows):
        rng = np.random.default_rng(3)
        label = np.arange(rows) % self.classes
        moves = embeddings(self.classes, self.features, rng)
        return feature_table(embeddings(rows, self.features, rng) + 0.7 * moves[label], label=label)

    def ours(self, path, folder):
        table = pd.read_parquet(path)
        features_of(table).astype("<f4").tofile(folder / "values.f32")
        table.Metadata_label.to_numpy("<u4").tofile(folder / "labels.u32")
        return [str(part) for part in (BUILT / "examples/probe", folder / "values.f32", folder / "labels.u32")]

    def shown(self, output):
        return output.strip()

    def seconds(self, output):
        return float(re.search(r"([0-9.]+) s", output).group(1))

    def theirs(self, path):
        table = pd.read_parquet(path)
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        values, label = features_of(table), table.Metadata_label.to_numpy()

        def work():
            classifier = LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=10_000)
            return make_pipeline(StandardScaler(), classifier).fit(values, label)

        def shown(found):
            weights = found[1].coef_
            logits = found.decision_function(values)
            top = logits.max(axis=1)
            losses = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(label)), label]
            of_class = len(label) / (self.classes * np.bincount(label))
            objective = (losses * of_class[label]).sum() + 0.5 * (weights**2).sum()
            return f"objective {objective:.6f}, {found[1].n_iter_[0]} iterations"

        return work, shown


WORKS = {
    "tvn": Alignment("tvn"),
    "pca_center_scale": Alignment("pca_center_scale"),
    "align": WholeAlignment("tvn"),
    "recall": Recall(),
    "recall_scores": RecallScores(),
    "energy_distance": EnergyDistance(),
    "mean_average_precision": MeanAveragePrecision(),
    "probe": Probe(),
}


def timed(command):
    """Seconds, peak memory in MiB and standard output of a process."""
    start = time.perf_counter()
    peak = 0
    # Files, which take any length: a pipe that nobody reads would hold the process up.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, \
            subprocess.Popen(command, stdout=out, stderr=err) as process:
        # Asked for while it runs: what wait tells includes this script's own memory.
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status") as status:
                found = [line.split()[1] for line in status if line.startswith("VmHWM")]
            peak = max([peak, *map(int, found)])
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{errors}")
    return seconds, peak / 1024, output


def compare(name, rows, turns):
    work = WORKS[name]
    rows = rows or work.rows
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        path = folder / "table.parquet"
        work.table(rows).to_parquet(path)
        ours, theirs = [], []
        for _ in range(turns):
            seconds, peak, output = timed(work.ours(path, folder))
            ours.append((work.seconds(output) if getattr(work, "seconds", None) else seconds, peak, work.shown(output)))
            _, peak, output = timed([sys.executable, __file__, "--peer", name, str(path)])
            seconds, _, shown = output.strip().splitlines()[-1].partition(" ")
            theirs.append((float(seconds), peak, shown))
    mine, peer = min(ours), min(theirs)
    print(f"{name}, {rows:,}: morphospace {mine[0]:.2f} s, {max(side[1] for side in ours):.0f} MiB ({mine[2]}); "
          f"peer {peer[0]:.2f} s, {max(side[1] for side in theirs):.0f} MiB ({peer[2]}); {peer[0] / mine[0]:.1f} x", flush=True)


def peer(name, path):
    work, shown = WORKS[name].theirs(path)
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    print(f"\n{seconds} {shown(found)}")


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer(*sys.argv[2:])
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("works", nargs="*", choices=[*WORKS, []], metavar="WORK")
    arguments.add_argument("--rows", type=int)
    arguments.add_argument("--turns", type=int, default=3)
    chosen = arguments.parse_args()
    for name in chosen.works or WORKS:
        compare(name, chosen.rows, chosen.turns)


if __name__ == "__main__":
    main()
