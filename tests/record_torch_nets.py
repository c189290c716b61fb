"""Records what torch exports and computes: `python record_torch_nets.py FOLDER`.

Writes <net>_<exporter>.onnx and <net>.npz with an input and the output that torch gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch_nets import NETS, made


def stripped(path: Path) -> None:
    """Takes out what exporters tell of the machine that they ran on."""
    model = onnx.load(path)
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        graph.doc_string = ""
        for item in [*graph.node, *graph.value_info, *graph.input, *graph.output, graph]:
            item.doc_string = ""
            del item.metadata_props[:]
        for node in graph.node:
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        for tensor in graph.initializer:
            tensor.doc_string = ""
            del tensor.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


def main(folder: Path) -> None:
    for name in NETS:
        net, x = made(name)
        with torch.no_grad():
            np.savez_compressed(folder / f"{name}.npz", x=x.numpy(), y=net(x).numpy())
        for exporter, settings in (
            ("script", {"dynamo": False, "opset_version": 17}),
            ("dynamo", {"dynamo": True, "external_data": False}),
        ):
            path = folder / f"{name}_{exporter}.onnx"
            torch.onnx.export(
                net, (x,), str(path), input_names=["x"], output_names=["y"], **settings
            )
            stripped(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
