"""
The blocks and networks of lib/nn as PyTorch modules, written from the papers' formulas: what make.py asks for answers.

Every block states its branches as (convolution or None, batch norm) pairs, so that the fold exists once, in float64 and by the formula of
RepVGG, section 3.3: kernel k·γ/√(σ² + ε), bias β + (b − μ)·γ/√(σ² + ε).
"""

from collections import OrderedDict

import torch
from torch import nn


def conv_bn(ci, co, kernel, stride=1, padding=0, groups=1, bias=True, padding_mode="zeros", eps=1e-5):
    conv = nn.Conv2d(ci, co, kernel, stride, padding, groups=groups, bias=bias, padding_mode=padding_mode)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(co, eps=eps)))


class SEBlock(nn.Module):
    def __init__(self, channels, reduced, keys):
        super().__init__()
        self.keys = keys
        self.add_module(keys[0], nn.Conv2d(channels, reduced, 1))
        self.add_module(keys[1], nn.Conv2d(reduced, channels, 1))

    def forward(self, x):
        inner = torch.relu(getattr(self, self.keys[0])(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(getattr(self, self.keys[1])(inner))


class Block(nn.Module):
    """Branches, then something that does not fold. Subclasses give `branches` as (name of the child, convolution or None, batch norm)."""

    def linear(self, x):
        if self.deploy:
            return getattr(self, self.reparam_key)(x)
        return sum(bn(x if conv is None else conv(x)) for _, conv, bn in self.branches())

    def fold(self):
        """Kernel and bias in float64."""
        like = self.deployed_conv()
        kernel, bias = torch.zeros_like(like.weight, dtype=torch.float64), torch.zeros(like.out_channels, dtype=torch.float64)
        height, width = like.kernel_size
        for _, conv, bn in self.branches():
            scale = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
            if conv is None:
                own = torch.zeros_like(kernel)
                for o in range(like.out_channels):
                    own[o, o % like.weight.shape[1], height // 2, width // 2] = 1
            else:
                p, q = (height - conv.kernel_size[0]) // 2, (width - conv.kernel_size[1]) // 2
                own = nn.functional.pad(conv.weight.double(), (q, q, p, p))
            shift = 0 if conv is None or conv.bias is None else conv.bias.double()
            kernel += own * scale[:, None, None, None]
            bias += bn.bias.double() + (shift - bn.running_mean.double()) * scale
        return kernel.detach(), bias.detach()

    def switch_to_deploy(self):
        kernel, bias = self.fold()
        conv = self.deployed_conv()
        conv.weight.data, conv.bias.data = kernel.float(), bias.float()
        for name in dict.fromkeys(name for name, _, _ in self.branches()):
            delattr(self, name)
        self.add_module(self.reparam_key, conv)
        self.deploy = True


class ConvBlock(Block):
    reparam_key = "rbr_reparam"

    def __init__(self, ci, co, stride=1, groups=1, padding_mode="zeros", eps=1e-5, deploy=False):
        super().__init__()
        self.shape, self.options, self.deploy = (ci, co), dict(stride=stride, groups=groups, padding_mode=padding_mode), deploy
        self.identity = nn.Identity()
        self.relu = nn.ReLU()
        if deploy:
            self.rbr_reparam = self.deployed_conv()
            return
        if ci == co and stride == 1:
            self.rbr_identity = nn.BatchNorm2d(co, eps=eps)
        self.conv3_3 = conv_bn(ci, co, 3, stride, 1, groups, padding_mode=padding_mode, eps=eps)
        self.conv1_1 = conv_bn(ci, co, 1, stride, 0, groups, eps=eps)

    def deployed_conv(self):
        return nn.Conv2d(*self.shape, 3, padding=1, **self.options)

    def branches(self):
        yield "conv3_3", self.conv3_3.conv, self.conv3_3.bn
        yield "conv1_1", self.conv1_1.conv, self.conv1_1.bn
        if hasattr(self, "rbr_identity"):
            yield "rbr_identity", None, self.rbr_identity

    def forward(self, x):
        return self.relu(self.linear(x))


class RepVGGBlock(Block):
    reparam_key = "rbr_reparam"

    def __init__(self, ci, co, stride=1, groups=1, use_se=False, eps=1e-5, deploy=False):
        super().__init__()
        self.shape, self.options, self.deploy = (ci, co), dict(stride=stride, groups=groups), deploy
        self.nonlinearity = nn.ReLU()
        self.se = SEBlock(co, co // 16, ("down", "up")) if use_se else nn.Identity()
        if deploy:
            self.rbr_reparam = self.deployed_conv()
            return
        if ci == co and stride == 1:
            self.rbr_identity = nn.BatchNorm2d(ci, eps=eps)
        self.rbr_dense = conv_bn(ci, co, 3, stride, 1, groups, bias=False, eps=eps)
        self.rbr_1x1 = conv_bn(ci, co, 1, stride, 0, groups, bias=False, eps=eps)

    def deployed_conv(self):
        return nn.Conv2d(*self.shape, 3, padding=1, **self.options)

    def branches(self):
        yield "rbr_dense", self.rbr_dense.conv, self.rbr_dense.bn
        yield "rbr_1x1", self.rbr_1x1.conv, self.rbr_1x1.bn
        if hasattr(self, "rbr_identity"):
            yield "rbr_identity", None, self.rbr_identity

    def forward(self, x):
        return self.nonlinearity(self.se(self.linear(x)))


class MobileOneBlock(Block):
    reparam_key = "reparam_conv"

    def __init__(self, ci, co, kernel, stride=1, padding=0, groups=1, use_se=False, branches=1, eps=1e-5, deploy=False):
        super().__init__()
        self.shape, self.options, self.deploy = (ci, co, kernel), dict(stride=stride, padding=padding, groups=groups), deploy
        self.se = SEBlock(co, co // 16, ("reduce", "expand")) if use_se else nn.Identity()
        self.activation = nn.ReLU()
        if deploy:
            self.reparam_conv = self.deployed_conv()
            return
        if ci == co and stride == 1:
            self.rbr_skip = nn.BatchNorm2d(ci, eps=eps)
        self.rbr_conv = nn.ModuleList(conv_bn(ci, co, kernel, stride, padding, groups, bias=False, eps=eps) for _ in range(branches))
        if kernel > 1:
            self.rbr_scale = conv_bn(ci, co, 1, stride, 0, groups, bias=False, eps=eps)

    def deployed_conv(self):
        return nn.Conv2d(*self.shape, **self.options)

    def branches(self):
        for branch in self.rbr_conv:
            yield "rbr_conv", branch.conv, branch.bn
        if hasattr(self, "rbr_scale"):
            yield "rbr_scale", self.rbr_scale.conv, self.rbr_scale.bn
        if hasattr(self, "rbr_skip"):
            yield "rbr_skip", None, self.rbr_skip

    def forward(self, x):
        return self.activation(self.se(self.linear(x)))


class Network(nn.Module):
    def forward(self, x):
        for stage in (self.stage0, self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
        return self.linear(torch.flatten(self.gap(x), 1))


class RepVGG(Network):
    """Table 2 of arXiv:2101.03697; groups at every second layer from the third on."""

    def __init__(self, blocks, width, groups=1, use_se=False, num_classes=1000, deploy=False):
        super().__init__()
        ci = min(64, int(64 * width[0]))
        self.stage0 = RepVGGBlock(3, ci, 2, 1, use_se, deploy=deploy)
        layer = 1
        for stage, count in enumerate(blocks):
            co = int(64 * 2**stage * width[stage])
            members = []
            for i in range(count):
                members.append(RepVGGBlock(ci, co, 2 if i == 0 else 1, groups if layer % 2 == 0 else 1, use_se, deploy=deploy))
                ci, layer = co, layer + 1
            self.add_module(f"stage{stage + 1}", nn.Sequential(*members))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(ci, num_classes)


class MobileOne(Network):
    """Table 2 of arXiv:2206.04040."""

    def __init__(self, width, branches=1, use_se=False, num_classes=1000, deploy=False):
        super().__init__()
        ci = min(64, int(64 * width[0]))
        self.stage0 = MobileOneBlock(3, ci, 3, 2, 1, deploy=deploy)
        # The last five layers of stage 3, and stage 4.
        for stage, (count, attentive) in enumerate(((2, 0), (8, 0), (10, 5), (1, 1))):
            co = int(64 * 2**stage * width[stage])
            members = []
            for i in range(count):
                se = use_se and i >= count - attentive
                members.append(MobileOneBlock(ci, ci, 3, 2 if i == 0 else 1, 1, ci, se, branches, deploy=deploy))
                members.append(MobileOneBlock(ci, co, 1, use_se=se, branches=branches, deploy=deploy))
                ci = co
            self.add_module(f"stage{stage + 1}", nn.Sequential(*members))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(ci, num_classes)


A, B = (2, 4, 14, 1), (4, 6, 16, 1)
FAMILY = {
    "repvgg-a0": (RepVGG, dict(blocks=A, width=(0.75, 0.75, 0.75, 2.5))),
    "repvgg-a1": (RepVGG, dict(blocks=A, width=(1, 1, 1, 2.5))),
    "repvgg-a2": (RepVGG, dict(blocks=A, width=(1.5, 1.5, 1.5, 2.75))),
    "repvgg-b0": (RepVGG, dict(blocks=B, width=(1, 1, 1, 2.5))),
    "repvgg-b1": (RepVGG, dict(blocks=B, width=(2, 2, 2, 4))),
    "repvgg-b1g2": (RepVGG, dict(blocks=B, width=(2, 2, 2, 4), groups=2)),
    "repvgg-b1g4": (RepVGG, dict(blocks=B, width=(2, 2, 2, 4), groups=4)),
    "repvgg-b2": (RepVGG, dict(blocks=B, width=(2.5, 2.5, 2.5, 5))),
    "repvgg-b2g2": (RepVGG, dict(blocks=B, width=(2.5, 2.5, 2.5, 5), groups=2)),
    "repvgg-b2g4": (RepVGG, dict(blocks=B, width=(2.5, 2.5, 2.5, 5), groups=4)),
    "repvgg-b3": (RepVGG, dict(blocks=B, width=(3, 3, 3, 5))),
    "repvgg-b3g2": (RepVGG, dict(blocks=B, width=(3, 3, 3, 5), groups=2)),
    "repvgg-b3g4": (RepVGG, dict(blocks=B, width=(3, 3, 3, 5), groups=4)),
    "repvgg-d2se": (RepVGG, dict(blocks=(8, 14, 24, 1), width=(2.5, 2.5, 2.5, 5), use_se=True)),
    "mobileone-s0": (MobileOne, dict(width=(0.75, 1, 1, 2), branches=4)),
    "mobileone-s1": (MobileOne, dict(width=(1.5, 1.5, 2, 2.5))),
    "mobileone-s2": (MobileOne, dict(width=(1.5, 2, 2.5, 4))),
    "mobileone-s3": (MobileOne, dict(width=(2, 2.5, 3, 4))),
    "mobileone-s4": (MobileOne, dict(width=(3, 3.5, 3.5, 4), use_se=True)),
}
