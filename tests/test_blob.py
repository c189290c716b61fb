"""Blob: memory that keeps its place."""

import numpy as np
import pytest

from protonet import Blob, Error


def test_a_new_blob_is_zero_and_starts_on_a_cache_line():
    blob = Blob((3, 5, 7))
    assert blob.count == 105
    for array in (blob.data, blob.diff):
        assert array.shape == (3, 5, 7)
        assert array.ctypes.data % 64 == 0
        assert not array.any()


def test_a_smaller_shape_keeps_the_memory_and_old_views():
    blob = Blob((4, 6))
    view = blob.data
    blob.reshape(2, 3)
    blob.data[...] = 1
    assert np.shares_memory(view, blob.data)
    assert view.sum() == 6
    blob.reshape(4, 6)
    assert np.shares_memory(view, blob.data)


def test_a_larger_shape_gets_new_memory_and_the_old_view_stays():
    blob = Blob((2,))
    view = blob.data
    blob.reshape(2000)
    blob.data[...] = 1
    assert view.tolist() == [0, 0]


def test_shared_data_is_seen_in_ones_own_shape():
    one, other = Blob((2, 6)), Blob((3, 4))
    other.share_data(one)
    one.data[0, 0] = 5
    assert other.data[0, 0] == 5
    assert other.data.shape == (3, 4)


@pytest.mark.parametrize(("shape", "legacy"), [((), (1, 1, 1, 1)), ((2, 3), (2, 3, 1, 1))])
def test_missing_axes_count_as_one(shape, legacy):
    blob = Blob(shape)
    assert (blob.num, blob.channels, blob.height, blob.width) == legacy


@pytest.mark.parametrize("shape", [(-1,), (2, -3, 4), (1,) * 33])
def test_shapes_that_no_array_has_are_refused(shape):
    blob = Blob((2, 3))
    with pytest.raises(Error, match=r"0 or more|at most"):
        blob.reshape(*shape)
    assert blob.shape == (2, 3)
    with pytest.raises(TypeError, match="integer"):
        blob.reshape(2.5)


def test_former_names_of_axes_are_for_four():
    with pytest.raises(Error, match="this one is 2×3×4×5×6: use shape"):
        _ = Blob((2, 3, 4, 5, 6)).num
