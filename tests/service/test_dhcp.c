/* dhcp: a lease's whole life. */
#include "tests/service/dhcp.h"

/* From start_leased to the first request for more time. */
static struct heard hear_renewal(struct core *core)
{
    struct packet known = packet_arp_request(SERVER, LEASED);
    sim_advance_us(core, (LEASE_S / 2 - 12) * SECOND);
    assert_true(sim_inject(core, 0, known.data, known.length)); /* arp knows the server */
    sim_advance_us(core, SECOND);
    assert_int_equal(hear(core, 0).type, 0);
    sim_advance_us(core, 2 * SECOND);
    struct heard request = hear(core, 0);
    assert_int_equal(request.type, DHCP_REQUEST);
    return request;
}

static void dhcp_01_leases(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=dhcp");
    sim_advance_us(core, TURN_US);
    struct heard discover = hear(core, 0);
    assert_int_equal(discover.type, DHCP_DISCOVER);
    assert_true(discover.broadcast_flag && discover.broadcast_frame && discover.parameters);
    assert_int_equal(discover.from, 0);
    assert_int_equal(discover.to, UINT32_MAX);
    assert_int_equal(discover.client | discover.requested | discover.server, 0);
    expect_line(core, 0, "nic0 selecting - - -");
    uint32_t xid = offer(core, 0, discover, usual(DHCP_OFFER));
    assert_int_equal(addresses(core), 0);
    expect_line(core, 0, "nic0 requesting - - -");
    tell(core, 0, xid, usual(DHCP_ACK));
    assert_true(has_address(core, 0, LEASED));
    assert_true(said("dhcp: nic0: 10.0.0.50/24 from 10.0.0.1 for 3600 s, gateway 10.0.0.1"));
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 3600s");
    assert_int_equal(core->routes.address[0].gateway, SERVER);
    assert_int_equal(sim_counter(core, "dhcp.discovers"), 1);
    assert_int_equal(sim_counter(core, "dhcp.offers"), 1);
    assert_int_equal(sim_counter(core, "dhcp.acks"), 1);
    assert_int_equal(sim_counter(core, "dhcp.renewals"), 0);
    assert_int_equal(sim_drops(core), 0);
    /* It is an address like any: pings are answered. */
    while (sim_sent(core, 0))
        ;
    struct packet ask = packet_arp_request(SERVER, LEASED), ping = packet_echo(SERVER, LEASED, 20);
    assert_true(sim_inject(core, 0, ask.data, ask.length));
    assert_true(sim_inject(core, 0, ping.data, ping.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "icmp.echo_replies"), 1);
    test_stop(core);
}

static void dhcp_02_renews_by_unicast(void **state)
{
    (void)state;
    struct core *core = start_leased();
    struct heard request = hear_renewal(core);
    assert_int_equal(request.type, DHCP_REQUEST);
    assert_int_equal(request.from, LEASED);
    assert_int_equal(request.to, SERVER);
    assert_int_equal(request.client, LEASED);
    assert_int_equal(request.requested | request.server, 0);
    assert_false(request.broadcast_frame || request.broadcast_flag);
    expect_line(core, 0, "nic0 renewing 10.0.0.50/24 10.0.0.1 1799s");
    uint64_t changes = core->routes.changes;
    struct packet ack = packet_say(core, 0, request.xid, usual(DHCP_ACK));
    packet_ip(&ack)->to = be32(LEASED);
    eth_copy(packet_eth(&ack)->to, NIC0_MAC);
    packet_fix_ip(&ack);
    inject(core, 0, ack);
    assert_int_equal(core->routes.changes, changes); /* nothing was touched */
    assert_int_equal(sim_counter(core, "dhcp.renewals"), 1);
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 3599s");
    test_stop(core);
}

static void dhcp_03_rebinds_by_broadcast(void **state)
{
    (void)state;
    struct core *core = start_leased();
    sim_advance_us(core, (LEASE_S * 7 / 8 - 15) * SECOND);
    while (hear(core, 0).type)
        ;
    struct heard request = hear_within(core, 10, NULL);
    assert_int_equal(request.type, DHCP_REQUEST);
    assert_int_equal(request.from, LEASED);
    assert_int_equal(request.to, UINT32_MAX);
    assert_int_equal(request.client, LEASED);
    assert_int_equal(request.requested | request.server, 0);
    assert_true(request.broadcast_frame);
    /* Another server may take it over. */
    struct say other = usual(DHCP_ACK);
    other.server = IP(10, 0, 0, 9);
    tell(core, 0, request.xid, other);
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.9 3600s");
    assert_int_equal(sim_counter(core, "dhcp.renewals"), 1);
    test_stop(core);
}

