"""
Writes the golden files of the operators: what PyTorch answers, for the reference interpreter to be held against.

    python test/golden/ops/make.py        (torch 2.13, safetensors, numpy, mpmath; the tests themselves need no Python)

cases.json lists every case by family: operator, options as a user writes them, names of inputs and outputs in the operator's order (null
where an optional input is absent). <family>.safetensors holds their tensors under <case>/<name>.

Inputs are float32 numbers, so that float32 engines may use them too; outputs are computed from them in float64. Where the family also has
`output32`, that is PyTorch's float32 answer. Every tensor is seeded by its own name: adding a case changes no other.

Where PyTorch's float64 is itself inexact the truth is computed another way, and PyTorch is asserted to lie close to it:
GELU (1 + erf cancels below -3) and batch norm far from zero (the mean is folded into a constant, which cancels when |mean| >> deviation).
"""

import json
import math
import zlib
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = Path(__file__).parent
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}

families = {}
tensors = {}


def case(family, name, operator, inputs, options, compute, outputs=("output",), float32=False):
    """Adds one case: `compute` gets the inputs as float64 and returns one tensor or several."""

    def results(dtype):
        given = [None if value is None else value.to(dtype) for value in inputs.values()]
        result = compute(*given)
        return result if isinstance(result, tuple) else (result,)

    store = tensors.setdefault(family, {})
    for role, value in inputs.items():
        if value is not None:
            store[f"{name}/{role}"] = value.contiguous().clone()
    for role, value in zip(outputs, results(torch.float64), strict=True):
        assert value.dtype == torch.float64
        store[f"{name}/{role}"] = value.contiguous().clone()
    if float32:
        store[f"{name}/output32"] = results(torch.float32)[0].contiguous().clone()
    row = {
        "name": name,
        "operator": operator,
        "inputs": [None if value is None else role for role, value in inputs.items()],
        "outputs": list(outputs),
        "options": options,
    }
    assert all(row["name"] != other["name"] for other in families.setdefault(family, [])), f"{family}: two cases named {name}"
    families[family].append(row)


