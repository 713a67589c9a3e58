/* Firewall tables rule by rule, for tests. */
#include "tests/model/firewall_table.h"

#include <string.h>

#include "kernel/chain.h"
#include "services/firewall/rules.h"
#include "wire/ipv4.h"

struct firewall_table table_new(enum piglet_verdict verdict)
{
    return (struct firewall_table){.header = {.magic = PIGLET_FIREWALL_MAGIC,
                                              .version = PIGLET_FIREWALL_VERSION,
                                              .verdict_in = (uint8_t)verdict,
                                              .verdict_out = (uint8_t)verdict,
                                              .verdict_forward = (uint8_t)verdict,
                                              .icmp_reject = 13}};
}

struct piglet_firewall_rule *table_rule(struct firewall_table *table, unsigned directions,
                                        enum piglet_verdict verdict)
{
    struct piglet_firewall_rule *rule = &table->rule[table->header.rule_count++];
    *rule = (struct piglet_firewall_rule){.from_port_end = UINT16_MAX,
                                          .to_port_end = UINT16_MAX,
                                          .directions = (uint8_t)directions,
                                          .nic_in = PIGLET_FIREWALL_NIC_ANY,
                                          .nic_out = PIGLET_FIREWALL_NIC_ANY,
                                          .verdict = (uint8_t)verdict,
                                          .line = table->header.rule_count * 10};
    return rule;
}

void rule_protocol(struct piglet_firewall_rule *rule, uint8_t protocol, uint16_t to_port)
{
    rule->match |= PIGLET_MATCH_PROTOCOL;
    rule->protocol = protocol;
    if (to_port)
        rule->to_port = rule->to_port_end = to_port;
}

static void mend_protocol(struct piglet_firewall_rule *rule)
{
    rule->match &= PIGLET_MATCH_PROTOCOL | PIGLET_MATCH_ICMP_TYPE | PIGLET_MATCH_ICMP_CODE;
    if (!(rule->match & PIGLET_MATCH_PROTOCOL))
        rule->protocol = 0;
    bool icmp = rule->protocol == IPV4_ICMP, tcp = rule->protocol == IPV4_TCP;
    if (!icmp)
        rule->match &= PIGLET_MATCH_PROTOCOL;
    if (!(rule->match & PIGLET_MATCH_ICMP_TYPE))
        rule->match &= PIGLET_MATCH_PROTOCOL;
    rule->icmp_type = rule->match & PIGLET_MATCH_ICMP_TYPE ? rule->icmp_type : 0;
    rule->icmp_code = rule->match & PIGLET_MATCH_ICMP_CODE ? rule->icmp_code : 0;
    rule->tcp_mask = tcp ? rule->tcp_mask : 0;
    rule->tcp_value &= rule->tcp_mask;
    bool ports = tcp || rule->protocol == IPV4_UDP;
    if (!ports || rule->from_port > rule->from_port_end) {
        rule->from_port = 0;
        rule->from_port_end = UINT16_MAX;
    }
    if (!ports || rule->to_port > rule->to_port_end) {
        rule->to_port = 0;
        rule->to_port_end = UINT16_MAX;
    }
}

void rule_mend(struct piglet_firewall_rule *rule, uint32_t programs)
{
    rule->from_length %= 33;
    rule->to_length %= 33;
    rule->from &= rules_mask(rule->from_length);
    rule->to &= rules_mask(rule->to_length);
    mend_protocol(rule);
    rule->directions = rule->directions & 7 ? rule->directions & 7 : 1;
    rule->nic_in = rule->nic_in < 3 ? rule->nic_in : PIGLET_FIREWALL_NIC_ANY;
    rule->nic_out = rule->nic_out < 3 ? rule->nic_out : PIGLET_FIREWALL_NIC_ANY;
    rule->fragments &= 7;
    rule->states &= 15;
    rule->verdict &= 3;
    rule->icmp_reject = rule->verdict >= PIGLET_VERDICT_REJECT ? rule->icmp_reject & 3 : 0;
    rule->actions &= 3;
    memset(rule->zero_byte, 0, sizeof rule->zero_byte);
    memset(rule->zero, 0, sizeof rule->zero);
    rule->limit = rule->verdict == PIGLET_VERDICT_ACCEPT ? rule->limit & 3 : 0;
    rule->limit_key = rule->limit ? rule->limit_key & 1 : 0;
    rule->bpf_at = 0;
    rule->bpf_count = rule->bpf_count & 1 ? programs : 0;
}

int table_load(struct core *core, const struct firewall_table *table)
{
    static _Alignas(8) uint8_t bytes[sizeof *table];
    struct firewall_table whole = *table;
    size_t rules = sizeof table->rule[0] * table->header.rule_count;
    size_t programs = sizeof table->bpf[0] * table->header.bpf_count;
    whole.header.bytes = (uint32_t)(sizeof table->header + rules + programs);
    memcpy(bytes, &whole.header, sizeof whole.header);
    memcpy(bytes + sizeof whole.header, whole.rule, rules);
    memcpy(bytes + sizeof whole.header + rules, whole.bpf, programs);
    struct service_self *self = chain_find(core, "firewall");
    int load = chain_service_load(self, bytes, whole.header.bytes);
    return load < 0 ? load : chain_service_swap(self, (uint64_t)load);
}
