"""Golden cases of convolutional networks, small enough to commit.

    python -m venv venv
    venv/bin/pip install torch==2.15.0 torchvision==0.29.2 safetensors==0.8.0 numpy
    venv/bin/python crates/models/tests/make_small_cases.py

writes `golden/densenet_small` and `golden/resnet_small` beside itself, in the
form of the larger cases (their kinds, inputs and outputs), computed by
torchvision in double precision from weights and images that a seed draws.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import BasicBlock, ResNet

GOLDEN = Path(__file__).parent / "golden"


def drawn(network: nn.Module, seed: int) -> nn.Module:
    """Weights, affine parameters and running averages away from their defaults."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.dtype != torch.float32:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.3 * noise.abs())
        elif tensor.dim() == 1:
            tensor.copy_((1 if name.endswith("weight") else 0) + 0.2 * noise)
        else:
            tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
    return network.double()


def write_case(name, kind, network, features, embedding, config):
    generator = torch.Generator().manual_seed(config["seed"] + 1)
    side = config["img"]
    image = torch.randn(4, config["in_chans"], side, side, generator=generator)
    labels = torch.randint(config["classes"], (4,), generator=generator, dtype=torch.int32)
    weights = {f"weight.{key}": value.clone() for key, value in network.state_dict().items()}
    x = image.double()
    out = {}
    with torch.no_grad():
        network.eval()
        out["features_eval"] = features(network, x)
        out["embedding_eval"] = embedding(out["features_eval"])
        out["logits_eval"] = network(x)
    network.train()
    logits = network(x)
    loss = nn.functional.cross_entropy(logits, labels.long())
    loss.backward()
    out["logits_train"], out["loss_train"] = logits.detach(), loss.detach()
    parameters = dict(network.named_parameters())
    for key in config["grad_keys"]:
        out[f"grad.{key}"] = parameters[key].grad
    for key, value in network.state_dict().items():
        is_average = key.endswith(("running_mean", "running_var"))
        if is_average and key.startswith(tuple(config["stat_prefixes"])):
            out[f"running.{key}"] = value.clone()
    with torch.no_grad():
        ghosts = [network(ghost) for ghost in x.split(config["ghost"])]
        out["logits_ghost"] = torch.cat(ghosts)
    tensors = {**weights, "input.image": image, "input.labels": labels}
    tensors |= {f"output.{key}": value for key, value in out.items()}
    tensors = {
        key: (value.float() if value.is_floating_point() else value).contiguous()
        for key, value in tensors.items()
    }
    case = {
        "name": name,
        "kind": kind,
        "crate": "models",
        "what": f"small {kind}, {config['in_chans']} channels",
        "reference": {"project": "torchvision", "version": "torchvision 0.29.2"},
        "config": config,
        "inputs": [
            {"name": "image", "shape": list(image.shape), "dtype": "f32"},
            {"name": "labels", "shape": list(labels.shape), "dtype": "i32"},
        ],
        "outputs": [
            {
                "name": key,
                "shape": list(value.shape),
                "dtype": "f32",
                "tolerance": {"rtol": 5e-4, "atol": 2e-5 * max(1.0, value.abs().max().item())},
            }
            for key, value in out.items()
        ],
    }
    folder = GOLDEN / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "tensors.safetensors")
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


def main():
    config = {
        "growth": 4, "blocks": [2, 2], "init": 8, "bn_size": 2, "classes": 5, "in_chans": 6,
        "img": 32, "ghost": 2, "seed": 31,
        "grad_keys": ["features.conv0.weight", "features.denseblock2.denselayer1.conv2.weight"],
        "stat_prefixes": ["features.norm0", "features.transition1"],
    }
    network = DenseNet(
        config["growth"], config["blocks"], config["init"], config["bn_size"],
        num_classes=config["classes"],
    )
    network.features.conv0 = nn.Conv2d(6, config["init"], 7, 2, 3, bias=False)
    write_case(
        "densenet_small", "densenet", drawn(network, config["seed"]),
        lambda net, x: net.features(x), lambda maps: maps.relu().mean((2, 3)), config,
    )
    config = {
        "block": "basic", "layers": [1, 1, 1, 1], "width": 4, "classes": 5, "in_chans": 2,
        "img": 64, "ghost": 2, "seed": 41,
        "grad_keys": ["conv1.weight", "layer2.0.downsample.0.weight"],
        "stat_prefixes": ["bn1", "layer3.0.bn2"],
    }
    network = ResNet(BasicBlock, config["layers"], num_classes=config["classes"])
    narrow(network, config)
    write_case(
        "resnet_small", "resnet", drawn(network, config["seed"]), resnet_features,
        lambda maps: maps.mean((2, 3)), config,
    )


def narrow(network, config):
    """torchvision's widths are fixed: the same network of fewer channels."""
    network.inplanes = config["width"]
    network.conv1 = nn.Conv2d(config["in_chans"], config["width"], 7, 2, 3, bias=False)
    network.bn1 = nn.BatchNorm2d(config["width"])
    for stage, layers in enumerate(config["layers"]):
        layer = network._make_layer(
            BasicBlock, config["width"] << stage, layers, stride=min(stage + 1, 2)
        )
        setattr(network, f"layer{stage + 1}", layer)
    network.fc = nn.Linear(8 * config["width"], config["classes"])


def resnet_features(network, x):
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    return network.layer4(network.layer3(network.layer2(network.layer1(x))))


if __name__ == "__main__":
    main()
