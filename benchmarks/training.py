"""Training steps at real size: morphospace and PyTorch (eager), in turns.

A masked autoencoder (ViT-S/16, decoder of eight blocks of 512 features, three
quarters of the patches hidden) and DenseNet-161 with the heads of Sypetkowski et
al. 2023: loss, gradients and AdamW on random images of 256 pixels and six
channels, f32, all cores. The best of all turns counts.

    cargo build --release --example training_speed -p morphospace-train
    python -m venv venv && venv/bin/pip install -r benchmarks/requirements.txt
    venv/bin/python benchmarks/training.py
"""

import os
import pathlib
import subprocess
import sys
import time

import torch
from networks import densenet161, vit
from torch import nn

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
TURNS = 3
REPEATS = 4
BATCHES = {"mae_vit_small_patch16": 8, "densenet161_supervised": 4}


class Mae(nn.Module):
    """He et al. 2022 around the encoder of Kraus et al. 2024."""

    def __init__(self):
        super().__init__()
        from timm.models.vision_transformer import Block

        self.encoder, _ = vit(False)
        self.embed = nn.Linear(384, 512)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 512))
        self.pos_embed = nn.Parameter(torch.randn(1, 257, 512) * 0.02, requires_grad=False)
        self.blocks = nn.Sequential(*(Block(512, 16, qkv_bias=True) for _ in range(8)))
        self.norm = nn.LayerNorm(512, eps=1e-6)
        self.pred = nn.Linear(512, 16 * 16 * 6)

    def loss(self, images):
        batch = images.shape[0]
        encoder = self.encoder
        x = encoder.patch_embed(images) + encoder.pos_embed[:, 1:]
        order = torch.rand(batch, 256).argsort(1)
        restore = order.argsort(1)
        kept = order[:, :64, None]
        x = x.gather(1, kept.expand(-1, -1, 384))
        cls = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(batch, -1, -1)
        x = encoder.norm(encoder.blocks(torch.cat([cls, x], 1)))
        x = self.embed(x)
        tokens = torch.cat([x[:, 1:], self.mask_token.expand(batch, 192, -1)], 1)
        tokens = tokens.gather(1, restore[:, :, None].expand(-1, -1, 512))
        x = torch.cat([x[:, :1], tokens], 1) + self.pos_embed
        predicted = self.pred(self.norm(self.blocks(x)))[:, 1:]
        patches = images.reshape(batch, 6, 16, 16, 16, 16).permute(0, 2, 4, 3, 5, 1)
        error = (predicted - patches.reshape(batch, 256, -1)).square().mean(2)
        hidden = (restore >= 64).float()
        return (error * hidden).sum() / hidden.sum()


class Supervised(nn.Module):
    """Sypetkowski et al. 2023, figure 5."""

    def __init__(self):
        super().__init__()
        self.backbone, self.output = densenet161()
        self.neck = nn.Sequential(
            nn.Linear(2208, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU(),
            nn.Linear(1024, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU(),
        )
        self.perturbation = nn.Linear(1024, 1139)
        self.batch = nn.Linear(1024, 33)

    def loss(self, images):
        features = self.neck(self.output(images))
        labels = torch.arange(images.shape[0])
        cross_entropy = nn.functional.cross_entropy
        of_batches = cross_entropy(self.batch(features.detach()), labels % 2)
        return cross_entropy(self.perturbation(features), labels) + of_batches


def ours(name, batch):
    speed = TARGET / "examples" / "training_speed"
    done = subprocess.run([speed, name, str(batch)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def theirs(network, batch):
    network.train()
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-4)
    images = torch.randn(batch, 6, 256, 256)
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        optimiser.zero_grad()
        network.loss(images).backward()
        optimiser.step()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main():
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", file=sys.stderr)
    print("| training | batch | morphospace | PyTorch | ratio |\n|---|--:|--:|--:|--:|")
    peers = {"mae_vit_small_patch16": Mae(), "densenet161_supervised": Supervised()}
    for name, network in peers.items():
        batch = BATCHES[name]
        turns = [(ours(name, batch), theirs(network, batch)) for _ in range(TURNS)]
        mine, peers_best = (batch / min(side) for side in zip(*turns))
        print(f"| {name} | {batch} | {mine:.2f} images/s | {peers_best:.2f} images/s | {mine / peers_best:.2f} x |", flush=True)


if __name__ == "__main__":
    main()