def generator(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def normal(name, shape):
    return torch.randn(shape, generator=generator(name), dtype=torch.float32)


def uniform(name, shape, low, high):
    return torch.rand(shape, generator=generator(name), dtype=torch.float32) * (high - low) + low


def parameters(name, **shapes):
    """Normal numbers for every role that has a shape."""
    return {role: None if shape is None else normal(f"{name}/{role}", shape) for role, shape in shapes.items()}


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def sides(padding):
    """Top, left, bottom, right."""
    both = pair(padding)
    return both if len(both) == 4 else both * 2


# ---------------------------------------------------------------------------------------------------------------- conv2d


def conv2d(x, w, b, stride=1, padding=0, dilation=1, groups=1, paddingMode="zeros", same=False):
    rest = {"stride": stride, "dilation": dilation, "groups": groups}
    if same:
        return F.conv2d(x, w, b, padding="same", **rest)
    top, left, bottom, right = sides(padding)
    if (top, left) != (bottom, right):
        return F.conv2d(F.pad(x, (left, right, top, bottom), mode=MODES[paddingMode]), w, b, **rest)
    layer = torch.nn.Conv2d(x.shape[1], w.shape[0], w.shape[2:], padding=(top, left), padding_mode=paddingMode, bias=b is not None, **rest)
    layer.weight.data = w
    if b is not None:
        layer.bias.data = b
    return layer(x).detach()


def convCase(name, x, w, bias, same=False, **options):
    inputs = parameters(f"conv2d/{name}", input=x, weight=w, bias=(w[0],) if bias else None)
    case("conv2d", name, "conv2d", inputs, options, lambda *given: conv2d(*given, same=same, **options), float32=True)


def conv2dFamily():
    # The sample rows of PyTorch's own operator database (OpInfo of nn.functional.conv2d), its duplicate left out.
    convCase("opinfo_stride2_pad2", (1, 3, 4, 4), (3, 3, 3, 3), True, stride=2, padding=2)
    convCase("opinfo_stride32_dilation4_groups2", (2, 4, 8, 8), (2, 2, 3, 3), True, stride=[3, 2], padding=[2, 1], groups=2, dilation=4)
    convCase("opinfo_2x3_stride2_dilation23", (1, 4, 5, 5), (1, 4, 2, 3), True, stride=2, padding=1, dilation=[2, 3])
    convCase("opinfo_3x4_stride2", (1, 2, 4, 3), (4, 2, 3, 4), False, stride=2, padding=1)
    convCase("opinfo_valid_stride2", (1, 4, 5, 5), (1, 4, 2, 3), True, stride=2)
    convCase("opinfo_same_dilation3", (1, 4, 5, 5), (1, 4, 2, 3), True, same=True, padding=[1, 3, 2, 3], dilation=3)
    convCase("opinfo_depthwise", (2, 4, 6, 6), (4, 1, 3, 3), True, groups=4)
    convCase("opinfo_depthwise_multiplier2", (2, 4, 6, 6), (8, 1, 3, 3), True, groups=4)
    convCase("opinfo_depthwise_multiplier2_no_bias", (2, 4, 6, 6), (8, 1, 3, 3), False, groups=4)
    convCase("opinfo_depthwise_stride32", (2, 4, 6, 6), (4, 1, 3, 3), True, groups=4, stride=[3, 2])
    convCase("opinfo_depthwise_pad1", (2, 4, 6, 6), (4, 1, 3, 3), True, groups=4, padding=1)
    convCase("opinfo_depthwise_dilation2", (2, 4, 5, 5), (4, 1, 2, 2), True, groups=4, dilation=2)
    convCase("opinfo_groups2_3x2", (2, 4, 6, 5), (6, 2, 3, 2), True, groups=2)
    convCase("opinfo_defaults", (1, 4, 5, 5), (3, 4, 3, 3), False)

    # The layers of re-parameterizable blocks, on odd and non-square maps.
    convCase("3x3", (1, 5, 13, 9), (7, 5, 3, 3), True, padding=1)
    convCase("3x3_batch3_no_bias", (3, 4, 7, 5), (4, 4, 3, 3), False, padding=1)
    convCase("3x3_stride2", (2, 3, 13, 9), (5, 3, 3, 3), True, stride=2, padding=1)
    convCase("3x3_stride2_even", (1, 3, 8, 6), (4, 3, 3, 3), True, stride=2, padding=1)
    convCase("3x3_stride3", (1, 4, 14, 11), (3, 4, 3, 3), True, stride=3, padding=1)
    convCase("3x3_stride12", (1, 3, 9, 12), (3, 3, 3, 3), True, stride=[1, 2], padding=1)
    convCase("3x3_dilation2", (1, 3, 13, 9), (4, 3, 3, 3), True, dilation=2, padding=2)
    convCase("3x3_dilation13", (1, 2, 9, 13), (3, 2, 3, 3), True, dilation=[1, 3], padding=[1, 3])
    convCase("3x3_no_padding", (2, 3, 5, 9), (4, 3, 3, 3), True)
    convCase("3x3_on_one_pixel", (2, 3, 1, 1), (4, 3, 3, 3), True, padding=1)
    convCase("3x3_whole_image", (1, 3, 3, 3), (4, 3, 3, 3), True)
    convCase("3x3_wide_border", (1, 2, 4, 5), (3, 2, 3, 3), True, padding=[4, 5])
    convCase("1x1", (2, 7, 5, 9), (6, 7, 1, 1), True)
    convCase("1x1_stride2", (1, 5, 13, 9), (4, 5, 1, 1), True, stride=2)
    convCase("1x1_padded", (1, 3, 5, 4), (2, 3, 1, 1), True, padding=1)
    convCase("1x3", (1, 3, 6, 11), (4, 3, 1, 3), True, padding=[0, 1])
    convCase("3x1", (1, 3, 11, 6), (4, 3, 3, 1), True, padding=[1, 0])
    convCase("5x3_stride21", (1, 3, 13, 9), (4, 3, 5, 3), True, stride=[2, 1], padding=[2, 1])
    convCase("5x5", (1, 2, 9, 7), (3, 2, 5, 5), True, padding=2)
    convCase("7x7_stride2", (1, 3, 15, 11), (4, 3, 7, 7), True, stride=2, padding=3)
    convCase("2x2_same", (1, 3, 7, 5), (4, 3, 2, 2), True, same=True, padding=[0, 0, 1, 1])
    convCase("2x2_stride2", (1, 3, 9, 6), (4, 3, 2, 2), True, stride=2)
    convCase("4x4_same", (1, 3, 9, 7), (4, 3, 4, 4), True, same=True, padding=[1, 1, 2, 2])
    convCase("4x4_stride4", (1, 3, 12, 9), (5, 3, 4, 4), True, stride=4)
    convCase("4x3_stride3_pad1", (1, 2, 11, 8), (3, 2, 4, 3), True, stride=3, padding=1)
    convCase("asymmetric", (1, 3, 7, 9), (4, 3, 3, 3), True, padding=[1, 0, 2, 3])
    convCase("asymmetric_stride2", (2, 3, 8, 7), (4, 3, 3, 3), True, stride=2, padding=[0, 0, 1, 1])
    convCase("groups2_3x3", (1, 6, 9, 5), (4, 3, 3, 3), True, groups=2, padding=1)
    convCase("groups3_1x1", (2, 9, 5, 4), (6, 3, 1, 1), False, groups=3)
    convCase("depthwise_3x3_stride2", (1, 17, 9, 7), (17, 1, 3, 3), True, groups=17, stride=2, padding=1)
    convCase("depthwise_5x5", (1, 5, 9, 13), (5, 1, 5, 5), True, groups=5, padding=2)
    convCase("17_channels", (1, 17, 6, 7), (17, 17, 3, 3), True, padding=1)
    convCase("33_channels_1x1", (1, 33, 4, 5), (17, 33, 1, 1), True)
    convCase("empty_batch", (0, 3, 5, 4), (2, 3, 3, 3), True, padding=1)

    for mode in ("reflect", "replicate", "circular"):
        convCase(mode, (1, 3, 7, 5), (4, 3, 3, 3), True, padding=1, paddingMode=mode)
        convCase(f"{mode}_stride2_groups2", (2, 4, 9, 6), (4, 2, 3, 3), True, padding=1, stride=2, groups=2, paddingMode=mode)
        convCase(f"{mode}_dilation2", (1, 2, 8, 11), (3, 2, 3, 3), True, padding=2, dilation=2, paddingMode=mode)
        convCase(f"{mode}_asymmetric", (1, 2, 6, 7), (3, 2, 3, 4), False, padding=[2, 1, 0, 3], paddingMode=mode)
        convCase(f"{mode}_depthwise", (1, 5, 6, 9), (5, 1, 5, 3), True, padding=[2, 1], groups=5, paddingMode=mode)
        convCase(f"{mode}_as_far_as_it_goes", (1, 2, 4, 5), (2, 2, 3, 3), True, padding=[3, 4], paddingMode=mode)


# ------------------------------------------------------------------------------------------------------- convTranspose2d


def convTransposeCase(name, x, w, bias, **options):
    inputs = parameters(f"convTranspose2d/{name}", input=x, weight=w, bias=(w[1] * options.get("groups", 1),) if bias else None)
    renamed = {("output_padding" if key == "outputPadding" else key): value for key, value in options.items() if key != "padding"}
    top, left, bottom, right = sides(options.get("padding", 0))

    def compute(x, w, b):
        if (top, left) == (bottom, right):
            return F.conv_transpose2d(x, w, b, padding=(top, left), **renamed)
        whole = F.conv_transpose2d(x, w, b, **renamed)
        return whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]

    case("convTranspose2d", name, "convTranspose2d", inputs, options, compute)


