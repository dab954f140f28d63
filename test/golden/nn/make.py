"""
Writes the golden files of the modules: what PyTorch computes, calls and prints, for lib/nn to be held against.

    python test/golden/nn/make.py        (torch 2.13, safetensors; the tests themselves need no Python)

cases.json         every case: module, arguments as a user of lib/nn writes them, keys in PyTorch's order in both forms, numbers of parameters,
                   and how far PyTorch's own float32 is from its float64 in training (results and statistics): deep networks whose last maps
                   have few pixels amplify rounding there, in any implementation
tensors.safetensors   per case
    <case>/state/<key>     random parameters and statistics, float32: no fresh batch norm anywhere
    <case>/input0, input1  float32
    <case>/eval            answer to input0 in evaluation, computed in float64
    <case>/train0, train1  answers to input0, then input1, in training, computed in float64
    <case>/after/<key>     buffers after these two
    <case>/kernel, bias    of blocks: the fold, computed in float64 and rounded once
prints/<case>.txt, prints/<case>.deployed.txt   str(module) in both forms
prints/layers.txt  one line per layer: name, colon, str(layer)
counts.json        parameters of the published networks in both forms

Before anything is written the fold is asserted to compute what the branches compute, to 1e-12 in float64.
"""

import copy
import json
import sys
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

sys.dont_write_bytecode = True

from twins import FAMILY, Block, ConvBlock, MobileOne, MobileOneBlock, RepVGG, RepVGGBlock, SEBlock, conv_bn

HERE = Path(__file__).parent
cases, tensors = [], {}