static void dhcp_04_expires(void **state)
{
    (void)state;
    struct core *core = start_leased();
    sim_advance_us(core, (LEASE_S - 15) * SECOND);
    assert_true(has_address(core, 0, LEASED));
    assert_false(said("expired"));
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(addresses(core), 0);
    assert_true(said("dhcp: nic0: the lease of 10.0.0.50 has expired"));
    struct heard last = hear(core, 0), heard;
    while ((heard = hear(core, 0)).type)
        last = heard;
    assert_int_equal(last.type, DHCP_DISCOVER);
    tell(core, 0, last.xid, usual(DHCP_OFFER)); /* there is life after it */
    tell(core, 0, hear(core, 0).xid, usual(DHCP_ACK));
    assert_true(has_address(core, 0, LEASED));
    test_stop(core);
}

static void dhcp_05_nak(void **state)
{
    (void)state;
    struct core *core = start_leased();
    struct heard request = hear_renewal(core);
    struct packet nak = packet_say(core, 0, request.xid, usual(DHCP_NAK));
    uint8_t *at = packet_options(&nak);
    while (*at != DHCP_OPTION_END)
        at += 2 + at[1];
    *dhcp_option_put(at, DHCP_OPTION_TEXT, "wrong\033[2J network", 17) = DHCP_OPTION_END;
    inject(core, 0, nak);
    assert_int_equal(addresses(core), 0);
    assert_true(said("dhcp: nic0: 10.0.0.50 refused by 10.0.0.1: wrong?[2J network"));
    /* Once, it is asked again at once; then there are pauses, which grow. */
    double pause_s[4] = {0};
    for (unsigned i = 0; i < COUNT_OF(pause_s); i++) {
        struct heard discover = hear_within(core, 100, &pause_s[i]);
        uint32_t xid = offer(core, 0, discover, usual(DHCP_OFFER));
        tell(core, 0, xid, usual(DHCP_NAK));
    }
    assert_true(pause_s[0] < 0.2);
    assert_true(pause_s[1] >= 2.9 && pause_s[1] <= 5.1);
    assert_true(pause_s[2] >= 6.9 && pause_s[2] <= 9.1);
    assert_true(pause_s[3] >= 14.9 && pause_s[3] <= 17.1);
    assert_int_equal(sim_counter(core, "dhcp.naks"), 5);
    uint32_t xid = offer(core, 0, hear_within(core, 100, NULL), usual(DHCP_OFFER));
    tell(core, 0, xid, usual(DHCP_ACK));
    assert_true(has_address(core, 0, LEASED));
    /* A lease ends the pauses. */
    sim_link(core, 0, false);
    sim_link(core, 0, true);
    sim_advance_us(core, TURN_US);
    tell(core, 0, hear(core, 0).xid, usual(DHCP_NAK));
    assert_int_equal(hear(core, 0).type, DHCP_DISCOVER);
    test_stop(core);
}

static void dhcp_06_silence(void **state)
{
    (void)state;
    struct core *core = start("ip=dhcp");
    struct heard first = hear(core, 0);
    uint32_t before = first.seconds;
    for (unsigned i = 0; i < 7; i++) { /* 4, 8, 16, 32, 64, 64, ... */
        double pause_s, wanted_s = i < 4 ? 4 << i : 64;
        struct heard again = hear_within(core, 100, &pause_s);
        assert_int_equal(again.type, DHCP_DISCOVER);
        assert_int_equal(again.xid, first.xid);
        assert_true(again.seconds > before);
        assert_true(pause_s >= wanted_s - 1.1 && pause_s <= wanted_s + 1.1);
        before = again.seconds;
    }
    assert_true(said("dhcp: nic0: no server answers, asking on"));
    /* An offer, and then silence again: four requests, and from the beginning. */
    uint32_t xid = offer(core, 0, hear_within(core, 100, NULL), usual(DHCP_OFFER));
    double pause_s, sum_s = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct heard again = hear_within(core, 100, &pause_s);
        sum_s += pause_s;
        assert_int_equal(again.type, i < 3 ? DHCP_REQUEST : DHCP_DISCOVER);
        assert_int_equal(again.xid == xid, i < 3);
    }
    assert_true(sum_s > 55 && sum_s < 65);
    assert_int_equal(sim_counter(core, "dhcp.discovers"), 10);
    test_stop(core);
}

