"""Recorded runs of Caffe's layers: finding them, and holding a Net against one.

golden/<kind>/<Type>/<case>.prototxt is a whole net; its .npz holds in/<blob>, param/<layer>/<i>,
topdiff/<blob> to set, and out/<blob>, outs/<k>/<blob>, loss, paramafter/…, bottomdiff/…,
paramdiff/… that Caffe computed. `meta` says phase, tolerances, and which inputs get a gradient.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import protonet
from protonet.ir.protonet_pb2 import NetParameter, Phase
from protonet.layers.registry import layer_types

GOLDEN = Path(__file__).parent / "golden"
DATA_TYPES = {"Data", "DummyData", "HDF5Data", "HDF5Output", "ImageData", "MemoryData"}
UNTOUCHED = 12345.0


@dataclass(frozen=True)
class GoldenCase:
    """One recorded run."""

    path: Path  # without suffix

    def __str__(self) -> str:
        return f"{self.path.parent.name}-{self.path.name}"

    @property
    def message(self) -> NetParameter:
        return protonet.read_net(self.path.with_suffix(".prototxt"))

    @property
    def types(self) -> set[str]:
        """The layer types that the net needs."""
        return {layer.type for layer in self.message.layer}


def all_cases(kind: str) -> list[GoldenCase]:
    """Returns the cases in golden/<kind>, but not those of data layers."""
    return [
        GoldenCase(path.with_suffix(""))
        for path in sorted((GOLDEN / kind).glob("*/*.npz"))
        if path.parent.name not in DATA_TYPES
    ]


def known_cases(kind: str) -> list[GoldenCase]:
    """Returns the cases whose layer types all have a class."""
    known = set(layer_types())
    return [case for case in all_cases(kind) if case.types <= known]


def missing_types(kind: str) -> set[str]:
    """Returns the layer types that some case needs and that have no class."""
    return {type for case in all_cases(kind) for type in case.types} - set(layer_types())


class GoldenRun:
    """A Net and what Caffe computed for it. The current folder must be the case's."""

    def __init__(self, case: GoldenCase, dtype: type = np.float32) -> None:
        with np.load(case.path.with_suffix(".npz")) as recorded:
            self.recorded = {key: recorded[key] for key in recorded.files}
        self.meta: dict[str, Any] = json.loads(str(self.recorded.pop("meta")))
        self.net = protonet.Net(
            f"{case.path.name}.prototxt", Phase.Value(self.meta["phase"]), dtype=dtype, seed=0
        )
        for name, values in self.of("param"):
            self.parameter(name)[...] = values

    def of(self, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yields name and array of each key that begins with the prefix."""
        for key, values in self.recorded.items():
            if key.startswith(prefix + "/"):
                yield key[len(prefix) + 1 :], values

    def parameter(self, name: str, diff: bool = False) -> np.ndarray:
        layer, index = name.rsplit("/", 1)
        blob = self.net.params[layer][int(index)]
        return blob.diff if diff else blob.data

    def compare(self, found: Mapping[str, np.ndarray], prefix: str) -> None:
        for name, want in self.of(prefix):
            assert found[name].shape == want.shape, f"{prefix}/{name}"
            np.testing.assert_allclose(
                found[name], want, rtol=self.meta["rtol"], atol=self.meta["atol"],
                err_msg=f"{prefix}/{name}",
            )  # fmt: skip

    def forward(self) -> None:
        """Runs all forward passes and compares each."""
        for number in range(self.meta["forwards"]):
            for name, values in self.of("in"):
                self.net.blobs[name].data[...] = values
            self.net.forward()
            found = {name: blob.data for name, blob in self.net.blobs.items()}
            self.compare(found, f"outs/{number}")
        self.compare(found, "out")
        np.testing.assert_allclose(
            self.net.loss, self.recorded["loss"], rtol=self.meta["rtol"], atol=self.meta["atol"]
        )
        after = {name: self.parameter(name) for name, _ in self.of("paramafter")}
        self.compare(after, "paramafter")

    def backward(self) -> None:
        """Runs a backward pass and compares gradients, and which inputs got one."""
        self.net.clear_param_diffs()  # first: a Parameter layer's top is its blob
        inputs = [name for name, _ in self.of("in")]
        for name in inputs:
            self.net.blobs[name].diff[...] = UNTOUCHED
        for name, values in self.of("topdiff"):
            blob = self.net.blobs[name]
            if self.net.blob_loss_weights.get(name):
                np.testing.assert_allclose(blob.diff, values, err_msg=f"loss weight of {name}")
            blob.diff[...] = values
        self.net.backward()
        found = {name: blob.diff for name, blob in self.net.blobs.items()}
        self.compare(found, "bottomdiff")
        self.compare(
            {name: self.parameter(name, diff=True) for name, _ in self.of("paramdiff")}, "paramdiff"
        )
        given = {name for name, _ in self.of("topdiff")}
        touched = {name for name in inputs if np.any(found[name] != UNTOUCHED)}
        assert touched - given == set(self.meta["propagates"]) - given

    def compare_names(self) -> None:
        """Compares the net's outputs and the blobs of Split layers."""
        assert self.net.outputs == self.meta["outputs"]
        made = [n for n in self.net.blobs if n == "(automatic)" or re.search(r"_split_\d+$", n)]
        assert made == self.meta["split_blobs"]
