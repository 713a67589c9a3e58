/* Framesets with peers and ports: what goes out is right to the bit, what may not go is refused, and who
 * is asked first about what comes in. */
#include <stdio.h>

#include "tests/psr/frames.h"

enum {
    PORT = 4000,
    PEER_PORT = 5555,
    EXPERIMENT = 253,                           /* RFC 3692: an IP protocol for trying things */
    ETHERTYPE = 0x88b5,                         /* IEEE 802 local experimental */
    UDP_BYTES_MAX = 1472,                       /* that fit an MTU of 1,500 */
    DATA = ETH_HEADER_LENGTH + IPV4_HEADER_MIN, /* where an IPv4 packet's payload lies */
};

static struct test_client one, two;
static struct test_frames frames, others;

static struct core *start(const char *more)
{
    char line[200];
    snprintf(line, sizeof line, TEST_CLIENTS "ip=10.0.0.2/24 %s", more);
    struct core *core = sim_start(2, line);
    test_client_start(&one, core);
    test_client_start(&two, core);
    frames_know_peer(core);
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&one);
    test_client_free(&two);
}

/* ---- UDP --------------------------------------------------------------------------------------- */

static void udp_01_sends_exact_datagrams(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_udp(&frames, &one, PORT);
    for (unsigned bytes = 1; bytes <= UDP_BYTES_MAX; bytes += bytes < 40 ? 1 : 179) {
        struct packet packet = packet_udp_to(US, PORT, PEER, PEER_PORT, bytes);
        frames_send(&frames, packet.data + DATA + UDP_HEADER_LENGTH, bytes, PEER, PEER_PORT);
        frames_wire_expect(core, 0, packet);
    }
    assert_int_equal(frames.tx->refused, 0);
    assert_int_equal(frames.tx->consumed, frames.tx->produced);
    assert_int_equal(sim_counter(core, "clients.tx_frames"), frames.tx->produced);
    stop(core);
}

/* RFC 768: a sum of zero is sent as all ones, for zero says that there is none. */
static void udp_02_checksum_is_never_zero(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_udp(&frames, &one, PORT);
    struct packet packet = packet_udp_to(US, PORT, PEER, PEER_PORT, 2);
    memset(packet.data + DATA + UDP_HEADER_LENGTH, 0, 2);
    packet_fix_udp(&packet);
    memcpy(packet.data + DATA + UDP_HEADER_LENGTH, &packet_udp(&packet)->checksum, 2);
    frames_send(&frames, packet.data + DATA + UDP_HEADER_LENGTH, 2, PEER, PEER_PORT);
    packet_udp(&packet)->checksum.raw = 0xffff;
    frames_wire_expect(core, 0, packet);
    stop(core);
}

static void udp_03_receives_the_payload(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_udp(&frames, &one, PORT);
    for (unsigned bytes = 0; bytes <= UDP_BYTES_MAX; bytes += bytes < 40 ? 1 : 179) {
        struct packet packet = packet_udp_to(PEER, PEER_PORT, US, PORT, bytes);
        frames_inject(core, 0, &packet);
        struct piglet_frame about =
            frames_expect(&frames, packet.data + DATA + UDP_HEADER_LENGTH, bytes);
        assert_int_equal(about.address, PEER);
        assert_int_equal(about.port, PEER_PORT);
        assert_int_equal(about.to, US);
        assert_int_equal(about.flags, 0);
        assert_int_equal(about.nic, 0);
    }
    assert_null(sim_sent(core, 0)); /* nobody answered for it */
    assert_int_equal(sim_drops(core), 0);
    assert_int_equal(sim_counter(core, "clients.rx_frames"), frames.rx->produced);
    stop(core);
}

static void udp_04_broadcasts_say_so(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_udp(&frames, &one, PORT);
    struct packet packet = packet_udp_to(PEER, PEER_PORT, IP(10, 0, 0, 255), PORT, 8);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    frames_inject(core, 0, &packet);
    struct piglet_frame about = frames_expect(&frames, packet.data + DATA + UDP_HEADER_LENGTH, 8);
    assert_int_equal(about.flags, PIGLET_FRAME_BROADCAST);
    assert_int_equal(about.to, IP(10, 0, 0, 255));
    stop(core);
}

