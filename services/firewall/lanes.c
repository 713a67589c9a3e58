/* Rules as masks, for grouping them, and as lanes, for comparing them. */
#include "services/firewall/lanes.h"

/* How many leading bits all ports of a range share. */
static unsigned lanes_common_bits(uint16_t first, uint16_t last)
{
    unsigned differ = first ^ last;
    return differ ? (unsigned)__builtin_clz(differ) - 16 : 16;
}

static uint16_t lanes_forbidden(const struct piglet_firewall_rule *rule)
{
    unsigned states = rule->states
                          ? rule->states
                          : PIGLET_STATE_NEW | PIGLET_STATE_ESTABLISHED | PIGLET_STATE_RELATED;
    unsigned fragments = rule->fragments ? rule->fragments : 7;
    unsigned allowed = (unsigned)rule->directions << KEY_DIRECTION | fragments << KEY_FRAGMENT |
                       states << KEY_STATE | KEY_TRANSPORT;
    bool ports = rule->from_port || rule->from_port_end != UINT16_MAX || rule->to_port ||
                 rule->to_port_end != UINT16_MAX;
    if (!ports && !rule->tcp_mask && !(rule->match & PIGLET_MATCH_ICMP_TYPE))
        allowed |= KEY_NO_TRANSPORT;
    return (uint16_t)(~allowed & KEY_GROUPS);
}

struct build_rule lanes_masks(const struct piglet_firewall_rule *rule)
{
    return (struct build_rule){
        .addresses = (uint64_t)rule->from << 32 | rule->to,
        .addresses_mask =
            (uint64_t)rules_mask(rule->from_length) << 32 | rules_mask(rule->to_length),
        .rest =
            rules_rest(rule->from_port, rule->to_port, rule->protocol, rule->nic_in, rule->nic_out),
        .rest_mask = rules_rest(
            (uint16_t)lanes_port_mask(lanes_common_bits(rule->from_port, rule->from_port_end)),
            (uint16_t)lanes_port_mask(lanes_common_bits(rule->to_port, rule->to_port_end)),
            rule->match & PIGLET_MATCH_PROTOCOL ? 0xff : 0,
            rule->nic_in == PIGLET_FIREWALL_NIC_ANY ? 0 : 0xff,
            rule->nic_out == PIGLET_FIREWALL_NIC_ANY ? 0 : 0xff),
        .forbidden = lanes_forbidden(rule),
    };
}

struct classifier_more lanes_more(const struct piglet_firewall_rule *rule,
                                  const struct build_rule *masks)
{
    struct classifier_more more = {.rest = (uint32_t)masks->rest,
                                   .rest_mask = (uint32_t)masks->rest_mask,
                                   .bpf = (uint16_t)rule->bpf_count,
                                   .bpf_at = (uint16_t)rule->bpf_at};
    if (rule->tcp_mask) {
        more.detail = rule->tcp_value;
        more.detail_mask = rule->tcp_mask;
    } else if (rule->match & PIGLET_MATCH_ICMP_TYPE) {
        more.detail = (uint16_t)(rule->icmp_type << 8 | rule->icmp_code);
        more.detail_mask = rule->match & PIGLET_MATCH_ICMP_CODE ? 0xffff : 0xff00;
    }
    return more;
}

static void lanes_set(struct classifier_rule *rule, enum classifier_lane lane, unsigned first,
                      unsigned last)
{
    rule->first[lane] = (uint16_t)first;
    rule->span[lane] = (uint16_t)(last - first);
}

struct classifier_rule lanes_rule(const struct piglet_firewall_rule *rule,
                                  const struct build_rule *masks, uint32_t index, bool more)
{
    uint32_t from_last = rule->from | ~rules_mask(rule->from_length);
    uint32_t to_last = rule->to | ~rules_mask(rule->to_length);
    uint16_t protocol = (uint16_t)(masks->rest >> 16);
    uint16_t protocol_mask = (uint16_t)(masks->rest_mask >> 16);
    struct classifier_rule built;
    lanes_set(&built, LANE_TO_LOW, (uint16_t)rule->to, (uint16_t)to_last);
    lanes_set(&built, LANE_TO_HIGH, rule->to >> 16, to_last >> 16);
    lanes_set(&built, LANE_FROM_LOW, (uint16_t)rule->from, (uint16_t)from_last);
    lanes_set(&built, LANE_FROM_HIGH, rule->from >> 16, from_last >> 16);
    if (!(protocol_mask >> 8)) /* the nic in may be left then, which is no range */
        protocol_mask = 0;
    lanes_set(&built, LANE_PROTOCOL, protocol & protocol_mask,
              (protocol & protocol_mask) | (uint16_t)~protocol_mask);
    lanes_set(&built, LANE_TO_PORT, rule->to_port, rule->to_port_end);
    lanes_set(&built, LANE_FROM_PORT, rule->from_port, rule->from_port_end);
    built.first[LANE_REST] = (uint16_t)index;
    built.span[LANE_REST] = (uint16_t)(masks->forbidden | (more ? CLASSIFIER_MORE : 0));
    return built;
}

bool lanes_has_more(const struct classifier_more *more)
{
    bool protocol = more->rest_mask & 0xff000000, in = more->rest_mask & 0xff0000;
    return more->bpf || more->detail_mask || more->rest_mask & 0xff00 || (in && !protocol);
}
