/* The check of a firewall table, and the plain reading of its rules: field by field, one rule after
 * the other. Too slow for traffic; it is what the classifier is measured by. */
#include "services/firewall/rules.h"

#include "piglet/error.h"
#include "services/firewall/bpf.h"
#include "wire/icmp.h"

enum {
    DIRECTIONS = PIGLET_DIRECTION_IN | PIGLET_DIRECTION_OUT | PIGLET_DIRECTION_FORWARD,
    FRAGMENTS = PIGLET_FRAGMENT_WHOLE | PIGLET_FRAGMENT_FIRST | PIGLET_FRAGMENT_LATER,
    STATES =
        PIGLET_STATE_NEW | PIGLET_STATE_ESTABLISHED | PIGLET_STATE_RELATED | PIGLET_STATE_INVALID,
    MATCHES = PIGLET_MATCH_PROTOCOL | PIGLET_MATCH_ICMP_TYPE | PIGLET_MATCH_ICMP_CODE,
    ACTIONS = PIGLET_ACTION_LOG | PIGLET_ACTION_COUNT,
    HEADER_FLAGS = PIGLET_FIREWALL_STATELESS | PIGLET_FIREWALL_EVERY_PACKET,
    PROTOCOL_DCCP = 33,
    PROTOCOL_SCTP = 132,
    PROTOCOL_UDP_LITE = 136,
    ICMP_UNREACHABLE_CODES = 16, /* RFC 1812 5.2.7.1 */
};

/* One row of a check: the field's offset where it is not as it must be. */
#define WRONG(type, field) ((int)offsetof(struct type, field))
#define REQUIRE(good, type, field)                                                                 \
    do {                                                                                           \
        if (!(good))                                                                               \
            return WRONG(type, field);                                                             \
    } while (0)
#define ALL_GOOD (-1)

static bool rules_zero(const uint32_t *words, unsigned count)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum |= words[i];
    return sum == 0;
}

/* A code of destination unreachable that answers a packet and does not say "too big", which would
 * change the sender's path MTU. */
static bool rules_reject_code(uint8_t verdict, uint8_t code)
{
    if (verdict < PIGLET_VERDICT_REJECT)
        return code == 0;
    return code < ICMP_UNREACHABLE_CODES && code != ICMP_UNREACHABLE_TOO_BIG;
}

static int rules_check_header(const struct piglet_firewall_header *header, size_t length)
{
    REQUIRE(header->magic == PIGLET_FIREWALL_MAGIC, piglet_firewall_header, magic);
    REQUIRE(header->version == PIGLET_FIREWALL_VERSION, piglet_firewall_header, version);
    REQUIRE((header->flags & ~HEADER_FLAGS) == 0 && header->flags != HEADER_FLAGS,
            piglet_firewall_header, flags);
    REQUIRE(header->rule_count <= PIGLET_FIREWALL_RULES_MAX, piglet_firewall_header, rule_count);
    REQUIRE(header->bpf_count <= PIGLET_FIREWALL_BPF_MAX, piglet_firewall_header, bpf_count);
    size_t want = sizeof *header + header->rule_count * sizeof(struct piglet_firewall_rule) +
                  header->bpf_count * sizeof(struct piglet_bpf);
    REQUIRE(header->bytes == want && length == want, piglet_firewall_header, bytes);
    REQUIRE(header->verdict_in <= PIGLET_VERDICT_RESET, piglet_firewall_header, verdict_in);
    REQUIRE(header->verdict_out <= PIGLET_VERDICT_RESET, piglet_firewall_header, verdict_out);
    REQUIRE(header->verdict_forward <= PIGLET_VERDICT_RESET, piglet_firewall_header,
            verdict_forward);
    REQUIRE(rules_reject_code(PIGLET_VERDICT_REJECT, header->icmp_reject), piglet_firewall_header,
            icmp_reject);
    REQUIRE(rules_zero(header->zero, 7), piglet_firewall_header, zero);
    return ALL_GOOD;
}

static bool rules_has_ports(uint8_t protocol)
{
    return protocol == IPV4_TCP || protocol == IPV4_UDP || protocol == PROTOCOL_DCCP ||
           protocol == PROTOCOL_SCTP || protocol == PROTOCOL_UDP_LITE;
}

static bool rules_any_port(uint16_t first, uint16_t last)
{
    return first == 0 && last == UINT16_MAX;
}

static int rules_check_ports(const struct piglet_firewall_rule *rule)
{
    bool ports = rule->match & PIGLET_MATCH_PROTOCOL && rules_has_ports(rule->protocol);
    REQUIRE(rule->from_port <= rule->from_port_end &&
                (ports || rules_any_port(rule->from_port, rule->from_port_end)),
            piglet_firewall_rule, from_port);
    REQUIRE(rule->to_port <= rule->to_port_end &&
                (ports || rules_any_port(rule->to_port, rule->to_port_end)),
            piglet_firewall_rule, to_port);
    return ALL_GOOD;
}

