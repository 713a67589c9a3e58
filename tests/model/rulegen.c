/* Firewall tables from a seed. The shares of prefix lengths, ports and protocols follow what
 * ClassBench (Taylor and Turner 2007) reports of real access lists and firewalls. */
#include "tests/model/rulegen.h"

#include <string.h>

#include "wire/ipv4.h"

enum {
    SITES = 24, /* /16 networks that all prefixes lie in */
    PROGRAM_LENGTH = 4,
    NOISE_BITS = 24, /* of disorder */
    BITS_MIN = 20,   /* of a rule: what lays down less is the default's business */
    PACKET_BYTES = 64,
};

static const uint16_t services[] = {80,  443, 22,  25,  53,   110,  143,
                                    123, 161, 389, 445, 1433, 3306, 8080};
static const uint8_t protocols[] = {IPV4_TCP, IPV4_UDP, IPV4_ICMP, 47, 33};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

uint32_t rulegen_number(struct rulegen *random, uint32_t limit)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15; /* splitmix64: Steele, Lea, Flood 2014 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return (uint32_t)((z >> 32) * limit >> 32);
}

static bool chance(struct rulegen *random, unsigned percent)
{
    return rulegen_number(random, 100) < percent;
}

/* An address in one of the sites; few networks and hosts occur often, many seldom. */
static uint32_t site_address(struct rulegen *random, uint32_t spread)
{
    uint32_t site = rulegen_number(random, 1 + rulegen_number(random, SITES));
    uint32_t network = rulegen_number(random, 1 + rulegen_number(random, spread));
    return (10 + site * 7) << 24 | (site * 37 & 0xff) << 16 | (network & 0xff) << 8 |
           rulegen_number(random, 256);
}

static void set_prefix(uint32_t *prefix, uint8_t *length, uint32_t address, unsigned bits)
{
    *length = (uint8_t)bits;
    *prefix = address & rules_mask(bits);
}

static unsigned prefix_length(struct rulegen *random, unsigned any_percent)
{
    if (chance(random, any_percent))
        return 0;
    unsigned dice = rulegen_number(random, 100);
    if (dice < 45)
        return 32;
    if (dice < 75)
        return 24;
    if (dice < 90)
        return 25 + rulegen_number(random, 7);
    return dice < 97 ? 16 + rulegen_number(random, 8) : 8 + rulegen_number(random, 8);
}

static void any_port(uint16_t *first, uint16_t *last)
{
    *first = 0;
    *last = UINT16_MAX;
}

static void set_port(struct rulegen *random, uint16_t *first, uint16_t *last, unsigned exact,
                     unsigned high, unsigned range)
{
    unsigned dice = rulegen_number(random, 100);
    any_port(first, last);
    if (dice < exact) {
        *first = *last = chance(random, 60) ? services[rulegen_number(random, COUNT_OF(services))]
                                            : (uint16_t)rulegen_number(random, 65536);
    } else if (dice < exact + high) {
        *first = 1024;
    } else if (dice < exact + high + range) {
        *first = (uint16_t)rulegen_number(random, 60000);
        *last = (uint16_t)(*first + 1 + rulegen_number(random, 5000));
    }
}

static struct piglet_firewall_rule plain_rule(struct rulegen *random, uint32_t line)
{
    struct piglet_firewall_rule rule = {
        .directions = PIGLET_DIRECTION_FORWARD,
        .nic_in = PIGLET_FIREWALL_NIC_ANY,
        .nic_out = PIGLET_FIREWALL_NIC_ANY,
        .verdict = chance(random, 70) ? PIGLET_VERDICT_ACCEPT : PIGLET_VERDICT_DROP,
        .line = line,
    };
    any_port(&rule.from_port, &rule.from_port_end);
    any_port(&rule.to_port, &rule.to_port_end);
    return rule;
}

static struct piglet_firewall_rule real_rule(struct rulegen *random, enum rulegen_kind kind,
                                             uint32_t rules, uint32_t line)
{
    bool border = kind == RULEGEN_BORDER;
    struct piglet_firewall_rule rule = plain_rule(random, line);
    set_prefix(&rule.from, &rule.from_length, site_address(random, 8 + rules / 20),
               prefix_length(random, border ? 40 : 20));
    set_prefix(&rule.to, &rule.to_length, site_address(random, 8 + rules / 20),
               prefix_length(random, border ? 15 : 4));
    unsigned dice = rulegen_number(random, 100);
    if (dice < 95) {
        rule.match = PIGLET_MATCH_PROTOCOL;
        rule.protocol = dice < 70 ? IPV4_TCP : dice < 90 ? IPV4_UDP : IPV4_ICMP;
    }
    if (rule.protocol == IPV4_TCP || rule.protocol == IPV4_UDP) {
        if (border)
            set_port(random, &rule.from_port, &rule.from_port_end, 10, 25, 5);
        set_port(random, &rule.to_port, &rule.to_port_end, border ? 55 : 65, border ? 15 : 8,
                 border ? 10 : 7);
    }
    return rule;
}