def convTranspose2dFamily():
    convTransposeCase("opinfo_stride2_pad2", (1, 3, 4, 4), (3, 3, 3, 3), True, stride=2, padding=2, outputPadding=1)
    convTransposeCase(
        "opinfo_dilation4_groups2",
        (2, 2, 4, 4),
        (2, 2, 4, 5),
        True,
        stride=[3, 2],
        padding=[1, 2],
        outputPadding=[2, 3],
        groups=2,
        dilation=4,
    )
    convTransposeCase("opinfo_dilation23", (1, 1, 4, 5), (1, 1, 4, 3), True, stride=2, padding=1, outputPadding=1, dilation=[2, 3])
    convTransposeCase("opinfo_3x4", (1, 1, 4, 3), (1, 2, 3, 4), False, stride=2, padding=1, outputPadding=1)
    convTransposeCase("opinfo_depthwise", (2, 4, 4, 4), (4, 1, 3, 3), False, groups=4)
    convTransposeCase("opinfo_defaults", (1, 2, 5, 5), (2, 4, 3, 3), False)
    convTransposeCase("4x4_stride2", (1, 3, 7, 5), (3, 4, 4, 4), True, stride=2, padding=1)
    convTransposeCase("2x2_stride2", (2, 5, 5, 3), (5, 3, 2, 2), True, stride=2)
    convTransposeCase("3x3_stride3", (1, 3, 4, 6), (3, 2, 3, 3), True, stride=3)
    convTransposeCase("2x2_stride3_leaves_gaps", (1, 3, 4, 5), (3, 2, 2, 2), True, stride=3, outputPadding=[1, 2])
    convTransposeCase("3x3_stride1", (1, 3, 6, 5), (3, 5, 3, 3), True, padding=1)
    convTransposeCase("1x1", (2, 3, 5, 4), (3, 4, 1, 1), True)
    convTransposeCase("3x5_stride12", (1, 2, 6, 5), (2, 3, 3, 5), True, stride=[1, 2], padding=[1, 2], outputPadding=[0, 1])
    convTransposeCase("groups3", (1, 6, 5, 4), (6, 2, 3, 3), True, stride=2, padding=1, outputPadding=1, groups=3)
    convTransposeCase("dilation2", (1, 3, 5, 7), (3, 2, 3, 3), True, padding=2, dilation=2)
    convTransposeCase("output_padding_below_dilation", (1, 2, 4, 3), (2, 2, 3, 2), True, dilation=3, outputPadding=2)
    convTransposeCase("asymmetric", (1, 2, 5, 4), (2, 3, 4, 4), True, stride=2, padding=[1, 0, 2, 1])
    convTransposeCase("empty_batch", (0, 2, 5, 4), (2, 3, 4, 4), True, stride=2, padding=1)


# ---------------------------------------------------------------------------------------------------------------- linear


def linearFamily():
    def linearCase(name, x, out, bias=True):
        inputs = parameters(f"linear/{name}", input=x, weight=(out, x[-1]), bias=(out,) if bias else None)
        case("linear", name, "linear", inputs, {}, F.linear)

    linearCase("2d", (5, 17), 9)
    linearCase("2d_no_bias", (3, 33), 10, bias=False)
    linearCase("one_row", (1, 65), 7)
    linearCase("one_output", (4, 5), 1)
    linearCase("3d", (2, 3, 11), 6)
    linearCase("4d_no_bias", (2, 1, 3, 5), 4, bias=False)
    linearCase("1d", (7,), 3)
    linearCase("empty_batch", (0, 7), 3)


# ------------------------------------------------------------------------------------------------------------- batchNorm


def statistics(name, channels, low=0.05, high=3.0):
    """Statistics that no fresh layer has."""
    return {
        "runningMean": normal(f"{name}/runningMean", (channels,)) * 1.5,
        "runningVariance": uniform(f"{name}/runningVariance", (channels,), low, high),
    }