static void dhcp_07_declines_what_another_has(void **state)
{
    (void)state;
    struct core *core = start("ip=dhcp");
    lease(core, 0, usual(DHCP_ACK));
    sim_advance_us(core, SECOND / 2);
    struct packet taken = packet_arp_reply(LEASED, 0);
    assert_true(sim_inject(core, 0, taken.data, taken.length));
    double pause_s;
    struct heard decline = hear_within(core, 1, &pause_s);
    assert_int_equal(decline.type, DHCP_DECLINE);
    assert_true(decline.broadcast_frame);
    assert_int_equal(decline.from | decline.client, 0);
    assert_int_equal(decline.requested, LEASED);
    assert_int_equal(decline.server, SERVER);
    assert_false(decline.parameters || decline.broadcast_flag);
    assert_int_equal(addresses(core), 0);
    assert_int_equal(sim_counter(core, "dhcp.declines"), 1);
    assert_true(said("dhcp: nic0: 10.0.0.50 from 10.0.0.1 declined: in use by another station"));
    struct heard discover = hear_within(core, 20, &pause_s);
    assert_true(pause_s >= 9.9 && pause_s < 10.3);
    assert_int_equal(discover.requested, 0);
    struct say other = usual(DHCP_ACK);
    other.ip = IP(10, 0, 0, 51);
    tell(core, 0, discover.xid, (other.type = DHCP_OFFER, other));
    tell(core, 0, hear(core, 0).xid, (other.type = DHCP_ACK, other));
    sim_advance_us(core, 10 * SECOND);
    assert_true(has_address(core, 0, other.ip));
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    test_stop(core);
}

/* Two nics in two networks; the default route stays that of the first. */
static void dhcp_08_two_nics(void **state)
{
    (void)state;
    struct core *core = start("ip=dhcp ip=:::::nic1:dhcp");
    struct say second = usual(DHCP_ACK);
    second.ip = IP(10, 1, 0, 7);
    second.server = second.gateway = IP(10, 1, 0, 1);
    struct heard discover[2] = {hear(core, 0), hear(core, 1)};
    assert_int_not_equal(discover[0].xid, discover[1].xid);
    tell(core, 1, discover[0].xid, usual(DHCP_OFFER)); /* the other's */
    assert_int_equal(sim_counter(core, "drop.dhcp-unexpected"), 1);
    uint32_t xid = offer(core, 0, discover[0], usual(DHCP_OFFER));
    uint32_t xid1 = offer(core, 1, discover[1], second);
    tell(core, 0, xid, usual(DHCP_ACK));
    tell(core, 1, xid1, second);
    assert_true(has_address(core, 0, LEASED) && has_address(core, 1, second.ip));
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 3600s");
    expect_line(core, 1, "nic1 bound 10.1.0.7/24 10.1.0.1 3600s");
    assert_int_equal(core->routes.route[route_lookup(&core->routes, IP(8, 8, 8, 8))].gateway,
                     SERVER);
    assert_true(said("dhcp: nic1: gateway 10.1.0.1 from 10.1.0.1 is not used: "
                     "there is a default route"));
    assert_int_equal(sim_stop(core), 0);
    assert_int_equal(hear(core, 0).type, DHCP_RELEASE);
    assert_int_equal(hear(core, 1).type, DHCP_RELEASE);
}

static void dhcp_09_releases_at_the_end(void **state)
{
    (void)state;
    struct core *core = start_leased();
    assert_int_equal(sim_stop(core), 0);
    const struct sim_wire_frame *frame = sim_sent(core, 0);
    while (frame && frame->data[23] != IPV4_UDP)
        frame = sim_sent(core, 0);
    assert_non_null(frame);
    assert_memory_equal(frame->data, PEER_MAC, 6); /* without arp, which is stopped */
    core = start_leased();
    struct service_self *dhcp = chain_find(core, "dhcp");
    assert_int_equal(chain_setting_set(dhcp, "nic0", "off"), 0);
    sim_advance_us(core, TURN_US);
    struct heard release = hear(core, 0);
    assert_int_equal(release.type, DHCP_RELEASE);
    assert_int_equal(release.from, LEASED);
    assert_int_equal(release.client, LEASED);
    assert_int_equal(release.to, SERVER);
    assert_int_equal(release.server, SERVER);
    assert_int_equal(release.requested, 0);
    assert_false(release.broadcast_frame || release.broadcast_flag || release.parameters);
    assert_int_equal(addresses(core), 0);
    assert_true(said("dhcp: nic0: 10.0.0.50 given back to 10.0.0.1"));
    sim_advance_us(core, 2 * LEASE_S * SECOND);
    assert_int_equal(hear(core, 0).type, 0);
    /* And on again; what is for the port while it is off is nobody's. */
    tell(core, 0, release.xid, usual(DHCP_OFFER));
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    assert_int_equal(chain_setting_set(dhcp, "nic0", "on"), 0);
    sim_advance_us(core, TURN_US);
    lease(core, 0, usual(DHCP_ACK));
    chain_service_stop(core, dhcp);
    assert_int_equal(addresses(core), 0);
    assert_int_equal(chain_service_start(core, dhcp), 0);
    sim_advance_us(core, TURN_US);
    assert_int_equal(hear(core, 0).type, DHCP_RELEASE);
    lease(core, 0, usual(DHCP_ACK));
    test_stop(core);
}