/* How much of a packet a rule lays down, in bits. */
static unsigned rule_bits(const struct piglet_firewall_rule *rule)
{
    unsigned bits = rule->from_length + rule->to_length + (rule->protocol ? 4 : 0);
    bits += rule->from_port == rule->from_port_end ? 16 : rule->from_port ? 4 : 0;
    bits += rule->to_port == rule->to_port_end ? 16 : rule->to_port ? 4 : 0;
    return bits;
}

/* Lists are kept so that particular rules come before general ones, more or less; otherwise most
 * would never match. Insertion from behind, in blocks: Shell's gaps. */
static void order_rules(struct rulegen *random, struct piglet_firewall_rule *rule, uint32_t rules)
{
    for (uint32_t i = 0; i < rules; i++) /* the place it wants, for now in its line */
        rule[i].line = 200 - rule_bits(&rule[i]) + rulegen_number(random, NOISE_BITS);
    for (uint32_t gap = rules / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < rules; i++) {
            struct piglet_firewall_rule moving = rule[i];
            uint32_t j = i;
            for (; j >= gap && rule[j - gap].line > moving.line; j -= gap)
                rule[j] = rule[j - gap];
            rule[j] = moving;
        }
    for (uint32_t i = 0; i < rules; i++)
        rule[i].line = i + 1;
}

static struct piglet_firewall_rule any_rule(struct rulegen *random, uint32_t programs,
                                            uint32_t line)
{
    struct piglet_firewall_rule rule = plain_rule(random, line);
    unsigned wild = 30 + 50 * rulegen_number(random, 2); /* some overlap in nearly everything */
    set_prefix(&rule.from, &rule.from_length, site_address(random, 4),
               chance(random, wild) ? 0 : rulegen_number(random, 33));
    set_prefix(&rule.to, &rule.to_length, site_address(random, 4),
               chance(random, wild) ? 0 : rulegen_number(random, 33));
    rule.directions = (uint8_t)(1 + rulegen_number(random, 7));
    if (chance(random, 15))
        rule.nic_in = (uint8_t)rulegen_number(random, 3);
    if (chance(random, 15))
        rule.nic_out = (uint8_t)rulegen_number(random, 3);
    if (chance(random, 20))
        rule.fragments = (uint8_t)rulegen_number(random, 8);
    if (chance(random, 30))
        rule.states = (uint8_t)rulegen_number(random, 16);
    if (chance(random, 80)) {
        rule.match = PIGLET_MATCH_PROTOCOL;
        rule.protocol = protocols[rulegen_number(random, COUNT_OF(protocols))];
    }
    if (rule.protocol == IPV4_TCP || rule.protocol == IPV4_UDP || rule.protocol == 33) {
        set_port(random, &rule.from_port, &rule.from_port_end, 20, 20, 20);
        set_port(random, &rule.to_port, &rule.to_port_end, 40, 20, 20);
    }
    if (rule.protocol == IPV4_TCP && chance(random, 20)) {
        rule.tcp_mask = (uint8_t)rulegen_number(random, 64);
        rule.tcp_value = rule.tcp_mask & (uint8_t)rulegen_number(random, 64);
    }
    if (rule.protocol == IPV4_ICMP && chance(random, 70)) {
        rule.match |= PIGLET_MATCH_ICMP_TYPE;
        rule.icmp_type = (uint8_t)rulegen_number(random, 4);
        if (chance(random, 40)) {
            rule.match |= PIGLET_MATCH_ICMP_CODE;
            rule.icmp_code = (uint8_t)rulegen_number(random, 4);
        }
    }
    if (programs && chance(random, 10)) {
        rule.bpf_at = rulegen_number(random, programs) * PROGRAM_LENGTH;
        rule.bpf_count = PROGRAM_LENGTH;
    }
    return rule;
}

/* "Byte k of the packet is above n": ldb [k]; jgt n; ret 1; ret 0. */
static void write_program(struct rulegen *random, struct piglet_bpf *at)
{
    at[0] = (struct piglet_bpf){.code = 0x30, .k = rulegen_number(random, PACKET_BYTES + 8)};
    at[1] = (struct piglet_bpf){.code = 0x25, .jump_false = 1, .k = rulegen_number(random, 256)};
    at[2] = (struct piglet_bpf){.code = 0x06, .k = 1};
    at[3] = (struct piglet_bpf){.code = 0x06};
}

