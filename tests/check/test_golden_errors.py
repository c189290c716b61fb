"""What Caffe refuses is refused here, with an error that stands at the culprit."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from checking import at

from protonet import Error, Net
from protonet.check.examine import examine
from protonet.ir.document import read_net_document
from protonet.layers.registry import layer_class
from protonet.prototxt.diagnostics import Severity

FOLDER = Path(__file__).parent.parent / "golden" / "errors"

# Where the error is to stand, for those cases where one place is better than others.
PLACES = {
    "lrn_even_size": "4",
    "unknown_layer_type": '"Convolve"',
    "unknown_bottom": '"z"',
    "duplicate_top": '"y"',
    "bottom_defined_later": '"y"',
    "conv_channels_not_divisible_by_group": "3",
    "conv_output_not_divisible_by_group": "2",
    "pool_pad_not_smaller_than_kernel": "2",
    "eltwise_shape_mismatch": '"z"',
    "concat_shape_mismatch": '"z"',
    "softmax_loss_label_count": '"label"',
    "shared_param_shape_strict": '"w"',
    "shared_param_lr_mult_differs": "2",
    "too_many_params": "param",
    "include_and_exclude": "exclude",
    "batchnorm_lr_mult_nonzero": "1",
    "unknown_field": "slope",
    "wrong_enum_value": "SUM",
    "unknown_filler": '"he"',
    "bilinear_filler_not_square": '"bilinear"',
}


def cases() -> list[str]:
    """Returns the cases that must be refused and whose layer types exist here."""
    with open(FOLDER / "INDEX.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = []
    for row in rows:
        document = read_net_document(FOLDER / f"{row['case']}.prototxt", strict=False)
        known = all(layer_class(layer.type) for layer in document.message.layer)
        if row["refuse"] == "must" and (known or row["case"] == "unknown_layer_type"):
            found.append(row["case"])
    return found


@pytest.mark.parametrize("case", cases())
def test_check_refuses_what_caffe_refuses(case: str) -> None:
    path = FOLDER / f"{case}.prototxt"
    errors = [d for d in examine(path).diagnostics if d.severity is Severity.ERROR]
    assert len(errors) == 1, errors
    text = path.read_text(encoding="utf-8")
    assert errors[0].spans[0].line > 2 or case == "syntax_error"  # not at the inputs
    if case in PLACES:
        assert at(text, errors[0]) == PLACES[case]


@pytest.mark.parametrize("case", cases())
def test_net_refuses_what_caffe_refuses(case: str) -> None:
    path = FOLDER / f"{case}.prototxt"
    with pytest.raises(Error) as caught:
        Net(str(path))
    assert str(caught.value).startswith(f"{path}:")
