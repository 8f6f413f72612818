"""Golden cases of networks without their largest outputs, small enough to commit.

    python -m venv venv
    venv/bin/pip install safetensors==0.8.0 numpy
    venv/bin/python crates/models/tests/cut_cases.py FOLDER

copies cases of FOLDER, which the reference implementations made, to the crates'
`tests/golden`, and leaves out outputs of more than 30 kB. No number is computed
anew; the names say that something was left out.
"""

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

CRATES = Path(__file__).parent.parent.parent
MOST_BYTES = 30_000
# Of every crate the cases that are cut.
CASES = {
    "models": ["camae_infer_avg", "dinov2_vit_reg4", "mae_p8_token", "vit_aligned_token"],
    "train": ["dino_multicrop_step"],
}


def cut(folder: Path, crate: str, name: str):
    case = json.loads((folder / name / "case.json").read_text())
    tensors = load_file(folder / name / "tensors.safetensors")
    large = {
        key for key, value in tensors.items()
        if key.startswith("output.") and value.nbytes > MOST_BYTES
    }
    case["name"] = f"{name}_cut"
    case["what"] += f"; without outputs of more than {MOST_BYTES // 1000} kB"
    case["outputs"] = [
        output for output in case["outputs"] if f"output.{output['name']}" not in large
    ]
    if case["config"].get("grad_keys"):
        case["config"]["grad_keys"] = [
            key for key in case["config"]["grad_keys"] if f"output.grad.{key}" not in large
        ]
    target = CRATES / crate / "tests" / "golden" / case["name"]
    target.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in tensors.items() if key not in large}
    save_file(kept, target / "tensors.safetensors")
    (target / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    for crate, names in CASES.items():
        for name in names:
            cut(Path(sys.argv[1]), crate, name)
