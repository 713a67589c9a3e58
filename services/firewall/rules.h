/* Packets as rules see them, the check of a table, and what its rules mean. */
#ifndef FIREWALL_RULES_H
#define FIREWALL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "piglet/firewall.h"

enum {
    RULES_NONE = 0xffffffff, /* no rule matches */
    RULES_NIC_NONE = 254,    /* in a key: there is no such nic */
};

/* The groups of a key: exactly one bit in each. */
enum {
    KEY_DIRECTION = 0, /* shift of enum piglet_direction, three bits */
    KEY_FRAGMENT = 3,  /* of enum piglet_fragment, three bits */
    KEY_STATE = 6,     /* of enum piglet_state, four bits */
    KEY_TRANSPORT = 1 << 10,
    KEY_NO_TRANSPORT = 1 << 11, /* a later fragment, or too short: no ports, flags, types */
    KEY_STATES = 15 << KEY_STATE,
};

/* What rules look at, packed so that a rule compares it in words. */
struct rules_key {
    uint64_t addresses; /* from << 32 | to */
    uint64_t rest;      /* from_port << 48 | to_port << 32 | protocol << 24 | nic_in << 16 |
                         * nic_out << 8; ports are 0 where there are none */
    uint16_t detail;    /* TCP: flags; ICMP: type << 8 | code */
    uint16_t groups;
    uint32_t packet_bytes; /* from the Ethernet header on, for BPF */
    const uint8_t *packet;
};

static inline uint64_t rules_rest(uint16_t from_port, uint16_t to_port, uint8_t protocol,
                                  uint8_t nic_in, uint8_t nic_out)
{
    return (uint64_t)from_port << 48 | (uint64_t)to_port << 32 | (uint64_t)protocol << 24 |
           (uint64_t)nic_in << 16 | (uint64_t)nic_out << 8;
}

/* The bits of an address that a prefix of this length fixes. */
static inline uint32_t rules_mask(unsigned length)
{
    return length ? 0xffffffffu << (32 - length) : 0;
}

/* A table whose check went well; points into the bytes, which are aligned to 4. */
struct rules_table {
    const struct piglet_firewall_header *header;
    const struct piglet_firewall_rule *rule;
    const struct piglet_bpf *bpf;
    uint32_t wrong_line; /* of the rule that is wrong, in its source; 0: none, or not known */
};

/* Checks a table whole. ERR_INVALID, with *wrong_at the first byte of the field that is not as
 * include/piglet/firewall.h says. Time: linear in the bytes. */
int rules_check(const uint8_t *bytes, size_t length, struct rules_table *table, uint32_t *wrong_at);

/* Whether one rule matches a key, field by field as the header explains them. */
bool rules_match(const struct rules_table *table, const struct piglet_firewall_rule *rule,
                 const struct rules_key *key);

/* The first rule that matches, or RULES_NONE: what a table means. The classifier must agree. */
uint32_t rules_match_linear(const struct rules_table *table, const struct rules_key *key);

#endif
