/* Prints what DPDK's librte_acl costs for the rules and packets of bench/rules.c, as lines "key value
 * unit": nanoseconds a packet, in batches of 64, by its fastest way on this machine, and how long
 * building takes. */
#include <rte_acl.h>
#include <rte_eal.h>

#include "bench/rules_sets.h"

enum { BATCH = 64 };

/* What it looks at: MSB first, the first field one byte. */
struct tuple {
    uint8_t protocol;
    uint8_t unused[3];
    uint32_t from, to;
    uint16_t from_port, to_port;
};

enum { PROTOCOL, FROM, TO, FROM_PORT, TO_PORT, FIELDS };

RTE_ACL_RULE_DEF(tuple_rule, FIELDS);

static const struct rte_acl_field_def fields[FIELDS] = {
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, PROTOCOL, 0, offsetof(struct tuple, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, FROM, 1, offsetof(struct tuple, from)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, TO, 2, offsetof(struct tuple, to)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, FROM_PORT, 3, offsetof(struct tuple, from_port)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, TO_PORT, 3, offsetof(struct tuple, to_port)},
};

static struct tuple_rule acl_rule(const struct piglet_firewall_rule *rule, uint32_t index)
{
    struct tuple_rule acl = {.data = {.userdata = index + 1, /* 0 is no match */
                                      .category_mask = 1,
                                      .priority = (int32_t)(RTE_ACL_MAX_PRIORITY - index)}};
    acl.field[PROTOCOL].value.u8 = rule->protocol;
    acl.field[PROTOCOL].mask_range.u8 = rule->match & PIGLET_MATCH_PROTOCOL ? 0xff : 0;
    acl.field[FROM].value.u32 = rule->from;
    acl.field[FROM].mask_range.u32 = rule->from_length;
    acl.field[TO].value.u32 = rule->to;
    acl.field[TO].mask_range.u32 = rule->to_length;
    acl.field[FROM_PORT].value.u16 = rule->from_port;
    acl.field[FROM_PORT].mask_range.u16 = rule->from_port_end;
    acl.field[TO_PORT].value.u16 = rule->to_port;
    acl.field[TO_PORT].mask_range.u16 = rule->to_port_end;
    return acl;
}

static struct rte_acl_ctx *acl_build(const struct rules_table *table, const char *name)
{
    uint32_t rules = table->header->rule_count;
    struct rte_acl_param param = {.name = name,
                                  .rule_size = RTE_ACL_RULE_SZ(FIELDS),
                                  .max_rule_num = rules,
                                  .socket_id = SOCKET_ID_ANY};
    struct rte_acl_config config = {.num_categories = 1, .num_fields = FIELDS};
    struct rte_acl_ctx *acl = rte_acl_create(&param);
    memcpy(config.defs, fields, sizeof fields);
    for (uint32_t i = 0; acl && i < rules; i++) {
        struct tuple_rule rule = acl_rule(&table->rule[i], i);
        if (rte_acl_add_rules(acl, (const struct rte_acl_rule *)&rule, 1) != 0)
            return NULL;
    }
    return acl && rte_acl_build(acl, &config) == 0 ? acl : NULL;
}

static double acl_ns(const struct rte_acl_ctx *acl, const struct tuple *tuples,
                     const struct bench_set *set, const char *name)
{
    uint64_t best = UINT64_MAX;
    uint32_t found[BATCH];
    const uint8_t *pointer[BATCH];
    unsigned differ = 0;
    for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
        uint64_t from = bench_ns();
        for (unsigned i = 0; i < BENCH_KEYS; i += BATCH) {
            for (unsigned j = 0; j < BATCH; j++)
                pointer[j] = (const uint8_t *)&tuples[i + j];
            rte_acl_classify(acl, pointer, found, BATCH, 1);
            __asm__ volatile("" ::"r"(found) : "memory");
            if (round == 0)
                for (unsigned j = 0; j < BATCH; j++)
                    differ += found[j] - 1 != rules_match_linear(&set->table, &set->keys[i + j]);
        }
        uint64_t took = bench_ns() - from;
        if (took < best)
            best = took;
    }
    if (differ)
        fprintf(stderr, "%s: %u answers are not those of the rules\n", name, differ);
    return (double)best / BENCH_KEYS;
}

static void bench_acl(enum rulegen_kind kind, uint32_t rules)
{
    char name[32];
    struct bench_set set = bench_set(kind, rules);
    struct tuple *tuples = calloc(BENCH_KEYS, sizeof *tuples);
    snprintf(name, sizeof name, "rules_%s_%u", bench_kind_name[kind], rules);
    for (unsigned i = 0; i < BENCH_KEYS; i++) {
        const struct rules_key *key = &set.keys[i];
        tuples[i] = (struct tuple){.protocol = (uint8_t)(key->rest >> 24),
                                   .from = __builtin_bswap32((uint32_t)(key->addresses >> 32)),
                                   .to = __builtin_bswap32((uint32_t)key->addresses),
                                   .from_port = __builtin_bswap16((uint16_t)(key->rest >> 48)),
                                   .to_port = __builtin_bswap16((uint16_t)(key->rest >> 32))};
    }
    uint64_t from = bench_ns();
    struct rte_acl_ctx *acl = acl_build(&set.table, name);
    uint64_t took = bench_ns() - from;
    if (acl) {
        printf("%s_acl %.1f ns\n", name, acl_ns(acl, tuples, &set, name));
        printf("%s_acl_build %.2f ms\n", name, (double)took / 1e6);
    } else {
        printf("%s_acl - librte_acl does not build it\n", name);
    }
    rte_acl_free(acl);
    free(tuples);
    bench_set_free(&set);
}

int main(void)
{
    char *arguments[] = {"rules_acl", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
                         "-m",        "1024",      "-l",       "0",           "--log-level=1"};
    if (rte_eal_init(sizeof arguments / sizeof arguments[0], arguments) < 0) {
        printf("rules_acl - DPDK does not start here\n");
        return 0;
    }
    for (unsigned i = 0; i < BENCH_SIZES; i++) {
        bench_acl(RULEGEN_ACCESS, bench_size[i]);
        bench_acl(RULEGEN_BORDER, bench_size[i]);
    }
    return 0;
}
