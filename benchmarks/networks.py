"""Networks: morphospace and PyTorch (eager), the same sizes on random images.

Both sides take turns and the best of all turns counts, so that a busy moment of
the machine spoils neither. All cores, f32, 256 pixels, six channels.

    cargo build --release --example network_speed -p morphospace-models
    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/networks.py [NETWORK...]

`embed` is the embedding in evaluation; `step` is a forward and backward pass in
training (of MU-Net, through the whole network to the image), without an
optimiser. Without PyTorch, our side runs alone and says so.
"""

import os
import pathlib
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    torch = None

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
TURNS = 3
REPEATS = 4


def ours(network, what, batch):
    speed = TARGET / "examples" / "network_speed"
    done = subprocess.run([speed, network, what, str(batch)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def vit(channel_agnostic):
    from timm.models.vision_transformer import ParallelScalingBlock, VisionTransformer

    class PerChannel(torch.nn.Module):
        """One kernel for all channels, a token for each channel and patch (Kraus et al. 2024)."""

        def __init__(self, dim):
            super().__init__()
            self.proj = torch.nn.Conv2d(1, dim, 16, 16)
            self.num_patches = 6 * 256

        def forward(self, images):
            batch, chans, height, width = images.shape
            tokens = self.proj(images.reshape(batch * chans, 1, height, width))
            return tokens.flatten(2).transpose(1, 2).reshape(batch, chans * 256, -1)

    network = VisionTransformer(
        img_size=256, patch_size=16, in_chans=6, num_classes=0, embed_dim=384, depth=12, num_heads=6,
        init_values=1e-4, qk_norm=True, block_fn=ParallelScalingBlock,
    )
    if channel_agnostic:
        network.patch_embed = PerChannel(384)
        network.pos_embed = torch.nn.Parameter(torch.randn(1, 1 + 6 * 256, 384) * 0.02)
    return network, lambda images: network.forward_features(images)[:, 1:].mean(1)


def densenet161():
    from torchvision.models import densenet161

    network = densenet161(weights=None)
    network.features.conv0 = torch.nn.Conv2d(6, 96, 7, 2, 3, bias=False)
    return network, lambda images: torch.relu(network.features(images)).mean((2, 3))


def munet_m():
    nn = torch.nn

    def conv(d_in, d_out):
        return nn.Sequential(nn.BatchNorm2d(d_in), nn.ReLU(), nn.Conv2d(d_in, d_out, 5, 1, 2))

    class MuNet(nn.Module):
        """The plain U-Net with styles (Kraus et al. 2023, after Microsnoop)."""

        def __init__(self, depths=(32, 64, 128, 256, 512)):
            super().__init__()
            ins = (6, *depths[:-1])
            self.down = nn.ModuleList(nn.ModuleList([conv(i, o), conv(o, o)]) for i, o in zip(ins, depths))
            ups = (*depths[1:], depths[-1])
            self.up = nn.ModuleList(nn.ModuleList([conv(i, o), conv(o, o)]) for i, o in zip(ups, depths))
            self.full = nn.ModuleList(nn.Linear(depths[-1], o) for o in depths)
            self.head = nn.Sequential(nn.BatchNorm2d(depths[0]), nn.ReLU(), nn.Conv2d(depths[0], 6, 1))

        def maps(self, x):
            maps = []
            for first, second in self.down:
                x = second(first(nn.functional.max_pool2d(maps[-1], 2) if maps else x))
                maps.append(x)
            return maps

        def forward(self, x):
            maps = self.maps(x)
            style = nn.functional.normalize(maps[-1].mean((2, 3)))
            x = maps[-1]
            for level in reversed(range(len(maps))):
                if level < len(maps) - 1:
                    x = nn.functional.interpolate(x, scale_factor=2)
                first, second = self.up[level]
                x = second(first(x) + maps[level] + self.full[level](style)[:, :, None, None])
            return self.head(x)

    network = MuNet()

    def output(images):
        return network(images) if network.training else network.maps(images)[-1].mean((2, 3))

    return network, output


# How to make one, and images of a batch to embed and to train on: 1,537 tokens
# an image would take all memory in batches of eight.
PEERS = {
    "vit_small_patch16": (lambda: vit(False), {"embed": 8, "step": 8}),
    "camae_vit_small_patch16": (lambda: vit(True), {"embed": 8, "step": 2}),
    "densenet161": (densenet161, {"embed": 4, "step": 4}),
    "munet_m": (munet_m, {"embed": 2, "step": 2}),
}


def peer(network, output, what, batch):
    images = torch.randn(batch, 6, 256, 256)

    def embed():
        with torch.inference_mode():
            output(images)

    def step():
        network.zero_grad()
        output(images).square().mean().backward()

    work = {"embed": embed, "step": step}[what]
    network.train(what == "step")
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main(names):
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        sys.exit(f"no network named {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if torch is None:
        print("PyTorch is not installed: our side alone", file=sys.stderr)
    else:
        print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", file=sys.stderr)
    print("| network | pass | batch | morphospace | PyTorch | ratio |\n|---|---|--:|--:|--:|--:|")
    for name in names or PEERS:
        make, batches = PEERS[name]
        built = make() if torch else None
        for what, batch in batches.items():
            turns = [
                (ours(name, what, batch), peer(*built, what, batch) if built else float("nan"))
                for _ in range(TURNS)
            ]
            mine, theirs = (batch / min(side) for side in zip(*turns))
            print(
                f"| {name} | {what} | {batch} | {mine:.2f} images/s | {theirs:.2f} images/s | {mine / theirs:.2f} x |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
