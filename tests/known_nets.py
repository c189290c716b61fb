"""Well-known networks as text, whose sizes the literature gives."""

from __future__ import annotations

__all__ = ["alexnet", "resnet50", "vgg16"]


class _Text:
    """Writes layers one after the other; `last` is the blob that the next one reads."""

    def __init__(self, name: str, *shape: int) -> None:
        dims = " ".join(f"dim: {size}" for size in shape)
        self.lines = [
            f'name: "{name}"',
            f'layer {{ name: "data" type: "Input" top: "data" '
            f"input_param {{ shape {{ {dims} }} }} }}",
        ]
        self.last = "data"

    def layer(self, name: str, type: str, settings: str = "", *bottoms: str, top: str = "") -> str:
        reads = "".join(f' bottom: "{bottom}"' for bottom in bottoms or (self.last,))
        self.last = top or name
        self.lines.append(
            f'layer {{ name: "{name}" type: "{type}"{reads} top: "{self.last}" {settings} }}'
        )
        return self.last

    def conv(self, name: str, outputs: int, kernel: int, more: str = "", *bottoms: str) -> str:
        settings = f"num_output: {outputs} kernel_size: {kernel} {more}"
        return self.layer(name, "Convolution", f"convolution_param {{ {settings} }}", *bottoms)

    def relu(self) -> None:
        self.layer(f"relu_{self.last}", "ReLU", "", top=self.last)

    def pool(self, name: str, kernel: int, stride: int, method: str = "MAX") -> None:
        settings = f"pool: {method} kernel_size: {kernel} stride: {stride}"
        self.layer(name, "Pooling", f"pooling_param {{ {settings} }}")

    def fc(self, name: str, outputs: int) -> None:
        self.layer(name, "InnerProduct", f"inner_product_param {{ num_output: {outputs} }}")

    def head(self) -> None:
        """fc6, fc7, fc8 of AlexNet and VGG."""
        for name in ("fc6", "fc7"):
            self.fc(name, 4096)
            self.relu()
            self.layer(f"drop_{name}", "Dropout", "", top=name)
        self.fc("fc8", 1000)
        self.layer("prob", "Softmax")

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def alexnet(batch: int = 1) -> str:
    """AlexNet with the two halves of its grouped convolutions (Krizhevsky et al., 2012)."""
    text = _Text("AlexNet", batch, 3, 227, 227)
    text.conv("conv1", 96, 11, "stride: 4")
    text.relu()
    text.layer("norm1", "LRN", "lrn_param { local_size: 5 alpha: 0.0001 }")
    text.pool("pool1", 3, 2)
    text.conv("conv2", 256, 5, "pad: 2 group: 2")
    text.relu()
    text.layer("norm2", "LRN", "lrn_param { local_size: 5 alpha: 0.0001 }")
    text.pool("pool2", 3, 2)
    for name, outputs, group in (("conv3", 384, 1), ("conv4", 384, 2), ("conv5", 256, 2)):
        text.conv(name, outputs, 3, f"pad: 1 group: {group}")
        text.relu()
    text.pool("pool5", 3, 2)
    text.head()
    return str(text)


def vgg16(batch: int = 1) -> str:
    """VGG-16, configuration D (Simonyan and Zisserman, 2014)."""
    text = _Text("VGG16", batch, 3, 224, 224)
    for block, (outputs, count) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1
    ):
        for number in range(1, count + 1):
            text.conv(f"conv{block}_{number}", outputs, 3, "pad: 1")
            text.relu()
        text.pool(f"pool{block}", 2, 2)
    text.head()
    return str(text)


def resnet50(batch: int = 1) -> str:
    """ResNet-50 with the stride in the first 1×1 convolution of a block (He et al., 2015)."""
    text = _Text("ResNet50", batch, 3, 224, 224)

    def normed(name: str, outputs: int, kernel: int, more: str, *bottoms: str) -> str:
        text.conv(name, outputs, kernel, f"bias_term: false {more}", *bottoms)
        text.layer(f"bn_{name}", "BatchNorm", "", top=name)
        return text.layer(f"scale_{name}", "Scale", "scale_param { bias_term: true }", top=name)

    normed("conv1", 64, 7, "stride: 2 pad: 3")
    text.relu()
    text.pool("pool1", 3, 2)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=2):
        for block in range(blocks):
            name, above = f"res{stage}{chr(97 + block)}", text.last
            stride = f"stride: {2 if stage > 2 and block == 0 else 1}"
            short = normed(f"{name}_short", 4 * width, 1, stride) if block == 0 else above
            normed(f"{name}_a", width, 1, stride, above)
            text.relu()
            normed(f"{name}_b", width, 3, "pad: 1")
            text.relu()
            normed(f"{name}_c", 4 * width, 1, "")
            text.layer(name, "Eltwise", "", short, text.last)
            text.relu()
    text.layer("pool5", "Pooling", "pooling_param { pool: AVE global_pooling: true }")
    text.fc("fc1000", 1000)
    text.layer("prob", "Softmax")
    return str(text)
