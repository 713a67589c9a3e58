/* arp: answers, the cache, what waits for it, and duplicate addresses. */
#include <stdio.h>

#include "tests/service/arp.h"

static void arp_01_answers_for_us(void **state)
{
    (void)state;
    struct core *core = start("");
    struct packet request = packet_arp_request(PEER, US), reply = packet_arp_reply(US, PEER);
    inject(core, 0, &request);
    eth_copy(packet_eth(&reply)->to, PEER_MAC);
    eth_copy(packet_eth(&reply)->from, NIC0_MAC);
    eth_copy(packet_arp(&reply)->sender_mac, NIC0_MAC);
    eth_copy(packet_arp(&reply)->target_mac, PEER_MAC);
    const struct sim_wire_frame *sent = sim_sent(core, 0);
    assert_non_null(sent);
    assert_int_equal(sent->length, 42);
    assert_memory_equal(sent->data, reply.data, 42);
    assert_int_equal(sim_counter(core, "arp.entries"), 1);
    /* A probe (sender 0.0.0.0) is answered as well: that is how others see that the address is
     * taken. */
    request = packet_arp_request(0, US);
    inject(core, 0, &request);
    assert_non_null(sim_sent(core, 0));
    assert_int_equal(sim_counter(core, "arp.replies_sent"), 2);
    test_stop(core);
}

static void arp_02_not_for_us(void **state)
{
    (void)state;
    struct core *core = start("");
    struct packet packet = packet_arp_request(PEER, IP(10, 0, 0, 9));
    inject(core, 0, &packet);
    packet = packet_arp_request(PEER, US1); /* ours, but of the other wire */
    inject(core, 0, &packet);
    packet = packet_arp_request(PEER, PEER); /* gratuitous */
    inject(core, 0, &packet);
    packet = packet_arp_reply(PEER, US); /* nobody asked */
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.arp-not-for-us"), 4);
    assert_int_equal(sim_counter(core, "arp.entries"), 0);
    assert_null(sim_sent(core, 0));
    test_stop(core);
}

static void arp_03_malformed(void **state)
{
    (void)state;
    struct core *core = start("");
    struct packet good = packet_arp_request(PEER, US), bad;
    bad = good, packet_arp(&bad)->hardware = be16(6), inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->protocol = be16(0x86dd), inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->hardware_length = 8, inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->protocol_length = 16, inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->operation = be16(3), inject(core, 0, &bad);
    assert_int_equal(sim_counter(core, "drop.arp-malformed"), 5);
    bad = good, packet_arp(&bad)->sender_mac[0] = 0xff, inject(core, 0, &bad);
    bad = good, memset(packet_arp(&bad)->sender_mac, 0, 6), inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->sender_ip = be32(IP(10, 0, 0, 255)), inject(core, 0, &bad);
    bad = good, packet_arp(&bad)->sender_ip = be32(IP(224, 0, 0, 1)), inject(core, 0, &bad);
    bad = good, eth_copy(packet_arp(&bad)->sender_mac, NIC0_MAC), inject(core, 0, &bad);
    assert_int_equal(sim_counter(core, "drop.arp-sender-invalid"), 5);
    assert_null(sim_sent(core, 0));
    test_stop(core);
}