def batchNormCase(name, shape, eps=None, weight=True, bias=True, variance=(0.05, 3.0)):
    full = f"batchNorm/{name}"
    channels = (shape[1],)
    inputs = parameters(full, input=shape, weight=channels if weight else None, bias=channels if bias else None)
    inputs |= statistics(full, shape[1], *variance)
    if weight:
        inputs["weight"] = inputs["weight"] + 0.5
    options = {} if eps is None else {"eps": eps}
    case(
        "batchNorm",
        name,
        "batchNorm",
        inputs,
        options,
        lambda x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, False, 0.0, **options) if shape[0] else x.clone(),
        float32=True,
    )


TRAINED = ("output", "newMean", "newVariance")


def train(x, w, b, mean, var, eps=1e-5, momentum=0.1, shift=0.0):
    """Batch norm does not see a shift: far from zero PyTorch is asked about x - shift (exact), and the means are shifted back."""
    mean, var = mean.clone() - shift, var.clone()
    y = F.batch_norm(x - shift, mean, var, w, b, True, momentum, eps)
    return y, mean + shift, var


def trainingCase(name, x, eps=None, momentum=None, affine=True, shift=0.0, track=True):
    full = f"batchNormTraining/{name}"
    channels = x.shape[1]
    inputs = {"input": x} | parameters(full, weight=(channels,) if affine else None, bias=(channels,) if affine else None)
    inputs |= statistics(full, channels) if track else {"runningMean": None, "runningVariance": None}
    if track and shift:
        inputs["runningMean"] = inputs["runningMean"] + shift
    options = {key: value for key, value in {"eps": eps, "momentum": momentum}.items() if value is not None}
    if not track:
        compute, outputs = lambda x, w, b, *_: F.batch_norm(x, None, None, w, b, True, 0.1, options.get("eps", 1e-5)), ("output",)
    else:
        compute, outputs = lambda *given: train(*given, **options, shift=shift), TRAINED
    case("batchNorm", f"training_{name}", "batchNormTraining", inputs, options, compute, outputs)
    if shift:
        given = [None if value is None else value.double() for value in inputs.values()]
        assert torch.allclose(train(*given, **options)[0], compute(*given)[0], rtol=0, atol=1e-7)


def cumulativeCases():
    """momentum=None: three batches of one layer, each weighing 1 / (batches seen)."""
    layer = torch.nn.BatchNorm2d(4, momentum=None).double()
    torch.nn.init.normal_(layer.weight, generator=generator("cumulative/weight"))
    torch.nn.init.normal_(layer.bias, generator=generator("cumulative/bias"))
    layer.weight.data, layer.bias.data = layer.weight.data.float().double(), layer.bias.data.float().double()
    for batch in (1, 2, 3):
        x = normal(f"cumulative/{batch}", (3, 4, 5, 3)) * batch + batch
        inputs = {"input": x, "weight": layer.weight.data.float(), "bias": layer.bias.data.float()}
        inputs |= {"runningMean": layer.running_mean.clone(), "runningVariance": layer.running_var.clone()}
        y = layer(x.double()).detach()
        answer = (y, layer.running_mean.clone(), layer.running_var.clone())
        options = {"momentum": 1 / batch}
        case("batchNorm", f"training_cumulative_batch{batch}", "batchNormTraining", inputs, options, lambda *_, a=answer: a, TRAINED)


def batchNormFamily():
    batchNormCase("4d", (2, 5, 7, 9))
    batchNormCase("4d_eps_1e3", (1, 17, 3, 5), eps=1e-3)
    batchNormCase("3d", (2, 6, 11))
    batchNormCase("2d", (5, 7))
    batchNormCase("5d", (1, 3, 2, 3, 2))
    batchNormCase("not_affine", (2, 5, 4, 3), weight=False, bias=False)
    batchNormCase("weight_only", (1, 4, 3, 3), bias=False)
    batchNormCase("bias_only", (1, 4, 3, 3), weight=False)
    batchNormCase("tiny_variance", (1, 6, 4, 5), variance=(1e-6, 1e-4))
    batchNormCase("tiny_variance_eps_1e3", (1, 6, 4, 5), eps=1e-3, variance=(1e-6, 1e-4))
    batchNormCase("eps_0", (1, 3, 4, 5), eps=0)
    batchNormCase("one_pixel", (3, 5, 1, 1))
    batchNormCase("empty_batch", (0, 5, 2, 3))

    for name, shape in {"4d": (2, 5, 7, 3), "3d": (3, 4, 9), "2d": (6, 5), "one_pixel": (3, 4, 1, 1), "two_values": (2, 3, 1, 1)}.items():
        trainingCase(name, normal(f"training/{name}", shape) * 2 + 0.7)
    x = normal("training/options", (3, 4, 5, 2)) * 0.01
    trainingCase("eps_1e3", x, eps=1e-3)
    trainingCase("momentum_003", x, momentum=0.03)
    trainingCase("momentum_1", x, momentum=1.0)
    trainingCase("momentum_0", x, momentum=0.0)
    trainingCase("not_affine", x, affine=False)
    trainingCase("untracked", x, track=False)
    trainingCase("constant_channel", torch.full((2, 3, 4, 3), 1.25))
    signs = torch.where(normal("training/signs", (4, 3, 8, 5)) > 0, 1.0, -1.0)
    trainingCase("1e4_plus_minus_1", 1e4 + signs, shift=1e4)
    trainingCase("1e7_plus_minus_3", 1e7 + 3 * signs, shift=1e7)
    cumulativeCases()


