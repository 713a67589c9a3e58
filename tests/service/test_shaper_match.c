/* shaper: what each match fits, and the flows that are remembered. */
#include "tests/service/shaping.h"

/* Whether one match of class 0 fits a packet; class 1 takes what it does not. */
static bool fits(const struct piglet_shaper_match *match, const struct packet *packet)
{
    table_begin();
    table_class("fits", NO_PARENT, 1000000000, 1000000000);
    table_class("rest", NO_PARENT, 1000000000, 1000000000)->flags = PIGLET_SHAPER_DEFAULT;
    *table_match(0, 0) = *match;
    struct core *core = shaping_start(1);
    shaping_send_packet(core, 0, packet);
    uint64_t did = shaping_number(core, "fits", "sent"), not = shaping_number(core, "rest", "sent");
    assert_int_equal(did + not, 1);
    assert_int_equal(shaping_sent(core, 0), 1);
    test_stop(core);
    return did;
}

static const struct piglet_shaper_match any = {.from_port_last = 0xffff, .to_port_last = 0xffff};

static void shaper_40_matches_addresses(void **state)
{
    (void)state;
    struct packet packet = packet_udp_to(IP(10, 1, 2, 3), 1000, IP(192, 168, 7, 9), 53, 30);
    struct piglet_shaper_match match = any;
    assert_true(fits(&match, &packet));
    match.from = IP(10, 1, 2, 3), match.from_length = 32;
    assert_true(fits(&match, &packet));
    match.from = IP(10, 1, 2, 2);
    assert_false(fits(&match, &packet));
    match.from_length = 31;
    assert_true(fits(&match, &packet));
    match.to = IP(192, 168, 4, 0), match.to_length = 22;
    assert_true(fits(&match, &packet));
    match.to_length = 23, match.to = IP(192, 168, 4, 0);
    assert_false(fits(&match, &packet));
    match.from_length = 1, match.from = IP(128, 0, 0, 0), match.to_length = 0, match.to = 0;
    assert_false(fits(&match, &packet));
    match.from = 0;
    assert_true(fits(&match, &packet));
}

static void shaper_41_matches_protocol_and_dscp(void **state)
{
    (void)state;
    struct packet udp = packet_udp_to(US, 1000, PEER, 53, 30), icmp = packet_echo(US, PEER, 30);
    struct packet tcp = packet_tcp_to(US, 1000, PEER, 53, 2);
    struct piglet_shaper_match match = any;
    match.flags = PIGLET_SHAPER_MATCH_PROTOCOL;
    match.protocol = IPV4_UDP;
    assert_true(fits(&match, &udp));
    assert_false(fits(&match, &icmp));
    assert_false(fits(&match, &tcp));
    match.protocol = IPV4_ICMP;
    assert_true(fits(&match, &icmp));
    assert_false(fits(&match, &udp));
    match = any;
    match.flags = PIGLET_SHAPER_MATCH_DSCP;
    assert_true(fits(&match, &udp)); /* 0: best effort */
    match.dscp = 46;
    assert_false(fits(&match, &udp));
    packet_ip(&udp)->tos = 46 << 2 | 3; /* whatever the ECN bits are */
    packet_fix_ip(&udp);
    assert_true(fits(&match, &udp));
}

static void shaper_42_matches_ports(void **state)
{
    (void)state;
    static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
    struct packet udp = packet_udp_to(US, 1000, PEER, 53, 30), icmp = packet_echo(US, PEER, 30);
    struct packet tcp = packet_tcp_to(US, 1000, PEER, 53, 2), fragment = udp, more = udp;
    struct packet with_options = udp, cut = packet_ipv4(US, PEER, IPV4_UDP, 3);
    packet_ip(&fragment)->fragment = be16(100);
    packet_ip(&more)->fragment = be16(IPV4_MORE_FRAGMENTS);
    packet_insert_options(&with_options, options, 2);
    cut.length = 14 + 20 + 3;
    struct piglet_shaper_match match = any;
    match.to_port_first = 50, match.to_port_last = 53;
    assert_true(fits(&match, &udp));
    assert_true(fits(&match, &tcp));
    assert_true(fits(&match, &with_options));
    assert_false(fits(&match, &icmp));
    assert_false(fits(&match, &fragment));
    assert_false(fits(&match, &more));
    assert_false(fits(&match, &cut));
    match.to_port_first = 53;
    assert_true(fits(&match, &udp));
    match.to_port_last = 80;
    assert_true(fits(&match, &udp));
    match.to_port_first = 54;
    assert_false(fits(&match, &udp));
    match = any;
    match.from_port_first = 1000;
    assert_true(fits(&match, &udp));
    match.from_port_first = 1001;
    assert_false(fits(&match, &udp));
    match.from_port_first = 0, match.from_port_last = 999;
    assert_false(fits(&match, &udp));
    match.flags = PIGLET_SHAPER_MATCH_PROTOCOL, match.protocol = IPV4_UDP;
    match.from_port_last = 1000;
    assert_true(fits(&match, &udp));
    assert_false(fits(&match, &tcp));
    match = any;
    assert_true(fits(&match, &fragment));
    assert_true(fits(&match, &cut));
}

