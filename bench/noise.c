/* Says how much a core is taken away from who measures on it: noise SECONDS CORE
 *
 * Spins, in pieces of a few microseconds, and prints as lines "key value unit" how long a piece takes at the
 * median and at p99, and how much of the time went by between pieces: to other programs, Linux'
 * own work, or the host of a virtual machine. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

enum {
    PIECE_STEPS = 4000, /* 1 us or two, which is less than what is measured */
    PIECES_MAX = 1 << 20,
    GAP_NS = 1000, /* longer between two pieces: somebody else ran */
};

/* A chain of additions, which no processor can shorten. */
static void piece(void)
{
    for (unsigned i = 0; i < PIECE_STEPS; i++)
        __asm__ volatile("" : "+r"(i));
}

int main(int count, char **word)
{
    static struct bench_samples samples;
    struct bench_clock clock;
    const char *wrong;
    if (count != 3) {
        fprintf(stderr, "usage: noise SECONDS CORE\n");
        return 2;
    }
    if ((wrong = bench_pin(atoi(word[2]))) || (wrong = bench_clock_calibrate(&clock)) ||
        (wrong = bench_samples_open(&samples, PIECES_MAX, &clock))) {
        fprintf(stderr, "noise: %s\n", wrong);
        return 2;
    }
    uint64_t begin = bench_ticks(), end = begin + bench_ticks_of(&clock, atof(word[1]));
    uint64_t sum = 0;
    for (uint64_t last = begin; last < end;) {
        piece();
        uint64_t now = bench_ticks();
        bench_samples_add(&samples, now - last);
        sum += now - last;
        last = now;
    }
    bench_samples_sort(&samples);
    double p50_ns = bench_samples_ns(&samples, 50), taken_ns = 0;
    for (unsigned i = 0; i < samples.count; i++) {
        double ns = (double)samples.ticks[i] * clock.ns_per_tick;
        taken_ns += ns > p50_ns + GAP_NS ? ns - p50_ns : 0;
    }
    printf("piece_p50_us %.2f us\npiece_p99_us %.2f us\ntaken_pct %.2f %%\n", p50_ns / 1000,
           bench_samples_ns(&samples, 99) / 1000,
           100 * taken_ns / ((double)sum * clock.ns_per_tick));
    return 0;
}
