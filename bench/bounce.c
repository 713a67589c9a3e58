/* A cache line's round trip between two cores, and io_uring's NOPs. */
#define _GNU_SOURCE
#include "bounce.h"

#include <liburing.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_BYTES = 128, /* processors fetch lines of 64 bytes in pairs: the two must not share one */
    LINE_SECONDS_MAX = 1, /* either side gives up then, whatever the other does */
    POLLS_PER_LOOK =
        4096,      /* between looks at the clock: few enough to be prompt, too many to cost */
    WARM_UP = 256, /* round trips before the first that counts: page faults, clock frequency */
    URING_ROUNDS = 3,
    URING_OUTSTANDING_MAX = 256,
    URING_TURNS_PER_LOOK = 16,
    URING_IDLE_MS = 1000, /* longer than a round: the kernel's thread does not fall asleep in it */
};

/* Values of an answer and of a question that are no sequence numbers. */
#define LINE_READY  UINT64_MAX
#define LINE_FAILED (UINT64_MAX - 1)
#define LINE_STOP   UINT64_MAX

struct lines {
    alignas(LINE_BYTES) _Atomic uint64_t question; /* written by who asks */
    alignas(LINE_BYTES) _Atomic uint64_t answer;   /* written by who answers */
    alignas(LINE_BYTES) int core;                  /* of who answers; constant from here on */
    uint64_t patience_ticks;
};

/* The next value that is not `last`; `last` if none came in time. */
static inline uint64_t line_await(_Atomic uint64_t *line, uint64_t last, uint64_t patience_ticks)
{
    uint64_t began = 0;
    for (unsigned polls = 1;; polls++) {
        uint64_t seen = atomic_load_explicit(line, memory_order_acquire);
        if (seen != last)
            return seen;
        if (polls % POLLS_PER_LOOK == 0) {
            uint64_t now = bench_ticks();
            began = began ? began : now;
            if (now - began > patience_ticks)
                return last;
        }
    }
}

static void line_answer(struct lines *lines)
{
    const char *error = bench_pin(lines->core);
    uint64_t last = 0;
    atomic_store_explicit(&lines->answer, error ? LINE_FAILED : LINE_READY, memory_order_release);
    while (!error) {
        uint64_t seen = line_await(&lines->question, last, lines->patience_ticks);
        if (seen == last || seen == LINE_STOP)
            return;
        atomic_store_explicit(&lines->answer, seen, memory_order_release);
        last = seen;
    }
}

static const char *line_ask(struct lines *lines, struct bench_samples *samples, unsigned rounds)
{
    uint64_t last = line_await(&lines->answer, 0, lines->patience_ticks);
    uint64_t began = bench_ticks();
    if (last == LINE_FAILED)
        return "line: cannot pin who answers to the second core";
    if (last != LINE_READY)
        return "line: who answers did not start within a second";
    for (uint64_t i = 1; i <= (uint64_t)rounds + WARM_UP; i++) {
        uint64_t before = bench_ticks();
        atomic_store_explicit(&lines->question, i, memory_order_release);
        uint64_t seen = line_await(&lines->answer, last, lines->patience_ticks);
        uint64_t after = bench_ticks();
        if (seen != i)
            return seen == last ? "line: no answer within a second" : "line: a wrong answer";
        last = seen;
        if (i > WARM_UP)
            bench_samples_add(samples, after - before);
        if (after - began > lines->patience_ticks)
            break; /* fewer rounds than wanted, but good ones */
    }
    return samples->count ? NULL : "line: no round trip within a second";
}

/* The process's side of both variants: pinned, asks, tells the other to stop, is unpinned. */
static const char *line_run(struct lines *lines, const struct bench_cores *cores,
                            struct bench_samples *samples, unsigned rounds)
{
    const char *error = bench_pin(cores->own);
    if (!error)
        error = line_ask(lines, samples, rounds);
    atomic_store_explicit(&lines->question, LINE_STOP, memory_order_release);
    bench_unpin(cores);
    return error;
}

static struct lines line_fresh(const struct bench_cores *cores, const struct bench_samples *samples)
{
    return (struct lines){.core = cores->other,
                          .patience_ticks = bench_ticks_of(&samples->clock, LINE_SECONDS_MAX)};
}

static void *line_thread(void *lines)
{
    line_answer(lines);
    return NULL;
}

const char *bounce_line(struct bench_samples *samples, unsigned rounds)
{
    struct bench_cores cores;
    pthread_t other;
    const char *error = bench_cores_find(&cores);
    if (error)
        return error;
    struct lines lines = line_fresh(&cores, samples);
    if (pthread_create(&other, NULL, line_thread, &lines) != 0)
        return "line: no second thread";
    error = line_run(&lines, &cores, samples, rounds);
    pthread_join(other, NULL);
    return error;
}

