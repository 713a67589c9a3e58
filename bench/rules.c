/* Prints what the firewall's classifier costs, as lines "key value unit": nanoseconds a packet, in
 * batches of 64 and one by one, at several numbers of rules; how long building takes; how many
 * tuples, and rules in the longest list, came of it. */
#define _GNU_SOURCE
#include "bench/rules_sets.h"
#include "services/firewall/classifier.h"

static double match_ns(const struct classifier *classifier, const struct rules_key *keys,
                       unsigned batch)
{
    uint64_t best = UINT64_MAX;
    uint32_t found[CLASSIFIER_BATCH_MAX];
    const struct rules_key *pointer[CLASSIFIER_BATCH_MAX];
    for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
        uint64_t from = bench_ns();
        for (unsigned i = 0; i < BENCH_KEYS; i += batch) {
            for (unsigned j = 0; j < batch; j++)
                pointer[j] = &keys[i + j];
            classifier_match(classifier, pointer, batch, found);
            __asm__ volatile("" ::"r"(found) : "memory");
        }
        uint64_t took = bench_ns() - from;
        if (took < best)
            best = took;
    }
    return (double)best / BENCH_KEYS;
}

static void bench_rules(enum rulegen_kind kind, uint32_t rules, struct classifier *classifier,
                        struct classifier_scratch *scratch)
{
    const char *name = bench_kind_name[kind];
    struct bench_set set = bench_set(kind, rules);
    uint64_t from = bench_ns();
    classifier_build(classifier, &set.table, scratch);
    uint64_t built = bench_ns() - from;
    printf("rules_%s_%u %.1f ns\n", name, rules, match_ns(classifier, set.keys, 64));
    printf("rules_%s_%u_one %.1f ns\n", name, rules, match_ns(classifier, set.keys, 1));
    printf("rules_%s_%u_build %.2f ms\n", name, rules, (double)built / 1e6);
    printf("rules_%s_%u_tuples %u tuples\n", name, rules, classifier->tuples);
    printf("rules_%s_%u_list %u rules\n", name, rules, classifier->list_max);
    bench_set_free(&set);
}

int main(void)
{
    struct classifier *classifier = aligned_alloc(64, (sizeof *classifier + 63) / 64 * 64);
    struct classifier_scratch *scratch = malloc(classifier_scratch_bytes);
    if (!classifier || !scratch)
        return 1;
    memset(classifier, 0, sizeof *classifier); /* so that building does not fault pages in */
    memset(scratch, 0, classifier_scratch_bytes);
    for (unsigned i = 0; i < BENCH_SIZES; i++) {
        bench_rules(RULEGEN_ACCESS, bench_size[i], classifier, scratch);
        bench_rules(RULEGEN_BORDER, bench_size[i], classifier, scratch);
    }
    free(classifier);
    free(scratch);
    return 0;
}
