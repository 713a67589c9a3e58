/* What the rules said about packets seen lately. Rules without programs say the same about every
 * packet whose key is the same in what any of them looks at, so that a flow is looked up once,
 * whether it has a state or not. A key has two places, a line of cache; the older of two gives way to
 * a third. It belongs to one table, and starts empty with it. */
#ifndef FIREWALL_KNOWN_H
#define FIREWALL_KNOWN_H

#include "services/firewall/classifier.h"

enum { KNOWN_BITS = 11 }; /* of the lines: 4,096 keys, 128 KiB */

struct known_key {
    uint64_t addresses, rest;
    uint64_t word; /* action << 32 | detail << 16 | groups, which is never 0 */
    uint64_t unused;
};

struct known {
    bool programs;        /* some rules have one: nothing is remembered */
    uint16_t detail_mask; /* what of a key's words some rule looks at */
    uint64_t rest_mask;
    struct known_line {
        struct known_key key[2];
    } line[1 << KNOWN_BITS] __attribute__((aligned(64)));
};

/* For another table. */
void known_start(struct known *known, const struct rules_table *table);

/* The key as it would be there, without an action. */
static inline struct known_key known_wanted(const struct known *known, const struct rules_key *key)
{
    return (struct known_key){
        .addresses = key->addresses,
        .rest = key->rest & known->rest_mask,
        .word = (uint64_t)(key->detail & known->detail_mask) << 16 | key->groups,
    };
}

static inline struct known_line *known_line(struct known *known, const struct known_key *wanted)
{
    uint64_t hash = classifier_hash(wanted->addresses, wanted->rest ^ (uint32_t)wanted->word);
    return &known->line[hash >> (64 - KNOWN_BITS)];
}

static inline bool known_is(const struct known_key *place, const struct known_key *wanted)
{
    return ((place->addresses ^ wanted->addresses) | (place->rest ^ wanted->rest) |
            (uint32_t)(place->word ^ wanted->word)) == 0;
}

/* The key's place where its action stands, or NULL. */
static inline const struct known_key *known_find(struct known *known,
                                                 const struct known_key *wanted)
{
    const struct known_line *line = known_line(known, wanted);
    if (__builtin_expect(known_is(&line->key[0], wanted), 1))
        return &line->key[0];
    return known_is(&line->key[1], wanted) ? &line->key[1] : NULL;
}

static inline void known_add(struct known *known, const struct known_key *wanted)
{
    struct known_line *line = known_line(known, wanted);
    line->key[1] = line->key[0];
    line->key[0] = *wanted;
}

static inline uint32_t known_action(const struct known_key *place)
{
    return (uint32_t)(place->word >> 32);
}

#endif
