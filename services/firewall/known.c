/* Asking the rules, with what they said before remembered (known.h); and the quick way of packets
 * of a table without flows, which need nothing else.
 *
 * Cost of the quick way: 125 instructions, with its share of the batch. */
#include "services/firewall/firewall.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

void known_start(struct known *known, const struct rules_table *table)
{
    uint64_t rest = 0;
    uint16_t detail = 0;
    known->programs = false;
    for (uint32_t i = 0; i < table->header->rule_count; i++) {
        const struct piglet_firewall_rule *rule = &table->rule[i];
        bool from = rule->from_port || rule->from_port_end != UINT16_MAX;
        bool to = rule->to_port || rule->to_port_end != UINT16_MAX;
        rest |= rules_rest(from ? UINT16_MAX : 0, to ? UINT16_MAX : 0,
                           rule->match & PIGLET_MATCH_PROTOCOL ? 0xff : 0,
                           rule->nic_in == PIGLET_FIREWALL_NIC_ANY ? 0 : 0xff,
                           rule->nic_out == PIGLET_FIREWALL_NIC_ANY ? 0 : 0xff);
        if (rule->match & PIGLET_MATCH_ICMP_TYPE)
            detail |= rule->match & PIGLET_MATCH_ICMP_CODE ? 0xffff : 0xff00;
        detail |= rule->tcp_mask;
        known->programs |= rule->bpf_count != 0;
    }
    known->rest_mask = rest;
    known->detail_mask = detail;
    memset(known->line, 0, sizeof known->line);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Place of the action for what the classifier found: the default's where that is nothing. */
static inline uint32_t known_default(const struct firewall_half *half, const struct rules_key *key,
                                     uint32_t found)
{
    return found != RULES_NONE ? found : half->rules + ((key->groups & 7u) >> 1);
}

/* Those of `keys` that nothing is known about, by their places: one at least. */
static __attribute__((noinline)) void known_learn(struct firewall_half *half,
                                                  const struct rules_key *const *keys,
                                                  const uint8_t *places, unsigned count,
                                                  uint32_t *actions)
{
    const struct rules_key *some[BATCH_MAX];
    uint32_t found[BATCH_MAX];
    unsigned filled = 0;
    do
        some[filled] = keys[places[filled]];
    while (++filled < count);
    classifier_match(&half->classifier, some, count, found);
    for (unsigned i = 0; i < count; i++) {
        uint32_t action = known_default(half, some[i], found[i]);
        actions[places[i]] = action;
        if (half->known.programs)
            continue;
        struct known_key wanted = known_wanted(&half->known, some[i]);
        wanted.word |= (uint64_t)action << 32;
        known_add(&half->known, &wanted);
    }
}

void firewall_ask(struct firewall_half *half, const struct rules_key *const *keys, unsigned count,
                  uint32_t *actions)
{
    uint8_t unknown[BATCH_MAX];
    unsigned unknowns = 0;
    for (unsigned i = 0; i < count; i++) {
        struct known_key wanted = known_wanted(&half->known, keys[i]);
        const struct known_key *place = known_find(&half->known, &wanted);
        if (place)
            actions[i] = known_action(place);
        else
            unknown[unknowns++] = (uint8_t)i;
    }
    if (unknowns)
        known_learn(half, keys, unknown, unknowns, actions);
}

/* ---- without flows --------------------------------------------------------------------------- */

/* Whether UDP's or TCP's header is there, and this is no fragment: what may go the quick way. */
static inline bool known_plain(const struct ipv4_header *ip, const uint8_t *l4, unsigned bytes)
{
    if (UNLIKELY(ip->fragment.raw & be16(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET).raw))
        return false;
    if (ip->protocol == IPV4_UDP)
        return bytes >= UDP_HEADER_LENGTH;
    if (ip->protocol != IPV4_TCP || bytes < TCP_HEADER_MIN)
        return false;
    unsigned whole = (((const struct tcp_header *)l4)->offset >> 4) * 4u;
    return whole >= TCP_HEADER_MIN && whole <= bytes;
}

/* Addresses and ports as a key has them, each read at once. */
static inline uint64_t known_addresses(const struct ipv4_header *ip)
{
    uint64_t raw;
    memcpy(&raw, &ip->from, sizeof raw);
    return __builtin_bswap64(raw);
}

static inline uint64_t known_ports(const uint8_t *l4)
{
    uint32_t raw;
    memcpy(&raw, l4, sizeof raw);
    return (uint64_t)__builtin_bswap32(raw) << 32;
}

/* True: it passes, and was counted. False: nothing was done. */
static inline bool known_packet(struct firewall_half *half, struct frame *frame, uint8_t direction,
                                uint8_t nic_in, uint8_t nic_out)
{
    const struct ipv4_header *ip = (const void *)(frame->data + frame->l3);
    const uint8_t *l4 = frame->data + frame->l4;
    if (!known_plain(ip, l4, (unsigned)frame->end - frame->l4))
        return false;
    struct rules_key key = {
        .addresses = known_addresses(ip),
        .rest = known_ports(l4) | rules_rest(0, 0, ip->protocol, nic_in, nic_out),
        .detail = ip->protocol == IPV4_TCP ? ((const struct tcp_header *)l4)->flags : 0,
        .groups = (uint16_t)((unsigned)direction << KEY_DIRECTION |
                             PIGLET_FRAGMENT_WHOLE << KEY_FRAGMENT | PIGLET_STATE_NEW << KEY_STATE |
                             KEY_TRANSPORT),
    };
    struct known_key wanted = known_wanted(&half->known, &key);
    const struct known_key *place = known_find(&half->known, &wanted);
    if (!place)
        return false;
    uint32_t number = known_action(place);
    const struct firewall_action *action = &half->action[number];
    if (UNLIKELY(action->verdict != PIGLET_VERDICT_ACCEPT || action->actions & PIGLET_ACTION_LOG))
        return false;
    frame->line = action->line;
    half->count[number].packets++;
    half->count[number].bytes += frame->end;
    return true;
}

uint64_t firewall_known(struct service_self *self, struct frame *const *frame, unsigned count)
{
    struct firewall *firewall = self->state;
    uint64_t passed = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t out, direction = firewall_way(frame[i], &out);
        passed |= (uint64_t)known_packet(firewall->active, frame[i], direction, frame[i]->nic, out)
                  << i;
    }
    *firewall->count.asked += (unsigned)__builtin_popcountll(passed);
    return passed;
}

bool firewall_known_sent(struct firewall *firewall, struct frame *frame)
{
    bool passed =
        known_packet(firewall->active, frame, PIGLET_DIRECTION_OUT, RULES_NIC_NONE, frame->nic);
    *firewall->count.asked += passed;
    return passed;
}
