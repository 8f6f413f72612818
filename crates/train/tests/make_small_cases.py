"""Golden cases of views, small enough to commit.

    python -m venv venv
    venv/bin/pip install safetensors==0.8.0 numpy
    venv/bin/python crates/train/tests/make_small_cases.py FOLDER

cuts the cases of FOLDER, which torchvision 0.29.2 and the public code of CutMix
made, down to fewer images and channels, and writes them to `golden` beside
itself. No number is computed anew: what was left out has no influence on what
was kept, and all numbers of CutMix that are not pixels are kept whole.
"""

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).parent / "golden"

# Images and channels that are kept. Colours need three channels, and boxes the
# whole batch they are taken from.
CUTS = {
    "resized_crop": (1, 1),
    "pixel_ops": (1, 3),
    "cutmix": (4, 1),
    "cutmix_kaggle": (4, 1),
}


def cut(folder: Path, name: str, num_images: int, num_channels: int):
    case = json.loads((folder / name / "case.json").read_text())
    tensors = load_file(folder / name / "tensors.safetensors")
    small = {
        key: value[:num_images, :num_channels].copy() if value.ndim == 4 else value
        for key, value in tensors.items()
    }
    case["name"] = f"{name}_small"
    case["what"] += f"; {num_images} images and {num_channels} channels of it"
    case["config"]["shape"][:2] = [num_images, num_channels]
    for part, listed in (("input", case["inputs"]), ("output", case["outputs"])):
        for entry in listed:
            entry["shape"] = list(small[f"{part}.{entry['name']}"].shape)
    target = GOLDEN / case["name"]
    target.mkdir(parents=True, exist_ok=True)
    save_file(small, target / "tensors.safetensors")
    (target / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    for name, (num_images, num_channels) in CUTS.items():
        cut(Path(sys.argv[1]), name, num_images, num_channels)
