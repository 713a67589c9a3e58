/* What the machine itself costs: a cache line's way to another core and back, and Linux's io_uring.
 *
 * Requests in shared memory cannot be answered faster than a line travels; io_uring is what Linux has
 * for the same purpose. Both are measured here so that requests can be shown beside them. */
#ifndef BENCH_BOUNCE_H
#define BENCH_BOUNCE_H

#include "measure.h"

/* Round trips between the first two cores allowed: a number stored in one line, its answer awaited in
 * another, without pauses. Adds up to `rounds` to the samples; takes at most a second. A text: failed.
 * line: two threads of one process. line_shared: two processes and a memfd mapped MAP_SHARED, the
 * memory that a client's window is made of; the baseline for requests.
 *
 * On a virtual machine the host decides which two processors these are, and changes its mind: a round
 * trip of 40 ns (one physical core), 110 ns (one cache) or 500 ns (two) was seen within a minute. So
 * measure a line right before and after what is set beside it, and compare within that pair. */
const char *bounce_line(struct bench_samples *samples, unsigned rounds);
const char *bounce_line_shared(struct bench_samples *samples, unsigned rounds);

/* How io_uring is driven. All but DEEP have one chain under way at a time. */
enum uring_way {
    URING_PLAIN, /* io_uring_submit_and_wait */
    URING_DEFER, /* the same with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1): links cost half */
    URING_SQPOLL, /* the kernel's thread polls for requests on the other core, we poll for completions */
    URING_DEEP, /* SQPOLL with up to 256 NOPs under way: throughput, not to be set beside round trips */
    URING_WAYS,
};

struct uring_rates {
    double best; /* NOPs per second, of all ways but DEEP; 0 if none worked */
    double rate[URING_WAYS];
    const char *error[URING_WAYS]; /* why there is no rate; NULL: there is */
};

/* NOPs in chains of `chain` (1 to 256) linked by IOSQE_IO_LINK, each way the best of several rounds
 * that take turns; `seconds` in all. */
struct uring_rates uring_nop(unsigned chain, double seconds);

#endif