static int rules_check_protocol(const struct piglet_firewall_rule *rule)
{
    bool exact = rule->match & PIGLET_MATCH_PROTOCOL;
    bool icmp = exact && rule->protocol == IPV4_ICMP;
    REQUIRE((rule->match & ~MATCHES) == 0, piglet_firewall_rule, match);
    REQUIRE(!(rule->match & PIGLET_MATCH_ICMP_TYPE) || icmp, piglet_firewall_rule, match);
    REQUIRE(!(rule->match & PIGLET_MATCH_ICMP_CODE) || rule->match & PIGLET_MATCH_ICMP_TYPE,
            piglet_firewall_rule, match);
    REQUIRE(exact || rule->protocol == 0, piglet_firewall_rule, protocol);
    REQUIRE(rule->match & PIGLET_MATCH_ICMP_TYPE || rule->icmp_type == 0, piglet_firewall_rule,
            icmp_type);
    REQUIRE(rule->match & PIGLET_MATCH_ICMP_CODE || rule->icmp_code == 0, piglet_firewall_rule,
            icmp_code);
    REQUIRE(rule->tcp_mask == 0 || (exact && rule->protocol == IPV4_TCP), piglet_firewall_rule,
            tcp_mask);
    REQUIRE((rule->tcp_value & ~rule->tcp_mask) == 0, piglet_firewall_rule, tcp_value);
    return ALL_GOOD;
}

static int rules_check_rule(const struct piglet_firewall_rule *rule)
{
    REQUIRE(rule->from_length <= 32, piglet_firewall_rule, from_length);
    REQUIRE(rule->to_length <= 32, piglet_firewall_rule, to_length);
    REQUIRE((rule->from & ~rules_mask(rule->from_length)) == 0, piglet_firewall_rule, from);
    REQUIRE((rule->to & ~rules_mask(rule->to_length)) == 0, piglet_firewall_rule, to);
    int wrong = rules_check_protocol(rule);
    if (wrong == ALL_GOOD)
        wrong = rules_check_ports(rule);
    if (wrong != ALL_GOOD)
        return wrong;
    REQUIRE(rule->directions && (rule->directions & ~DIRECTIONS) == 0, piglet_firewall_rule,
            directions);
    REQUIRE(rule->nic_in <= PIGLET_FIREWALL_NIC_MAX || rule->nic_in == PIGLET_FIREWALL_NIC_ANY,
            piglet_firewall_rule, nic_in);
    REQUIRE(rule->nic_out <= PIGLET_FIREWALL_NIC_MAX || rule->nic_out == PIGLET_FIREWALL_NIC_ANY,
            piglet_firewall_rule, nic_out);
    REQUIRE((rule->fragments & ~FRAGMENTS) == 0, piglet_firewall_rule, fragments);
    REQUIRE((rule->states & ~STATES) == 0, piglet_firewall_rule, states);
    REQUIRE(rule->verdict <= PIGLET_VERDICT_RESET, piglet_firewall_rule, verdict);
    REQUIRE(rules_reject_code(rule->verdict, rule->icmp_reject), piglet_firewall_rule, icmp_reject);
    REQUIRE((rule->actions & ~ACTIONS) == 0, piglet_firewall_rule, actions);
    REQUIRE(!rule->zero_byte[0] && !rule->zero_byte[1] && !rule->zero_byte[2], piglet_firewall_rule,
            zero_byte);
    REQUIRE(rule->limit <= PIGLET_FIREWALL_LIMIT_MAX &&
                (rule->limit == 0 || rule->verdict == PIGLET_VERDICT_ACCEPT),
            piglet_firewall_rule, limit);
    REQUIRE(rule->limit || rule->limit_key == 0, piglet_firewall_rule, limit_key);
    REQUIRE(rules_zero(rule->zero, 6), piglet_firewall_rule, zero);
    return ALL_GOOD;
}

/* A rule's program, and that all programs together stay within what one packet may cost: several
 * rules may share one, and each runs it. */
static int rules_check_program(const struct rules_table *table,
                               const struct piglet_firewall_rule *rule, unsigned *steps)
{
    uint32_t total = table->header->bpf_count;
    REQUIRE(rule->bpf_at <= total && (rule->bpf_count || rule->bpf_at == 0), piglet_firewall_rule,
            bpf_at);
    REQUIRE(rule->bpf_count <= total - rule->bpf_at &&
                rule->bpf_count <= PIGLET_FIREWALL_BPF_MAX - *steps,
            piglet_firewall_rule, bpf_count);
    *steps += rule->bpf_count;
    return ALL_GOOD;
}

