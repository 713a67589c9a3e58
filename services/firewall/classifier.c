/* Looking packets up in the classifier: classifier.h says how it works, build.c fills it in. */
#include "services/firewall/classifier.h"

#include <string.h>

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

/* Eight comparisons in one, where the machine has such vectors; the compiler spells them out where
 * not. */
typedef uint16_t classifier_lanes __attribute__((vector_size(16)));
typedef int16_t classifier_truths __attribute__((vector_size(16)));
_Static_assert(offsetof(struct rules_key, addresses) == 0 && offsetof(struct rules_key, rest) == 8,
               "a key begins with its lanes");

static inline bool classifier_compare(const struct classifier_rule *rule,
                                      const struct rules_key *key)
{
    classifier_lanes lanes, first, span;
    memcpy(&lanes, key, sizeof lanes);
    memcpy(&first, rule->first, sizeof first);
    memcpy(&span, rule->span, sizeof span);
    classifier_truths within = (lanes - first) <= span;
    uint64_t words[2];
    memcpy(words, &within, sizeof words);
    return ((words[0] & (words[1] | UINT16_MAX)) == UINT64_MAX) &
           ((key->groups & rule->span[LANE_REST]) == 0);
}
_Static_assert(LANE_REST == 4, "classifier_compare leaves the lowest lane of the second word out");

/* What is left of a rule that matches so far. */
static __attribute__((noinline)) bool classifier_compare_more(const struct classifier *classifier,
                                                              uint32_t index,
                                                              const struct rules_key *key)
{
    const struct classifier_more *more = &classifier->more[index];
    if ((((uint32_t)key->rest ^ more->rest) & more->rest_mask) |
        ((key->detail ^ more->detail) & more->detail_mask))
        return false;
    return !more->bpf || bpf_run(classifier->bpf + more->bpf_at, key->packet, key->packet_bytes);
}

/* A key of the pieces, and the tuples that may have a match for it: at least one. */
struct classifier_work {
    uint32_t candidates;
    uint32_t key;
};

/* Keys that are looked up in one go: enough to hide one another's waits, and 6 KB of stack. */
enum {
    PIECES = 16,
    ITEMS_MAX = PIECES * CLASSIFIER_TUPLES_MAX,
};

/* Where a tuple that is a candidate would have a match: the slot, above it the key, and at the top
 * what is the top of the hash, its tag. */
enum { ITEM_KEY = 32, ITEM_TAG = 60 };

/* An item for each candidate of each piece of work, whose slots are asked for. */
static inline unsigned classifier_items(const struct classifier *classifier,
                                        const struct rules_key *const *keys,
                                        const struct classifier_work *work, unsigned pieces,
                                        uint64_t *item)
{
    unsigned items = 0;
    for (unsigned i = 0; i < pieces; i++) {
        const struct rules_key *key = keys[work[i].key];
        uint64_t addresses = key->addresses, rest = key->rest;
        uint64_t number = (uint64_t)work[i].key << ITEM_KEY;
        uint32_t candidates = work[i].candidates;
        do {
            const struct classifier_tuple *tuple = &classifier->tuple[__builtin_ctz(candidates)];
            uint64_t hash =
                classifier_hash(addresses & tuple->addresses_mask, rest & tuple->rest_mask);
            uint32_t slot = tuple->slot + ((uint32_t)hash & tuple->slot_mask);
            __builtin_prefetch(&classifier->slot[slot]);
            item[items++] = (hash >> ITEM_TAG << ITEM_TAG) | number | slot;
        } while (candidates &= candidates - 1);
    }
    return items;
}

/* Keeps those whose slot has the tag, as the first rule and above it the key, and asks for the
 * rule. */
static inline unsigned classifier_lists(const struct classifier *classifier, const uint64_t *item,
                                        unsigned items, uint32_t *list)
{
    unsigned lists = 0;
    for (unsigned i = 0; i < items; i++) {
        uint32_t slot = classifier->slot[(uint32_t)item[i]];
        uint32_t rule = slot & UINT16_MAX, key = (uint32_t)(item[i] >> 16) & 0xff0000;
        __builtin_prefetch(classifier->rule + rule);
        list[lists] = key | rule;
        lists += slot >> 16 >> (item[i] >> ITEM_TAG) & 1;
    }
    return lists;
}

/* The first rule of a list that matches, or RULES_NONE; none that is not better than `best`. */
static inline uint32_t classifier_walk(const struct classifier *classifier,
                                       const struct classifier_rule *rule,
                                       const struct rules_key *key, uint32_t best)
{
    for (;; rule++) {
        unsigned match = classifier_compare(rule, key), rest = rule->span[LANE_REST];
        uint32_t index = rule->first[LANE_REST];
        if (__builtin_expect(rest & CLASSIFIER_MORE, 0) && match)
            match = classifier_compare_more(classifier, index, key);
        if (__builtin_expect((match | (rest & CLASSIFIER_LAST) | (index >= best)) != 0, 1))
            return index | (match - 1); /* RULES_NONE is all ones */
    }
}

/* Looks at the candidates of up to PIECES keys. */
static inline void classifier_wave(const struct classifier *classifier,
                                   const struct rules_key *const *keys,
                                   const struct classifier_work *work, unsigned pieces,
                                   uint32_t *found)
{
    uint64_t item[ITEMS_MAX];
    uint32_t list[ITEMS_MAX];
    unsigned items = classifier_items(classifier, keys, work, pieces, item);
    unsigned lists = classifier_lists(classifier, item, items, list);
    for (unsigned i = 0; i < lists; i++) {
        unsigned key = list[i] >> 16;
        uint32_t best = found[key];
        uint32_t index =
            classifier_walk(classifier, classifier->rule + (uint16_t)list[i], keys[key], best);
        found[key] = index < best ? index : best;
    }
}

/* Up to PIECES keys. */
static void classifier_pieces(const struct classifier *classifier,
                              const struct rules_key *const *keys, unsigned count, uint32_t *found)
{
    struct classifier_work first[PIECES], second[PIECES];
    unsigned firsts = 0, seconds = 0, left = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t candidates = classifier_candidates(&classifier->prune, keys[i]);
        uint32_t others = candidates & (candidates - 1);
        others &= others - 1;
        found[i] = RULES_NONE;
        first[firsts] = (struct classifier_work){candidates ^ others, i};
        firsts += candidates != 0;
        second[seconds] = (struct classifier_work){others, i};
        seconds += others != 0;
    }
    classifier_wave(classifier, keys, first, firsts, found);
    for (unsigned i = 0; i < seconds; i++) {
        uint32_t best = found[second[i].key];
        best = best < classifier->rules ? best : classifier->rules;
        uint32_t others = second[i].candidates & (uint32_t)((1ull << classifier->better[best]) - 1);
        second[left] = (struct classifier_work){others, second[i].key};
        left += others != 0;
    }
    if (left)
        classifier_wave(classifier, keys, second, left, found);
}

void classifier_match(const struct classifier *classifier, const struct rules_key *const *keys,
                      unsigned count, uint32_t *found)
{
    for (unsigned first = 0; first < count; first += PIECES)
        classifier_pieces(classifier, keys + first, count - first < PIECES ? count - first : PIECES,
                          found + first);
}
