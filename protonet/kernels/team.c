/* The team that shares the kernels' loops: what `omp parallel for` calls, in place of the compiler's
 * own library. There the caller waits until every thread of its team has come and gone, also those
 * that a busy machine has not woken yet; here it does itself what nobody has begun, and waits for
 * work that is under way alone. A loop is cut into some slices for each thread, so that what one loop
 * wrote is near the core that reads it in the next; who is done takes those that another has not
 * begun, from their end. What is computed does not depend on who does it.
 *
 * There is one team. A loop that begins while another caller's is shared, or inside a slice, is done
 * by the thread that meets it. */
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "table.h"
#include "tiny.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define MOST_THREADS 256
#define SLICES_A_THREAD 4
#define SPINS 4000       /* some 100 to 200 µs of waiting before a thread sleeps, or lets others run … */
#define MORE_SPINS 40000 /* … and while a row of kernels is under way, since on a busy machine it wakes up late */

/* A thread's slices of a loop: its number, and those that nobody has begun, next … end - 1. They change
 * together, so that nobody takes a slice of one loop for a slice of another. */
typedef uint64_t ticket;
#define TICKET(loop, end, next) ((ticket)(loop) << 32 | (ticket)(end) << 16 | (ticket)(next))
#define TICKET_END(t) ((int)((t) >> 16 & 0xffff))
#define TICKET_NEXT(t) ((int)((t) & 0xffff))

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_flag taken; /* by the loop that is shared now */
    struct { _Alignas(64) _Atomic ticket slices; } of[MOST_THREADS]; /* the caller's first */
    _Atomic int left, sleeping; /* slices not done; threads that wait for `wake` */
    _Atomic int rows;           /* of kernels that are under way */
    void (*run)(void *);
    void *data;
    float_mode mode; /* of the caller */
    _Atomic int threads; /* of the loop */
    int helpers;         /* made so far */
    uint32_t loop;
} team = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
          .taken = ATOMIC_FLAG_INIT};

static _Thread_local int slice, slice_count = 1; /* what this thread is at */
static _Thread_local int chosen;                 /* 0: as many threads as there are cores */

HIDDEN int omp_get_thread_num(void) { return slice; }
HIDDEN int omp_get_num_threads(void) { return slice_count; }

static int cores(void) {
    static int found;
    if (!found) {
        const char *wanted = getenv("OMP_NUM_THREADS");
        int count = wanted ? atoi(wanted) : 0;
#ifdef __linux__
        cpu_set_t mine;
        if (count < 1 && !sched_getaffinity(0, sizeof mine, &mine)) count = CPU_COUNT(&mine);
#endif
        if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
        found = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
    }
    return found;
}

/* Those that a loop may be shared among: inside of one, no others. */
int threads_count(void) { return slice_count > 1 ? 1 : chosen ? chosen : cores(); }

void threads_choose(int count) { chosen = count > MOST_THREADS ? MOST_THREADS : count; }

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Begins the next slice of a thread's, or its last, and does it; 0 if there is none. */
static int do_a_slice_of(int thread, int last) {
    _Atomic ticket *const slices = &team.of[thread].slices;
    ticket now = atomic_load(slices);
    while (TICKET_NEXT(now) < TICKET_END(now)) {
        void (*const run)(void *) = team.run;
        void *const data = team.data;
        const float_mode mode = team.mode;
        const int count = team.threads * SLICES_A_THREAD;
        /* If the ticket is still the same, so was all that was read since. */
        if (!atomic_compare_exchange_weak(slices, &now, last ? now - TICKET(0, 1, 0) : now + 1)) continue;
        slice = last ? TICKET_END(now) - 1 : TICKET_NEXT(now);
        slice_count = count;
        float_mode_set(mode);
        run(data);
        slice = 0;
        slice_count = 1;
        atomic_fetch_sub(&team.left, 1);
        return 1;
    }
    return 0;
}

/* One of the thread's own slices, or else of another's. */
static int do_a_slice(int thread) {
    const int threads = team.threads;
    if (thread >= threads) return 0;
    for (int i = 0; i < threads; i++)
        if (do_a_slice_of((thread + i) % threads, i > 0)) return 1;
    return 0;
}

static int something_to_do(int thread) {
    const int threads = team.threads;
    if (thread >= threads) return 0;
    for (int i = 0; i < threads; i++) {
        const ticket now = atomic_load(&team.of[i].slices);
        if (TICKET_NEXT(now) < TICKET_END(now)) return 1;
    }
    return 0;
}

void team_expect(int rows) { atomic_fetch_add(&team.rows, rows); }

static int waits_on(int spins) {
    return spins < SPINS || (spins < MORE_SPINS && atomic_load_explicit(&team.rows, memory_order_relaxed));
}

static void *help(void *number) {
    const int thread = (int)(intptr_t)number;
    for (;;) {
        int spins = 0;
        int done;
        while (!(done = do_a_slice(thread)) && waits_on(spins)) {
            pause_briefly();
            spins++;
        }
        if (done) continue;
        pthread_mutex_lock(&team.lock);
        atomic_fetch_add(&team.sleeping, 1);
        while (!something_to_do(thread)) pthread_cond_wait(&team.wake, &team.lock);
        atomic_fetch_sub(&team.sleeping, 1);
        pthread_mutex_unlock(&team.lock);
    }
    return NULL;
}

/* A child process has none of the threads. */
static void after_fork(void) {
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.wake, NULL);
    for (int i = 0; i < MOST_THREADS; i++) atomic_store(&team.of[i].slices, 0);
    atomic_store(&team.sleeping, 0);
    atomic_store(&team.rows, 0);
    atomic_flag_clear(&team.taken);
    team.helpers = 0;
    slice = 0;
    slice_count = 1;
}

__attribute__((constructor)) static void prepare_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

/* Called by who has the team. If no thread can be made, the others do the work. */
static void make_helpers(int wanted) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the threads of the program */
    while (team.helpers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, help, (void *)(intptr_t)(team.helpers + 1))) break;
        pthread_detach(thread);
        team.helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Runs a loop; 1 for `threads` says that it is not worth a team. */
HIDDEN void GOMP_parallel(void (*run)(void *), void *data, unsigned threads, unsigned flags) {
    (void)flags;
    const int count = threads_count();
    if (threads == 1 || count == 1 || slice_count > 1 || atomic_flag_test_and_set(&team.taken)) {
        const int outer = slice, outer_count = slice_count;
        slice = 0;
        slice_count = 1;
        run(data);
        slice = outer;
        slice_count = outer_count;
        return;
    }
    if (team.helpers < count - 1) make_helpers(count - 1);
    team.run = run;
    team.data = data;
    team.mode = float_mode_now();
    team.threads = count;
    atomic_store(&team.left, count * SLICES_A_THREAD);
    team.loop++;
    for (int i = 0; i < count; i++)
        atomic_store(&team.of[i].slices, TICKET(team.loop, (i + 1) * SLICES_A_THREAD, i * SLICES_A_THREAD));
    if (atomic_load(&team.sleeping)) {
        pthread_mutex_lock(&team.lock);
        pthread_cond_broadcast(&team.wake);
        pthread_mutex_unlock(&team.lock);
    }
    while (do_a_slice(0)) {}
    for (int spins = 0; atomic_load(&team.left); spins++)
        if (waits_on(spins))
            pause_briefly();
        else
            sched_yield();
    atomic_flag_clear(&team.taken);
}
#endif
