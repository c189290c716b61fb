"""The matrix product, on every instruction set that this machine has, against numpy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_stores import packed_by

from protonet import kernels


def product(a, b, c, *, beta=0.0, row_bias=None, column_bias=None, transpose=(False, False)):
    """c = a b + beta c + biases by the kernel, with a and b stored transposed if asked."""
    m, k = a.shape
    n = b.shape[1]
    stored_a = np.ascontiguousarray(a.T if transpose[0] else a)
    stored_b = np.ascontiguousarray(b.T if transpose[1] else b)
    kernels.matmul(
        a=stored_a, b=stored_b, c=c, row_bias=row_bias, column_bias=column_bias, m=m, n=n, k=k,
        a_row=1 if transpose[0] else k, a_column=m if transpose[0] else 1,
        b_row=1 if transpose[1] else n, b_column=k if transpose[1] else 1, c_row=n, beta=beta,
    )  # fmt: skip
    return c


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1), (1, 500, 801), (3, 2, 5), (7, 4, 33), (15, 33, 7), (29, 100, 1000),
        (64, 1025, 1030), (200, 129, 400), (300, 150, 20),
    ],
)  # fmt: skip
@pytest.mark.parametrize("transpose", [(a, b) for a in (False, True) for b in (False, True)])
def test_product_with_biases_and_beta_equals_numpy(isa, dtype, shape, transpose):
    m, n, k = shape
    random = np.random.default_rng(m * n + k)
    a, b = (
        random.standard_normal((m, k)).astype(dtype),
        random.standard_normal((k, n)).astype(dtype),
    )
    c, row, column = (random.standard_normal(s).astype(dtype) for s in ((m, n), m, n))
    want = a.astype(np.float64) @ b + 0.5 * c + row[:, None] + column
    got = product(a, b, c, beta=0.5, row_bias=row, column_bias=column, transpose=transpose)
    scale = np.abs(a).astype(np.float64) @ np.abs(b) + 1
    assert np.max(np.abs(got - want) / scale) < 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 5, 16, 17, 31, 32, 64])
@pytest.mark.parametrize("transpose", [(a, b) for a in (False, True) for b in (False, True)])
def test_few_rows_times_a_large_matrix_equal_numpy(isa, dtype, m, transpose):
    n, k = 1030, 1041
    random = np.random.default_rng(m)
    a, b = (random.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
    c, column = (random.standard_normal(s).astype(dtype) for s in ((m, n), n))
    want = a.astype(np.float64) @ b + 0.5 * c + column
    got = product(a, b, c, beta=0.5, column_bias=column, transpose=transpose)
    scale = np.abs(a).astype(np.float64) @ np.abs(b) + 1
    assert np.max(np.abs(got - want) / scale) < 4 * np.finfo(dtype).eps


def test_empty_inner_size_leaves_the_biases():
    c = np.ones((2, 3), np.float32)
    bias = np.array([1.0, 2.0], np.float32)
    product(np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32), c, beta=1, row_bias=bias)
    np.testing.assert_array_equal(c, [[2, 2, 2], [3, 3, 3]])


def test_beta_zero_overwrites_even_nan():
    c = np.full((20, 40), np.nan, np.float32)
    product(np.ones((20, 3), np.float32), np.ones((3, 40), np.float32), c)
    np.testing.assert_array_equal(c, 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 900), st.booleans(), st.booleans())
def test_product_of_whole_numbers_is_exact(m, n, k, ta, tb):
    random = np.random.default_rng(k)
    a = random.integers(-8, 8, (m, k)).astype(np.float32)
    b = random.integers(-8, 8, (k, n)).astype(np.float32)
    got = product(a, b, np.zeros((m, n), np.float32), transpose=(ta, tb))
    np.testing.assert_array_equal(got, a @ b)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("m", [1, 7, 32, 300])
def test_bits_do_not_depend_on_the_number_of_threads(m, transpose):
    random = np.random.default_rng(1)
    a = random.standard_normal((m, 700)).astype(np.float32)
    b = random.standard_normal((700, 501)).astype(np.float32)
    before = kernels.threads()
    results = []
    for threads in (1, 2, 3):
        kernels.choose_threads(threads)
        c = np.zeros((m, 501), np.float32)
        results.append(product(a, b, c, transpose=(False, transpose)))
    kernels.choose_threads(before)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def shortened(a, b, dtype=np.float32, **fields):
    """a times b's transpose, with b's weights packed as a plan allows it to be; and which way."""
    (m, k), n = a.shape, b.shape[0]
    c = np.zeros((m, n), dtype)
    shape = {
        "a": a, "b": b, "m": m, "n": n, "k": k, "a_row": k, "a_column": 1, "b_row": 1,
        "b_column": k, "c_row": n, "beta": 0, "rounds": 1, **fields,
    }  # fmt: skip
    size = np.zeros(2, np.int64)
    kernels.matmul_pack(shape=shape, size=size)
    packed = packed_by(kernels.matmul_pack, shape, dtype) if size[0] else None
    kernels.matmul(c=c, packed=packed, **shape)
    return c, int(size[1])


@pytest.mark.parametrize("m", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("k", [4096, 4099, 4127, 4129])
def test_weights_of_20_bits_err_by_2_to_the_minus_20_of_their_blocks_largest(isa, m, k):
    n = 515
    random = np.random.default_rng(k + m)
    a = random.standard_normal((m, k)).astype(np.float32)
    b = (random.standard_normal((n, k)) * np.exp(random.normal(size=(n, 1)))).astype(np.float32)
    b[5, 256:512] = 0
    b[6, 256:512] *= np.float32(1e-36)
    _, way = shortened(a, b)
    assert (way == 3) == (isa in ("amx", "avx512", "avx2") and m <= 8)
    b[:, ::2] *= 2.0**-12  # of inputs that are as much larger
    a[:, ::2] *= 2.0**12
    want = a.astype(np.float64) @ b.T
    bound = 8 * np.finfo(np.float32).eps * (np.abs(a).astype(np.float64) @ np.abs(b).T)
    if way == 3:
        scales = np.exp2(np.ceil(np.log2(np.abs(b).max(axis=0) * (1 + 1e-9))))
        for at in range(0, k, 256):
            part = slice(at, at + 256)
            largest = np.abs(b[:, part] / scales[part]).max(axis=1)
            bound += 2.0**-20 * np.abs(a[:, part] * scales[part]).sum(axis=1)[:, None] * largest
    got, _ = shortened(a, b)
    assert (np.abs(got - want) <= bound).all()
    exact, way = shortened(a, b, rounds=0)
    assert way == 0 or m > 8
    assert (np.abs(exact - want) <= bound).all()


def test_weights_that_are_no_numbers_make_their_output_none(isa):
    random = np.random.default_rng(0)
    a = random.standard_normal((1, 4100)).astype(np.float32)
    b = random.standard_normal((512, 4100)).astype(np.float32)
    b[3, 4099], b[7, 0] = np.nan, np.inf
    got, _ = shortened(a, b)
    assert np.isnan(got[0, 3])
    assert not np.isfinite(got[0, 7])
    assert np.isfinite(np.delete(got, [3, 7])).all()
