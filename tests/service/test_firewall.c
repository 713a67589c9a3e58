/* firewall: verdicts by rule and direction, what rejecting sends, tables that change under live
 * flows, and every drop by its reason. */
#include <stdio.h>

#include "kernel/chain.h"
#include "piglet/error.h"
#include "tests/model/firewall_table.h"
#include "tests/unit/test.h"

#define US    IP(10, 0, 0, 2)
#define PEER  IP(10, 0, 0, 1)
#define US1   IP(10, 1, 0, 2)
#define PEER1 IP(10, 1, 0, 9)

enum {
    IN = PIGLET_DIRECTION_IN,
    OUT = PIGLET_DIRECTION_OUT,
    FORWARD = PIGLET_DIRECTION_FORWARD,
};

#define ACCEPT PIGLET_VERDICT_ACCEPT
#define DROP   PIGLET_VERDICT_DROP
#define REJECT PIGLET_VERDICT_REJECT
#define RESET  PIGLET_VERDICT_RESET

static const struct sim_wire_frame *sent_ip(struct core *core, unsigned nic)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic)) && frame->data[12] == 8 && frame->data[13] == 6)
        ;
    return frame;
}

/* Whether a packet that comes in by nic 0 or 1 makes one go out by nic `out`. */
static bool goes(struct core *core, unsigned in, const struct packet *packet, unsigned out)
{
    assert_true(sim_inject(core, in, packet->data, packet->length));
    sim_run(core);
    bool went = sent_ip(core, out);
    assert_null(sent_ip(core, out));
    return went;
}

static struct core *start(const char *more)
{
    char line[256];
    snprintf(line, sizeof line,
             "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward,+firewall,+echo %s", more);
    struct core *core = sim_start(2, line);
    struct packet ask = packet_arp_request(PEER1, US1);
    assert_true(sim_inject(core, 1, ask.data, ask.length));
    ask = packet_arp_request(PEER, US);
    assert_true(sim_inject(core, 0, ask.data, ask.length));
    sim_run(core);
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    return core;
}

static void load(struct core *core, const struct firewall_table *table)
{
    assert_int_equal(table_load(core, table), 0);
}

/* From nic1's neighbour to nic0's. */
static struct packet udp_back(uint16_t from_port, uint16_t to_port)
{
    struct packet packet = packet_udp_to(PEER1, from_port, PEER, to_port, 19);
    eth_copy(packet_eth(&packet)->to, NIC1_MAC);
    return packet;
}

static struct packet udp_there(uint16_t from_port, uint16_t to_port)
{
    return packet_udp_to(PEER, from_port, PEER1, to_port, 20);
}

static void firewall_01_without_a_table(void **state)
{
    (void)state;
    struct core *core = start("");
    struct packet ping = packet_echo(PEER, US, 8), there = udp_there(5, 6);
    assert_true(goes(core, 0, &ping, 0));
    assert_true(goes(core, 0, &there, 1));
    assert_int_equal(chain_setting_set(chain_find(core, "firewall"), "open", "off"), 0);
    assert_false(goes(core, 0, &ping, 0));
    assert_false(goes(core, 0, &there, 1));
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 2);
    struct packet ask = packet_arp_request(PEER, US); /* is not IPv4 */
    assert_true(sim_inject(core, 0, ask.data, ask.length));
    sim_run(core);
    assert_non_null(sim_sent(core, 0));
    test_stop(core);
}

static void firewall_02_directions_and_replies(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    rule_protocol(table_rule(&table, IN, ACCEPT), IPV4_ICMP, 0);
    rule_protocol(table_rule(&table, FORWARD, ACCEPT), IPV4_UDP, 53);
    load(core, &table);
    struct packet ping = packet_echo(PEER, US, 8), echo = packet_udp_to(PEER, 9, US, 7, 8);
    assert_true(goes(core, 0, &ping, 0)); /* and the reply out, as one of its flow */
    assert_false(goes(core, 0, &echo, 0));
    struct packet there = udp_there(1234, 53), back = udp_back(53, 1234);
    assert_false(goes(core, 1, &back, 0)); /* nobody asked */
    assert_true(goes(core, 0, &there, 1));
    assert_true(goes(core, 1, &back, 0));
    struct packet other = udp_there(1234, 54);
    assert_false(goes(core, 0, &other, 1));
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 3);
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 2);
    test_stop(core);
}

static void firewall_03_out_is_judged(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(ACCEPT);
    table.header.flags = PIGLET_FIREWALL_STATELESS;
    table_rule(&table, OUT, REJECT)->icmp_reject = 13; /* nobody is told: it is a drop */
    load(core, &table);
    struct packet ping = packet_echo(PEER, US, 8), there = udp_there(1, 2);
    assert_false(goes(core, 0, &ping, 0));
    assert_int_equal(sim_counter(core, "icmp.echo_replies"), 1);
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 1);
    assert_true(goes(core, 0, &there, 1)); /* forwarded is not sent */
    test_stop(core);
}

