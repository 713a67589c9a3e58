/* Looking packets up in the classifier: classifier.h says how it works, build.c fills it in. */
#include "services/firewall/classifier.h"

#include "services/firewall/bpf.h"

/* The tuples that may hold a match. */
static inline uint32_t classifier_candidates(const struct classifier_prune *prune,
                                             const struct rules_key *key)
{
    uint32_t from = (uint32_t)(key->addresses >> 32), to = (uint32_t)key->addresses;
    return prune->from.by8[from >> 24] & prune->from.by16[prune_16(from)] &
           prune->from.by24[prune_24(from)] & prune->from.by32[prune_32(from)] &
           prune->to.by32[prune_32(to)] & prune->to.by8[to >> 24] & prune->to.by16[prune_16(to)] &
           prune->to.by24[prune_24(to)] & prune->port[prune_port((uint16_t)(key->rest >> 32))] &
           prune->protocol[(uint8_t)(key->rest >> 24)] & prune->direction[key->groups & 7];
}

static inline bool classifier_compare(const struct classifier_rule *rule,
                                      const struct rules_key *key)
{
    uint64_t differ = ((key->addresses ^ rule->addresses) & rule->addresses_mask) |
                      ((key->rest ^ rule->rest) & rule->rest_mask) |
                      ((key->detail ^ rule->detail) & rule->detail_mask) |
                      (key->groups & rule->forbidden);
    return (differ == 0) &
           ((uint16_t)((uint16_t)(key->rest >> 48) - rule->from_port) <= rule->from_span) &
           ((uint16_t)((uint16_t)(key->rest >> 32) - rule->to_port) <= rule->to_span);
}

/* A key, and the tuples that may have a match for it: at least one. */
struct classifier_work {
    uint32_t candidates;
    uint32_t key;
};

/* Where such a tuple would have it. */
struct classifier_item {
    uint32_t slot;
    uint8_t tag;
    uint8_t key;
};

/* A list of rules that may match a key. */
struct classifier_list {
    uint16_t rule; /* the first */
    uint8_t key;
};

/* Keys that are looked up in one go: enough to hide one another's waits, and 6 KB of stack. */
enum { PIECES = 16, ITEMS_MAX = PIECES * CLASSIFIER_TUPLES_MAX };

/* An item for each candidate of each piece of work, whose slots are asked for. One loop over all of
 * them, as how many a key has is nothing that a processor could foresee. */
static inline unsigned classifier_items(const struct classifier *classifier,
                                        const struct rules_key *const *keys,
                                        const struct classifier_work *work,
                                        struct classifier_item *item)
{
    unsigned items = 0;
    uint32_t candidates = work->candidates;
    while (candidates) {
        const struct rules_key *key = keys[work->key];
        const struct classifier_tuple *tuple = &classifier->tuple[__builtin_ctz(candidates)];
        uint64_t hash =
            classifier_hash(key->addresses & tuple->addresses_mask, key->rest & tuple->rest_mask);
        uint32_t slot = tuple->slot + ((uint32_t)hash & tuple->slot_mask);
        __builtin_prefetch(&classifier->slot[slot]);
        item[items++] =
            (struct classifier_item){slot, (uint8_t)classifier_tag(hash), (uint8_t)work->key};
        candidates &= candidates - 1;
        work += !candidates;
        uint32_t next = work->candidates;
        candidates = candidates ? candidates : next;
    }
    return items;
}

/* Keeps those whose slot has the tag, and asks for their first rule. */
static inline unsigned classifier_lists(const struct classifier *classifier,
                                        const struct classifier_item *item, unsigned items,
                                        struct classifier_list *list)
{
    unsigned lists = 0;
    for (unsigned i = 0; i < items; i++) {
        uint32_t slot = classifier->slot[item[i].slot];
        list[lists] = (struct classifier_list){(uint16_t)slot, item[i].key};
        __builtin_prefetch(classifier->rule + (uint16_t)slot);
        lists += slot >> item[i].tag & 1;
    }
    return lists;
}

/* The first rule of a list that matches, or RULES_NONE; none that is not better than `best`. */
static inline uint32_t classifier_walk(const struct classifier *classifier,
                                       const struct classifier_rule *rule,
                                       const struct rules_key *key, uint32_t best)
{
    for (;; rule++) {
        unsigned match = classifier_compare(rule, key);
        if (__builtin_expect((match & (rule->bpf != 0)) != 0, 0))
            match = bpf_run(classifier->bpf + rule->bpf_at, key->packet, key->packet_bytes) != 0;
        if (__builtin_expect((match | rule->last | (rule->index >= best)) != 0, 1))
            return rule->index | (match - 1); /* RULES_NONE is all ones */
    }
}

/* Up to PIECES keys; `work` is ended by one without candidates. */
static void classifier_work(const struct classifier *classifier,
                            const struct rules_key *const *keys, const struct classifier_work *work,
                            uint32_t *found)
{
    struct classifier_item item[ITEMS_MAX];
    struct classifier_list list[ITEMS_MAX];
    unsigned items = classifier_items(classifier, keys, work, item);
    unsigned lists = classifier_lists(classifier, item, items, list);
    for (unsigned i = 0; i < lists; i++) {
        uint32_t best = found[list[i].key];
        uint32_t index =
            classifier_walk(classifier, classifier->rule + list[i].rule, keys[list[i].key], best);
        found[list[i].key] = index < best ? index : best;
    }
}

void classifier_match(const struct classifier *classifier, const struct rules_key *const *keys,
                      unsigned count, uint32_t *found)
{
    for (unsigned first = 0; first < count; first += PIECES) {
        struct classifier_work work[PIECES + 1];
        unsigned pieces = 0, end = first + PIECES < count ? first + PIECES : count;
        for (unsigned i = first; i < end; i++) {
            uint32_t candidates = classifier_candidates(&classifier->prune, keys[i]);
            found[i] = RULES_NONE;
            work[pieces] = (struct classifier_work){candidates, i};
            pieces += candidates != 0;
        }
        work[pieces].candidates = 0;
        classifier_work(classifier, keys, work, found);
    }
}