# ------------------------------------------------------------------------------------------------------------ activation

ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leakyRelu": F.leaky_relu,
    "sigmoid": F.sigmoid,
    "silu": F.silu,
    "hardSigmoid": F.hardsigmoid,
    "hardSwish": F.hardswish,
    "gelu": F.gelu,
    "tanh": torch.tanh,
}

# Not a number, infinities, both zeros, subnormals, the corners of the piecewise functions with their neighbours, where float32's
# exponential ends, the largest. The same as `specialNumbers` in test/cases/data.ts.
TWO_SIGNED = (1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e-8, 0.5, 1, 2, 2.9999998, 3, 3.0000002, 5.9999995, 6, 6.0000005)
TWO_SIGNED += (8, 20, 30, 88, 89, 104, 700, 1e4, 1e38, 3.4028235e38)
SPECIAL = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0] + [s * v for v in TWO_SIGNED for s in (1, -1)], dtype=torch.float32)


def gelu(x, approximate="none"):
    """To the last bit, from 60 digits: PyTorch's own answer loses digits below -3, where 1 + erf cancels."""
    ours = F.gelu(x, approximate=approximate)
    assert x.dtype == torch.float64

    def exact(value):
        if not math.isfinite(value) or value == 0 or abs(value) > 1e9:
            return None
        with mpmath.workdps(60):
            v = mpmath.mpf(value)
            if approximate == "none":
                return float(v * mpmath.erfc(-v / mpmath.sqrt(2)) / 2)
            z = mpmath.sqrt(2 / mpmath.pi) * (v + mpmath.mpf(0.044715) * v**3)
            return float(v / (1 + mpmath.exp(-2 * z)))

    flat = ours.flatten().tolist()
    truth = [found if (found := exact(value)) is not None else flat[i] for i, value in enumerate(x.flatten().tolist())]
    truth = torch.tensor(truth, dtype=torch.float64).reshape(x.shape)
    assert torch.allclose(ours, truth, rtol=1e-15, atol=1e-14, equal_nan=True)
    return truth


def activationCase(name, operator, x, options, compute):
    case("activation", f"{operator}_{name}", operator, {"input": x}, options, compute)


def activationFamily():
    grid = torch.linspace(-12, 12, 193, dtype=torch.float32).reshape(1, 193)
    for operator, function in ACTIVATIONS.items():
        compute = gelu if operator == "gelu" else function
        activationCase("grid", operator, grid, {}, compute)
        activationCase("normal", operator, normal(f"activation/{operator}", (2, 3, 5, 7)) * 3, {}, compute)
        activationCase("special", operator, SPECIAL, {}, compute)
    for name, x in {"grid": grid, "special": SPECIAL}.items():
        activationCase(f"{name}_tanh", "gelu", x, {"approximate": "tanh"}, lambda x: gelu(x, "tanh"))
        activationCase(f"{name}_02", "leakyRelu", x, {"negativeSlope": 0.2}, lambda x: F.leaky_relu(x, 0.2))
        activationCase(f"{name}_negative", "leakyRelu", x, {"negativeSlope": -0.5}, lambda x: F.leaky_relu(x, -0.5))

    def preluCase(name, x, slope):
        case("activation", f"prelu_{name}", "prelu", {"input": x, "slope": slope}, {}, F.prelu)

    preluCase("one_slope", normal("prelu/one", (2, 3, 5, 4)), torch.tensor([0.25]))
    preluCase("per_channel", normal("prelu/channel", (2, 5, 3, 4)), normal("prelu/slopes", (5,)))
    preluCase("2d", normal("prelu/2d", (4, 6)), normal("prelu/2d_slopes", (6,)))
    preluCase("1d", normal("prelu/1d", (9,)), torch.tensor([0.1]))
    preluCase("special", SPECIAL, torch.tensor([0.25]))
    preluCase("special_negative", SPECIAL, torch.tensor([-0.5]))

    def softmaxCase(name, x, axis=None):
        options = {} if axis is None else {"axis": axis}
        case("activation", f"softmax_{name}", "softmax", {"input": x}, options, lambda x: F.softmax(x, -1 if axis is None else axis))

    softmaxCase("default_axis", normal("softmax/default", (3, 10)))
    for axis in range(4):
        softmaxCase(f"axis{axis}", normal(f"softmax/{axis}", (2, 5, 3, 4)) * 4, axis)
    softmaxCase("axis_minus3", normal("softmax/-3", (2, 5, 3, 4)), -3)
    softmaxCase("1d", normal("softmax/1d", (7,)), 0)
    softmaxCase("large", normal("softmax/large", (4, 9)) * 1e4, 1)
    softmaxCase("huge", torch.tensor([[1e38, -1e38, 3e38], [-3e38, -3e38, -2e38]]))
    softmaxCase("one_value", normal("softmax/one", (3, 1)))
    softmaxCase(
        "masked",
        torch.tensor([[-math.inf, 1, 2], [-math.inf, -math.inf, -math.inf], [math.inf, 1, 2], [math.nan, 1, -math.inf]]),
    )
    softmaxCase("empty_batch", normal("softmax/empty", (0, 4)))