static void udp_05_peers_and_ports(void **state)
{
    (void)state;
    struct core *core = start("services=-icmp");
    frames_make(&frames, &one, 5);
    frames_peer(&frames, PEER, PEER_PORT, IPV4_UDP);
    assert_int_equal(frames_start(&frames), ERR_INVALID); /* no port of its own */
    assert_int_equal(frames_bind(&frames, PORT), 0);
    assert_int_equal(frames_start(&frames), 0);
    frames_make(&others, &two, 5);
    assert_int_equal(frames_bind(&others, PORT), ERR_EXISTS);

    /* Only the peer's come: not another's port, not another's address, not to another port. */
    struct packet packet = packet_udp_to(PEER, PEER_PORT + 1, US, PORT, 8);
    frames_inject(core, 0, &packet);
    packet = packet_udp_to(OTHER, PEER_PORT, US, PORT, 8);
    frames_inject(core, 0, &packet);
    packet = packet_udp_to(PEER, PEER_PORT, US, PORT + 1, 8);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 3);
    packet = packet_udp_to(PEER, PEER_PORT, US, PORT, 8);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data + DATA + UDP_HEADER_LENGTH, 8);

    /* The peer need not be named, and nobody else may be. */
    struct packet out = packet_udp_to(US, PORT, PEER, PEER_PORT, 8);
    frames_send(&frames, out.data + DATA + UDP_HEADER_LENGTH, 8, 0, 0);
    frames_wire_expect(core, 0, out);
    assert_true(frames_refused(&frames, "oink", 4, OTHER, PEER_PORT));
    assert_true(frames_refused(&frames, "oink", 4, PEER, PEER_PORT + 1));
    stop(core);
}

static void udp_06_what_may_not_be_sent(void **state)
{
    (void)state;
    static const uint8_t zeros[2048];
    struct core *core = start("");
    frames_udp(&frames, &one, PORT);
    assert_true(frames_refused(&frames, zeros, 0, PEER, PEER_PORT));
    assert_true(frames_refused(&frames, zeros, UDP_BYTES_MAX + 1, PEER, PEER_PORT));
    assert_true(frames_refused(&frames, zeros, UINT32_MAX, PEER, PEER_PORT));
    assert_true(frames_refused(&frames, zeros, UINT32_MAX - 41, PEER, PEER_PORT));
    assert_true(frames_refused(&frames, zeros, 8, PEER, ANY_PORT));     /* to nobody's port */
    assert_true(frames_refused(&frames, zeros, 8, 0, PEER_PORT));       /* nor to nobody */
    assert_true(frames_refused(&frames, zeros, 8, NOBODYS, PEER_PORT)); /* no route */
    assert_true(frames_refused(&frames, zeros, 8, US, PEER_PORT));
    assert_true(frames_refused(&frames, zeros, 8, IP(10, 0, 0, 255), PEER_PORT));
    struct piglet_frame said = {.length = 8, .address = PEER, .port = PEER_PORT, .to = OTHER};
    frames_put(&frames, 0, zeros, &said); /* from an address that is not ours */
    frames_publish(&frames, 1);
    sim_run(core);
    assert_int_equal(frames.tx->refused, 10);
    assert_null(frames_wire(core, 0));
    core->nic[0].mtu = 576;
    assert_true(frames_refused(&frames, zeros, 549, PEER, PEER_PORT));
    assert_false(frames_refused(&frames, zeros, 548, PEER, PEER_PORT));
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

/* ---- whole packets, protocols, EtherTypes -------------------------------------------------------- */

static void packets_01_both_ways(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&frames, &one, PEER, 0);
    struct packet in = packet_tcp_to(PEER, 80, US, 4001, TCP_ACK);
    frames_inject(core, 0, &in);
    struct piglet_frame about =
        frames_expect(&frames, in.data + ETH_HEADER_LENGTH, IPV4_HEADER_MIN + TCP_HEADER_MIN);
    assert_int_equal(about.address, PEER);
    assert_int_equal(about.to, US);
    assert_int_equal(about.port, 0);

    struct packet out = packet_tcp_to(US, 4001, PEER, 80, TCP_ACK);
    packet_ip(&out)->checksum = be16(0xdead); /* the header's is put right */
    frames_send(&frames, out.data + ETH_HEADER_LENGTH, IPV4_HEADER_MIN + TCP_HEADER_MIN, 0, 0);
    frames_wire_expect(core, 0, out);
    in = packet_tcp_to(OTHER, 80, US, 4001, TCP_ACK); /* not the peer */
    frames_inject(core, 0, &in);
    assert_null(frames_peek(&frames));
    stop(core);
}