def generator(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def randomize(model, name):
    """Every number random, batch norms as after some training: scales of either sign, means off zero, variances off one."""
    g = generator(name)

    def normal(like, deviation, mean=0.0):
        like.data = torch.randn(like.shape, generator=g) * deviation + mean

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            normal(module.weight, (module.weight[0].numel()) ** -0.5)
            if module.bias is not None:
                normal(module.bias, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            if module.weight is not None:
                normal(module.weight, 0.4, 0.8)
            if module.bias is not None:
                normal(module.bias, 0.5)
            if module.running_mean is not None:
                normal(module.running_mean, 0.5)
                module.running_var.data = torch.rand(module.running_var.shape, generator=g) * 2 + 0.2
                module.num_batches_tracked.fill_(7)
    return model


def settle(model, shape, name):
    """Statistics of a deep network from data, so that its numbers neither vanish nor overflow; then moved off what the data say."""
    g = generator(f"{name}/settle")
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
    model.double().train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(shape, generator=g, dtype=torch.float64))
    for norm in norms:
        norm.momentum = 0.1
        norm.running_var *= 0.8 + 0.4 * torch.rand(norm.running_var.shape, generator=g, dtype=torch.float64)
        norm.running_mean += 0.1 * torch.randn(norm.running_mean.shape, generator=g, dtype=torch.float64)
    return model.float()


def deployed(model):
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        if isinstance(module, Block):
            module.switch_to_deploy()
    return model


def case(name, kind, model, shape, args=(), **options):
    """`args` and `options` are what a user of lib/nn writes; `model` is the twin they stand for."""
    randomize(model, name)
    if isinstance(model, (RepVGG, MobileOne)):
        settle(model, shape, name)
    row = {"name": name, "module": kind, "args": args, "options": options, "keys": list(model.state_dict())}
    row["parameters"] = sum(p.numel() for p in model.parameters())
    store = {f"state/{key}": value for key, value in model.state_dict().items()}
    g = generator(f"{name}/input")
    for i in range(2):
        store[f"input{i}"] = torch.randn(shape, generator=g) + 0.3
    with torch.no_grad():
        exact = copy.deepcopy(model).double()
        store["eval"] = exact.eval()(store["input0"].double())
        exact.train()
        rounded = copy.deepcopy(model).train()
        pairs = []
        for i in range(2):
            store[f"train{i}"] = exact(store[f"input{i}"].double())
            pairs.append((rounded(store[f"input{i}"]), store[f"train{i}"]))
        pairs += [(rounded.get_buffer(key), value) for key, value in exact.named_buffers()]
        row["float32InTraining"] = float(f"{max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs):.1e}")
        store |= {f"after/{key}": value for key, value in exact.named_buffers()}
        if isinstance(model, Block):
            kernel, bias = model.fold()
            check(model, kernel, bias, store["input0"].double())
            store |= {"kernel": kernel.float(), "bias": bias.float()}
    fused = deployed(model)
    row["deployedKeys"] = list(fused.state_dict())
    row["deployedParameters"] = sum(p.numel() for p in fused.parameters())
    tensors.update({f"{name}/{role}": value.detach().contiguous().clone() for role, value in store.items()})
    assert all(row["name"] != other["name"] for other in cases), name
    cases.append(row)
    if isinstance(model, (Block, RepVGG, MobileOne)) or kind == "convBn":
        write_prints(name, model, fused)


def check(block, kernel, bias, x):
    twin = copy.deepcopy(block).double().eval()
    conv = block.deployed_conv().double()
    conv.weight.data, conv.bias.data = kernel, bias
    expected = twin.linear(x)
    assert (conv(x) - expected).abs().max() <= 1e-12 * expected.abs().max()


def write_prints(name, model, fused):
    (HERE / "prints" / f"{name}.txt").write_text(f"{model}\n")
    (HERE / "prints" / f"{name}.deployed.txt").write_text(f"{fused}\n")


def conv_block(name, ci, co, shape, **options):
    named = {"stride": options.get("stride", 1), "groups": options.get("groups", 1)}
    twin = ConvBlock(ci, co, padding_mode=options.get("paddingMode", "zeros"), eps=options.get("eps", 1e-5), **named)
    case(f"convBlock_{name}", "ConvBlock", twin, (2, ci, *shape), [ci, co], **options)


def repvgg_block(name, ci, co, shape, useSe=False, **options):
    given = options | ({"useSe": True} if useSe else {})
    case(f"repvggBlock_{name}", "RepVGGBlock", RepVGGBlock(ci, co, use_se=useSe, **options), (2, ci, *shape), [ci, co], **given)


def mobileone_block(name, ci, co, kernel, shape, useSe=False, **options):
    given = options | ({"useSe": True} if useSe else {})
    twin = MobileOneBlock(ci, co, kernel, use_se=useSe, **options)
    case(f"mobileOneBlock_{name}", "MobileOneBlock", twin, (2, ci, *shape), [ci, co, kernel], **given)


def batch_norm(name, channels, **options):
    renamed = {"trackRunningStats": "track_running_stats"}
    twin = nn.BatchNorm2d(channels, **{renamed.get(key, key): value for key, value in options.items()})
    case(f"batchNorm_{name}", "BatchNorm2d", twin, (3, channels, 5, 3), [channels], **options)


def conv_transpose(name, ci, co, kernel, shape, outputPadding=0, **options):
    given = options | ({"outputPadding": outputPadding} if outputPadding else {})
    twin = nn.ConvTranspose2d(ci, co, kernel, output_padding=outputPadding, **options)
    case(f"convTranspose_{name}", "ConvTranspose2d", twin, (2, ci, *shape), [ci, co, kernel], **given)


def all_cases():
    case("convBn_default", "convBn", conv_bn(3, 5, 3), (2, 3, 7, 5), [3, 5, 3])
    case("convBn_stride2_groups2", "convBn", conv_bn(4, 6, 3, 2, 1, 2), (2, 4, 9, 7), [4, 6, 3], stride=2, padding=1, groups=2)
    case("convBn_circular", "convBn", conv_bn(3, 4, 3, 1, 1, 1, False, "circular"), (1, 3, 5, 6), [3, 4, 3],
         padding=1, bias=False, paddingMode="circular")

    conv_block("identity", 5, 5, (7, 5))
    conv_block("wider", 3, 5, (5, 8))
    conv_block("stride2", 4, 4, (9, 7), stride=2)
    conv_block("stride2_even", 3, 4, (8, 6), stride=2)
    conv_block("groups2", 6, 6, (5, 7), groups=2)
    conv_block("stride2_groups2", 4, 6, (7, 9), stride=2, groups=2)
    conv_block("reflect", 4, 4, (7, 5), paddingMode="reflect")
    conv_block("reflect_stride2_groups2", 4, 6, (9, 6), stride=2, groups=2, paddingMode="reflect")
    conv_block("circular", 3, 3, (5, 7), paddingMode="circular")
    conv_block("circular_groups3", 6, 6, (4, 5), groups=3, paddingMode="circular")
    conv_block("replicate_stride2", 3, 4, (7, 6), stride=2, paddingMode="replicate")
    conv_block("depthwise_eps", 4, 4, (5, 5), groups=4, eps=1e-3)
    conv_block("one_pixel", 4, 4, (1, 1), stride=2)

    repvgg_block("identity", 5, 5, (7, 5))
    repvgg_block("stride2", 3, 6, (9, 7), stride=2)
    repvgg_block("groups2", 6, 6, (5, 7), groups=2)
    repvgg_block("se", 16, 16, (5, 4), useSe=True)
    repvgg_block("eps", 4, 6, (5, 5), eps=1e-3)

    mobileone_block("depthwise", 6, 6, 3, (7, 5), padding=1, groups=6, branches=4)
    mobileone_block("depthwise_stride2", 5, 5, 3, (9, 7), stride=2, padding=1, groups=5, branches=2)
    mobileone_block("pointwise", 6, 6, 1, (5, 7), branches=3)
    mobileone_block("pointwise_wider", 5, 7, 1, (5, 4))
    mobileone_block("dense", 3, 5, 3, (9, 7), stride=2, padding=1)
    mobileone_block("5x5", 4, 4, 5, (7, 6), padding=2, groups=2, branches=2)
    mobileone_block("se", 16, 16, 1, (5, 4), useSe=True, branches=2)

    case("squeezeExcite_mobileone", "SqueezeExcite", SEBlock(8, 2, ("reduce", "expand")), (2, 8, 5, 3), [8], reducedChannels=2)
    case("squeezeExcite_repvgg", "SqueezeExcite", SEBlock(6, 3, ("down", "up")), (1, 6, 3, 7), [6],
         reducedChannels=3, keys=["down", "up"])

    conv_transpose("4x4_stride2", 3, 5, 4, (5, 7), stride=2, padding=1)
    conv_transpose("groups2", 4, 6, 3, (5, 4), stride=2, padding=1, groups=2, outputPadding=1)
    conv_transpose("dilation2_no_bias", 3, 2, 3, (5, 7), dilation=2, bias=False)

    batch_norm("default", 4)
    batch_norm("eps_momentum", 3, eps=1e-3, momentum=0.25)
    batch_norm("momentum_null", 4, momentum=None)
    batch_norm("momentum_zero", 3, momentum=0)
    batch_norm("not_affine", 4, affine=False)
    batch_norm("no_bias", 4, bias=False)
    batch_norm("no_statistics", 3, trackRunningStats=False)
    batch_norm("neither", 3, affine=False, trackRunningStats=False)

    small = dict(blocks=(1, 2, 2, 1), width=(0.125, 0.0625, 0.0625, 0.0625))
    case("repvgg_small", "RepVGG", RepVGG(**small, groups=2, num_classes=5), (4, 3, 32, 48), [small | {"groups": 2, "useSe": False}],
         numClasses=5)
    attentive = dict(blocks=(1, 1, 1, 1), width=(0.25, 0.125, 0.0625, 0.0625))
    case("repvgg_se", "RepVGG", RepVGG(**attentive, use_se=True, num_classes=4), (4, 3, 48, 32),
         [attentive | {"groups": 1, "useSe": True}], numClasses=4)
    narrow = (0.125, 0.0625, 0.0625, 0.03125)
    case("mobileone_small", "MobileOne", MobileOne(narrow, 2, True, 5), (4, 3, 32, 48),
         [{"width": narrow, "branches": 2, "useSe": True}], numClasses=5)


LAYERS = {
    "conv": nn.Conv2d(3, 8, 3),
    "conv_all": nn.Conv2d(4, 8, (3, 5), stride=(1, 2), padding=(1, 2), dilation=(2, 1), groups=2, bias=False, padding_mode="reflect"),
    "conv_circular": nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "conv_padding_one_side": nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
    "conv_transpose": nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
    "conv_transpose_all": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, bias=False, dilation=2),
    "batch_norm": nn.BatchNorm2d(8),
    "batch_norm_all": nn.BatchNorm2d(8, eps=1e-3, momentum=None, affine=False, track_running_stats=False),
    "batch_norm_no_bias": nn.BatchNorm2d(8, momentum=0.01, bias=False),
    "linear": nn.Linear(8, 3),
    "linear_no_bias": nn.Linear(8, 3, bias=False),
    "identity": nn.Identity(),
    "relu": nn.ReLU(),
    "relu_inplace": nn.ReLU(inplace=True),
    "relu6": nn.ReLU6(),
    "relu6_inplace": nn.ReLU6(inplace=True),
    "silu": nn.SiLU(),
    "silu_inplace": nn.SiLU(inplace=True),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "leaky_relu": nn.LeakyReLU(),
    "leaky_relu_tiny": nn.LeakyReLU(0.00001),
    "leaky_relu_one": nn.LeakyReLU(1.0),
    "prelu": nn.PReLU(),
    "prelu_channels": nn.PReLU(8),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "softmax": nn.Softmax(dim=1),
    "max_pool": nn.MaxPool2d(3, stride=2, padding=1),
    "max_pool_all": nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=2, ceil_mode=True),
    "avg_pool": nn.AvgPool2d(2),
    "avg_pool_all": nn.AvgPool2d((3, 2), stride=(2, 1), padding=1),
    "adaptive_avg_pool": nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_pool_pair": nn.AdaptiveAvgPool2d((2, 3)),
    "adaptive_max_pool": nn.AdaptiveMaxPool2d((1, 1)),
    "flatten": nn.Flatten(),
    "flatten_all": nn.Flatten(0, 2),
}

CONTAINERS = {
    "sequential_empty": nn.Sequential(),
    "sequential": nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.ReLU()),
    "module_list_empty": nn.ModuleList(),
    "module_list": nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh(), nn.ReLU(), nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())]),
}


def main():
    (HERE / "prints").mkdir(exist_ok=True)
    all_cases()
    (HERE / "prints" / "layers.txt").write_text("".join(f"{name}: {layer}\n" for name, layer in LAYERS.items()))
    for name, container in CONTAINERS.items():
        (HERE / "prints" / f"{name}.txt").write_text(f"{container}\n")
    counts = {}
    with torch.device("meta"):
        for name, (net, options) in FAMILY.items():
            counts[name] = [sum(p.numel() for p in net(**options, deploy=deploy).parameters()) for deploy in (False, True)]
        for name in ("repvgg-a0", "mobileone-s0"):
            net, options = FAMILY[name]
            write_prints(name, net(**options), net(**options, deploy=True))
    (HERE / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    (HERE / "cases.json").write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in cases) + "\n]\n")
    save_file(tensors, HERE / "tensors.safetensors")
    (HERE / "tensors.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