# ------------------------------------------------------------------------------------------------------------- broadcast


def broadcastFamily():
    shapes = {
        "same": ((2, 3, 5, 4), (2, 3, 5, 4)),
        "per_image_channel": ((2, 3, 5, 4), (2, 3, 1, 1)),
        "per_channel": ((2, 3, 5, 4), (1, 3, 1, 1)),
        "per_channel_first": ((1, 3, 1, 1), (2, 3, 5, 4)),
        "scalar": ((2, 3, 5, 4), (1,)),
        "rank0": ((2, 3), ()),
        "per_pixel": ((2, 3, 5, 4), (2, 1, 5, 4)),
        "ranks_4_3": ((2, 3, 5, 4), (3, 1, 1)),
        "ranks_4_1": ((2, 3, 5, 4), (4,)),
        "ranks_2_4": ((5, 4), (2, 3, 1, 1)),
        "both_stretched": ((2, 1, 5, 1), (1, 3, 1, 4)),
        "empty_batch": ((0, 3, 5, 4), (1, 3, 1, 1)),
        "empty_stretched": ((1, 3), (0, 1)),
    }
    for operator, function in {"add": torch.add, "mul": torch.mul}.items():
        for name, (a, b) in shapes.items():
            inputs = {"a": normal(f"{operator}/{name}/a", a), "b": normal(f"{operator}/{name}/b", b)}
            case("broadcast", f"{operator}_{name}", operator, inputs, {}, function)
        inputs = {"a": SPECIAL.reshape(-1, 1), "b": SPECIAL[[0, 1, 2, 3, 4, 17, 18]].reshape(1, -1)}
        case("broadcast", f"{operator}_special", operator, inputs, {}, function)


# --------------------------------------------------------------------------------------------------------------- pooling


def poolCase(name, operator, x, function, **options):
    names = {"kernelSize": "kernel_size", "ceilMode": "ceil_mode", "countIncludePad": "count_include_pad", "outputSize": "output_size"}
    renamed = {names.get(key, key): value for key, value in options.items()}
    x = x if isinstance(x, torch.Tensor) else normal(f"{operator}/{name}", x)
    case("pooling", f"{operator}_{name}", operator, {"input": x}, options, lambda x: function(x, **renamed))


def poolingFamily():
    shared = {
        "2x2": ((2, 3, 7, 9), {"kernelSize": 2}),
        "3x3_stride2_pad1": ((1, 3, 13, 9), {"kernelSize": 3, "stride": 2, "padding": 1}),
        "3x3_stride1_pad1": ((2, 2, 5, 6), {"kernelSize": 3, "stride": 1, "padding": 1}),
        "3x2_stride12": ((1, 2, 8, 7), {"kernelSize": [3, 2], "stride": [1, 2]}),
        "5x4_pad21": ((1, 2, 11, 10), {"kernelSize": [5, 4], "stride": [2, 3], "padding": [2, 1]}),
        "stride_beyond_kernel": ((1, 3, 11, 8), {"kernelSize": 2, "stride": 3}),
        "ceil_2x2": ((1, 3, 7, 9), {"kernelSize": 2, "ceilMode": True}),
        "ceil_3x3_stride2": ((1, 2, 8, 6), {"kernelSize": 3, "stride": 2, "ceilMode": True}),
        "ceil_3x3_stride2_pad1": ((1, 2, 8, 7), {"kernelSize": 3, "stride": 2, "padding": 1, "ceilMode": True}),
        "ceil_drops_window_in_padding": ((1, 2, 5, 6), {"kernelSize": 2, "stride": 3, "padding": 1, "ceilMode": True}),
        "ceil_stride3_beyond": ((1, 2, 10, 9), {"kernelSize": [2, 3], "stride": 3, "padding": [1, 0], "ceilMode": True}),
        "ceil_smaller_than_kernel": ((1, 2, 2, 3), {"kernelSize": [3, 4], "stride": 2, "ceilMode": True}),
        "whole_image": ((2, 3, 5, 3), {"kernelSize": [5, 3]}),
        "one_pixel": ((2, 3, 1, 1), {"kernelSize": 3, "stride": 2, "padding": 1}),
        "empty_batch": ((0, 3, 5, 4), {"kernelSize": 2}),
    }
    for name, (shape, options) in shared.items():
        poolCase(name, "maxPool2d", shape, F.max_pool2d, **options)
        poolCase(name, "averagePool2d", shape, F.avg_pool2d, **options)
        if "padding" in options:
            poolCase(f"{name}_real_elements", "averagePool2d", shape, F.avg_pool2d, **options, countIncludePad=False)

    poolCase("dilation2", "maxPool2d", (1, 2, 9, 7), F.max_pool2d, kernelSize=3, stride=1, dilation=2)
    poolCase("dilation23_pad1", "maxPool2d", (1, 2, 11, 13), F.max_pool2d, kernelSize=3, stride=2, padding=1, dilation=[2, 3])
    poolCase("dilation2_ceil", "maxPool2d", (1, 2, 9, 10), F.max_pool2d, kernelSize=2, stride=3, padding=1, dilation=2, ceilMode=True)
    poolCase("dilation_steps_over_the_image", "maxPool2d", (1, 1, 1, 1), F.max_pool2d, kernelSize=2, stride=1, padding=1, dilation=2)
    rest = normal("pooling/special", (1, 1, 6, 5))
    rest[0, 0, :, 3] = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-40, math.nan])
    rest[0, 0, 2] = -math.inf
    poolCase("special", "maxPool2d", rest, F.max_pool2d, kernelSize=2, stride=1)
    poolCase("special", "averagePool2d", rest, F.avg_pool2d, kernelSize=2, stride=1)
    poolCase("special", "adaptiveMaxPool2d", rest, F.adaptive_max_pool2d, outputSize=[4, 3])

    for shape in ((2, 3, 5, 7), (3, 17, 1, 1), (1, 4, 1, 9), (0, 3, 5, 4)):
        name = "x".join(map(str, shape))
        poolCase(name, "globalAveragePool2d", shape, lambda x: x.mean((2, 3), keepdim=True))
        poolCase(name, "globalMaxPool2d", shape, lambda x: x.amax((2, 3), keepdim=True))
    poolCase("special", "globalMaxPool2d", rest, lambda x: x.amax((2, 3), keepdim=True))

    for size in (1, [1, 3], [2, 3], [3, 2], [5, 7], 4, [7, 10]):
        name = str(size).replace(", ", "x").strip("[]")
        poolCase(name, "adaptiveAveragePool2d", (2, 3, 5, 7), F.adaptive_avg_pool2d, outputSize=size)
        poolCase(name, "adaptiveMaxPool2d", (2, 3, 5, 7), F.adaptive_max_pool2d, outputSize=size)


