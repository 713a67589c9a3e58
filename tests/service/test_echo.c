/* echo and forward: exact frames out, every drop by its reason. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/unit/test.h"

#define US    IP(10, 0, 0, 2)
#define PEER  IP(10, 0, 0, 1)
#define US1   IP(10, 1, 0, 2)
#define PEER1 IP(10, 1, 0, 9)

/* The next frame sent that is no ARP. */
static const struct sim_wire_frame *sent_ip(struct core *core, unsigned nic)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic)) && frame->data[12] == 8 && frame->data[13] == 6)
        ;
    return frame;
}

static void inject(struct core *core, unsigned nic, const struct packet *packet)
{
    assert_true(sim_inject(core, nic, packet->data, packet->length));
    sim_run(core);
}

static void expect_frame(const struct sim_wire_frame *sent, const struct packet *packet,
                         unsigned length)
{
    assert_non_null(sent);
    assert_int_equal(sent->length, length);
    assert_memory_equal(sent->data, packet->data, length);
}

static void echo_01_sends_back(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=+echo");
    for (unsigned bytes = 0; bytes <= 1472; bytes += bytes < 40 ? 1 : 77) {
        struct packet request = packet_udp_to(PEER, 5555, US, 7, bytes);
        struct packet reply = packet_udp_to(US, 7, PEER, 5555, bytes);
        eth_copy(packet_eth(&reply)->to, PEER_MAC);
        eth_copy(packet_eth(&reply)->from, NIC0_MAC);
        inject(core, 0, &request);
        expect_frame(sent_ip(core, 0), &reply,
                     ETH_HEADER_LENGTH + IPV4_HEADER_MIN + UDP_HEADER_LENGTH + bytes);
    }
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void echo_02_drops(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=+echo,-icmp echo.port=9");
    struct packet packet = packet_udp_to(PEER, 9, US, 9, 4);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.udp-loop"), 1);
    packet = packet_udp_to(PEER, UDP_PORT_ECHO, US, 9, 4); /* from a standard echo */
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.udp-loop"), 2);
    packet = packet_udp_to(PEER, 10, IP(10, 0, 0, 255), 9, 4);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.udp-broadcast"), 1);
    packet = packet_udp_to(PEER, 10, US, 7, 4);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    assert_null(sent_ip(core, 0));
    test_stop(core);
}

static void echo_03_port_changes_while_running(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=+echo,-icmp");
    struct packet old = packet_udp_to(PEER, 5555, US, 7, 4),
                  new = packet_udp_to(PEER, 5555, US, 4000, 4);
    assert_int_equal(chain_setting_set(chain_find(core, "echo"), "port", "4000"), 0);
    inject(core, 0, &old);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    inject(core, 0, &new);
    assert_non_null(sent_ip(core, 0));
    assert_int_equal(sim_counter(core, "echo.replies"), 1);
    test_stop(core);
}

/* ---- forward ---- */

static struct core *start_forward(const char *more)
{
    char line[256];
    snprintf(line, sizeof line, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward %s", more);
    struct core *core = sim_start(2, line);
    /* nic1's neighbour is known from its question for us. */
    struct packet ask = packet_arp_request(PEER1, US1);
    inject(core, 1, &ask);
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    return core;
}

static void forward_01_exact_frame(void **state)
{
    (void)state;
    struct core *core = start_forward("");
    for (unsigned ttl = 2; ttl <= 255; ttl++) {
        struct packet in = packet_udp_to(PEER, 1, PEER1, 2, 100 + ttl);
        packet_ip(&in)->ttl = (uint8_t)ttl;
        packet_ip(&in)->id = be16((uint16_t)(ttl * 257)); /* every checksum carry comes by */
        packet_fix_ip(&in);
        struct packet out = in;
        packet_ip(&out)->ttl--;
        packet_fix_ip(&out);
        eth_copy(packet_eth(&out)->to, PEER_MAC);
        eth_copy(packet_eth(&out)->from, NIC1_MAC);
        inject(core, 0, &in);
        expect_frame(sent_ip(core, 1), &out, out.length);
    }
    assert_int_equal(sim_counter(core, "forward.forwarded"), 254);
    assert_null(sent_ip(core, 0));
    test_stop(core);
}

static void forward_02_padding_is_not_forwarded(void **state)
{
    (void)state;
    struct core *core = start_forward("");
    struct packet in = packet_udp_to(PEER, 1, PEER1, 2, 1);
    inject(core, 0, &in);
    assert_int_equal(sent_ip(core, 1)->length,
                     ETH_HEADER_LENGTH + IPV4_HEADER_MIN + UDP_HEADER_LENGTH + 1);
    test_stop(core);
}

static const struct sim_wire_frame *expect_error(struct core *core, const char *counter,
                                                 uint8_t type, uint8_t code)
{
    const struct sim_wire_frame *sent = sent_ip(core, 0);
    assert_non_null(sent);
    const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + 14);
    const struct icmp_header *icmp = (const struct icmp_header *)(ip + 1);
    assert_int_equal(ip->protocol, IPV4_ICMP);
    assert_int_equal(icmp->type, type);
    assert_int_equal(icmp->code, code);
    assert_int_equal(be32_get(ip->from), US);
    assert_int_equal(be32_get(ip->to), PEER);
    assert_int_equal(sim_counter(core, counter), 1);
    return sent;
}

static void forward_03_errors(void **state)
{
    (void)state;
    struct core *core = start_forward("");
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    packet_ip(&packet)->ttl = 1;
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    expect_error(core, "drop.ip-ttl", ICMP_TIME_EXCEEDED, 0);
    packet_ip(&packet)->ttl = 0;
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.ip-ttl"), 2);
    assert_non_null(sent_ip(core, 0));
    packet = packet_udp_to(PEER, 1, IP(8, 8, 8, 8), 2, 50);
    inject(core, 0, &packet);
    expect_error(core, "drop.ip-no-route", ICMP_UNREACHABLE, ICMP_UNREACHABLE_NET);
    core->nic[1].mtu = core->nic[1].carries = 576;
    packet = packet_udp_to(PEER, 1, PEER1, 2, 549);
    inject(core, 0, &packet);
    const uint16_t mtu = 576;
    const struct sim_wire_frame *sent =
        expect_error(core, "drop.ip-too-big", ICMP_UNREACHABLE, ICMP_UNREACHABLE_TOO_BIG);
    const struct icmp_header *icmp = (const struct icmp_header *)(sent->data + 34);
    assert_int_equal(be16_get(icmp->sequence), mtu); /* RFC 1191 */
    packet = packet_udp_to(PEER, 1, PEER1, 2, 548);
    inject(core, 0, &packet);
    assert_int_equal(sent_ip(core, 1)->length, ETH_HEADER_LENGTH + mtu);
    sim_link(core, 1, false);
    inject(core, 0, &packet);
    expect_error(core, "drop.nic-down", ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST);
    test_stop(core);
}

static void forward_04_link_local_stays(void **state)
{
    (void)state;
    struct core *core = start_forward("route=169.254.0.0/16:10.1.0.9");
    struct packet packet = packet_udp_to(IP(169, 254, 1, 1), 1, PEER1, 2, 50);
    inject(core, 0, &packet);
    packet = packet_udp_to(PEER, 1, IP(169, 254, 9, 9), 2, 50);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.ip-not-for-us"), 2);
    assert_null(sent_ip(core, 1));
    test_stop(core);
}

static void forward_05_next_hop_by_gateway(void **state)
{
    (void)state;
    struct core *core = start_forward("route=10.7.0.0/16:10.1.0.9");
    struct packet packet = packet_udp_to(PEER, 1, IP(10, 7, 1, 1), 2, 50);
    inject(core, 0, &packet);
    const struct sim_wire_frame *sent = sent_ip(core, 1);
    assert_non_null(sent);
    assert_memory_equal(sent->data, PEER_MAC, 6);
    test_stop(core);
}

static void forward_06_options_and_fragments_go_through(void **state)
{
    (void)state;
    static const uint8_t record_route[8] = {7, 7, 4, 0, 0, 0, 0, 0};
    struct core *core = start_forward("");
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 64);
    packet_insert_options(&packet, record_route, 2);
    inject(core, 0, &packet);
    assert_int_equal(sent_ip(core, 1)->length, packet.length);
    packet = packet_ipv4(PEER, PEER1, IPV4_UDP, 64);
    packet_ip(&packet)->fragment = be16(IPV4_MORE_FRAGMENTS | 5);
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    assert_int_equal(sent_ip(core, 1)->length, packet.length);
    test_stop(core);
}