static const uint8_t *expect_icmp_error(struct core *core, uint8_t code)
{
    const struct sim_wire_frame *sent = sent_ip(core, 0);
    assert_non_null(sent);
    const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + 14);
    const struct icmp_header *icmp = (const struct icmp_header *)(ip + 1);
    assert_int_equal(ip->protocol, IPV4_ICMP);
    assert_int_equal(icmp->type, ICMP_UNREACHABLE);
    assert_int_equal(icmp->code, code);
    return (const uint8_t *)(icmp + 1);
}

static void firewall_04_reject_tells(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(REJECT); /* its answers leave all the same */
    struct piglet_firewall_rule *rule = table_rule(&table, IN | FORWARD, REJECT);
    rule_protocol(rule, IPV4_UDP, 100);
    rule->icmp_reject = 3;
    rule_protocol(table_rule(&table, IN | FORWARD, RESET), IPV4_TCP, 0);
    load(core, &table);
    for (unsigned us = 0; us < 2; us++) {
        struct packet packet = packet_udp_to(PEER, 1, us ? US : PEER1, 100, 4);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        const struct ipv4_header *about = (const void *)expect_icmp_error(core, 3);
        assert_int_equal(be32_get(about->to), us ? US : PEER1);
        packet = packet_udp_to(PEER, 1, us ? US : PEER1, 101, 4);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        expect_icmp_error(core, 13);
        packet = packet_tcp_to(PEER, 4000, us ? US : PEER1, 80, TCP_SYN);
        packet_tcp(&packet)->sequence = be32(77);
        packet_fix_tcp(&packet);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        const struct sim_wire_frame *sent = sent_ip(core, 0);
        assert_non_null(sent);
        const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + 14);
        const struct tcp_header *tcp = (const struct tcp_header *)(ip + 1);
        assert_int_equal(be32_get(ip->from), us ? US : PEER1); /* as if it came from there */
        assert_int_equal(tcp->flags, TCP_RST | TCP_ACK);
        assert_int_equal(be32_get(tcp->acknowledgement), 78);
    }
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 6);
    assert_int_equal(sim_drops(core), 6);
    test_stop(core);
}

static void firewall_05_first_match_nics_counts_and_show(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    table_rule(&table, FORWARD, DROP)->nic_in = 1;
    struct piglet_firewall_rule *rule = table_rule(&table, FORWARD, ACCEPT);
    rule->nic_out = 1;
    rule->actions = PIGLET_ACTION_COUNT | PIGLET_ACTION_LOG;
    load(core, &table);
    struct packet there = udp_there(1, 2), back = udp_back(3, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_true(goes(core, 0, &there, 1));
    assert_false(goes(core, 1, &back, 0));
    assert_int_equal(recorder_find(&core->recorder, core->recorder.written - 1)->line, 10);
    assert_non_null(strstr(sim_console(), "firewall: line 20: accept protocol 17 10.0.0.1:1"));
    char text[SERVICE_LINE_MAX];
    unsigned next = 0, lines = 0;
    struct service_self *self = chain_find(core, "firewall");
    static const char *const expected[] = {
        "2 rules in 2 tables, longest list 1; 1 flows, 1 half-open",
        "rule 1, line 10: 1 packets, 61 bytes",
        "rule 2, line 20: 3 packets, 186 bytes",
        "default in: 0 packets, 0 bytes",
        "default out: 0 packets, 0 bytes",
        "default forward: 0 packets, 0 bytes",
        "17 10.0.0.1:1 > 10.1.0.9:2 udp left 30 age 0 frames 3 bytes 186 line 20",
    };
    while (self->service->show(self, &next, text, sizeof text))
        if (text[0]) {
            assert_in_range(lines, 0, COUNT_OF(expected) - 1);
            assert_string_equal(text, expected[lines++]);
        }
    assert_int_equal(lines, COUNT_OF(expected));
    test_stop(core);
}

/* A rule change ends the flows that are not allowed any more, and keeps the others. */
static void firewall_06_flows_are_judged_again(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table both = table_new(DROP), one = table_new(DROP);
    rule_protocol(table_rule(&both, FORWARD, ACCEPT), IPV4_UDP, 53);
    rule_protocol(table_rule(&both, FORWARD, ACCEPT), IPV4_UDP, 54);
    rule_protocol(table_rule(&one, FORWARD, ACCEPT), IPV4_UDP, 54);
    load(core, &both);
    struct packet there53 = udp_there(9, 53), there54 = udp_there(9, 54);
    struct packet back53 = udp_back(53, 9), back54 = udp_back(54, 9);
    assert_true(goes(core, 0, &there53, 1) && goes(core, 0, &there54, 1));
    assert_true(goes(core, 1, &back53, 0) && goes(core, 1, &back54, 0));
    load(core, &one);
    assert_true(goes(core, 1, &back54, 0)); /* a reply is judged by the first packet */
    assert_false(goes(core, 1, &back53, 0));
    assert_false(goes(core, 0, &there53, 1));
    assert_true(goes(core, 0, &there54, 1));
    assert_int_equal(sim_counter(core, "firewall.flows_ended"), 1);
    struct service_self *self = chain_find(core, "firewall");
    self->service->swap(self); /* back to the table before */
    assert_true(goes(core, 0, &there53, 1));
    assert_true(goes(core, 1, &back54, 0));
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 3);
    test_stop(core);
}