# ------------------------------------------------------------------------------------------------- pure movement of data


def movementFamily():
    def concatCase(name, shapes, **options):
        inputs = {f"input{i}": normal(f"concat/{name}/{i}", shape) for i, shape in enumerate(shapes)}
        case("movement", f"concat_{name}", "concat", inputs, options, lambda *given: torch.cat(given, options.get("axis", 1)))

    concatCase("channels", ((2, 3, 5, 4), (2, 4, 5, 4)))
    concatCase("three", ((1, 1, 3, 5), (1, 17, 3, 5), (1, 2, 3, 5)), axis=1)
    concatCase("axis0", ((2, 3, 3), (1, 3, 3)), axis=0)
    concatCase("axis2", ((2, 3, 1, 4), (2, 3, 5, 4)), axis=2)
    concatCase("last", ((2, 3, 4), (2, 3, 1), (2, 3, 2)), axis=-1)
    concatCase("one", ((2, 3, 4),))
    concatCase("empty_part", ((2, 0, 3), (2, 4, 3)))

    def padCase(name, shape, **options):
        top, left, bottom, right = sides(options["padding"])
        mode = MODES[options.get("mode", "zeros")]
        rest = {"value": options.get("value", 0.0)} if mode == "constant" else {}
        inputs = {"input": normal(f"pad/{name}", shape)}
        case("movement", f"pad_{name}", "pad", inputs, options, lambda x: F.pad(x, (left, right, top, bottom), mode=mode, **rest))

    for mode in MODES:
        padCase(f"{mode}", (1, 2, 5, 4), padding=1, mode=mode)
        padCase(f"{mode}_asymmetric", (2, 2, 4, 7), padding=[3, 1, 0, 2], mode=mode)
        padCase(f"{mode}_one_side", (1, 2, 3, 5), padding=[0, 0, 2, 0], mode=mode)
        padCase(f"{mode}_as_far_as_it_goes", (1, 1, 3, 4), padding=[2, 3], mode=mode)
        padCase(f"{mode}_nothing", (1, 2, 3, 4), padding=0, mode=mode)
        padCase(f"{mode}_empty_batch", (0, 2, 3, 4), padding=1, mode=mode)
    padCase("circular_once_around", (1, 1, 3, 4), padding=[3, 4], mode="circular")
    padCase("zeros_beyond_the_image", (1, 1, 2, 3), padding=[5, 4, 3, 6])
    padCase("constant", (1, 2, 3, 4), padding=[1, 2, 3, 4], value=-1.5)
    padCase("minus_infinity", (1, 2, 3, 4), padding=1, value=-math.inf)
    families["movement"][-1]["options"]["value"] = "-Infinity"

    def flattenCase(name, shape, **options):
        start, end = options.get("startAxis", 1), options.get("endAxis", -1)
        inputs = {"input": normal(f"flatten/{name}", shape)}
        case("movement", f"flatten_{name}", "flatten", inputs, options, lambda x: torch.flatten(x, start, end))

    flattenCase("default", (2, 3, 5, 4))
    flattenCase("all", (2, 3, 4), startAxis=0)
    flattenCase("middle", (2, 3, 5, 4), startAxis=1, endAxis=2)
    flattenCase("negative", (2, 3, 5, 4), startAxis=-3, endAxis=-2)
    flattenCase("one_axis", (2, 3, 4), startAxis=1, endAxis=1)
    flattenCase("rank0", (), startAxis=0)
    flattenCase("empty_batch", (0, 3, 4))

    def reshapeCase(name, shape, to):
        filled = [shape[axis] if extent == 0 else extent for axis, extent in enumerate(to)]
        inputs = {"input": normal(f"reshape/{name}", shape)}
        case("movement", f"reshape_{name}", "reshape", inputs, {"shape": to}, lambda x: x.reshape(filled))

    reshapeCase("plain", (2, 3, 4), [4, 6])
    reshapeCase("wildcard", (2, 3, 5, 4), [2, -1])
    reshapeCase("keep_and_wildcard", (2, 3, 5, 4), [0, -1, 4])
    reshapeCase("split", (2, 12, 3), [0, 3, 4, 0 + 3])
    reshapeCase("to_scalar", (1, 1), [])
    reshapeCase("empty_batch", (0, 3, 4), [-1, 12])