int rules_check(const uint8_t *bytes, size_t length, struct rules_table *table, uint32_t *wrong_at)
{
    *wrong_at = table->wrong_line = 0;
    if (length < sizeof *table->header)
        return ERR_INVALID;
    table->header = (const void *)bytes;
    int wrong = rules_check_header(table->header, length);
    if (wrong != ALL_GOOD) {
        *wrong_at = (uint32_t)wrong;
        return ERR_INVALID;
    }
    table->rule = (const void *)(bytes + sizeof *table->header);
    table->bpf = (const void *)(table->rule + table->header->rule_count);
    unsigned steps = 0;
    for (uint32_t i = 0; i < table->header->rule_count; i++) {
        const struct piglet_firewall_rule *rule = &table->rule[i];
        table->wrong_line = rule->line;
        wrong = rules_check_rule(rule);
        if (wrong == ALL_GOOD && table->header->flags & PIGLET_FIREWALL_STATELESS && rule->limit)
            wrong = WRONG(piglet_firewall_rule, limit); /* of connections, which there are none */
        if (wrong == ALL_GOOD)
            wrong = rules_check_program(table, rule, &steps);
        unsigned instruction = 0;
        if (wrong == ALL_GOOD && rule->bpf_count &&
            !bpf_check(table->bpf + rule->bpf_at, rule->bpf_count, &instruction)) {
            *wrong_at =
                (uint32_t)((const uint8_t *)(table->bpf + rule->bpf_at + instruction) - bytes);
            return ERR_INVALID;
        }
        if (wrong != ALL_GOOD) {
            *wrong_at = (uint32_t)((const uint8_t *)rule - bytes) + (uint32_t)wrong;
            return ERR_INVALID;
        }
    }
    return 0;
}

/* ---- meaning --------------------------------------------------------------------------------- */

static bool rules_match_transport(const struct piglet_firewall_rule *rule,
                                  const struct rules_key *key)
{
    uint16_t from_port = (uint16_t)(key->rest >> 48), to_port = (uint16_t)(key->rest >> 32);
    bool ports = !rules_any_port(rule->from_port, rule->from_port_end) ||
                 !rules_any_port(rule->to_port, rule->to_port_end);
    bool type = rule->match & PIGLET_MATCH_ICMP_TYPE;
    if ((ports || type || rule->tcp_mask) && !(key->groups & KEY_TRANSPORT))
        return false;
    if (ports && (from_port < rule->from_port || from_port > rule->from_port_end ||
                  to_port < rule->to_port || to_port > rule->to_port_end))
        return false;
    if (type && key->detail >> 8 != rule->icmp_type)
        return false;
    if (rule->match & PIGLET_MATCH_ICMP_CODE && (key->detail & 0xff) != rule->icmp_code)
        return false;
    return (key->detail & rule->tcp_mask) == rule->tcp_value;
}

bool rules_match(const struct rules_table *table, const struct piglet_firewall_rule *rule,
                 const struct rules_key *key)
{
    uint32_t from = (uint32_t)(key->addresses >> 32), to = (uint32_t)key->addresses;
    uint8_t protocol = (uint8_t)(key->rest >> 24);
    uint8_t nic_in = (uint8_t)(key->rest >> 16), nic_out = (uint8_t)(key->rest >> 8);
    unsigned states = rule->states ? rule->states : STATES & ~PIGLET_STATE_INVALID;
    unsigned fragments = rule->fragments ? rule->fragments : FRAGMENTS;
    if ((from & rules_mask(rule->from_length)) != rule->from ||
        (to & rules_mask(rule->to_length)) != rule->to)
        return false;
    if (rule->match & PIGLET_MATCH_PROTOCOL && protocol != rule->protocol)
        return false;
    if ((rule->nic_in != PIGLET_FIREWALL_NIC_ANY && nic_in != rule->nic_in) ||
        (rule->nic_out != PIGLET_FIREWALL_NIC_ANY && nic_out != rule->nic_out))
        return false;
    if (!((key->groups >> KEY_DIRECTION) & rule->directions) ||
        !((key->groups >> KEY_FRAGMENT) & fragments & FRAGMENTS) ||
        !((key->groups >> KEY_STATE) & states & STATES))
        return false;
    if (!rules_match_transport(rule, key))
        return false;
    return !rule->bpf_count || bpf_run(table->bpf + rule->bpf_at, key->packet, key->packet_bytes);
}

uint32_t rules_match_linear(const struct rules_table *table, const struct rules_key *key)
{
    for (uint32_t i = 0; i < table->header->rule_count; i++)
        if (rules_match(table, &table->rule[i], key))
            return i;
    return RULES_NONE;
}