static void firewall_07_bad_tables_change_nothing(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table good = table_new(DROP), bad = table_new(ACCEPT);
    rule_protocol(table_rule(&good, FORWARD, ACCEPT), IPV4_UDP, 53);
    load(core, &good);
    table_rule(&bad, FORWARD, ACCEPT);
    table_rule(&bad, FORWARD, ACCEPT)->to = 1; /* behind its prefix */
    assert_int_equal(table_load(core, &bad), ERR_INVALID);
    assert_int_equal(chain_find(core, "firewall")->load_error_at, 64 + 80 + 4);
    struct packet there53 = udp_there(9, 53), there54 = udp_there(9, 54);
    assert_true(goes(core, 0, &there53, 1));
    assert_false(goes(core, 0, &there54, 1));
    test_stop(core);
}

static void firewall_08_programs(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    /* len > 61: ld #len; jgt #61; ret #1; ret #0 */
    table.bpf[0] = (struct piglet_bpf){.code = 0x80};
    table.bpf[1] = (struct piglet_bpf){.code = 0x25, .jump_false = 1, .k = 61};
    table.bpf[2] = (struct piglet_bpf){.code = 0x06, .k = 1};
    table.bpf[3] = (struct piglet_bpf){.code = 0x06};
    table.header.bpf_count = 4;
    table_rule(&table, FORWARD, ACCEPT)->bpf_count = 4;
    load(core, &table);
    struct packet small = packet_udp_to(PEER, 1, PEER1, 2, 19);
    struct packet large = packet_udp_to(PEER, 1, PEER1, 3, 20), back = udp_back(3, 1);
    assert_false(goes(core, 0, &small, 1));
    assert_true(goes(core, 0, &large, 1));
    assert_true(goes(core, 1, &back, 0));
    load(core, &table); /* judged again, by a packet of who began */
    assert_true(goes(core, 1, &back, 0));
    large = packet_udp_to(PEER, 1, PEER1, 3, 3);
    assert_false(goes(core, 0, &large, 1));
    assert_false(goes(core, 1, &back, 0));
    test_stop(core);
}

static void firewall_09_limit_of_a_source(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    struct piglet_firewall_rule *rule = table_rule(&table, FORWARD, ACCEPT);
    rule->limit = 3;
    rule->limit_key = 1;
    load(core, &table);
    for (unsigned port = 1; port <= 5; port++) {
        struct packet there = udp_there((uint16_t)port, 7);
        assert_int_equal(goes(core, 0, &there, 1), port <= 3);
    }
    assert_int_equal(sim_counter(core, "drop.firewall-limit"), 2);
    struct packet other = packet_udp_to(IP(10, 0, 0, 77), 1, PEER1, 7, 20);
    assert_true(goes(core, 0, &other, 1)); /* another source */
    struct packet first = udp_there(1, 7), fourth = udp_there(4, 7);
    assert_true(goes(core, 0, &first, 1));
    load(core, &table); /* the count goes on over a change */
    assert_true(goes(core, 0, &first, 1));
    assert_false(goes(core, 0, &fourth, 1));
    sim_advance_us(core, 60 * 1000000ull); /* silent ones end */
    assert_true(goes(core, 0, &fourth, 1));
    rule->limit = 1;
    load(core, &table);
    first = udp_there(4, 7);
    assert_true(goes(core, 0, &first, 1));
    fourth = udp_there(5, 7);
    assert_false(goes(core, 0, &fourth, 1));
    test_stop(core);
}

