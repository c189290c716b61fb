/* Choosing the instruction set, running recorded steps, threads, per-thread workspace. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "table.h"

static int supported_always(void) { return 1; }

#if defined(__x86_64__)
static int supported_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}
static int supported_amx(void) { return supported_avx512() && amx_supported(); }
static int supported_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

/* Best first. */
static const struct { const char *name; int (*supported)(void); const table_row *table; } isas[] = {
#if defined(__x86_64__)
    {"amx", supported_amx, table_avx512}, /* for those who allow tiles: see kernels.h */
    {"avx512", supported_avx512, table_avx512},
    {"avx2", supported_avx2, table_avx2},
#elif defined(__aarch64__)
    {"neon", supported_always, table_neon},
#endif
    {"portable", supported_always, table_portable},
    {"scalar", supported_always, table_scalar},
};
enum { ISA_COUNT = sizeof isas / sizeof isas[0] };
static int chosen = -1;

static int isa_current(void) {
    if (chosen < 0)
        for (chosen = 0; !isas[chosen].supported(); chosen++) {}
    return chosen;
}

const char *isa_name(void) { return isas[isa_current()].name; }

int isa_choose(const char *name) {
    for (int i = 0; i < ISA_COUNT; i++)
        if (!strcmp(isas[i].name, name) && isas[i].supported()) {
            chosen = i;
            return 0;
        }
    return -1;
}

kernel kernel_find(const char *name, int is_double) {
    for (const table_row *row = isas[isa_current()].table; row->name; row++)
        if (!strcmp(row->name, name))
            return is_double ? row->double_precision : row->single_precision;
    return NULL;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void replay(const step *steps, int64_t count, double *seconds) {
    team_expect(1);
    double before = seconds ? now_s() : 0;
    for (int64_t i = 0; i < count; i++) {
        steps[i].run(steps[i].args);
        if (!seconds) continue;
        double after = now_s();
        seconds[i] += after - before;
        before = after;
    }
    team_expect(-1);
}

static void run_for_image(const by_image_args *a, int64_t image) {
    char *own = workspace(WORKSPACE_IMAGE, (size_t)a->own);
    const image_pointer *p = a->pointers, *end = p + a->pointer_count;
    for (int64_t i = 0; i < a->count; i++) {
        _Alignas(16) char arguments[MOST_ARGUMENTS];
        memcpy(arguments, a->steps[i].args, (size_t)a->sizes[i]);
        for (; p < end && p->step == i; p++) {
            char *to;
            memcpy(&to, arguments + p->at, sizeof to);
            to = p->own < 0 ? to + image * p->image : own + p->own;
            memcpy(arguments + p->at, &to, sizeof to);
        }
        a->steps[i].run(arguments);
    }
}

void by_image(const void *arguments) {
    const by_image_args *a = arguments;
    const int64_t whole = a->images / threads_count() * threads_count();
#pragma omp parallel for schedule(static) if (whole > 1)
    for (int64_t image = 0; image < whole; image++) run_for_image(a, image);
    for (int64_t image = whole; image < a->images; image++) run_for_image(a, image);
}

#if !defined(_OPENMP) || defined(__clang__) /* else: team.c */
void team_expect(int rows) { (void)rows; }

int threads_count(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void threads_choose(int count) {
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}
#endif

void *workspace(int slot, size_t size_bytes) {
    static _Thread_local struct { void *start; size_t size; } slots[WORKSPACE_SLOTS];
    if (slots[slot].size < size_bytes) {
        size_t rounded = (size_bytes + 4095) / 4096 * 4096;
        free(slots[slot].start);
        slots[slot].start = aligned_alloc(4096, rounded);
        slots[slot].size = slots[slot].start ? rounded : 0;
    }
    return slots[slot].start;
}