static void dhcp_10_verifies_when_the_link_returns(void **state)
{
    (void)state;
    struct core *core = start_leased();
    sim_link(core, 0, false);
    sim_advance_us(core, 100 * SECOND);
    assert_true(has_address(core, 0, LEASED));
    sim_link(core, 0, true);
    sim_advance_us(core, TURN_US);
    struct heard request = hear(core, 0);
    assert_int_equal(request.type, DHCP_REQUEST);
    assert_int_equal(request.requested, LEASED);
    assert_int_equal(request.server | request.client | request.from, 0);
    assert_true(request.broadcast_flag && request.broadcast_frame);
    tell(core, 0, request.xid, usual(DHCP_ACK));
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 3600s");
    /* Another network now: the lease is gone at once. */
    sim_link(core, 0, false);
    sim_link(core, 0, true);
    sim_advance_us(core, TURN_US);
    tell(core, 0, hear(core, 0).xid, usual(DHCP_NAK));
    assert_int_equal(addresses(core), 0);
    lease(core, 0, usual(DHCP_ACK));
    sim_advance_us(core, 10 * SECOND);
    /* Silence: the lease is kept while another is looked for, and gives way to it. */
    sim_link(core, 0, false);
    sim_link(core, 0, true);
    struct heard heard;
    do
        heard = hear_within(core, 60, NULL);
    while (heard.type == DHCP_REQUEST);
    assert_int_equal(heard.requested, LEASED);
    assert_true(has_address(core, 0, LEASED));
    struct say other = usual(DHCP_ACK);
    other.ip = IP(10, 0, 0, 77);
    tell(core, 0, offer(core, 0, heard, other), other);
    assert_true(has_address(core, 0, other.ip));
    assert_int_equal(addresses(core), 1);
    test_stop(core);
}

static void dhcp_11_a_link_that_comes_late_or_goes(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=dhcp");
    sim_link(core, 0, false);
    sim_advance_us(core, 100 * SECOND);
    assert_int_equal(hear(core, 0).type, 0);
    assert_int_equal(sim_drops(core), 0);
    sim_link(core, 0, true);
    sim_advance_us(core, TURN_US);
    lease(core, 0, usual(DHCP_ACK));
    /* A lease ends on a dead link too, and nothing is said there. */
    sim_link(core, 0, false);
    sim_advance_us(core, (LEASE_S + 1) * SECOND);
    assert_int_equal(addresses(core), 0);
    while (sim_sent(core, 0))
        ;
    sim_advance_us(core, 1000 * SECOND);
    assert_null(sim_sent(core, 0));
    uint64_t drops = sim_drops(core);
    sim_link(core, 0, true);
    sim_advance_us(core, TURN_US);
    lease(core, 0, usual(DHCP_ACK));
    sim_link(core, 0, false);
    test_stop(core); /* no release there either */
    assert_int_equal(sim_drops(core), drops);
}

static void dhcp_12_an_address_that_is_configured_too(void **state)
{
    (void)state;
    struct core *core = start("ip=10.0.0.50/24@nic1 ip=dhcp"); /* of the other nic: no */
    uint32_t xid = offer(core, 0, hear(core, 0), usual(DHCP_OFFER));
    tell(core, 0, xid, usual(DHCP_ACK));
    struct heard decline = hear(core, 0);
    assert_int_equal(decline.type, DHCP_DECLINE);
    assert_int_equal(decline.requested, LEASED);
    assert_true(has_address(core, 1, LEASED));
    assert_int_equal(addresses(core), 1);
    assert_true(said("10.0.0.50 from 10.0.0.1 declined: another nic of ours has it"));
    test_stop(core);
    core = start("ip=10.0.0.50/16 ip=dhcp"); /* of this one: it is leased from now on */
    lease(core, 0, usual(DHCP_ACK));
    assert_int_equal(addresses(core), 1);
    assert_int_equal(core->routes.address[0].length, 24);
    test_stop(core);
}