static void arp_04_holds_asks_and_releases(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off");
    clear(core);
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    for (unsigned i = 0; i < 3; i++)
        inject(core, 0, &packet);
    assert_int_equal(requests_for(core, 1, PEER1, US1), 1);
    struct packet reply = packet_arp_reply(PEER1, US1);
    eth_copy(packet_eth(&reply)->to, NIC1_MAC);
    inject(core, 1, &reply);
    for (unsigned i = 0; i < 3; i++) {
        const struct sim_wire_frame *sent = sim_sent(core, 1);
        assert_non_null(sent);
        assert_memory_equal(sent->data, PEER_MAC, 6);
        assert_memory_equal(sent->data + 6, NIC1_MAC, 6);
    }
    assert_null(sim_sent(core, 1));
    inject(core, 0, &packet);
    assert_non_null(sim_sent(core, 1));
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void arp_05_bounds_what_waits(void **state)
{
    (void)state;
    struct core *core = start("");
    for (unsigned i = 0; i < 20; i++) {
        struct packet packet = packet_udp_to(PEER, 1, PEER1, (uint16_t)(100 + i), 50);
        inject(core, 0, &packet);
    }
    assert_int_equal(sim_counter(core, "drop.arp-pending-full"), 12);
    struct packet reply = packet_arp_reply(PEER1, US1);
    eth_copy(packet_eth(&reply)->to, NIC1_MAC);
    clear(core);
    inject(core, 1, &reply);
    for (unsigned i = 12; i < 20; i++) { /* the newest are kept, in order */
        const struct sim_wire_frame *sent = sim_sent(core, 1);
        assert_non_null(sent);
        assert_int_equal(sent->data[37], 100 + i);
    }
    for (unsigned i = 0; i < 200; i++) {
        struct packet packet = packet_udp_to(PEER, 1, IP(10, 1, 0, 20) + i, 9, 50);
        inject(core, 0, &packet);
    }
    assert_int_equal(sim_counter(core, "drop.arp-pending-full"), 12 + 200 - 128);
    test_stop(core); /* gives 128 waiting frames back */
}

static void arp_06_silence_is_told_to_the_sender(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off");
    sim_advance_us(core, 4 * SECOND);
    clear(core);
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    inject(core, 0, &packet);
    struct packet known = packet_arp_request(PEER, US);
    inject(core, 0, &known);
    while (sim_sent(core, 0))
        ;
    sim_advance_us(core, 5 * SECOND);
    assert_int_equal(requests_for(core, 1, PEER1, US1), 3);
    const struct sim_wire_frame *sent = sim_sent(core, 0);
    assert_non_null(sent);
    const struct icmp_header *icmp = (const struct icmp_header *)(sent->data + 34);
    assert_int_equal(icmp->type, ICMP_UNREACHABLE);
    assert_int_equal(icmp->code, ICMP_UNREACHABLE_HOST);
    assert_int_equal(sim_counter(core, "drop.arp-unresolved"), 1);
    test_stop(core);
}

static void arp_07_entries_in_use_are_renewed(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off arp.lifetime=10");
    struct packet ask = packet_arp_request(PEER1, US1),
                  packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    inject(core, 1, &ask);
    inject(core, 0, &packet);
    clear(core);
    sim_advance_us(core, 11 * SECOND);
    const struct sim_wire_frame *sent = sim_sent(core, 1);
    while (sent && be32_get(((const struct arp_packet *)(sent->data + 14))->target_ip) != PEER1)
        sent = sim_sent(core, 1);
    assert_non_null(sent);
    assert_memory_equal(sent->data, PEER_MAC, 6); /* by unicast */
    struct packet reply = packet_arp_reply(PEER1, US1);
    eth_copy(packet_eth(&reply)->to, NIC1_MAC);
    inject(core, 1, &reply);
    sim_advance_us(core, 5 * SECOND);
    assert_int_equal(sim_counter(core, "arp.entries"), 1);
    /* Not used since: let go without a word. */
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(sim_counter(core, "arp.entries"), 0);
    assert_int_equal(sim_counter(core, "arp.expired"), 1);
    test_stop(core);
}

static void arp_08_a_storm_cannot_grow_the_cache(void **state)
{
    (void)state;
    struct core *core = start("");
    for (unsigned i = 0; i < 5000; i++) {
        struct packet packet =
            packet_arp_request(IP(10, 0, 0, 3) + i % 200, IP(10, 0, 0, 3) + i % 199);
        inject(core, 0, &packet);
    }
    assert_int_equal(sim_counter(core, "arp.entries"), 0);
    /* Even spoofed questions for us only ever evict: the table has its size. */
    assert_int_equal(sim_stop(core), 0);
    core = sim_start(1, "ip=10.0.0.2/8");
    for (unsigned i = 0; i < 20000; i++) {
        struct packet packet = packet_arp_request(IP(10, 7, 0, 1) + i, US);
        inject(core, 0, &packet);
        while (sim_sent(core, 0))
            ;
    }
    assert_true(sim_counter(core, "arp.entries") <= 1024 + 8);
    assert_true(sim_counter(core, "arp.evicted") >= 20000 - 1032);
    assert_int_equal(sim_counter(core, "arp.evicted") + sim_counter(core, "arp.entries"), 20000);
    test_stop(core);
}

static void arp_09_probes_then_announces(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    sim_run(core);
    assert_int_equal(requests_for(core, 0, US, 0), 1);
    sim_advance_us(core, 2500000);
    assert_int_equal(requests_for(core, 0, US, 0), 2);
    sim_advance_us(core, SECOND);
    assert_int_equal(requests_for(core, 0, US, US), 1);
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    sim_advance_us(core, 2 * SECOND);
    assert_int_equal(requests_for(core, 0, US, US), 1);
    sim_advance_us(core, 100 * SECOND);
    assert_int_equal(requests_for(core, 0, US, US), 0);
    sim_link(core, 0, false);
    sim_link(core, 0, true); /* who knows what we are plugged into now */
    sim_run(core);
    assert_int_equal(requests_for(core, 0, US, 0), 1);
    test_stop(core);
}

static void arp_10_gives_a_duplicate_up_and_takes_it_back(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    sim_advance_us(core, 100000);
    struct packet taken = packet_arp_reply(US, 0), ping = packet_echo(PEER, US, 20);
    inject(core, 0, &taken);
    assert_int_equal(core->routes.address[0].state, ADDRESS_DUPLICATE);
    assert_non_null(strstr(
        sim_console(), "arp: address 10.0.0.2 on nic0 is in use by 52:54:00:00:00:77: given up"));
    while (sim_sent(core, 0))
        ;
    inject(core, 0, &ping);
    assert_null(sim_sent(core, 0));
    inject(core, 0, &taken);
    assert_int_equal(sim_counter(core, "arp.conflicts"), 2);
    sim_advance_us(core, 61500000);
    assert_int_equal(requests_for(core, 0, US, 0), 2); /* a minute later it is probed for again */
    sim_advance_us(core, 4 * SECOND);
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    while (sim_sent(core, 0))
        ;
    inject(core, 0, &ping);
    assert_non_null(sim_sent(core, 0));
    test_stop(core);
}

static void arp_11_defends(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    sim_advance_us(core, 20 * SECOND);
    requests_for(core, 0, 0, 0);
    struct packet claim = packet_arp_request(US, US);
    for (unsigned i = 0; i < 5; i++)
        inject(core, 0, &claim);
    assert_int_equal(requests_for(core, 0, US, US), 1); /* at most once in ten seconds */
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    sim_advance_us(core, 11 * SECOND);
    inject(core, 0, &claim);
    assert_int_equal(requests_for(core, 0, US, US), 1);
    assert_int_equal(sim_counter(core, "arp.conflicts"), 6);
    test_stop(core);
}

static void arp_12_says_whether_the_gateway_answers(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2::10.0.0.1:255.255.255.0::nic0:off");
    sim_run(core);
    assert_int_equal(requests_for(core, 0, PEER, US), 1);
    struct packet reply = packet_arp_reply(PEER, US);
    inject(core, 0, &reply);
    assert_non_null(strstr(sim_console(), "arp: gateway 10.0.0.1 on nic0 is at 52:54:00:00:00:77"));
    test_stop(core);
    core = sim_start(1, "ip=10.0.0.2::10.0.0.1:255.255.255.0::nic0:off");
    sim_advance_us(core, 5 * SECOND);
    assert_non_null(strstr(sim_console(), "arp: gateway 10.0.0.1 on nic0 does not answer"));
    test_stop(core);
}

static void arp_13_stopping_gives_back_what_waits(void **state)
{
    (void)state;
    struct core *core = start("");
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    inject(core, 0, &packet);
    assert_int_equal(sim_stop(core), 0);
    assert_int_equal(sim_counter(core, "drop.service-stopped"), 1);
}

static void arp_14_refuses_at_once_for_a_while(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off arp.lifetime=10");
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    inject(core, 0, &packet);
    while (sim_counter(core, "drop.arp-unresolved") == 0)
        sim_advance_us(core, SECOND / 10);
    clear(core);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.arp-unresolved"), 2);
    assert_int_equal(requests_for(core, 1, PEER1, US1), 0);
    sim_advance_us(core, 2 * SECOND);
    inject(core, 0, &packet);
    assert_int_equal(requests_for(core, 1, PEER1, US1), 1);
    test_stop(core);
}

/* Many entries that end in the same moment are asked about in several turns: none of the requests
 * may be lost to a full backlog. */
static void arp_15_asks_about_many_at_once(void **state)
{
    (void)state;
    enum { NEIGHBOURS = 700 };
    struct core *core = sim_start(2, "ip=10.0.0.2/24 ip=10.1.0.2/16@nic1 arp.dad=off "
                                     "arp.lifetime=10 services=+forward");
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        struct packet ask = packet_arp_request(IP(10, 1, 1, 0) + i, US1);
        inject(core, 1, &ask);
        struct packet packet = packet_udp_to(PEER, 1, IP(10, 1, 1, 0) + i, 2, 50);
        inject(core, 0, &packet); /* in use */
        clear(core);
    }
    uint64_t entries = sim_counter(core, "arp.entries"), before;
    assert_true(entries > NIC_OUT_MAX); /* some may share their places, and were evicted */
    sim_advance_us(core, 5 * SECOND);
    clear(core);
    before = sim_counter(core, "nic1.tx_frames");
    sim_advance_us(core, 5600000);
    assert_int_equal(sim_counter(core, "nic1.tx_frames") - before, entries);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

/* Nobody can answer a probe on a dead link, so silence there says nothing. */
static void arp_16_keeps_a_duplicate_while_the_link_is_down(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    sim_advance_us(core, 100000);
    struct packet taken = packet_arp_reply(US, 0);
    inject(core, 0, &taken);
    sim_link(core, 0, false);
    sim_advance_us(core, 100 * SECOND);
    assert_int_equal(core->routes.address[0].state, ADDRESS_DUPLICATE);
    sim_link(core, 0, true);
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    test_stop(core);
}

/* RFC 5227 2.1.1: while an address is not in use, another's probe for it is a conflict; else two
 * that gave it up would both take it back. */
static void arp_17_yields_to_a_probe_for_an_address_given_up(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    sim_advance_us(core, 100000);
    struct packet taken = packet_arp_reply(US, 0), probe = packet_arp_request(0, US);
    inject(core, 0, &taken);
    sim_advance_us(core, 61500000);
    inject(core, 0, &probe);
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(core->routes.address[0].state, ADDRESS_DUPLICATE);
    sim_advance_us(core, 60 * SECOND);
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arp_01_answers_for_us),
        cmocka_unit_test(arp_02_not_for_us),
        cmocka_unit_test(arp_03_malformed),
        cmocka_unit_test(arp_04_holds_asks_and_releases),
        cmocka_unit_test(arp_05_bounds_what_waits),
        cmocka_unit_test(arp_06_silence_is_told_to_the_sender),
        cmocka_unit_test(arp_07_entries_in_use_are_renewed),
        cmocka_unit_test(arp_08_a_storm_cannot_grow_the_cache),
        cmocka_unit_test(arp_09_probes_then_announces),
        cmocka_unit_test(arp_10_gives_a_duplicate_up_and_takes_it_back),
        cmocka_unit_test(arp_11_defends),
        cmocka_unit_test(arp_12_says_whether_the_gateway_answers),
        cmocka_unit_test(arp_13_stopping_gives_back_what_waits),
        cmocka_unit_test(arp_14_refuses_at_once_for_a_while),
        cmocka_unit_test(arp_15_asks_about_many_at_once),
        cmocka_unit_test(arp_16_keeps_a_duplicate_while_the_link_is_down),
        cmocka_unit_test(arp_17_yields_to_a_probe_for_an_address_given_up),
    };
    return cmocka_run_group_tests_name("arp", tests, NULL, NULL);
}
