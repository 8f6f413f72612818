"""Weights as other programs write them, with what their networks make of an image.

    python -m venv venv
    venv/bin/pip install torch==2.15.0 torchvision==0.29.2 transformers==5.23.0 timm==1.0.20 safetensors==0.8.0
    venv/bin/python crates/models/tests/make_foreign_cases.py

writes `foreign/<case>/` beside itself: a file of weights under the name and in
the format that the program gives it, and `case.json` with our configuration of
the network, an image and its embedding. The networks are tiny and drawn from a
seed; no published weights are in them.
"""

import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from timm.models._manipulate import adapt_input_conv
from timm.models.vision_transformer import VisionTransformer
from torchvision.models.densenet import DenseNet
from transformers import (
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)

FOREIGN = Path(__file__).parent / "foreign"
SIDE, PATCH, DIM, DEPTH, HEADS = 16, 4, 8, 2, 2


def drawn(network, seed):
    """All weights away from where they start, so that none can be left out."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.dtype == torch.float32:
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.3 * noise.abs())
            elif tensor.dim() == 1:
                tensor.copy_((1 if name.endswith(("weight", "gamma", "lambda1")) else 0) + 0.2 * noise)
            else:
                tensor.copy_(noise * 0.3)
    return network.eval()


def image(chans):
    return torch.randn(1, chans, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


def write(case, file, save, network, pooling, images, embedding, expects):
    folder = FOREIGN / case
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / file)
    described = {
        "weights": file,
        "network": network,
        "pooling": pooling,
        "shape": list(images.shape),
        "image": [round(value, 5) for value in images.flatten().tolist()],
        "embedding": embedding.flatten().tolist(),
        **expects,
    }
    (folder / "case.json").write_text(json.dumps(described) + "\n")


def rounded(images):
    return torch.tensor([round(value, 5) for value in images.flatten().tolist()]).reshape(images.shape)


def published(network):
    """Tensors as `save_pretrained` names them: those of the hub, not of `state_dict`."""
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def plain_vit(**changes):
    sizes = dict(img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, in_chans=3)
    return {"kind": "plain_vit", "config": {**sizes, **changes}}


@torch.no_grad()
def hugging_face_vit():
    config = ViTConfig(
        hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=4 * DIM,
        image_size=SIDE, patch_size=PATCH, num_channels=3,
    )
    network = drawn(ViTModel(config), 1)
    images = rounded(image(3))
    tensors = {f"vit.{key}": value for key, value in published(network).items()}
    write(
        "hugging_face_vit", "model.safetensors", lambda path: save_file(tensors, path),
        plain_vit(norm_eps=config.layer_norm_eps), "cls", images,
        network(images).last_hidden_state[:, 0], {"prefix": "vit.", "left_out": 2},
    )


@torch.no_grad()
def hugging_face_dinov2():
    config = Dinov2WithRegistersConfig(
        hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_ratio=4, use_swiglu_ffn=True,
        num_register_tokens=4, image_size=SIDE, patch_size=PATCH, num_channels=3,
    )
    network = drawn(Dinov2WithRegistersModel(config), 2)
    images = rounded(image(3))
    write(
        # A pickle under the name of safetensors, as OpenPhenom's is.
        "hugging_face_dinov2", "model.safetensors", lambda path: torch.save({"state_dict": published(network)}, path),
        plain_vit(norm_eps=config.layer_norm_eps, num_registers=4, mask_token=True, init_values=1.0,
                  feed_forward="swi_glu", interpolation={"offset": 0.0, "antialias": True}),
        "cls", images, network(images).last_hidden_state[:, 0], {"prefix": "state_dict.", "left_out": 0},
    )


@torch.no_grad()
def hugging_face_resnet():
    config = ResNetConfig(
        num_channels=3, embedding_size=2, hidden_sizes=[2, 4, 8, 16], depths=[1, 1, 1, 1], layer_type="basic",
    )
    network = drawn(ResNetModel(config), 3)
    images = rounded(image(3))
    tensors = {f"resnet.{key}": value for key, value in published(network).items()}
    write(
        "hugging_face_resnet", "model.safetensors", lambda path: save_file(tensors, path),
        {"kind": "resnet", "config": RESNET}, "patch_mean", images, network(images).pooler_output,
        {"prefix": "resnet.", "left_out": 0},
    )


RESNET = {"block": "basic", "layers": [1, 1, 1, 1], "width": 2, "in_chans": 3, "img_size": SIDE}


@torch.no_grad()
def dino_checkpoint():
    """What DINO saves while it trains, in the format of PyTorch before 1.6, for six channels."""
    def vit(chans, seed):
        return drawn(VisionTransformer(img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH,
                                       num_heads=HEADS, in_chans=chans, num_classes=0), seed)

    teacher, student = vit(3, 4), vit(3, 5)
    saved = {
        "student": {f"module.backbone.{key}": value for key, value in student.state_dict().items()},
        "teacher": {f"backbone.{key}": value for key, value in teacher.state_dict().items()},
        "epoch": 3,
        "args": {"arch": "vit_tiny", "lr": 5e-4},
    }
    adapted = vit(6, 4)
    state = teacher.state_dict()
    state["patch_embed.proj.weight"] = adapt_input_conv(6, state["patch_embed.proj.weight"])
    adapted.load_state_dict(state)
    images = rounded(image(6))
    write(
        "dino_checkpoint", "checkpoint.pth",
        lambda path: torch.save(saved, path, _use_new_zipfile_serialization=False),
        plain_vit(in_chans=6), "cls", images, adapted.forward_features(images)[:, 0],
        {"prefix": "teacher.backbone.", "left_out": len(saved["student"])},
    )


@torch.no_grad()
def timm_dinov2():
    """Registers, and positions without the class token's row."""
    network = drawn(
        VisionTransformer(img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, in_chans=3,
                          num_classes=5, reg_tokens=4, no_embed_class=True, init_values=1e-5), 6)
    images = rounded(image(3))
    write(
        "timm_dinov2", "pytorch_model.bin", lambda path: torch.save(network.state_dict(), path),
        plain_vit(num_registers=4, init_values=1.0), "cls", images, network.forward_features(images)[:, 0],
        {"prefix": "", "left_out": 2},
    )


@torch.no_grad()
def torchvision_densenet():
    """Names of torchvision before 0.4, as its published weights still have them."""
    network = drawn(DenseNet(growth_rate=4, block_config=(1, 2, 1, 1), num_init_features=8, bn_size=2, num_classes=3), 7)
    tensors = {}
    for key, value in network.state_dict().items():
        for name in ("norm1", "norm2", "conv1", "conv2"):
            key = key.replace(f".{name}.", f".{name[:-1]}.{name[-1]}.") if "denselayer" in key else key
        tensors[key] = value
    images = torch.nn.functional.interpolate(rounded(image(3)), scale_factor=2)
    features = torch.relu(network.features(images)).mean((2, 3))
    write(
        "torchvision_densenet", "densenet.pth", lambda path: torch.save(tensors, path),
        {"kind": "densenet", "config": {"growth_rate": 4, "block_config": [1, 2, 1, 1], "num_init_features": 8,
                                        "bn_size": 2, "num_classes": 0, "in_chans": 3, "img_size": 32}},
        "patch_mean", images, features, {"prefix": "", "left_out": 2},
    )


for make in (hugging_face_vit, hugging_face_dinov2, hugging_face_resnet, dino_checkpoint, timm_dinov2, torchvision_densenet):
    make()
    print(make.__name__)
