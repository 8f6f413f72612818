"""What training does on a simulated screen: makes docs/training-evidence.md.

    cargo build --release
    python3 benchmarks/training_evidence.py FOLDER --program target/release/morphospace

Runs every row of configs/evidence with several seeds by the program's own
commands. Goes on where it was stopped: runs that are done are read. Needs no
Python package.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "evidence"
TEST_EXPERIMENTS = "HUVEC-09,HUVEC-10,HUVEC-11,HUVEC-12"


class Program:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, *args):
        done = subprocess.run([self.program, *map(str, args)], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, args))}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def once(self, output, *args):
        """A command that makes a file or folder, unless it is there."""
        if not (self.folder / output).exists():
            self.run(*args, "--output", output)


def train(program, name, config, split, args, *rest):
    """Trains a row with several seeds, some at a time, and gives the folder of
    each run and the seconds that one took."""
    def one(seed):
        folder = program.folder / name / f"seed-{seed}"
        took = folder / "seconds.json"
        started = time.time()
        program.run("train", "screen", "--split", split, "--validation-part", "test", "--config",
                    CONFIGS / config, "--set", f"seed={seed}", "--output", folder, *rest)
        if not took.exists():
            took.write_text(json.dumps(time.time() - started))
        return folder, json.loads(took.read_text())

    with ThreadPoolExecutor(args.jobs) as pool:
        done = list(pool.map(one, range(1, args.seeds + 1)))
    return [folder for folder, _ in done], statistics.mean(seconds for _, seconds in done)


def accuracies(program, runs, split, head):
    """Share of the test part that each run tells right, in per cent."""
    found = []
    for run in runs:
        told = run / "told.json"
        if not told.exists():
            told.write_text(program.run(
                "predict", "screen", "--split", split, "--part", "test", "--network",
                run.relative_to(program.folder), "--output",
                run.relative_to(program.folder) / "predictions.parquet", "--json"))
        found.append(100 * json.loads(told.read_text())[head]["accuracy"])
    return found


def last_scores(run):
    scores = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        scores.update(json.loads(line).get("scores", {}))
    return scores


def scored(program, run, benchmark, profiles, *rest):
    """Scores of the profiles of unseen experiments that a run's network makes,
    as they come or after PCA-CenterScale."""
    run = run.relative_to(program.folder)
    raw, aligned = run / "profiles.parquet", run / "aligned.parquet"
    program.once(raw, "embed", "screen", "--split", "separated.parquet", "--part", "test",
                 "--network", run, "--normalisation", "std_plus_eps")
    program.once(aligned, "align", raw, "--method", "pca_center_scale")
    found = program.folder / run / f"{benchmark}.json"
    if not found.exists():
        found.write_text(program.run("benchmark", benchmark, run / profiles, *rest, "--json"))
    return json.loads(found.read_text())["scores"]


def mean_sd(values, digits=1):
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", default="target/release/morphospace")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--only", default="", help="supervised, normalisation or self-supervised")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    program = Program(str(Path(args.program).resolve()), args.folder.resolve())
    seeds = args.seeds
    program.once("screen", "simulate", "--config", CONFIGS / "screen.toml")
    program.once("separated.parquet", "split", "screen", "--scheme", "leave-experiment-out",
                 "--experiments", TEST_EXPERIMENTS)
    program.once("stratified.parquet", "split", "screen", "--scheme", "batch-stratified")
    lines, total = [], 0.0

    if args.only in ("", "supervised"):
        lines += ["| method | separated, % | stratified, % | generalisation, % | batch, % | seconds per run |",
                  "|---|--:|--:|--:|--:|--:|"]
        for title, config in [("baseline", "supervised"), ("gradient reversal", "reversal"),
                              ("AdaBN", "adabn"), ("AdaBN + gradient reversal", "adabn_reversal")]:
            row, seconds = {}, 0.0
            for split in ["separated", "stratified"]:
                runs, took = train(program, f"{config}-{split}", f"{config}.toml",
                                   f"{split}.parquet", args)
                row[split] = accuracies(program, runs, f"{split}.parquet", "perturbation")
                if split == "stratified":
                    row["batch"] = accuracies(program, runs, f"{split}.parquet", "batch")
                seconds += took / 2
                total += took * seeds
            both = [100 * a / b for a, b in zip(row["separated"], row["stratified"])]
            lines.append(f"| {title} | {mean_sd(row['separated'])} | {mean_sd(row['stratified'])} "
                         f"| {mean_sd(both)} | {mean_sd(row['batch'])} | {seconds:.0f} |")
            print(lines[-1], flush=True)

    if args.only in ("", "normalisation"):
        program.once("all_images.parquet", "normalise", "screen", "--scheme", "all_images")
        runs, took = train(program, "all-images", "supervised.toml", "separated.parquet", args,
                           "--set", "normalisation=all_images.parquet")
        found = accuracies(program, runs, "separated.parquet", "perturbation")
        total += took * seeds
        lines += ["", "| normalisation | separated, % |", "|---|--:|",
                  f"| statistics of all images | {mean_sd(found)} |"]
        runs = [program.folder / "supervised-separated" / f"seed-{s}" for s in range(1, seeds + 1)]
        own = accuracies(program, runs, "separated.parquet", "perturbation")
        lines.append(f"| self-standardisation | {mean_sd(own)} |")
        print("\n".join(lines[-2:]), flush=True)

    if args.only in ("", "self-supervised"):
        lines += ["", "| training | 20-NN accuracy, % | linear probe, % | experiment told, % | recall 10/90, % | embedding rank | seconds per run |",
                  "|---|--:|--:|--:|--:|--:|--:|"]
        rows = [("SimCLR", "simclr"), ("SimCLR + batch decorrelation", "simclr_decorrelated"),
                ("SimCLR + adversary", "simclr_adversary"), ("DINO, cross-domain", "dino"),
                ("DINO + Barlow, cross-domain", "dino_barlow"), ("masked autoencoder", "mae"),
                ("its encoder, untrained", "mae-untrained")]
        for title, name in rows:
            config = name.removesuffix("-untrained")
            # One step that moves nothing.
            still = ["--set", "length=1 steps", "--set", "optimiser.learning_rate=1e-30",
                     "--set", "schedule.warmup=0 steps"] if config != name else []
            runs, took = train(program, name, f"{config}.toml", "separated.parquet", args, *still)
            scores = [last_scores(run) for run in runs]
            knn = [100 * s["probe/knn_accuracy"] for s in scores]
            linear = [100 * s["probe/linear_balanced_accuracy"] for s in scores]
            batch = [in_percent("neighbours", scored(
                program, run, "batch-prediction", "profiles.parquet")) for run in runs]
            recall = [in_percent("10/90", scored(
                program, run, "relationship-recall", "aligned.parquet",
                "--relationships", "screen/relationships.csv")) for run in runs]
            total += took * seeds
            lines.append(f"| {title} | {mean_sd(knn)} | {mean_sd(linear)} | {mean_sd(batch)} "
                         f"| {mean_sd(recall)} | {rank_of(runs)} | {took:.0f} |")
            print(lines[-1], flush=True)

    table = "\n".join(lines)
    (program.folder / "evidence.md").write_text(table + f"\n\nTraining took {total / 60 / args.jobs:.0f} minutes, {args.jobs} runs at a time.\n")
    print(f"\n{table}\n\ntraining took {total / 60 / args.jobs:.0f} minutes")


def in_percent(words, scores):
    """The score whose name has these words."""
    return next(100 * score["value"] for score in scores if words in score["benchmark"])


def rank_of(runs):
    """The mean of the last diagnosed effective rank; a dash where none was."""
    ranks = []
    for run in runs:
        steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        seen = [step["embedding"]["rank"] for step in steps if step.get("embedding")]
        if seen:
            ranks.append(seen[-1])
    return mean_sd(ranks) if ranks else "-"


if __name__ == "__main__":
    main()