static void forward_07_routes_change_while_running(void **state)
{
    (void)state;
    struct core *core = start_forward("");
    struct packet packet = packet_udp_to(PEER, 1, IP(10, 7, 1, 1), 2, 50);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.ip-no-route"), 1);
    struct route route = {
        .prefix = IP(10, 7, 0, 0), .length = 16, .type = ROUTE_UNICAST, .nic = 1, .gateway = PEER1};
    assert_int_equal(route_add(&core->routes, &route), 0);
    inject(core, 0, &packet);
    assert_non_null(sent_ip(core, 1));
    assert_int_equal(route_delete(&core->routes, IP(10, 7, 0, 0), 16), 0);
    inject(core, 0, &packet);
    assert_int_equal(sim_counter(core, "drop.ip-no-route"), 2);
    test_stop(core);
}

/* RFC 1122 3.2.2: never an error about an error, nor about a fragment behind the first. */
static void forward_08_no_error_about_errors_and_fragments(void **state)
{
    (void)state;
    struct core *core = start_forward("");
    struct packet packet = packet_echo(PEER, PEER1, 50);
    packet_icmp(&packet)->type = ICMP_UNREACHABLE;
    packet_fix_icmp(&packet);
    packet_ip(&packet)->ttl = 1;
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    packet = packet_ipv4(PEER, PEER1, IPV4_UDP, 64);
    packet_ip(&packet)->fragment = be16(5);
    packet_ip(&packet)->ttl = 1;
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    assert_null(sent_ip(core, 0));
    assert_int_equal(sim_counter(core, "icmp.errors_suppressed"), 2);
    packet_ip(&packet)->fragment = be16(IPV4_MORE_FRAGMENTS); /* the first is answered */
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    assert_non_null(sent_ip(core, 0));
    packet = packet_echo(PEER, PEER1, 50); /* and so is an echo request, which is no error */
    packet_ip(&packet)->ttl = 1;
    packet_fix_ip(&packet);
    inject(core, 0, &packet);
    assert_non_null(sent_ip(core, 0));
    assert_int_equal(sim_counter(core, "drop.ip-ttl"), 4);
    assert_int_equal(sim_drops(core), 4);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_01_sends_back),
        cmocka_unit_test(echo_02_drops),
        cmocka_unit_test(echo_03_port_changes_while_running),
        cmocka_unit_test(forward_01_exact_frame),
        cmocka_unit_test(forward_02_padding_is_not_forwarded),
        cmocka_unit_test(forward_03_errors),
        cmocka_unit_test(forward_04_link_local_stays),
        cmocka_unit_test(forward_05_next_hop_by_gateway),
        cmocka_unit_test(forward_06_options_and_fragments_go_through),
        cmocka_unit_test(forward_07_routes_change_while_running),
        cmocka_unit_test(forward_08_no_error_about_errors_and_fragments),
    };
    return cmocka_run_group_tests_name("echo and forward", tests, NULL, NULL);
}