static void firewall_10_every_packet(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    table.header.flags = PIGLET_FIREWALL_EVERY_PACKET;
    struct piglet_firewall_rule *rule = table_rule(&table, FORWARD, ACCEPT);
    rule->states = PIGLET_STATE_NEW;
    rule = table_rule(&table, FORWARD, DROP); /* replies from port 53 are not wanted */
    rule_protocol(rule, IPV4_UDP, 0);
    rule->from_port = rule->from_port_end = 53;
    rule = table_rule(&table, FORWARD, ACCEPT);
    rule->states = PIGLET_STATE_ESTABLISHED | PIGLET_STATE_RELATED;
    load(core, &table);
    struct packet there53 = udp_there(9, 53), there54 = udp_there(9, 54);
    struct packet back53 = udp_back(53, 9), back54 = udp_back(54, 9);
    assert_true(goes(core, 0, &there53, 1) && goes(core, 0, &there54, 1));
    assert_false(goes(core, 1, &back53, 0));
    assert_true(goes(core, 1, &back54, 0));
    test_stop(core);
}

static void firewall_11_fragments(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    struct piglet_firewall_rule *rule = table_rule(&table, FORWARD, ACCEPT);
    rule_protocol(rule, IPV4_UDP, 53);
    load(core, &table);
    struct packet first = packet_udp_to(PEER, 1, PEER1, 53, 24), later = first;
    packet_ip(&first)->fragment = be16(IPV4_MORE_FRAGMENTS);
    packet_fix_ip(&first);
    packet_ip(&later)->fragment = be16(4);
    packet_fix_ip(&later);
    assert_true(goes(core, 0, &first, 1));
    assert_false(goes(core, 0, &later, 1)); /* it has no ports */
    rule = table_rule(&table, FORWARD, ACCEPT);
    rule->fragments = PIGLET_FRAGMENT_LATER;
    load(core, &table);
    assert_true(goes(core, 0, &later, 1));
    rule->fragments = 0;
    load(core, &table);
    struct packet cut = packet_ipv4(PEER, PEER1, IPV4_TCP, 12); /* a header that is not whole */
    assert_false(goes(core, 0, &cut, 1));
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 1);
    test_stop(core);
}

/* What clients may send, and what says it is IPv4 without being it. */
static void firewall_12_sent_frames(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(ACCEPT);
    load(core, &table);
    for (unsigned way = 0; way < 4; way++) {
        struct packet packet = packet_udp_to(US, 1, PEER, 2, 40);
        struct frame *frame = frame_alloc(&core->frames);
        packet_ip(&packet)->version_length = way == 1 ? 0x65 : way == 2 ? 0x44 : 0x45;
        if (way == 3)
            packet_ip(&packet)->total_length = be16(1000);
        memcpy(frame->data, packet.data, packet.length);
        frame->length = (uint16_t)packet.length;
        frame->flags = 0;
        frame->kind = FRAME_READY;
        frame->nic = 0;
        core_send(core, frame);
        chain_flush(core);
        assert_int_equal(sent_ip(core, 0) != NULL, way == 0);
    }
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 3);
    test_stop(core);
}

static void firewall_13_memory(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    sim_limit_memory(1 << 20);
    assert_int_equal(table_load(core, &table), ERR_NO_MEMORY);
    struct packet there = udp_there(1, 2);
    assert_true(goes(core, 0, &there, 1)); /* as before: there is no table */
    test_stop(core);
    sim_reset();
}

/* Two hosts that ping each other with one id, as Windows does. */
static void firewall_14_pings_both_ways(void **state)
{
    (void)state;
    struct core *core = start("");
    struct firewall_table table = table_new(DROP);
    table_rule(&table, FORWARD, ACCEPT);
    load(core, &table);
    struct packet there = packet_echo(PEER, PEER1, 20), back = packet_echo(PEER1, PEER, 20);
    eth_copy(packet_eth(&back)->to, NIC1_MAC);
    for (unsigned turn = 0; turn < 2; turn++) {
        assert_true(goes(core, 0, &there, 1));
        assert_true(goes(core, 1, &back, 0));
    }
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 2);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firewall_01_without_a_table),
        cmocka_unit_test(firewall_02_directions_and_replies),
        cmocka_unit_test(firewall_03_out_is_judged),
        cmocka_unit_test(firewall_04_reject_tells),
        cmocka_unit_test(firewall_05_first_match_nics_counts_and_show),
        cmocka_unit_test(firewall_06_flows_are_judged_again),
        cmocka_unit_test(firewall_07_bad_tables_change_nothing),
        cmocka_unit_test(firewall_08_programs),
        cmocka_unit_test(firewall_09_limit_of_a_source),
        cmocka_unit_test(firewall_10_every_packet),
        cmocka_unit_test(firewall_11_fragments),
        cmocka_unit_test(firewall_12_sent_frames),
        cmocka_unit_test(firewall_13_memory),
        cmocka_unit_test(firewall_14_pings_both_ways),
    };
    return cmocka_run_group_tests_name("firewall", tests, NULL, NULL);
}
