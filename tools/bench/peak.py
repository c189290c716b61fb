"""The machine's own ceiling: multiply-adds of vectors that never leave their registers."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

__all__ = ["fma_peak"]

SOURCE = r"""
#include <stdio.h>
#include <time.h>
#include <omp.h>
#ifdef __AVX512F__
#define BYTES 64
#define SUMS 20
#else
#define BYTES 32
#define SUMS 10
#endif
typedef float vector __attribute__((vector_size(BYTES)));
static double seconds(void) {
    return omp_get_max_threads() == 1 ? (double)clock() / CLOCKS_PER_SEC : omp_get_wtime();
}
int main(void) {
    double best = 0;
    for (int round = 0; round < 5; round++) {
        float kept = 0;
        const double start = seconds();
#pragma omp parallel reduction(+ : kept)
        {
            vector sum[SUMS], a = {0}, b = {0};
            a += 1.0001f, b += 0.5f;
            for (int i = 0; i < SUMS; i++) sum[i] = a * (float)i;
            for (long k = 0; k < 4000000; k++)
#pragma GCC unroll 20
                for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * a + b;
            for (int i = 0; i < SUMS; i++) kept += sum[i][0];
        }
        const double flop = 2.0 * 4e6 * SUMS * BYTES / 4 * omp_get_max_threads();
        const double speed = flop / (seconds() - start) * 1e-9;
        if (speed > best && kept != 1.5f) best = speed;
    }
    printf("%f\n", best);
}
"""


def fma_peak(threads: int) -> float:
    """Returns GFLOP/s of a loop of multiply-adds on so many threads, the best of five rounds.

    On one thread by the processor's time, else by the clock.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "peak.c"
        source.write_text(SOURCE)
        program = source.with_suffix("")
        compiler = [os.environ.get("CC", "cc"), "-O3", "-march=native", "-fopenmp"]
        subprocess.run([*compiler, str(source), "-o", str(program)], check=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [program], check=True, capture_output=True, text=True, env=environment
        )
        return float(done.stdout)
