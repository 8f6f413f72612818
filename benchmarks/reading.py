"""Reading images: morphospace and what users run today, on the same files.

Both sides take turns and the best of all turns counts, so that a busy moment of
the machine spoils neither. One thread each, but for the loader.

    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    cargo build --release --example reading_speed -p morphospace-screen
    cargo build --release
    venv/bin/python benchmarks/reading.py [FOLDER OF REAL DATA]

Real data, where it is at hand, is what MORPHOSPACE_DATA names: plates of RxRx1
and JUMP, and RxRx1's table. Without it, images are made up.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import imagecodecs
import numpy as np
import tifffile
import zarr
from PIL import Image

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
TURNS = 4


def ours(*arguments):
    speed = TARGET / "examples" / "reading_speed"
    done = subprocess.run([speed, *map(str, arguments)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def best_of(repeats, work):
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(what, our_turn, peer, peer_turn):
    turns = [(our_turn(), peer_turn()) for _ in range(TURNS)]
    mine, theirs = (1000 * min(side) for side in zip(*turns))
    print(f"| {what} | {mine:.2f} ms | {theirs:.2f} ms ({peer}) | {theirs / mine:.2f} x |", flush=True)


def textured(side, channel):
    """Smooth blobs with shot noise, which compress about as real fields do."""
    rng = np.random.default_rng(11 + channel)
    y, x = np.mgrid[0:side, 0:side]
    blobs = np.sin(x / 17) * np.cos(y / 23) + np.sin(x / 61 + y / 41)
    return np.clip(40 + 25 * blobs + rng.integers(0, 17, (side, side)), 0, 255).astype(np.uint8)


def write_screen(folder, side, sites, read):
    """A screen in RxRx1's layout whose images are `read(site, channel)`."""
    images = folder / "images" / "HUVEC-01" / "Plate1"
    images.mkdir(parents=True)
    rows = ["experiment,plate,well,site,well_type"]
    for site in range(sites):
        well = f"{'BCDEFGHIJKLMNO'[site // 20]}{site % 20 + 2:02}"
        rows.append(f"HUVEC-01,1,{well},1,negative_control")
        for channel in range(6):
            Image.fromarray(read(site, channel)).save(images / f"{well}_s1_w{channel + 1}.png")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return sorted(images.iterdir())


def tiles(site):
    for top in range(0, site.shape[1], 256):
        for left in range(0, site.shape[2], 256):
            tile = site[:, top : top + 256, left : left + 256].astype(np.float32) / 255
            mean = tile.mean((1, 2), keepdims=True)
            variance = tile.var((1, 2), keepdims=True)
            yield (tile - mean) / np.sqrt(variance + 1e-5)


def png(folder, data):
    real = sorted(data.glob("images/rxrx1_sample/**/*_s1_w[1-6].png"))[:6] if data else []
    images = [np.asarray(Image.open(path)) for path in real] or [textured(512, c) for c in range(6)]
    files = write_screen(folder / "png", 512, 1, lambda _, channel: images[channel])
    if real:
        for path, written in zip(real, files):
            written.write_bytes(path.read_bytes())

    def work():
        for _ in tiles(np.stack([np.asarray(Image.open(path)) for path in files])):
            pass

    compare(
        f"six 512-px {'RxRx1 ' if real else ''}PNGs decoded and standardised",
        lambda: ours("standardise", folder / "png"),
        "Pillow, NumPy",
        lambda: best_of(20, work),
    )
    return images


def jpeg2000(folder, images):
    for name, level in (("lossless", None), ("lossy, 40 dB", 40)):
        files = []
        for index, image in enumerate(images):
            files.append(folder / f"{name[:8]}{index}.jp2")
            files[-1].write_bytes(imagecodecs.jpeg2k_encode(image, level=level, reversible=level is None))
        stored = [path.read_bytes() for path in files]
        size = sum(map(len, stored)) / len(stored) / 1000

        def work():
            for file in stored:
                imagecodecs.jpeg2k_decode(file)

        compare(
            f"six 512-px JPEG 2000 ({name}, {size:.0f} kB each) decoded",
            lambda: ours("decode", *files),
            "imagecodecs, OpenJPEG",
            lambda: best_of(10, work),
        )


def tiff(folder, data):
    files = sorted(data.glob("images/jump_field/**/*.tif*"))[:6] if data else []
    if not files:
        for channel in range(6):
            files.append(folder / f"{channel}.tif")
            image = textured(1080, channel).astype(np.uint16) * 37
            tifffile.imwrite(files[-1], image, compression="lzw", rowsperstrip=8)

    def work():
        for file in files:
            tifffile.imread(file)

    with tifffile.TiffFile(files[0]) as first:
        page = first.pages[0]
        what = f"{page.compression.name} {page.dtype} TIFFs of {page.imagewidth} px"
    compare(
        f"{len(files)} {what} decoded",
        lambda: ours("decode", *files),
        "tifffile, imagecodecs",
        lambda: best_of(5, work),
    )


def crop(folder):
    source, packed = folder / "large", folder / "packed"
    files = write_screen(source, 2048, 2, lambda site, channel: textured(2048, 6 * site + channel))
    pack = [TARGET / "morphospace", "pack", source, "--output", packed]
    subprocess.run(list(map(str, pack)), check=True, capture_output=True)
    rng = np.random.default_rng(1)

    def place():
        return rng.integers(0, 2), rng.integers(0, 1792), rng.integers(0, 1792)

    def decode_source():
        site, top, left = place()
        site_files = files[6 * site : 6 * site + 6]
        np.stack([np.asarray(Image.open(path))[top : top + 256, left : left + 256] for path in site_files])

    def with_zarr():
        site, top, left = place()
        arrays[site][:, top : top + 256, left : left + 256]

    arrays = [zarr.open(path.parent, mode="r") for path in sorted(packed.glob("*.zarr/**/0/zarr.json"))]
    what = "256-px crop of six channels of a packed 2048-px site"
    compare(what, lambda: ours("crop", packed), "Pillow, source PNGs", lambda: best_of(5, decode_source))
    compare(what, lambda: ours("crop", packed), "our decoding of the source", lambda: ours("crop", source))
    compare(what, lambda: ours("crop", packed), "zarr-python, the same pack", lambda: best_of(20, with_zarr))


def loader(folder):
    write_screen(folder / "many", 512, 60, lambda site, channel: textured(512, 6 * site + channel))
    threads = os.cpu_count()
    compare(
        f"a 512-px site of six PNGs through a loader of {threads} threads",
        lambda: ours("load", folder / "many", threads),
        "the same, 1 thread",
        lambda: ours("load", folder / "many", 1),
    )


def table(data):
    import pandas as pd

    folder = data / "metadata" / "rxrx1"
    compare(
        "RxRx1's table of 125,510 sites read and checked",
        lambda: ours("open", folder),
        "pandas.read_csv, no checks",
        lambda: best_of(3, lambda: pd.read_csv(folder / "metadata.csv.gz")),
    )


if __name__ == "__main__":
    places = sys.argv[1:] or filter(None, [os.environ.get("MORPHOSPACE_DATA")])
    data = next(map(pathlib.Path, places), None)
    print("| work | morphospace | peer | ratio |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        found = png(scratch, data)
        jpeg2000(scratch, found)
        tiff(scratch, data)
        crop(scratch)
        loader(scratch)
    if data:
        table(data)
