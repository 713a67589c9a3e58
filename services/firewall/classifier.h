/* The classifier: the first rule that matches a packet, at a cost that hardly grows with the number
 * of rules.
 *
 * Tuple space with merging and pruning (Srinivasan, Suri, Varghese 1999; TupleMerge: Daly et al.
 * 2019). Rules are spread over at most 32 hash tables, "tuples". A tuple looks at some leading bits
 * of both addresses and both ports, and at protocol and nics or not; all rules in it fix at least
 * those bits, so one slot names the short list of rules that may match. Which tuples can hold a
 * match at all is known beforehand from a few bits of each field, one bit a tuple.
 *
 *   key -> 11 words of 32 bits, and-ed -> candidate tuples -> slot of each -> list of rules, half a
 *   line of cache each, the first ones first
 *
 * A slot has no second place: keys that collide share a list. Sixteen bits of the slot say which
 * hashes it holds, so few lists are looked at in vain. A batch goes through each of these steps
 * together, with hardly a branch that depends on a packet, and what the next step needs is asked for
 * by then. Tuples are in order of their best rule: the first of a key's candidates are looked at by
 * themselves, and what they find rules out most of the others.
 *
 * Worst case of one lookup: 32 slots, and each rule compared once (10,000 lines of cache), which
 * takes rules that overlap in everything but what no tuple looks at, such as TCP flags; plus 4,096
 * steps of BPF in all. */
#ifndef FIREWALL_CLASSIFIER_H
#define FIREWALL_CLASSIFIER_H

#include "services/firewall/rules.h"

enum {
    CLASSIFIER_TUPLES_MAX = 32, /* bits of a word */
    CLASSIFIER_BATCH_MAX = 64,  /* keys looked up together */
    CLASSIFIER_SLOTS_MAX = 8 * PIGLET_FIREWALL_RULES_MAX,
    PRUNE_8 = 256,
    PRUNE_16 = 1024,
    PRUNE_24 = 2048,
    PRUNE_32 = 4096,
    PRUNE_PORT = 1024,
};

/* Where the fields of a key lie when its first 16 bytes are read as words of 16 bits, so that all of
 * them are compared at once: a prefix is a range of each half of its address. */
enum classifier_lane {
    LANE_TO_LOW,
    LANE_TO_HIGH,
    LANE_FROM_LOW,
    LANE_FROM_HIGH,
    LANE_REST,     /* of the key the nic out; of a rule what is not a range: index, and bits */
    LANE_PROTOCOL, /* << 8 | nic in */
    LANE_TO_PORT,
    LANE_FROM_PORT,
    CLASSIFIER_LANES,
};
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are read from 64-bit words");

/* Bits of a rule's span[LANE_REST], above the groups that it forbids. */
enum {
    CLASSIFIER_LAST = 1 << 12, /* of its list */
    CLASSIFIER_MORE = 1 << 13, /* there is more to compare: more[index] */
};

/* A rule as it is compared: half a line of cache. A key's word minus `first`, modulo 2^16, is at most
 * `span`; first[LANE_REST] is the rule's index in the table, 0 the best. */
struct classifier_rule {
    uint16_t first[CLASSIFIER_LANES], span[CLASSIFIER_LANES];
} __attribute__((aligned(32)));

/* What few rules look at. */
struct classifier_more {
    uint32_t rest, rest_mask; /* protocol and nics, as in a key */
    uint16_t detail, detail_mask;
    uint16_t bpf; /* it has a program, at bpf_at */
    uint16_t bpf_at;
};

/* First rule of the list in the lower half, 0 for none; above it, a bit for each tag of a hash in
 * it. */
typedef uint32_t classifier_slot_t;

struct classifier_tuple {
    uint64_t addresses_mask, rest_mask;
    uint32_t slot, slot_mask;
    uint32_t best;   /* lowest index in it */
    uint32_t unused; /* 32 bytes: found by a shift */
};

/* Candidates by some bits of a field: bit n is tuple n. */
struct classifier_side {
    uint32_t by8[PRUNE_8], by16[PRUNE_16], by24[PRUNE_24], by32[PRUNE_32];
};

struct classifier_prune {
    struct classifier_side from, to;
    uint32_t port[PRUNE_PORT], protocol[256], direction[8];
};

struct classifier {
    uint32_t tuples, rules, slots;
    uint32_t list_max; /* of any slot */
    struct classifier_tuple tuple[CLASSIFIER_TUPLES_MAX];
    struct classifier_prune prune;
    classifier_slot_t slot[CLASSIFIER_SLOTS_MAX];
    struct classifier_rule rule[PIGLET_FIREWALL_RULES_MAX + 1]; /* [0]: none */
    struct classifier_more more[PIGLET_FIREWALL_RULES_MAX];     /* by index */
    /* By index, how many tuples, which are in order of their best rule, hold a better one. */
    uint8_t better[PIGLET_FIREWALL_RULES_MAX + 1];
    struct piglet_bpf bpf[PIGLET_FIREWALL_BPF_MAX];
};

/* What building needs besides; nothing is kept in it. */
struct classifier_scratch;
extern const size_t classifier_scratch_bytes;

/* Builds from a checked table. Never fails; some milliseconds for 10,000 rules. */
void classifier_build(struct classifier *classifier, const struct rules_table *table,
                      struct classifier_scratch *scratch);

/* The first matching rule of each key, or RULES_NONE; count is at most CLASSIFIER_BATCH_MAX. */
void classifier_match(const struct classifier *classifier, const struct rules_key *const *keys,
                      unsigned count, uint32_t *found);

/* ---- what building and matching share ---- */

#define CLASSIFIER_HASH_A 0x9e3779b97f4a7c15ull /* odd, without pattern: 2^64 / golden ratio, */
#define CLASSIFIER_HASH_B 0xc2b2ae3d27d4eb4full /* and a prime of that size */

/* The halves of a 128-bit product, folded: every bit of it depends on every bit of the key. */
static inline uint64_t classifier_hash(uint64_t addresses, uint64_t rest)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(addresses ^ CLASSIFIER_HASH_A) * (rest ^ CLASSIFIER_HASH_B);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The tag of a hash, as its bit in a slot. */
static inline unsigned classifier_tag(uint64_t hash)
{
    return 16 + (unsigned)(hash >> 60);
}

static inline unsigned prune_16(uint32_t address)
{
    return (address >> 16) * 0x9e3779b1u >> 22;
}

static inline unsigned prune_24(uint32_t address)
{
    return (address >> 8) * 0x9e3779b1u >> 21;
}

static inline unsigned prune_32(uint32_t address)
{
    return address * 0x9e3779b1u >> 20;
}

static inline unsigned prune_port(uint16_t port)
{
    return port & (PRUNE_PORT - 1);
}

#endif
