/* firewall: what is remembered of packets that were judged: always what the rules say, and only of the
 * table in force. */
#include "kernel/chain.h"
#include "piglet/error.h"
#include "services/firewall/rules.h"
#include "tests/model/firewall_table.h"
#include "tests/model/rulegen.h"
#include "tests/unit/test.h"

#define PEER  IP(10, 0, 0, 1)
#define PEER1 IP(10, 1, 0, 9)

enum { TABLES = 60, RULES = 24, PACKETS = 400, PORTS = 4 };

static struct core *start(void)
{
    struct core *core =
        sim_start(2, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward,+firewall");
    struct packet ask = packet_arp_request(PEER1, IP(10, 1, 0, 2));
    assert_true(sim_inject(core, 1, ask.data, ask.length));
    ask = packet_arp_request(PEER, IP(10, 0, 0, 2));
    assert_true(sim_inject(core, 0, ask.data, ask.length));
    sim_run(core);
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    return core;
}

/* A packet by its number, and its key as the rules see it. */
static struct packet packet_number(uint32_t number, struct rules_key *key)
{
    unsigned in = number & 1, from_port = number >> 1 & (PORTS - 1);
    unsigned to_port = number >> 3 & (PORTS - 1);
    bool tcp = number >> 5 & 1;
    uint8_t flags = tcp ? number >> 6 & 63 : 0;
    uint32_t from = in ? PEER1 : PEER, to = in ? PEER : PEER1;
    struct packet packet =
        tcp ? packet_tcp_to(from, (uint16_t)from_port, to, (uint16_t)to_port, flags)
            : packet_udp_to(from, (uint16_t)from_port, to, (uint16_t)to_port, 20);
    if (in)
        eth_copy(packet_eth(&packet)->to, NIC1_MAC);
    *key = (struct rules_key){
        .addresses = (uint64_t)from << 32 | to,
        .rest = rules_rest((uint16_t)from_port, (uint16_t)to_port, tcp ? IPV4_TCP : IPV4_UDP,
                           (uint8_t)in, (uint8_t)!in),
        .detail = flags,
        .groups = PIGLET_DIRECTION_FORWARD << KEY_DIRECTION |
                  PIGLET_FRAGMENT_WHOLE << KEY_FRAGMENT | PIGLET_STATE_NEW << KEY_STATE |
                  KEY_TRANSPORT,
        .packet_bytes = packet.length,
    };
    return packet;
}

static void random_rule(struct rulegen *random, struct firewall_table *table, bool programs)
{
    bool pass = rulegen_number(random, 2);
    struct piglet_firewall_rule *rule = table_rule(
        table, 1 + rulegen_number(random, 7), pass ? PIGLET_VERDICT_ACCEPT : PIGLET_VERDICT_DROP);
    rule_protocol(rule, rulegen_number(random, 2) ? IPV4_TCP : IPV4_UDP, 0);
    if (rulegen_number(random, 2))
        rule->from_port = rule->from_port_end = (uint16_t)rulegen_number(random, PORTS);
    if (rulegen_number(random, 2))
        rule->to_port_end = (uint16_t)rulegen_number(random, PORTS);
    if (rulegen_number(random, 3) == 0)
        rule->nic_in = (uint8_t)rulegen_number(random, 2);
    if (rulegen_number(random, 3) == 0)
        rule->nic_out = (uint8_t)rulegen_number(random, 2);
    if (rule->protocol == IPV4_TCP && rulegen_number(random, 2)) {
        rule->tcp_mask = (uint8_t)rulegen_number(random, 64);
        rule->tcp_value = rule->tcp_mask & (uint8_t)rulegen_number(random, 64);
    }
    if (rulegen_number(random, 4) == 0)
        rule->actions = PIGLET_ACTION_LOG;
    rule->bpf_count = programs && rulegen_number(random, 2) ? 2 : 0;
}

/* Few packets, again and again: every one gets the verdict of a table's plain reading, table after
 * table. In each third table, some rules have a program, of which nothing may be remembered. */
static void known_01_verdicts_are_the_rules(void **state)
{
    (void)state;
    struct core *core = start();
    struct rulegen random = {7};
    unsigned passed = 0;
    for (unsigned i = 0; i < TABLES; i++) {
        struct firewall_table table =
            table_new(i & 1 ? PIGLET_VERDICT_ACCEPT : PIGLET_VERDICT_DROP);
        table.header.flags = PIGLET_FIREWALL_STATELESS;
        table.header.bpf_count = i % 3 == 0 ? 2 : 0;
        table.bpf[0] = (struct piglet_bpf){.code = 0x30, .k = 15}; /* ldb: type of service */
        table.bpf[1] = (struct piglet_bpf){.code = 0x16};          /* ret a */
        for (unsigned j = 0; j < RULES; j++)
            random_rule(&random, &table, i % 3 == 0);
        assert_int_equal(table_load(core, &table), 0);
        const struct rules_table plain = {
            .header = &table.header, .rule = table.rule, .bpf = table.bpf};
        uint32_t few = 1 + rulegen_number(&random, 200), spread = rulegen_number(&random, 1 << 12);
        for (unsigned j = 0; j < PACKETS; j++) {
            struct rules_key key;
            struct packet packet = packet_number(spread + rulegen_number(&random, few) * 31, &key);
            packet_ip(&packet)->tos = (uint8_t)rulegen_number(&random, 2);
            packet_fix_ip(&packet);
            key.packet = packet.data;
            assert_true(sim_inject(core, packet.data[5] == 2, packet.data, packet.length));
            sim_run(core);
            unsigned out = packet.data[5] == 2 ? 0 : 1;
            uint32_t rule = rules_match_linear(&plain, &key);
            uint8_t verdict =
                rule == RULES_NONE ? table.header.verdict_forward : table.rule[rule].verdict;
            bool went = sim_sent(core, out) != NULL;
            assert_int_equal(went, verdict == PIGLET_VERDICT_ACCEPT);
            passed += went;
        }
    }
    assert_in_range(passed, TABLES * PACKETS / 5, TABLES * PACKETS * 4 / 5);
    assert_int_equal(sim_counter(core, "firewall.asked"), TABLES * PACKETS);
    test_stop(core);
}

/* Each packet is counted by its rule, also when it is known; and going back to a table does not
 * bring anything of the other one. */
static void known_02_counts_and_going_back(void **state)
{
    (void)state;
    struct core *core = start();
    struct firewall_table accept = table_new(PIGLET_VERDICT_DROP);
    struct firewall_table drop = table_new(PIGLET_VERDICT_DROP);
    accept.header.flags = drop.header.flags = PIGLET_FIREWALL_STATELESS;
    rule_protocol(table_rule(&accept, PIGLET_DIRECTION_FORWARD, PIGLET_VERDICT_ACCEPT), IPV4_UDP,
                  0);
    struct rules_key key;
    struct packet packet = packet_number(0, &key);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(table_load(core, &accept), 0);
        for (unsigned i = 0; i < 5; i++)
            assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        for (unsigned i = 0; i < 5; i++)
            assert_non_null(sim_sent(core, 1));
        char line[SERVICE_LINE_MAX];
        unsigned next = 1;
        struct service_self *self = chain_find(core, "firewall");
        assert_true(self->service->show(self, &next, line, sizeof line));
        assert_string_equal(line, "rule 1, line 10: 5 packets, 310 bytes");
        assert_int_equal(table_load(core, &drop), 0);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        assert_null(sim_sent(core, 1));
    }
    test_stop(core);
}

/* What differs only in the nic it came by is another packet, where a rule looks at that. */
static void known_03_the_nic_it_came_by(void **state)
{
    (void)state;
    struct core *core = start();
    struct firewall_table table = table_new(PIGLET_VERDICT_ACCEPT);
    table.header.flags = PIGLET_FIREWALL_STATELESS;
    table_rule(&table, PIGLET_DIRECTION_FORWARD, PIGLET_VERDICT_DROP)->nic_in = 1;
    assert_int_equal(table_load(core, &table), 0);
    struct rules_key key;
    for (unsigned i = 0; i < 6; i++) {
        struct packet packet = packet_number(0, &key);
        if (i & 1)
            eth_copy(packet_eth(&packet)->to, NIC1_MAC);
        assert_true(sim_inject(core, i & 1, packet.data, packet.length));
        sim_run(core);
        assert_int_equal(sim_sent(core, 1) != NULL, !(i & 1));
    }
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 3);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_01_verdicts_are_the_rules),
        cmocka_unit_test(known_02_counts_and_going_back),
        cmocka_unit_test(known_03_the_nic_it_came_by),
    };
    return cmocka_run_group_tests_name("firewall_known", tests, NULL, NULL);
}
