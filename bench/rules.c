/* Prints what the firewall's classifier costs, as lines "key value unit": nanoseconds a packet, in
 * batches of 64, at several numbers of rules; how long building takes; how many tuples, and rules in
 * the longest list, came of it. Rules and packets are tests/model/rulegen's, 64 tables' worth of
 * packets that rules match, in random order, so caches see what traffic of many flows shows them. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "services/firewall/classifier.h"
#include "tests/model/rulegen.h"

enum {
    KEYS = 16384,
    ROUNDS = 30,
    SEED = 4,
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A packet as a benchmark wants it: forwarded, whole, new. */
static struct rules_key bench_key(struct rulegen *random, const struct rules_table *table)
{
    struct rules_key key = rulegen_key(random, table);
    key.groups = PIGLET_DIRECTION_FORWARD << KEY_DIRECTION | PIGLET_FRAGMENT_WHOLE << KEY_FRAGMENT |
                 PIGLET_STATE_NEW << KEY_STATE | KEY_TRANSPORT;
    return key;
}

static double match_ns(const struct classifier *classifier, const struct rules_key *keys,
                       unsigned batch)
{
    uint64_t best = UINT64_MAX;
    uint32_t found[CLASSIFIER_BATCH_MAX];
    const struct rules_key *pointer[CLASSIFIER_BATCH_MAX];
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t from = now_ns();
        for (unsigned i = 0; i < KEYS; i += batch) {
            for (unsigned j = 0; j < batch; j++)
                pointer[j] = &keys[i + j];
            classifier_match(classifier, pointer, batch, found);
            __asm__ volatile("" ::"r"(found) : "memory");
        }
        uint64_t took = now_ns() - from;
        if (took < best)
            best = took;
    }
    return (double)best / KEYS;
}

static void bench_rules(const char *name, enum rulegen_kind kind, uint32_t rules)
{
    uint8_t *bytes = aligned_alloc(64, (RULEGEN_BYTES_MAX + 63) / 64 * 64);
    struct classifier *classifier = aligned_alloc(64, (sizeof *classifier + 63) / 64 * 64);
    struct classifier_scratch *scratch = malloc(classifier_scratch_bytes);
    struct rules_key *keys = malloc(KEYS * sizeof *keys);
    struct rulegen random = {SEED};
    struct rules_table table;
    uint32_t wrong_at;
    uint32_t length = rulegen_table(&random, kind, rules, bytes);
    if (!classifier || !scratch || !keys || rules_check(bytes, length, &table, &wrong_at) != 0) {
        fprintf(stderr, "rules: no table\n");
        exit(1);
    }
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = bench_key(&random, &table);
    classifier_build(classifier, &table, scratch); /* its memory is there now */
    uint64_t from = now_ns();
    classifier_build(classifier, &table, scratch);
    uint64_t built = now_ns() - from;
    printf("rules_%s_%u %.1f ns\n", name, rules, match_ns(classifier, keys, 64));
    printf("rules_%s_%u_one %.1f ns\n", name, rules, match_ns(classifier, keys, 1));
    printf("rules_%s_%u_build %.2f ms\n", name, rules, (double)built / 1e6);
    printf("rules_%s_%u_tuples %u tuples\n", name, rules, classifier->tuples);
    printf("rules_%s_%u_list %u rules\n", name, rules, classifier->list_max);
    free(keys);
    free(scratch);
    free(classifier);
    free(bytes);
}

int main(void)
{
    static const uint32_t sizes[] = {10, 100, 1000, 10000};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bench_rules("access", RULEGEN_ACCESS, sizes[i]);
        bench_rules("border", RULEGEN_BORDER, sizes[i]);
    }
    printf("rules_memory %zu bytes\n", 2 * sizeof(struct classifier) + classifier_scratch_bytes);
    return 0;
}
