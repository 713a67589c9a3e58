/* The rules and packets that the classifiers are measured with. */
#ifndef BENCH_RULES_SETS_H
#define BENCH_RULES_SETS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/model/rulegen.h"

enum {
    BENCH_KEYS = 16384, /* a multiple of a batch; 640 KiB, more than the nearest cache */
    BENCH_ROUNDS = 30,
    BENCH_SEED = 4,
    BENCH_SIZES = 4,
};

static const uint32_t bench_size[BENCH_SIZES] = {10, 100, 1000, 10000};
static const char *const bench_kind_name[] = {"access", "border"};

struct bench_set {
    uint8_t *bytes;
    struct rules_table table;
    struct rules_key *keys;
};

/* Packets as a benchmark wants them: forwarded, whole, new; each meets some rule. */
static inline struct bench_set bench_set(enum rulegen_kind kind, uint32_t rules)
{
    struct rulegen random = {BENCH_SEED};
    struct bench_set set = {.bytes = aligned_alloc(64, (RULEGEN_BYTES_MAX + 63) / 64 * 64),
                            .keys = malloc(BENCH_KEYS * sizeof *set.keys)};
    uint32_t wrong_at;
    if (!set.bytes || !set.keys ||
        rules_check(set.bytes, rulegen_table(&random, kind, rules, set.bytes), &set.table,
                    &wrong_at) != 0) {
        fprintf(stderr, "rules: no table\n");
        exit(1);
    }
    for (unsigned i = 0; i < BENCH_KEYS; i++) {
        set.keys[i] = rulegen_key(&random, &set.table);
        set.keys[i].groups = PIGLET_DIRECTION_FORWARD << KEY_DIRECTION |
                             PIGLET_FRAGMENT_WHOLE << KEY_FRAGMENT | PIGLET_STATE_NEW << KEY_STATE |
                             KEY_TRANSPORT;
    }
    return set;
}

static inline void bench_set_free(struct bench_set *set)
{
    free(set->bytes);
    free(set->keys);
}

static inline uint64_t bench_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