static void shaper_43_what_is_no_ipv4(void **state)
{
    (void)state;
    struct packet arp = packet_arp_request(US, PEER), odd = packet_udp_to(US, 1, PEER, 2, 30);
    struct packet tiny = {.length = 14};
    packet_ip(&odd)->version_length = 0x65;
    struct piglet_shaper_match match = any;
    assert_true(fits(&match, &arp));
    assert_true(fits(&match, &odd));
    assert_true(fits(&match, &tiny));
    match.flags = PIGLET_SHAPER_MATCH_IPV4;
    assert_false(fits(&match, &arp));
    assert_false(fits(&match, &odd));
    assert_false(fits(&match, &tiny));
    match = any;
    match.flags = PIGLET_SHAPER_MATCH_DSCP;
    assert_false(fits(&match, &arp));
    match = any;
    match.to_port_last = 0;
    assert_false(fits(&match, &arp));
}

static void shaper_44_the_first_match_wins_and_then_the_default(void **state)
{
    (void)state;
    table_begin();
    table_class("top", NO_PARENT, 1000000000, 1000000000);
    table_class("first", 0, 1000000, 1000000);
    table_class("second", 0, 1000000, 1000000);
    table_class("rest", 0, 1000000, 1000000)->flags = PIGLET_SHAPER_DEFAULT;
    table_class("there", NO_PARENT, 1000000, 1000000)->nic = 1;
    table_match(4, 53);
    table_match(1, 53);
    table_match(2, 0)->to_port_last = 100;
    table_match(2, 53);
    struct core *core = shaping_start(2);
    for (unsigned i = 0; i < 2; i++) { /* the second time, what was remembered is right as well */
        shaping_send(core, 0, 53, 1, 100);
        shaping_send(core, 0, 54, 1, 100);
        shaping_send(core, 0, 101, 1, 100);
        shaping_send(core, 1, 53, 1, 100);
        shaping_send(core, 1, 54, 1, 100); /* of none */
    }
    assert_int_equal(shaping_number(core, "first", "sent"), 2);
    assert_int_equal(shaping_number(core, "second", "sent"), 2);
    assert_int_equal(shaping_number(core, "rest", "sent"), 2);
    assert_int_equal(shaping_number(core, "there", "sent"), 2);
    assert_int_equal(shaping_number(core, "top", "sent"), 6);
    assert_int_equal(sim_counter(core, "shaper.passed"), 8);
    test_stop(core);
}

/* As many flows as the memory of their classes has places, and more. */
static void shaper_45_many_matches_and_flows(void **state)
{
    (void)state;
    table_begin();
    table_class("top", NO_PARENT, 10000000000, 10000000000);
    for (unsigned i = 0; i < 64; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%u", i);
        table_class(name, 0, 1000000000, 1000000000);
    }
    for (unsigned i = 0; i < PIGLET_SHAPER_MATCHES_MAX; i++)
        table_match(1 + i % 64, (uint16_t)(1000 + i));
    struct core *core = shaping_start(1);
    for (unsigned i = 0; i < 3000; i++) {
        shaping_send(core, 0, (uint16_t)(1000 + i % PIGLET_SHAPER_MATCHES_MAX), (uint16_t)i, 64);
        sim_advance_us(core, 10);
        shaping_sent(core, 0);
    }
    for (unsigned i = 0; i < 64; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%u", i);
        uint64_t frames = shaping_number(core, name, "sent");
        assert_true(frames >= 3000 / 64 - 3 && frames <= 3000 / 64 + 4);
    }
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaper_40_matches_addresses),
        cmocka_unit_test(shaper_41_matches_protocol_and_dscp),
        cmocka_unit_test(shaper_42_matches_ports),
        cmocka_unit_test(shaper_43_what_is_no_ipv4),
        cmocka_unit_test(shaper_44_the_first_match_wins_and_then_the_default),
        cmocka_unit_test(shaper_45_many_matches_and_flows),
    };
    return cmocka_run_group_tests_name("shaper_match", tests, NULL, NULL);
}