static void packets_02_refused(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&frames, &one, PEER, 0);
    enum { BYTES = IPV4_HEADER_MIN + 8 };
    struct packet good = packet_ipv4(US, PEER, EXPERIMENT, 8), bad;
    uint8_t *ip = bad.data + ETH_HEADER_LENGTH;
    assert_false(frames_refused(&frames, good.data + ETH_HEADER_LENGTH, BYTES, 0, 0));
    frames_wire_expect(core, 0, good);

    bad = packet_ipv4(OTHER, PEER, EXPERIMENT, 8); /* not our address */
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    bad = packet_ipv4(0, PEER, EXPERIMENT, 8);
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    bad = packet_ipv4(US, OTHER, EXPERIMENT, 8); /* not the peer, */
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    assert_true(frames_refused(&frames, ip, BYTES, PEER, 0)); /* whatever is said beside it */
    bad = good;
    assert_true(frames_refused(&frames, ip, BYTES - 1, 0, 0)); /* not as long as it says */
    assert_true(frames_refused(&frames, ip, BYTES + 1, 0, 0));
    assert_true(frames_refused(&frames, ip, IPV4_HEADER_MIN - 1, 0, 0));
    packet_ip(&bad)->version_length = 0x65;
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    packet_ip(&bad)->version_length = 0x44;
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    packet_ip(&bad)->version_length = 0x4f; /* a header longer than the packet */
    assert_true(frames_refused(&frames, ip, BYTES, 0, 0));
    stop(core);
}

static void protocol_01_payload_both_ways(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&frames, &one, 0, EXPERIMENT);
    struct packet in = packet_ipv4(PEER, US, EXPERIMENT, 33);
    frames_inject(core, 0, &in);
    struct piglet_frame about = frames_expect(&frames, in.data + DATA, 33); /* without padding */
    assert_int_equal(about.address, PEER);
    struct packet out = packet_ipv4(US, PEER, EXPERIMENT, 33);
    frames_send(&frames, out.data + DATA, 33, PEER, 0);
    frames_wire_expect(core, 0, out);
    in = packet_ipv4(PEER, US, EXPERIMENT + 1, 33);
    frames_inject(core, 0, &in);
    assert_null(frames_peek(&frames));
    assert_non_null(frames_wire(core, 0)); /* icmp says that nobody takes it */
    assert_true(frames_refused(&frames, out.data + DATA, 33, 0, 0)); /* to anybody is to nobody */
    stop(core);
}

static void ethertype_01_whole_frames_both_ways(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&frames, &one, 0, ETHERTYPE);
    struct packet packet = packet_ipv4(PEER, US, EXPERIMENT, 40);
    packet_eth(&packet)->type = be16(ETHERTYPE);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data, packet.length);
    eth_copy(packet_eth(&packet)->to, NIC1_MAC); /* by another nic than the one meant */
    frames_inject(core, 1, &packet);
    eth_copy(packet_eth(&packet)->to, NIC0_MAC);
    packet_eth(&packet)->type = be16(ETHERTYPE + 1);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));

    /* Out: of that type only, and from the nic's address whatever it says. */
    assert_true(frames_refused(&frames, packet.data, packet.length, 0, 0));
    packet_eth(&packet)->type = be16(ETHERTYPE);
    assert_true(frames_refused(&frames, packet.data, ETH_HEADER_LENGTH - 1, 0, 0));
    assert_true(frames_refused(&frames, packet.data, FRAME_LENGTH_MAX + 1, 0, 0));
    frames_send(&frames, packet.data, packet.length, 0, 0);
    const struct sim_wire_frame *sent = frames_wire(core, 0);
    assert_non_null(sent);
    eth_copy(packet_eth(&packet)->from, NIC0_MAC);
    assert_int_equal(sent->length, packet.length);
    assert_memory_equal(sent->data, packet.data, packet.length);
    stop(core);
}

