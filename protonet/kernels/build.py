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


def compiles(source: str, *flags: str) -> bool:
    """Says whether the compiler makes a program of C source."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.c"
        file.write_text(source)
        command = [*compiler, *flags, str(file), "-o", str(file.with_suffix(""))]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False


def openmp_flags() -> tuple[list[str], list[str]]:
    """Returns what to compile and what to link with; without OpenMP the kernels run on one core.

    What gcc makes of a shared loop calls team.c; clang's calls its own library.
    """
    program = "int main(void) { return 0; }\n"
    if not compiles("#include <omp.h>\n" + program, "-fopenmp"):
        return [], []
    is_clang = compiles("#ifndef __clang__\n#error\n#endif\n" + program)
    return ["-fopenmp"], ["-fopenmp"] if is_clang else ["-pthread"]


def declarations() -> str:
    """Returns kernels.h without its comments, as cffi wants it."""
    text = (Path(__file__).parent / "kernels.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


COMPILE_FLAGS, LINK_FLAGS = openmp_flags()
ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "protonet.kernels._native",
    '#include <stdint.h>\n#include "kernels.h"\n',
    sources=[
        str(HERE / name)
        for name in (
            "runtime.c",
            "team.c",
            "blocks.c",
            "amx.c",
            "isa_avx512.c",
            "isa_avx2.c",
            "isa_neon.c",
            "isa_portable.c",
            "isa_scalar.c",
        )
    ],
    depends=[str(path) for path in sorted([*HERE.glob("*.c"), *HERE.glob("*.h")])],
    include_dirs=[str(HERE)],
    extra_compile_args=OPTIMIZE + COMPILE_FLAGS,
    extra_link_args=LINK_FLAGS,
    libraries=["m"],
)
