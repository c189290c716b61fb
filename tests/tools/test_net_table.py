"""The table of tools/bench/nets.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "bench"))

from net_table import Row, table

ROW = Row(
    "lenet", 1, 4e6,
    {"protonet": [0.02, 0.04, 0.03], "protonet-net": [0.01], "torch": [0.2], "ncnn": [0.05, 0.07]},
)  # fmt: skip


def test_ratio_is_our_median_over_the_best_peers():
    assert ROW.best_peer == "ncnn"
    assert ROW.ratio == pytest.approx(0.03 / 0.06)


def test_our_other_engines_are_no_peers():
    row = Row("lenet", 1, 4e6, {"protonet": [1.0], "protonet-net": [0.5]})
    assert row.best_peer is None
    assert row.ratio is None


def test_share_is_of_operations_in_a_second():
    assert ROW.share(peak=400) == pytest.approx(4e6 / 0.03e-3 / 400e9)


def test_an_engine_that_did_not_run_leaves_a_dash():
    text = table([ROW], ["protonet", "torch", "ncnn", "opencv"], peak=400)
    assert text.split("\n")[-1] == "| lenet | 1 | 0.004 | 0.03 | 0.2 | **0.06** | – | 0.50 | 33% |"


def test_a_row_without_ours_has_neither_ratio_nor_share():
    text = table([Row("lenet", 1, 4e6, {"torch": [2.0]})], ["protonet", "torch"], peak=400)
    assert text.split("\n")[-1] == "| lenet | 1 | 0.004 | – | **2** | – | – |"