static void ethertype_02_not_those_of_the_kernel(void **state)
{
    (void)state;
    static const uint16_t taken[] = {ETH_TYPE_IPV4, ETH_TYPE_ARP};
    struct core *core = start("");
    frames_make(&frames, &one, 5);
    uint64_t name = piglet_result_capability(frames.capability);
    for (unsigned i = 0; i < COUNT_OF(taken); i++)
        assert_int_equal(test_client_do(&one,
                                        (struct test_request)REQUEST(SET_PEER, CAP(name), NUM(0),
                                                                     NUM(0), NUM(taken[i])),
                                        NULL),
                         ERR_DENIED);
    stop(core);
}

/* ---- who is asked first -------------------------------------------------------------------------- */

static void order_01_echo_keeps_its_port(void **state)
{
    (void)state;
    struct core *core = start("services=+echo");
    frames_udp(&frames, &one, UDP_PORT_ECHO);
    struct packet packet = packet_udp_to(PEER, PEER_PORT, US, UDP_PORT_ECHO, 8);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    assert_non_null(frames_wire(core, 0));
    assert_int_equal(sim_counter(core, "echo.replies"), 1);
    stop(core);
}

static void order_02_pings_stay_with_icmp(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&frames, &one, 0, 0); /* everything there is */
    struct packet packet = packet_echo(PEER, US, 56);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    assert_non_null(frames_wire(core, 0));
    packet_icmp(&packet)->type = ICMP_ECHO_REPLY; /* but a reply is for who asked */
    packet_fix_icmp(&packet);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data + ETH_HEADER_LENGTH,
                  IPV4_HEADER_MIN + ICMP_HEADER_LENGTH + 56);
    stop(core);
}

static void order_03_ports_before_peers(void **state)
{
    (void)state;
    struct core *core = start("");
    frames_protocol(&others, &two, 0, 0);
    frames_udp(&frames, &one, PORT);
    struct packet packet = packet_udp_to(PEER, PEER_PORT, US, PORT, 8);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data + DATA + UDP_HEADER_LENGTH, 8);
    assert_null(frames_peek(&others));
    packet = packet_udp_to(PEER, PEER_PORT, US, PORT + 1, 8);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    frames_expect(&others, packet.data + ETH_HEADER_LENGTH,
                  IPV4_HEADER_MIN + UDP_HEADER_LENGTH + 8);
    assert_null(sim_sent(core, 0)); /* icmp refuses no port that is taken */
    stop(core);
}

static void order_04_a_stopped_frameset_gets_nothing(void **state)
{
    (void)state;
    struct core *core = start("services=-icmp");
    frames_udp(&frames, &one, PORT);
    frames_udp(&others, &two, PORT + 1); /* goes on */
    struct test_request request =
        REQUEST(FRAMESET_STOP, CAP(piglet_result_capability(frames.capability)));
    test_client_must(&one, request);
    struct packet packet = packet_udp_to(PEER, PEER_PORT, US, PORT, 8);
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_null(frames_wire(core, 0));
    assert_int_equal(frames.tx->consumed, 0); /* it stays there, */
    assert_int_equal(frames_start(&frames), 0);
    sim_run(core);
    assert_non_null(frames_wire(core, 0)); /* and goes when it is started again */
    assert_int_equal(frames.tx->consumed, 1);
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_01_sends_exact_datagrams),
        cmocka_unit_test(udp_02_checksum_is_never_zero),
        cmocka_unit_test(udp_03_receives_the_payload),
        cmocka_unit_test(udp_04_broadcasts_say_so),
        cmocka_unit_test(udp_05_peers_and_ports),
        cmocka_unit_test(udp_06_what_may_not_be_sent),
        cmocka_unit_test(packets_01_both_ways),
        cmocka_unit_test(packets_02_refused),
        cmocka_unit_test(protocol_01_payload_both_ways),
        cmocka_unit_test(ethertype_01_whole_frames_both_ways),
        cmocka_unit_test(ethertype_02_not_those_of_the_kernel),
        cmocka_unit_test(order_01_echo_keeps_its_port),
        cmocka_unit_test(order_02_pings_stay_with_icmp),
        cmocka_unit_test(order_03_ports_before_peers),
        cmocka_unit_test(order_04_a_stopped_frameset_gets_nothing),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
