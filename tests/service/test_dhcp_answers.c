/* dhcp: what servers may say, and what must not be believed. */
#include "tests/service/dhcp.h"

/* An ACK while one is awaited, changed by a test; whether it was dropped, and for what. */
static void expect_dropped(const char *reason, void (*spoil)(struct packet *packet))
{
    struct core *core = start("ip=dhcp");
    uint32_t xid = offer(core, 0, hear(core, 0), usual(DHCP_OFFER));
    struct packet packet = packet_say(core, 0, xid, usual(DHCP_ACK));
    char name[40];
    snprintf(name, sizeof name, "drop.dhcp-%s", reason);
    spoil(&packet);
    packet_fix_ip(&packet);
    inject(core, 0, packet);
    assert_int_equal(sim_counter(core, name), 1);
    assert_int_equal(sim_drops(core), 1);
    assert_int_equal(sim_counter(core, "dhcp.ignored"), 1);
    assert_int_equal(addresses(core), 0);
    tell(core, 0, xid, usual(DHCP_ACK)); /* it waits on for the good one */
    assert_true(has_address(core, 0, LEASED));
    test_stop(core);
}

static void cut(struct packet *packet, unsigned bytes)
{
    packet->length = 42 + bytes;
    packet_ip(packet)->total_length = be16((uint16_t)(28 + bytes));
    packet_udp(packet)->length = be16((uint16_t)(8 + bytes));
}

static uint8_t *option_at(struct packet *packet, uint8_t code)
{
    uint8_t *at = packet_options(packet);
    while (*at != code)
        at += 2 + at[1];
    return at;
}

static void spoil_short(struct packet *packet)
{
    cut(packet, DHCP_HEADER_LENGTH - 1);
}

static void spoil_empty(struct packet *packet)
{
    cut(packet, 0);
}

static void spoil_no_options(struct packet *packet)
{
    cut(packet, DHCP_HEADER_LENGTH);
}

static void spoil_cookie(struct packet *packet)
{
    packet_dhcp(packet)->cookie = be32(0x63825362);
}

static void spoil_cut_in_option(struct packet *packet)
{
    cut(packet, DHCP_HEADER_LENGTH + 5);
}

static void spoil_cut_after_code(struct packet *packet)
{
    cut(packet, DHCP_HEADER_LENGTH + 4);
}

static void spoil_length_lies(struct packet *packet)
{
    option_at(packet, DHCP_OPTION_LEASE_S)[1] = 255;
}

static void spoil_mask_length(struct packet *packet)
{
    uint8_t *at = option_at(packet, DHCP_OPTION_MASK);
    at[1] = 10; /* swallows the next one */
}

static void spoil_router_empty(struct packet *packet)
{
    uint8_t *at = option_at(packet, DHCP_OPTION_ROUTER);
    at[1] = 0;
    memset(at + 2, DHCP_OPTION_PAD, 4);
}

static void spoil_router_length(struct packet *packet)
{
    *dhcp_option_put(option_at(packet, DHCP_OPTION_END), DHCP_OPTION_ROUTER, "\12\0\0\1\12", 6) =
        DHCP_OPTION_END;
}

static void spoil_overload_length(struct packet *packet)
{
    *dhcp_option_put(option_at(packet, DHCP_OPTION_END), DHCP_OPTION_OVERLOAD, "\1\1", 2) =
        DHCP_OPTION_END;
}

static void spoil_overloaded_field(struct packet *packet)
{
    uint8_t *file = packet_dhcp(packet)->file;
    *dhcp_option_put(option_at(packet, DHCP_OPTION_END), DHCP_OPTION_OVERLOAD, "\1", 1) =
        DHCP_OPTION_END;
    file[126] = DHCP_OPTION_ROUTER;
    file[127] = 4; /* would be behind the field */
}

static void spoil_type_missing(struct packet *packet)
{
    *option_at(packet, DHCP_OPTION_TYPE) = 200;
}

