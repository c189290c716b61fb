"""Networks written in torch, of the kinds that people take from torch to Caffe.

python tests/torch_nets.py    records in tests/golden/onnx what torch's exporters make of them
                              (it needs torch and onnxscript, the tests do not)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["NETS", "exported", "made"]


class Residual(nn.Module):
    """Blocks with shortcuts, batch normalisation, a pooled head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )  # fmt: skip
        self.one, self.two = self.branch(8, 8, 1), self.branch(8, 16, 2)
        self.short = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 10)

    def branch(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = F.relu(x + self.one(x))
        x = F.relu(self.short(x) + self.two(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Inverted(nn.Module):
    """Inverted bottlenecks with squeeze and excitation, hard swish, ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1), nn.BatchNorm2d(24), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(24, 24, 5, 1, 2, groups=24), nn.Hardswish())
        self.squeeze, self.excite = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.project = nn.Conv2d(24, 8, 1)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        y = self.depth(self.expand(x))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        x = x + self.project(y * F.hardsigmoid(gate))
        return F.softmax(self.head(x.mean((2, 3), keepdim=True)).flatten(1), dim=1)


class Vgg(nn.Module):
    """Plain convolutions, three fully connected layers, dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 8), (8, 16), (16, 16)):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2, 2)]
        self.features = nn.Sequential(*layers)
        self.classes = nn.Sequential(
            nn.Linear(16 * 16, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 7), nn.LogSoftmax(1)
        )

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        return self.classes(x.view(x.size(0), -1))


class Dense(nn.Module):
    """Each layer reads all before it; normalisation comes first, pooling by means."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 1, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6 + 4 * n) for n in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(6 + 4 * n, 4, 3, 1, 1) for n in range(3))
        self.transition = nn.Conv2d(18, 9, 1)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        x = F.avg_pool2d(self.transition(x), 2, 2)
        return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


class UNet(nn.Module):
    """Down and up again, by a transposed convolution and by both kinds of upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 8, 3, 1, 1)])
        self.bottom = nn.Conv2d(8, 8, 3, 1, 2, dilation=2)
        self.up = nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1)
        self.join, self.out = nn.Conv2d(16, 6, 3, 1, 1), nn.Conv2d(12, 2, 1)

    def forward(self, x: Any) -> Any:
        first = F.leaky_relu(self.down[0](x), 0.1)
        second = F.elu(self.down[1](F.max_pool2d(first, 2)))
        low = torch.tanh(self.bottom(F.max_pool2d(second, 3, 2, ceil_mode=True)[..., :8, :8]))
        up = self.join(torch.cat([self.up(low), second], 1))
        near = F.interpolate(up, scale_factor=2, mode="nearest")
        smooth = F.interpolate(up, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.out(torch.cat([near, smooth - first], 1)))


class Shapes(nn.Module):
    """Shape arithmetic, splits, padding, channel shuffling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.slope = nn.PReLU(8)

    def forward(self, x: Any) -> Any:
        x = self.slope(self.conv(F.pad(x, (0, 1, 0, 1))))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        left, right = x.chunk(2, 1)
        scale = torch.arange(4, dtype=torch.float32).view(1, 4, 1, 1) + 1
        x = left * scale - 2 * right / 3 + right[:, 1:2]
        x = F.pixel_shuffle(x, 2).squeeze(1)
        return x.clamp(-1, 2).unsqueeze(1).pow(2).mean(3).sqrt()


NETS = {net.__name__: net for net in (Residual, Inverted, Vgg, Dense, UNet, Shapes)}


def made(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Returns a net with numbers in it that no test passes by chance, and an input."""
    torch.manual_seed(0)
    net = NETS[name]()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return net.eval(), torch.randn(1, 3, 32, 32)


def exported(name: str, path: Path, exporter: str) -> tuple[nn.Module, torch.Tensor]:
    """Writes a net as ONNX by one of torch's exporters, "script" or "dynamo"."""
    net, x = made(name)
    more: dict[str, Any] = {"external_data": False} if exporter == "dynamo" else {}
    torch.onnx.export(
        net, (x,), str(path), dynamo=exporter == "dynamo", input_names=["x"], output_names=["y"],
        **more,
    )  # fmt: skip
    return net, x


if __name__ == "__main__":
    folder = Path(__file__).parent / "golden" / "onnx"
    for name in NETS:
        for exporter in ("script", "dynamo"):
            net, x = exported(name, folder / f"{name}_{exporter}.onnx", exporter)
        np.savez_compressed(folder / f"{name}.npz", x=x.numpy(), y=net(x).detach().numpy())
