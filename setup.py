"""Everything static is in pyproject.toml; here is only the C extension."""

from setuptools import setup

setup(
    cffi_modules=["protonet/kernels/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
