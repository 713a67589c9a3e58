/* Fuzzes the classifier against its reference: rules from any bytes, and keys from others, must give
 * the same rule both ways.
 *
 * The input: how many rules (1 byte), the rules, then keys of KEY_BYTES each; a key whose first byte
 * is odd takes its addresses and ports from a rule. */
#include <stdlib.h>
#include <string.h>

#include "services/firewall/classifier.h"
#include "tests/model/firewall_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { RULES_MAX = 64, KEY_BYTES = 24 };

static const struct piglet_bpf program[] = {{.code = 0x30, .k = 5},
                                            {.code = 0x25, .jump_false = 1, .k = 99},
                                            {.code = 0x06, .k = 1},
                                            {.code = 0x06}};

static struct rules_key read_key(const uint8_t *data, const struct piglet_firewall_rule *rules,
                                 uint32_t count)
{
    struct rules_key key = {.packet = data, .packet_bytes = data[1] % KEY_BYTES};
    memcpy(&key.addresses, data + 2, 8);
    memcpy(&key.rest, data + 10, 8);
    memcpy(&key.detail, data + 18, 2);
    if (data[0] & 1 && count) {
        const struct piglet_firewall_rule *rule = &rules[data[1] % count];
        key.addresses &=
            ~((uint64_t)rules_mask(rule->from_length) << 32 | rules_mask(rule->to_length));
        key.addresses |= (uint64_t)rule->from << 32 | rule->to;
        if (data[0] & 8)
            key.rest = rules_rest(rule->from_port, rule->to_port_end, rule->protocol, data[20] % 3,
                                  data[21] % 3);
    }
    key.rest &= ~0xffull;
    bool transport = data[0] & 6;
    key.groups =
        (uint16_t)(1u << (KEY_DIRECTION + data[22] % 3) | 1u << (KEY_FRAGMENT + data[23] % 3) |
                   1u << (KEY_STATE + data[0] / 16 % 4) |
                   (transport ? KEY_TRANSPORT : KEY_NO_TRANSPORT));
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static _Alignas(8) struct {
        struct piglet_firewall_header header;
        uint8_t rest[RULES_MAX * sizeof(struct piglet_firewall_rule) + sizeof program];
    } whole;
    static struct classifier *classifier;
    static struct classifier_scratch *scratch;
    if (!classifier) {
        classifier = aligned_alloc(64, (sizeof *classifier + 63) / 64 * 64);
        scratch = malloc(classifier_scratch_bytes);
    }
    if (!bytes)
        return 0;
    struct piglet_firewall_rule *rule = (void *)whole.rest;
    uint32_t rules = data[0] % RULES_MAX;
    rules = rules < (bytes - 1) / sizeof *rule ? rules : (uint32_t)((bytes - 1) / sizeof *rule);
    memcpy(rule, data + 1, rules * sizeof *rule);
    for (uint32_t i = 0; i < rules; i++)
        rule_mend(&rule[i], sizeof program / sizeof program[0]);
    memcpy(rule + rules, program, sizeof program);
    struct firewall_table table = table_new(PIGLET_VERDICT_DROP);
    whole.header = table.header;
    whole.header.rule_count = rules;
    whole.header.bpf_count = sizeof program / sizeof program[0];
    whole.header.bytes = (uint32_t)(sizeof whole.header + rules * sizeof *rule + sizeof program);
    struct rules_table checked;
    uint32_t wrong_at;
    if (rules_check((const uint8_t *)&whole, whole.header.bytes, &checked, &wrong_at) != 0)
        abort(); /* rule_mend makes good rules */
    classifier_build(classifier, &checked, scratch);
    data += 1 + rules * sizeof *rule;
    bytes -= 1 + rules * sizeof *rule;
    for (; bytes >= KEY_BYTES; data += KEY_BYTES, bytes -= KEY_BYTES) {
        struct rules_key key = read_key(data, rule, rules);
        const struct rules_key *keys = &key;
        uint32_t found;
        classifier_match(classifier, &keys, 1, &found);
        if (found != rules_match_linear(&checked, &key))
            abort();
    }
    return 0;
}