uint32_t rulegen_table(struct rulegen *random, enum rulegen_kind kind, uint32_t rules,
                       uint8_t *bytes)
{
    uint32_t programs = kind == RULEGEN_ANY ? 8 : 0, steps = 0;
    struct piglet_firewall_header *header = (void *)bytes;
    struct piglet_firewall_rule *rule = (void *)(header + 1);
    struct piglet_bpf *program = (void *)(rule + rules);
    for (uint32_t i = 0; i < programs; i++)
        write_program(random, program + (size_t)i * PROGRAM_LENGTH);
    for (uint32_t i = 0; i < rules; i++) {
        if (kind == RULEGEN_ANY) {
            bool room = steps + PROGRAM_LENGTH <= PIGLET_FIREWALL_BPF_MAX;
            rule[i] = any_rule(random, room ? programs : 0, i + 1);
            steps += rule[i].bpf_count;
        } else {
            do
                rule[i] = real_rule(random, kind, rules, i + 1);
            while (rule_bits(&rule[i]) < BITS_MIN);
        }
    }
    if (kind != RULEGEN_ANY)
        order_rules(random, rule, rules);
    uint32_t end = (uint32_t)((uint8_t *)(program + (size_t)programs * PROGRAM_LENGTH) - bytes);
    *header = (struct piglet_firewall_header){
        .magic = PIGLET_FIREWALL_MAGIC,
        .version = PIGLET_FIREWALL_VERSION,
        .bytes = end,
        .rule_count = rules,
        .bpf_count = programs * PROGRAM_LENGTH,
        .verdict_in = PIGLET_VERDICT_DROP,
        .verdict_out = PIGLET_VERDICT_ACCEPT,
        .verdict_forward = PIGLET_VERDICT_DROP,
        .icmp_reject = 13,
    };
    return end;
}

/* ---- packets --------------------------------------------------------------------------------- */

static uint32_t in_range(struct rulegen *random, uint32_t first, uint32_t last)
{
    switch (rulegen_number(random, 8)) {
    case 0:
        return first;
    case 1:
        return last;
    case 2:
        return first - chance(random, 10); /* just outside */
    case 3:
        return last + chance(random, 10);
    default:
        return last - first == UINT32_MAX ? rulegen_number(random, UINT32_MAX)
                                          : first + rulegen_number(random, last - first + 1);
    }
}

static uint32_t in_prefix(struct rulegen *random, uint32_t prefix, uint8_t length)
{
    return in_range(random, prefix, prefix | ~rules_mask(length));
}

static uint8_t pick_nic(struct rulegen *random)
{
    return chance(random, 20) ? RULES_NIC_NONE : (uint8_t)rulegen_number(random, 3);
}

static void set_groups(struct rulegen *random, struct rules_key *key)
{
    unsigned direction = chance(random, 60) ? 2 : rulegen_number(random, 3);
    unsigned fragment = chance(random, 90) ? 0 : rulegen_number(random, 3);
    unsigned state = chance(random, 80) ? 0 : rulegen_number(random, 4);
    bool transport = fragment != 2 && !chance(random, 2);
    key->groups =
        (uint16_t)(1u << (KEY_DIRECTION + direction) | 1u << (KEY_FRAGMENT + fragment) |
                   1u << (KEY_STATE + state) | (transport ? KEY_TRANSPORT : KEY_NO_TRANSPORT));
    if (!transport) {
        key->rest &= 0xffffffff;
        key->detail = 0;
    }
}

static struct rules_key make_key(struct rulegen *random, uint32_t from, uint32_t to,
                                 uint16_t from_port, uint16_t to_port, uint8_t protocol)
{
    static const uint8_t packet[PACKET_BYTES] = {7, 77, 177, 255, 0, 1, 42, 128, 200, 3, 99};
    bool ports = protocol == IPV4_TCP || protocol == IPV4_UDP || protocol == 33;
    struct rules_key key = {
        .addresses = (uint64_t)from << 32 | to,
        .rest = rules_rest(ports ? from_port : 0, ports ? to_port : 0, protocol, pick_nic(random),
                           pick_nic(random)),
        .packet = packet,
        .packet_bytes = PACKET_BYTES - rulegen_number(random, 8),
    };
    if (protocol == IPV4_TCP)
        key.detail = (uint16_t)rulegen_number(random, 64);
    else if (protocol == IPV4_ICMP)
        key.detail = (uint16_t)(rulegen_number(random, 4) << 8 | rulegen_number(random, 4));
    set_groups(random, &key);
    return key;
}

struct rules_key rulegen_key_any(struct rulegen *random)
{
    uint8_t protocol = protocols[rulegen_number(random, COUNT_OF(protocols))];
    uint32_t from =
        chance(random, 50) ? site_address(random, 4) : rulegen_number(random, UINT32_MAX);
    uint32_t to = chance(random, 50) ? site_address(random, 4) : rulegen_number(random, UINT32_MAX);
    return make_key(random, from, to, (uint16_t)rulegen_number(random, 65536),
                    (uint16_t)rulegen_number(random, 65536), protocol);
}

struct rules_key rulegen_key(struct rulegen *random, const struct rules_table *table)
{
    if (!table->header->rule_count)
        return rulegen_key_any(random);
    const struct piglet_firewall_rule *rule =
        &table->rule[rulegen_number(random, table->header->rule_count)];
    uint8_t protocol = rule->match & PIGLET_MATCH_PROTOCOL
                           ? rule->protocol
                           : protocols[rulegen_number(random, COUNT_OF(protocols))];
    return make_key(random, in_prefix(random, rule->from, rule->from_length),
                    in_prefix(random, rule->to, rule->to_length),
                    (uint16_t)in_range(random, rule->from_port, rule->from_port_end),
                    (uint16_t)in_range(random, rule->to_port, rule->to_port_end), protocol);
}
