"""The C extension's recipe: setup.py hands it to cffi, which compiles protonet.kernels._native."""

import os
import re
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

HERE = Path("protonet") / "kernels"
OPTIMIZE = ["-std=gnu11", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]


def openmp_flags() -> list[str]:
    """Returns ["-fopenmp"] if the compiler has OpenMP; else the kernels run on one core."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }\n")
        command = [*compiler, "-fopenmp", str(source), "-o", str(source.with_suffix(""))]
        try:
            found = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            found = False
    return ["-fopenmp"] if found else []


def declarations() -> str:
    """Returns kernels.h without its comments, as cffi wants it."""
    text = (Path(__file__).parent / "kernels.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "protonet.kernels._native",
    '#include <stdint.h>\n#include "kernels.h"\n',
    sources=[
        str(HERE / name)
        for name in (
            "runtime.c",
            "isa_avx512.c",
            "isa_avx2.c",
            "isa_neon.c",
            "isa_portable.c",
            "isa_scalar.c",
        )
    ],
    depends=[str(path) for path in sorted([*HERE.glob("*.c"), *HERE.glob("*.h")])],
    include_dirs=[str(HERE)],
    extra_compile_args=OPTIMIZE + openmp_flags(),
    extra_link_args=openmp_flags(),
    libraries=["m"],
)
