"""Products take numbers too small to be normal for zeros, on every thread; others do not."""

import numpy as np
import pytest

from protonet import kernels

SIZE = 256


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_tiny_numbers_are_zero(isa: str, dtype: type, threads: int) -> None:
    tiny = np.full((SIZE, SIZE), np.finfo(dtype).smallest_normal / 4, dtype)
    ones, product = np.ones((SIZE, SIZE), dtype), np.ones((SIZE, SIZE), dtype)
    before = kernels.threads()
    kernels.choose_threads(threads)
    try:
        kernels.matmul(
            a=tiny, b=ones, c=product, m=SIZE, n=SIZE, k=SIZE,
            a_row=SIZE, a_column=1, b_row=SIZE, b_column=1, c_row=SIZE,
            beta=0.0,
        )  # fmt: skip
    finally:
        kernels.choose_threads(before)
    assert not product.any()


def test_what_follows_a_product_tells_tiny_numbers_from_zero(isa: str) -> None:
    tiny = np.full(64, np.finfo(np.float32).smallest_normal / 4, np.float32)
    test_products_of_tiny_numbers_are_zero(isa, np.float32, 2)
    logs = np.empty_like(tiny)
    kernels.logarithm(x=tiny, y=logs, n=tiny.size, factor=1.0, scale=1.0, shift=0.0)
    np.testing.assert_allclose(logs, np.log(tiny.astype(np.float64)), rtol=1e-6)