static void dhcp_21_malformed(void **state)
{
    (void)state;
    expect_dropped("malformed", spoil_short);
    expect_dropped("malformed", spoil_empty);
    expect_dropped("malformed", spoil_no_options);
    expect_dropped("malformed", spoil_cookie);
    expect_dropped("malformed", spoil_cut_in_option);
    expect_dropped("malformed", spoil_cut_after_code);
    expect_dropped("malformed", spoil_length_lies);
    expect_dropped("malformed", spoil_mask_length);
    expect_dropped("malformed", spoil_router_empty);
    expect_dropped("malformed", spoil_router_length);
    expect_dropped("malformed", spoil_overload_length);
    expect_dropped("malformed", spoil_overloaded_field);
    expect_dropped("malformed", spoil_type_missing);
}

static void spoil_op(struct packet *packet)
{
    packet_dhcp(packet)->op = DHCP_OP_REQUEST;
}

static void spoil_xid(struct packet *packet)
{
    packet_dhcp(packet)->xid.raw ^= 1;
}

static void spoil_mac(struct packet *packet)
{
    packet_dhcp(packet)->client_mac[5] ^= 1;
}

static void spoil_hardware(struct packet *packet)
{
    packet_dhcp(packet)->hardware_length = 16;
}

static void spoil_type(struct packet *packet)
{
    option_at(packet, DHCP_OPTION_TYPE)[2] = DHCP_OFFER;
}

static void spoil_server(struct packet *packet)
{
    option_at(packet, DHCP_OPTION_SERVER)[5] = 99;
}

static void dhcp_22_unexpected(void **state)
{
    (void)state;
    expect_dropped("unexpected", spoil_op);
    expect_dropped("unexpected", spoil_xid);
    expect_dropped("unexpected", spoil_mac);
    expect_dropped("unexpected", spoil_hardware);
    expect_dropped("unexpected", spoil_type);
    expect_dropped("unexpected", spoil_server);
    /* Of two in one moment the first counts. */
    struct core *core = start("ip=dhcp");
    uint32_t xid = hear(core, 0).xid;
    struct packet offer = packet_say(core, 0, xid, usual(DHCP_OFFER));
    assert_true(sim_inject(core, 0, offer.data, offer.length));
    inject(core, 0, offer);
    assert_int_equal(sim_counter(core, "drop.dhcp-unexpected"), 1);
    assert_int_equal(hear(core, 0).type, DHCP_REQUEST);
    assert_int_equal(hear(core, 0).type, 0);
    test_stop(core);
}

static void give(struct packet *packet, uint32_t ip)
{
    packet_dhcp(packet)->yours = be32(ip);
}

static void put(struct packet *packet, uint8_t code, uint32_t value)
{
    dhcp_option_put32(option_at(packet, code), code, value);
}

static void spoil_nothing_granted(struct packet *packet)
{
    give(packet, 0);
}

static void spoil_loopback(struct packet *packet)
{
    give(packet, IP(127, 0, 0, 1));
}

static void spoil_group(struct packet *packet)
{
    give(packet, IP(224, 0, 0, 1));
}

static void spoil_network(struct packet *packet)
{
    give(packet, IP(10, 0, 0, 0));
}

static void spoil_broadcast(struct packet *packet)
{
    give(packet, IP(10, 0, 0, 255));
}

static void spoil_mask(struct packet *packet)
{
    put(packet, DHCP_OPTION_MASK, 0xff00ff00); /* it has a hole */
}

static void spoil_no_time(struct packet *packet)
{
    put(packet, DHCP_OPTION_LEASE_S, 0);
}

static void dhcp_23_unusable(void **state)
{
    (void)state;
    expect_dropped("unusable", spoil_nothing_granted);
    expect_dropped("unusable", spoil_loopback);
    expect_dropped("unusable", spoil_group);
    expect_dropped("unusable", spoil_network);
    expect_dropped("unusable", spoil_broadcast);
    expect_dropped("unusable", spoil_mask);
    expect_dropped("unusable", spoil_no_time);
    struct core *core = start("ip=dhcp");
    struct say nameless = usual(DHCP_OFFER);
    nameless.server = 0;
    tell(core, 0, hear(core, 0).xid, nameless);
    assert_int_equal(sim_counter(core, "drop.dhcp-unusable"), 1);
    test_stop(core);
}

