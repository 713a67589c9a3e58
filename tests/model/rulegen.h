/* Firewall tables from a seed, and packets that meet their rules: for tests and the benchmark. */
#ifndef MODEL_RULEGEN_H
#define MODEL_RULEGEN_H

#include "services/firewall/rules.h"

enum rulegen_kind {
    RULEGEN_ACCESS, /* an access list: networks and hosts, exact ports (ClassBench's acl) */
    RULEGEN_BORDER, /* a border firewall: more wildcards, port ranges (ClassBench's fw) */
    RULEGEN_ANY,    /* every field of a rule at random, programs too */
};

struct rulegen {
    uint64_t state;
};

enum { RULEGEN_BYTES_MAX = 64 + 80 * PIGLET_FIREWALL_RULES_MAX + 8 * PIGLET_FIREWALL_BPF_MAX };

/* The next number of the seed's sequence, below `limit`. */
uint32_t rulegen_number(struct rulegen *random, uint32_t limit);

/* Writes a table of `rules` rules (bytes aligned to 8, RULEGEN_BYTES_MAX of room); returns its length. */
uint32_t rulegen_table(struct rulegen *random, enum rulegen_kind kind, uint32_t rules,
                       uint8_t *bytes);

/* A packet some rule matches in its addresses, ports and protocol, at a random place or a corner of
 * them. */
struct rules_key rulegen_key(struct rulegen *random, const struct rules_table *table);

/* A packet out of the blue. */
struct rules_key rulegen_key_any(struct rulegen *random);

#endif
