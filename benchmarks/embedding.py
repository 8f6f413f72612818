"""Embedding a screen: images read, decoded and sent through a ViT-S/16.

    cargo build --release
    cargo build --release -p morphospace-models --example network_speed
    python benchmarks/embedding.py                # all of it
    python benchmarks/embedding.py peer blocks    # some
    python benchmarks/embedding.py memory --wells 10 100 1000

    peer     fields per second, PNG files to profiles, and those of PyTorch: a
             DataLoader (Pillow, NumPy) and timm's network of the same shape, on the
             same images, two threads or worker processes each
    network  the same against what the network alone does with images in memory
    blocks   all blocks in one pass against the last block alone
    trimmed  what a network trimmed to half of its blocks gains: a pass ends behind the
             last block that is asked for
    memory   peak memory as wells grow

Needs torch, timm==0.9.7, numpy and pillow for `peer`. Images are simulated, six
channels of 512 x 512 pixels (four crops). The best of the turns each; for `network`,
means of pairs.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve() / "release"
NETWORK = "untrained:vit_small_patch16"
TURNS = 3
# Of runs that are compared with one another, a mean each.
PAIRS = 6
BATCH = 8
DEPTH = 12

SIMULATOR = """
seed = 3
experiments = ["HUVEC-01", "HUVEC-02"]
test_experiments = ["HUVEC-02"]
num_plates = {plates}
num_rows = 14
num_columns = 22
num_sites = 1
image_px = {px}
num_groups = {groups}
group_size = 3
num_replicates = 1
num_negative_controls = 6
num_positive_controls = 1
"""


def simulated(folder, wells, px):
    """A screen of about so many wells: two plates, or more where one is full."""
    per_plate = min(300, max(5, wells // 2))
    plates = max(1, round(wells / 2 / per_plate))
    # Genes of all plates of an experiment, in groups of three.
    groups = max(2, (per_plate - 7) * plates // 3)
    config = folder / "simulator.toml"
    config.write_text(SIMULATOR.format(plates=plates, px=px, groups=groups))
    screen = folder / f"screen-{wells}-{px}"
    if screen.exists():
        return screen
    subprocess.run([BUILT / "morphospace", "simulate", "--config", config, "--output", screen],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return screen


def embedded(screen, folder, *more, network=NETWORK):
    """The manifest, wall seconds and peak memory in MiB of a run into a fresh folder."""
    output = pathlib.Path(tempfile.mkdtemp(dir=folder))
    command = [BUILT / "morphospace", "embed", screen, "--network", network, "--batch-size", str(BATCH),
               "--output", output, *more]
    start = time.perf_counter()
    with open(output.with_suffix(".log"), "w") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(output.with_suffix(".log").read_text())
    return json.loads((output / "manifest.json").read_text()), seconds, used.ru_maxrss / 1024


def fields_per_second(screen, folder, *more):
    best = max((embedded(screen, folder, *more)[0] for _ in range(TURNS)),
               key=lambda manifest: manifest["tiles_per_second"])
    return best["tiles_per_second"] / 4, best["data_wait_share"]


def torch_fields_per_second(screen):
    import functools

    import numpy as np
    import timm
    import torch
    from PIL import Image
    from timm.models.vision_transformer import ParallelScalingBlock

    torch.set_num_threads(2)
    images = sorted(pathlib.Path(screen).glob("images/*/*/*_w1.png"))

    class Sites(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            first = str(images[index])
            planes = [np.asarray(Image.open(first.replace("_w1.png", f"_w{channel}.png"))) for channel in range(1, 7)]
            field = torch.from_numpy(np.stack(planes).astype(np.float32))
            crops = field.reshape(6, 2, 256, 2, 256).permute(1, 3, 0, 2, 4).reshape(4, 6, 256, 256)
            std, mean = torch.std_mean(crops, dim=(2, 3), keepdim=True, correction=0)
            return (crops - mean) / (std + 1e-6)

    network = timm.create_model("vit_small_patch16_224", img_size=256, in_chans=6, num_classes=0, init_values=1e-4,
                                block_fn=functools.partial(ParallelScalingBlock), qkv_bias=False, qk_norm=True).eval()
    loader = torch.utils.data.DataLoader(Sites(), batch_size=BATCH // 4, num_workers=2, prefetch_factor=4)
    best = 0.0
    with torch.inference_mode():
        for _ in range(TURNS):
            start = time.perf_counter()
            rows = [network.forward_features(crops.flatten(0, 1))[:, 1:].mean(1) for crops in loader]
            count = sum(len(row) for row in rows) / 4
            best = max(best, count / (time.perf_counter() - start))
    return best


def peer(folder, _wells):
    screen = simulated(folder, 60, 512)
    ours, waited = fields_per_second(screen, folder)
    theirs = torch_fields_per_second(screen)
    print(f"peer: morphospace {ours:.2f} fields/s ({100 * waited:.1f} % waiting for images), "
          f"PyTorch {theirs:.2f}, {ours / theirs:.2f} x", flush=True)


def network(folder, _wells):
    # Plates large enough that their last batch, which is padded, does not matter.
    screen = simulated(folder, 240, 512)
    program = BUILT / "examples/network_speed"
    alone, whole = [], []
    for _ in range(PAIRS):
        # In turn: the machine's mood is the same for both.
        seconds = subprocess.run([program, "vit_small_patch16", "embed-mean", str(BATCH)], check=True, text=True,
                                 capture_output=True).stdout
        alone.append(BATCH / float(seconds) / 4)
        whole.append(embedded(screen, folder)[0]["tiles_per_second"] / 4)
    shares = [100 * both / network for both, network in zip(whole, alone)]
    error = statistics.stdev(shares) / len(shares) ** 0.5
    print(f"network: {statistics.mean(whole):.2f} fields/s from files, the network alone "
          f"{statistics.mean(alone):.2f}; {statistics.mean(shares):.1f} +- {error:.1f} % "
          f"(mean and its standard error of {PAIRS} pairs)", flush=True)


def blocks(folder, _wells):
    screen = simulated(folder, 40, 512)
    last, every = 0.0, 0.0
    for _ in range(TURNS):
        # In turn: the machine's mood is the same for both.
        last = max(last, embedded(screen, folder, "--blocks", str(DEPTH))[0]["tiles_per_second"])
        every = max(every, embedded(screen, folder, "--blocks", "all")[0]["tiles_per_second"])
    print(f"blocks: all {DEPTH} {every:.2f} tiles/s, the last alone {last:.2f}, "
          f"{100 * (last / every - 1):+.1f} % time", flush=True)


def trimmed(folder, _wells):
    screen = simulated(folder, 40, 512)
    whole, half = 0.0, 0.0
    for _ in range(TURNS):
        # In turn: the machine's mood is the same for both.
        whole = max(whole, embedded(screen, folder, "--blocks", str(DEPTH))[0]["tiles_per_second"])
        half = max(half, embedded(screen, folder, "--blocks", str(DEPTH // 2))[0]["tiles_per_second"])
    print(f"trimmed: {DEPTH // 2} of {DEPTH} blocks {half:.2f} tiles/s, all {whole:.2f}, "
          f"{half / whole:.2f} x", flush=True)


def memory(folder, wells):
    for count in wells:
        screen = simulated(folder, count, 256)
        manifest, seconds, peak = embedded(screen, folder, "--blocks", "all")
        print(f"memory: {manifest['num_sites']} sites, {manifest['num_plates']} plates, {seconds:.0f} s, "
              f"{peak:.0f} MiB", flush=True)


ROWS = {"peer": peer, "network": network, "blocks": blocks, "trimmed": trimmed, "memory": memory}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], default=[])
    parser.add_argument("--wells", nargs="+", type=int, default=[10, 100, 1000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.rows or ROWS:
            ROWS[name](pathlib.Path(scratch), asked.wells)
