/* Prints what the machine itself costs, as lines "key value unit"; "key - reason" for what could not be measured.
 *
 * line_*: a cache line's round trip between two cores, of the best of several rounds (the lowest
 * mean), and the worst round's mean: where they differ much, the host moved our processors meanwhile.
 * uring_nop_N: io_uring's NOPs per second in chains of N. Takes 4 seconds; fails where only one core
 * is available. */
#define _GNU_SOURCE
#include "bounce.h"

#include <stdio.h>

enum {
    ROUNDS = 5,
    ROUND_TRIPS = 20000,
    MEAN_FROM = 5, /* percent */
    MEAN_TO = 95,
    LINE_SECONDS_MAX = 3, /* no round is begun after: with the rest, 10 s are never passed */
};

#define URING_SECONDS 1.2 /* for each chain length: 0.1 s a round */

typedef const char *line_variant(struct bench_samples *samples, unsigned rounds);

struct line {
    const char *name;
    line_variant *measure;
    double min_ns, mean_ns, p50_ns, p99_ns; /* of the best round */
    double worst_mean_ns;                   /* of the worst */
    const char *error;
};

static void line_round(struct line *line, struct bench_samples *samples)
{
    samples->count = 0;
    line->error = line->measure(samples, ROUND_TRIPS);
    if (line->error)
        return;
    bench_samples_sort(samples);
    double mean_ns = bench_samples_mean_ns(samples, MEAN_FROM, MEAN_TO);
    if (mean_ns > line->worst_mean_ns)
        line->worst_mean_ns = mean_ns;
    if (line->mean_ns != 0 && mean_ns >= line->mean_ns)
        return;
    line->min_ns = bench_samples_ns(samples, 0);
    line->mean_ns = mean_ns;
    line->p50_ns = bench_samples_ns(samples, 50);
    line->p99_ns = bench_samples_ns(samples, 99);
}

static void line_print(const struct line *line)
{
    if (line->mean_ns == 0) {
        printf("%s_p50 - %s\n", line->name, line->error);
        return;
    }
    printf("%s_min %.1f ns\n", line->name, line->min_ns);
    printf("%s_mean %.1f ns\n", line->name, line->mean_ns);
    printf("%s_p50 %.1f ns\n", line->name, line->p50_ns);
    printf("%s_p99 %.1f ns\n", line->name, line->p99_ns);
    printf("%s_worst_mean %.1f ns\n", line->name, line->worst_mean_ns);
}

static void uring_print(unsigned chain)
{
    static const char *const suffix[URING_WAYS] = {"_plain", "_defer", "_sqpoll", "_deep"};
    struct uring_rates rates = uring_nop(chain, URING_SECONDS);
    if (rates.best > 0)
        printf("uring_nop_%u %.0f NOPs/s\n", chain, rates.best);
    else
        printf("uring_nop_%u - io_uring: %s\n", chain, rates.error[URING_PLAIN]);
    for (unsigned way = 0; way < URING_WAYS; way++) {
        if (rates.error[way])
            printf("uring_nop_%u%s - io_uring: %s\n", chain, suffix[way], rates.error[way]);
        else
            printf("uring_nop_%u%s %.0f NOPs/s\n", chain, suffix[way], rates.rate[way]);
    }
}

int main(void)
{
    struct line lines[] = {{.name = "line_shared", .measure = bounce_line_shared},
                           {.name = "line_threads", .measure = bounce_line}};
    static const unsigned chains[] = {1, 8, 64};
    struct bench_cores cores;
    struct bench_clock clock;
    struct bench_samples samples;
    int64_t began_ns = bench_now_ns();
    const char *error = bench_cores_find(&cores);
    if (!error)
        error = bench_clock_calibrate(&clock);
    if (!error)
        error = bench_samples_open(&samples, ROUND_TRIPS, &clock);
    if (error) {
        fprintf(stderr, "bounce: %s\n", error);
        return 1;
    }
    printf("clock_step %.1f ns\n", clock.step_ns);
    printf("clock_read %.1f ns\n", clock.read_ns);
    for (unsigned i = 0;
         i < ROUNDS * 2 && bench_now_ns() - began_ns < LINE_SECONDS_MAX * INT64_C(1000000000); i++)
        line_round(&lines[i % 2], &samples);
    for (unsigned i = 0; i < 2; i++)
        line_print(&lines[i]);
    bench_samples_close(&samples);
    for (unsigned i = 0; i < sizeof chains / sizeof chains[0]; i++)
        uring_print(chains[i]);
    return 0;
}