static struct lines *line_map(void)
{
    int file = memfd_create("bounce", MFD_CLOEXEC);
    void *memory = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof(struct lines)) == 0)
        memory = mmap(NULL, sizeof(struct lines), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

const char *bounce_line_shared(struct bench_samples *samples, unsigned rounds)
{
    struct bench_cores cores;
    const char *error = bench_cores_find(&cores);
    if (error)
        return error;
    struct lines *lines = line_map();
    if (!lines)
        return "line: no shared memory";
    *lines = line_fresh(&cores, samples);
    pid_t other = fork();
    if (other == 0) {
        line_answer(lines);
        _exit(0);
    }
    if (other < 0) {
        error = "line: no second process";
    } else {
        error = line_run(lines, &cores, samples, rounds);
        waitpid(other, NULL, 0); /* bounded: it is told to stop, and its patience is */
    }
    munmap(lines, sizeof *lines);
    return error;
}

/* ---- io_uring ---- */

static bool uring_polled(enum uring_way way)
{
    return way == URING_SQPOLL || way == URING_DEEP;
}

static const char *uring_open(struct io_uring *ring, enum uring_way way, int poll_core)
{
    struct io_uring_params params = {.sq_thread_cpu = (unsigned)poll_core,
                                     .sq_thread_idle = URING_IDLE_MS};
    if (way == URING_DEFER)
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    else if (uring_polled(way))
        params.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
    int result = io_uring_queue_init_params(URING_OUTSTANDING_MAX, ring, &params);
    return result < 0 ? strerrordesc_np(-result) : NULL;
}

static const char *uring_submit(struct io_uring *ring, unsigned chain, bool wait)
{
    for (unsigned i = 0; i < chain; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        if (!sqe)
            return "no room for another request";
        io_uring_prep_nop(sqe);
        if (i + 1 < chain)
            sqe->flags |= IOSQE_IO_LINK;
    }
    int result = wait ? io_uring_submit_and_wait(ring, chain) : io_uring_submit(ring);
    return result < 0 ? strerrordesc_np(-result) : NULL;
}

/* Takes what is complete; a failed request counts as `*failed`. */
static unsigned uring_reap(struct io_uring *ring, const char **failed)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(ring, head, cqe)
    {
        if (cqe->res < 0)
            *failed = strerrordesc_np(-cqe->res);
        count++;
    }
    io_uring_cq_advance(ring, count);
    return count;
}

static const char *uring_round(struct io_uring *ring, enum uring_way way, unsigned chain,
                               double seconds, double *rate)
{
    const unsigned limit = way == URING_DEEP ? URING_OUTSTANDING_MAX : chain;
    const int64_t began_ns = bench_now_ns(), length_ns = (int64_t)(seconds * 1e9);
    const char *error = NULL;
    uint64_t done = 0;
    int64_t now_ns = began_ns;
    for (unsigned turn = 1, outstanding = 0; now_ns - began_ns < length_ns; turn++) {
        if (outstanding + chain <= limit && io_uring_sq_space_left(ring) >= chain) {
            error = uring_submit(ring, chain, !uring_polled(way));
            outstanding += chain;
        }
        unsigned count = uring_reap(ring, &error);
        if (error)
            return error;
        outstanding -= count;
        done += count;
        if (turn % URING_TURNS_PER_LOOK == 0)
            now_ns = bench_now_ns();
    }
    *rate = (double)done * 1e9 / (double)(now_ns - began_ns);
    return NULL;
}

static const char *uring_measure(enum uring_way way, unsigned chain, double seconds, int poll_core,
                                 double *rate)
{
    struct io_uring ring;
    const char *error = uring_open(&ring, way, poll_core);
    if (error)
        return error;
    error = uring_round(&ring, way, chain, seconds, rate);
    io_uring_queue_exit(&ring);
    return error;
}

struct uring_rates uring_nop(unsigned chain, double seconds)
{
    struct uring_rates rates = {0};
    struct bench_cores cores;
    const char *error = bench_cores_find(&cores);
    if (!error && (chain == 0 || chain > URING_OUTSTANDING_MAX))
        error = "chains have 1 to 256 requests";
    if (!error)
        error = bench_pin(cores.own);
    for (unsigned way = 0; way < URING_WAYS; way++)
        rates.error[way] = error;
    if (error)
        return rates;
    for (unsigned i = 0; i < URING_ROUNDS * URING_WAYS; i++) {
        unsigned way = i % URING_WAYS;
        double rate = 0;
        if (!rates.error[way])
            rates.error[way] =
                uring_measure((enum uring_way)way, chain, seconds / (URING_ROUNDS * URING_WAYS),
                              cores.other, &rate);
        if (rate > rates.rate[way])
            rates.rate[way] = rate;
    }
    bench_unpin(&cores);
    /* Nothing at all in one round is chance: the kernel's thread found its core busy. */
    for (unsigned way = 0; way < URING_WAYS; way++)
        if (rates.rate[way] == 0 && !rates.error[way])
            rates.error[way] = "no request was completed";
    for (unsigned way = 0; way < URING_DEEP; way++)
        rates.best = rates.rate[way] > rates.best ? rates.rate[way] : rates.best;
    return rates;
}