# -------------------------------------------------------------------------------------------------------------- rounding


def nearest(value, fraction_bits, bias):
    """Bits of the nearest 16-bit float of a finite float64, ties to even, in exact arithmetic."""
    sign = 0x8000 if math.copysign(1, value) < 0 else 0
    magnitude = abs(Fraction(value))
    exponent = max(math.frexp(value)[1] - 1, 1 - bias) if value else 1 - bias
    steps = round(magnitude / Fraction(2) ** (exponent - fraction_bits))  # Python rounds a Fraction half to even
    return sign | min((exponent + bias - 1) * 2**fraction_bits + steps, (2 * bias + 1) << fraction_bits)


def roundingFamily():
    """<format>/values (float64) and <format>/rounded; <format>/bits and <format>/widened (float32)."""
    store = tensors.setdefault("rounding", {})
    for name, dtype, fraction_bits, bias in (("float16", torch.float16, 10, 15), ("bfloat16", torch.bfloat16, 7, 127)):
        unit = 2.0**-fraction_bits
        tiny = 2.0 ** (1 - bias)
        largest = float(torch.finfo(dtype).max)
        last = 2**fraction_bits - 1
        ties = [(1 + (i + 0.5) * unit) * scale for i in (0, 1, 2, last - 1, last) for scale in (1, 2.0**-5, 2.0**9)]
        subnormals = [tiny * unit * steps for steps in (0.25, 0.5, 0.75, 1, 1.5, 2.5, 3, last, last + 0.5, last + 1)]
        overflow = [largest, largest * (1 + unit / 4), largest + 2.0 ** (bias - fraction_bits - 1), largest * 1.01]
        drawn = (normal(f"rounding/{name}", (300,)) * torch.exp(normal(f"rounding/{name}/scale", (300,)) * 4)).tolist()
        plain = [0.0, 1.0, 0.1, 1 / 3, math.pi, 65504.0, 65519.0, 65520.0]
        single = torch.tensor(plain + ties + subnormals + overflow + drawn, dtype=torch.float32)
        single = single[single.isfinite()].tolist()
        # Just beside a tie, nearer than float32 can tell: whoever rounds twice errs.
        traps = [tie * (1 + s * 2.0**-e) for tie in ties for s in (1, -1) for e in (26, 40, 52)]
        traps += [tiny * unit * steps * (1 + s * 2.0**-40) for steps in (0.5, 1.5, 2.5) for s in (1, -1)]
        traps += [(largest + 2.0 ** (bias - fraction_bits - 1)) * (1 - 2.0**-45), 1e300, 5e-324, 1e-300]

        exact = [nearest(v, fraction_bits, bias) for v in single]
        assert exact == torch.tensor(single, dtype=torch.float32).to(dtype).view(torch.uint16).tolist()
        if name == "float16":
            with numpy.errstate(over="ignore"):
                assert [nearest(v, 10, 15) for v in traps] == numpy.array(traps).astype(numpy.float16).view(numpy.uint16).tolist()
        values = [s * v for v in single + traps for s in (1, -1)]
        bits = [nearest(v, fraction_bits, bias) for v in values]
        values += [math.inf, -math.inf, math.nan]
        bits += torch.tensor([math.inf, -math.inf, math.nan]).to(dtype).view(torch.uint16).tolist()
        store[f"{name}/values"] = torch.tensor(values, dtype=torch.float64)
        store[f"{name}/rounded"] = torch.tensor(bits, dtype=torch.uint16).view(dtype)

        borders = {0, 1, 2, 3} | {(e << fraction_bits) + d for e in range(1, 2 * bias + 2) for d in (-1, 0, 1)}
        patterns = sorted({(s | b) & 0xFFFF for b in borders | set(range(5, 0x8000, 97)) for s in (0, 0x8000)})
        stored = torch.tensor(patterns, dtype=torch.uint16).view(dtype)
        store[f"{name}/bits"] = stored
        store[f"{name}/widened"] = stored.to(torch.float32)


def main():
    torch.set_num_threads(1)
    conv2dFamily()
    convTranspose2dFamily()
    linearFamily()
    batchNormFamily()
    activationFamily()
    broadcastFamily()
    poolingFamily()
    movementFamily()
    roundingFamily()

    for family, store in tensors.items():
        save_file(store, HERE / f"{family}.safetensors", metadata={"torch": torch.__version__.split("+")[0]})
    rows = {family: ",\n    ".join(json.dumps(row, allow_nan=False) for row in cases) for family, cases in families.items()}
    text = ",\n".join(f'  "{family}": [\n    {lines}\n  ]' for family, lines in rows.items())
    (HERE / "cases.json").write_text("{\n" + text + "\n}\n")
    for path in sorted(HERE.iterdir()):
        print(f"{path.stat().st_size:9,d}  {path.name}")


if __name__ == "__main__":
    main()
