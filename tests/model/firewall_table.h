/* Firewall tables rule by rule, for tests. */
#ifndef MODEL_FIREWALL_TABLE_H
#define MODEL_FIREWALL_TABLE_H

#include "kernel/core.h"
#include "piglet/firewall.h"

enum { TABLE_RULES_MAX = 64, TABLE_BPF_MAX = 64 };

struct firewall_table {
    struct piglet_firewall_header header;
    struct piglet_firewall_rule rule[TABLE_RULES_MAX];
    struct piglet_bpf bpf[TABLE_BPF_MAX];
};

/* A table without rules: the default of all three directions is `verdict`. */
struct firewall_table table_new(enum piglet_verdict verdict);

/* One more rule, which matches all packets in the directions; its line is 10 times its number, from
 * 1. To be narrowed down by its fields. */
struct piglet_firewall_rule *table_rule(struct firewall_table *table, unsigned directions,
                                        enum piglet_verdict verdict);

/* The rule's protocol, and one port of its destination (0: any). */
void rule_protocol(struct piglet_firewall_rule *rule, uint8_t protocol, uint16_t to_port);

/* Makes any bytes a rule that can be loaded, with as little change as it takes. Its program, if it has
 * one, is the first `programs` instructions. */
void rule_mend(struct piglet_firewall_rule *rule, uint32_t programs);

/* Loads it into the firewall of a core, and puts it in force. Returns the load's error. */
int table_load(struct core *core, const struct firewall_table *table);

#endif