static void dhcp_13_an_address_taken_away(void **state)
{
    (void)state;
    struct core *core = start_leased();
    struct service_self *arp = chain_find(core, "arp");
    assert_int_equal(service_address_delete(arp, LEASED), 0);
    sim_advance_us(core, TURN_US);
    assert_true(said("dhcp: nic0: 10.0.0.50 was taken away, asking for another"));
    lease(core, 0, usual(DHCP_ACK));
    test_stop(core);
}

static void dhcp_14_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned nics; /* a bit for each that asks */
    } row[] = {{"ip=dhcp", 1},
               {"ip=dhcp@nic1", 2},
               {"ip=dhcp ip=dhcp@nic1", 3},
               {"ip=::::::dhcp", 1},
               {"ip=::::me:nic1:dhcp", 2},
               {"services=+dhcp dhcp.nic1=on", 2},
               {"services=+dhcp", 0},
               {"dhcp.nic0=on", 0},
               {"ip=10.0.0.2/24", 0},
               {"ip=dhcp services=-dhcp", 0}};
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        struct core *core = start(row[i].line);
        assert_null(strstr(sim_console(), "ERROR"));
        for (unsigned nic = 0; nic < 2; nic++)
            assert_int_equal(hear(core, nic).type, row[i].nics >> nic & 1 ? DHCP_DISCOVER : 0);
        test_stop(core);
    }
    struct core *core = start("services=+dhcp dhcp.nic5=on");
    assert_true(said("dhcp: no nic to lease an address for"));
    assert_true(said("dhcp: nic5: there is no such nic"));
    test_stop(core);
}

/* RFC 2131 4.4.5: each time half of what is left, but a minute at least. The server is on no link of
 * ours, so it is asked by broadcast. */
static void dhcp_15_asks_more_often_towards_the_end(void **state)
{
    (void)state;
    static const double at_s[] = {1800, 2475,   2812.5, 2981.3, 3065.6, 3125.6,
                                  3150, 3375.1, 3487.6, 3547.6, 3600};
    struct say far = usual(DHCP_ACK);
    far.server = IP(192, 0, 2, 1);
    far.gateway = 0;
    struct core *core = start("ip=dhcp");
    lease(core, 0, far);
    for (unsigned i = 0; i < COUNT_OF(at_s); i++) {
        struct heard heard = hear_within(core, LEASE_S, NULL);
        double now_s = (double)sim_now_ns / 1e9;
        assert_true(now_s > at_s[i] - 0.2 && now_s < at_s[i] + 0.4);
        assert_int_equal(heard.type, i + 1 < COUNT_OF(at_s) ? DHCP_REQUEST : DHCP_DISCOVER);
        assert_int_equal(heard.client, i + 1 < COUNT_OF(at_s) ? LEASED : 0);
        assert_int_equal(heard.to, UINT32_MAX);
    }
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dhcp_01_leases),
        cmocka_unit_test(dhcp_02_renews_by_unicast),
        cmocka_unit_test(dhcp_03_rebinds_by_broadcast),
        cmocka_unit_test(dhcp_04_expires),
        cmocka_unit_test(dhcp_05_nak),
        cmocka_unit_test(dhcp_06_silence),
        cmocka_unit_test(dhcp_07_declines_what_another_has),
        cmocka_unit_test(dhcp_08_two_nics),
        cmocka_unit_test(dhcp_09_releases_at_the_end),
        cmocka_unit_test(dhcp_10_verifies_when_the_link_returns),
        cmocka_unit_test(dhcp_11_a_link_that_comes_late_or_goes),
        cmocka_unit_test(dhcp_12_an_address_that_is_configured_too),
        cmocka_unit_test(dhcp_13_an_address_taken_away),
        cmocka_unit_test(dhcp_14_words),
        cmocka_unit_test(dhcp_15_asks_more_often_towards_the_end),
    };
    return cmocka_run_group_tests_name("dhcp", tests, NULL, NULL);
}