/* Options in all three places, padding between them, several routers, and one option twice. */
static void dhcp_24_overloaded(void **state)
{
    (void)state;
    struct core *core = start("ip=dhcp");
    uint32_t xid = offer(core, 0, hear(core, 0), usual(DHCP_OFFER));
    struct packet packet = packet_say(core, 0, xid, usual(DHCP_ACK));
    struct dhcp_message *message = packet_dhcp(&packet);
    uint8_t *at = packet_options(&packet);
    const uint8_t type = DHCP_ACK, overload = DHCP_OVERLOAD_FILE | DHCP_OVERLOAD_SNAME;
    const uint8_t routers[8] = {10, 0, 0, 3, 10, 0, 0, 4};
    memset(at, DHCP_OPTION_PAD, DHCP_LENGTH_MIN - DHCP_HEADER_LENGTH);
    at = dhcp_option_put(at + 3, DHCP_OPTION_TYPE, &type, 1);
    at = dhcp_option_put(at + 1, DHCP_OPTION_OVERLOAD, &overload, 1);
    dhcp_option_put32(at, DHCP_OPTION_SERVER, SERVER); /* no END: it ends with the datagram */
    at = dhcp_option_put(message->file, DHCP_OPTION_ROUTER, routers, sizeof routers);
    *dhcp_option_put32(at, DHCP_OPTION_LEASE_S, 600) = DHCP_OPTION_END;
    at = dhcp_option_put32(message->sname, DHCP_OPTION_MASK, 0xffff0000);
    *dhcp_option_put32(at, DHCP_OPTION_LEASE_S, 700) = DHCP_OPTION_END;
    inject(core, 0, packet);
    assert_true(said("dhcp: nic0: 10.0.0.50/16 from 10.0.0.1 for 600 s, gateway 10.0.0.3"));
    test_stop(core);
}

static void dhcp_25_times_and_masks(void **state)
{
    (void)state;
    struct say say = usual(DHCP_ACK);
    say.mask = 0;
    say.gateway = 0;
    say.lease_s = DHCP_LEASE_FOREVER;
    struct core *core = start("ip=dhcp");
    lease(core, 0, say);
    assert_true(said("dhcp: nic0: 10.0.0.50/8 from 10.0.0.1 for ever\n"));
    expect_line(core, 0, "nic0 bound 10.0.0.50/8 10.0.0.1 ever");
    sim_advance_us(core, 10 * SECOND);
    while (hear(core, 0).type)
        ;
    sim_advance_us(core, 100 * 86400 * SECOND);
    assert_int_equal(hear(core, 0).type, 0);
    test_stop(core);

    say = usual(DHCP_ACK); /* no broadcast address, so both are a station's */
    say.mask = 0xfffffffe;
    say.gateway = LEASED + 1;
    core = start("ip=dhcp");
    lease(core, 0, say);
    assert_true(said("dhcp: nic0: 10.0.0.50/31 from 10.0.0.1 for 3600 s, gateway 10.0.0.51"));
    test_stop(core);

    say = usual(DHCP_ACK); /* the server's own times, and a gateway that cannot be */
    say.renew_s = 100;
    say.rebind_s = 200;
    say.gateway = IP(10, 7, 0, 1);
    core = start("ip=dhcp");
    lease(core, 0, say);
    assert_true(said("dhcp: nic0: gateway 10.7.0.1 from 10.0.0.1 is not used: malformed"));
    sim_advance_us(core, 99 * SECOND);
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 3501s");
    sim_advance_us(core, 2 * SECOND);
    expect_line(core, 0, "nic0 renewing 10.0.0.50/24 10.0.0.1 3499s");
    sim_advance_us(core, 100 * SECOND);
    expect_line(core, 0, "nic0 rebinding 10.0.0.50/24 10.0.0.1 3399s");
    test_stop(core);

    say.renew_s = 300; /* times that make no sense: half and seven eighths */
    say.gateway = 0;
    core = start("ip=dhcp");
    lease(core, 0, say);
    sim_advance_us(core, 1799 * SECOND);
    expect_line(core, 0, "nic0 bound 10.0.0.50/24 10.0.0.1 1801s");
    sim_advance_us(core, 2 * SECOND);
    expect_line(core, 0, "nic0 renewing 10.0.0.50/24 10.0.0.1 1799s");
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dhcp_21_malformed),       cmocka_unit_test(dhcp_22_unexpected),
        cmocka_unit_test(dhcp_23_unusable),        cmocka_unit_test(dhcp_24_overloaded),
        cmocka_unit_test(dhcp_25_times_and_masks),
    };
    return cmocka_run_group_tests_name("dhcp answers", tests, NULL, NULL);
}
