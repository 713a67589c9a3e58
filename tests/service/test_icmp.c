/* icmp: echoes, errors, resets; their limits. */
#include "kernel/chain.h"
#include "tests/unit/test.h"

#define US   IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)

static const struct sim_wire_frame *ask(struct core *core, const struct packet *packet)
{
    const struct sim_wire_frame *frame;
    while (sim_sent(core, 0))
        ;
    assert_true(sim_inject(core, 0, packet->data, packet->length));
    sim_run(core);
    while ((frame = sim_sent(core, 0)) && frame->data[12] == 8 && frame->data[13] == 6)
        ;
    return frame;
}

static struct core *start(void)
{
    return sim_start(1, "ip=10.0.0.2/24");
}

static void icmp_01_echo_is_exact(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned bytes = 0; bytes <= 1472; bytes += bytes < 70 ? 1 : 31) {
        struct packet request = packet_echo(PEER, US, bytes);
        packet_icmp(&request)->id = be16((uint16_t)(bytes * 4099)); /* every carry comes by */
        packet_fix_icmp(&request);
        struct packet reply = packet_echo(US, PEER, bytes);
        eth_copy(packet_eth(&reply)->to, PEER_MAC);
        eth_copy(packet_eth(&reply)->from, NIC0_MAC);
        packet_ip(&reply)->ttl = IPV4_TTL_DEFAULT;
        packet_fix_ip(&reply);
        packet_icmp(&reply)->type = ICMP_ECHO_REPLY;
        packet_icmp(&reply)->id = packet_icmp(&request)->id;
        packet_fix_icmp(&reply);
        const struct sim_wire_frame *sent = ask(core, &request);
        assert_non_null(sent);
        assert_int_equal(sent->length,
                         ETH_HEADER_LENGTH + IPV4_HEADER_MIN + ICMP_HEADER_LENGTH + bytes);
        assert_memory_equal(sent->data, reply.data, sent->length);
    }
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void icmp_02_echo_with_options_is_answered_without(void **state)
{
    (void)state;
    static const uint8_t options[40] = {7, 39, 4};
    struct core *core = start();
    struct packet request = packet_echo(PEER, US, 56), plain = request;
    packet_insert_options(&request, options, 10);
    const struct sim_wire_frame *sent = ask(core, &request);
    assert_non_null(sent);
    const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + 14);
    assert_int_equal(ip->version_length, 0x45);
    assert_int_equal(sent->length, plain.length);
    assert_int_equal(checksum_fold(checksum_add(0, ip, 20)), 0xffff);
    assert_int_equal(checksum_fold(checksum_add(0, ip + 1, 64)), 0xffff);
    assert_memory_equal(sent->data + 42, plain.data + 42, 56);
    test_stop(core);
}

static void icmp_03_smurf_and_unknown(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet packet = packet_echo(PEER, IP(10, 0, 0, 255), 56);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    assert_null(ask(core, &packet));
    packet = packet_echo(PEER, US, 56); /* to our IPv4 address in a broadcast frame */
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    assert_null(ask(core, &packet));
    assert_int_equal(sim_counter(core, "drop.icmp-broadcast"), 2);
    packet = packet_echo(PEER, US, 56);
    packet_icmp(&packet)->type = 13;
    packet_fix_icmp(&packet);
    assert_null(ask(core, &packet));
    assert_int_equal(sim_counter(core, "drop.icmp-unknown-type"), 1);
    packet_icmp(&packet)->type = ICMP_ECHO_REPLY;
    packet_fix_icmp(&packet);
    assert_null(ask(core, &packet));
    assert_int_equal(sim_counter(core, "icmp.replies_received"), 1);
    packet_icmp(&packet)->type = ICMP_UNREACHABLE;
    packet_fix_icmp(&packet);
    assert_null(ask(core, &packet));
    assert_int_equal(sim_counter(core, "icmp.errors_received"), 1);
    test_stop(core);
}

static void expect_error(struct core *core, struct packet *about, uint8_t code, const char *counter)
{
    const struct sim_wire_frame *sent = ask(core, about);
    assert_non_null(sent);
    const struct eth_header *eth = (const struct eth_header *)sent->data;
    const struct ipv4_header *ip = (const struct ipv4_header *)(eth + 1);
    const struct icmp_header *icmp = (const struct icmp_header *)(ip + 1);
    unsigned quoted = be16_get(packet_ip(about)->total_length);
    if (quoted > 548)
        quoted = 548;
    assert_memory_equal(eth->to, PEER_MAC, 6);
    assert_memory_equal(eth->from, NIC0_MAC, 6);
    assert_int_equal(be32_get(ip->from), US);
    assert_int_equal(be32_get(ip->to), PEER);
    assert_int_equal(be16_get(ip->total_length), 28 + quoted);
    assert_int_equal(sent->length, 14 + 28 + quoted);
    assert_int_equal(checksum_fold(checksum_add(0, ip, 20)), 0xffff);
    assert_int_equal(checksum_fold(checksum_add(0, icmp, 8 + quoted)), 0xffff);
    assert_int_equal(icmp->type, ICMP_UNREACHABLE);
    assert_int_equal(icmp->code, code);
    assert_memory_equal(icmp + 1, packet_ip(about), quoted);
    assert_int_equal(sim_counter(core, counter), 1);
    assert_int_equal(sim_drops(core), 1);
}

static void icmp_04_unreachable(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet packet = packet_udp_to(PEER, 1, US, 99, 1000);
    expect_error(core, &packet, ICMP_UNREACHABLE_PORT, "drop.udp-no-port");
    test_stop(core);
    core = start();
    packet = packet_udp_to(PEER, 1, US, 99, 0);
    expect_error(core, &packet, ICMP_UNREACHABLE_PORT, "drop.udp-no-port");
    test_stop(core);
    core = start();
    packet = packet_ipv4(PEER, US, 132, 40);
    expect_error(core, &packet, ICMP_UNREACHABLE_PROTOCOL, "drop.ip-protocol");
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 1);
    test_stop(core);
}

static void icmp_05_no_error_about_broadcasts(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet packet = packet_udp_to(PEER, 1, IP(10, 0, 0, 255), 99, 10);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    assert_null(ask(core, &packet));
    packet = packet_ipv4(PEER, US, 132, 40);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    assert_null(ask(core, &packet));
    assert_int_equal(sim_counter(core, "icmp.errors_suppressed"), 2);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    assert_int_equal(sim_counter(core, "drop.ip-protocol"), 1);
    test_stop(core);
}

static void icmp_06_rate_limit(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 icmp.rate=100");
    struct packet packet = packet_udp_to(PEER, 1, US, 99, 10);
    sim_advance_us(core, 10000000);
    for (unsigned i = 0; i < 200; i++)
        ask(core, &packet);
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 50);
    assert_int_equal(sim_counter(core, "icmp.errors_rate_limited"), 150);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 200);
    sim_advance_us(core, 100000);
    for (unsigned i = 0; i < 200; i++)
        ask(core, &packet);
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 60);
    test_stop(core);
}

static void icmp_07_tcp_reset(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet syn = packet_tcp_to(PEER, 1234, US, 80, TCP_SYN);
    struct packet reset = packet_tcp_to(US, 80, PEER, 1234, TCP_RST | TCP_ACK);
    const struct sim_wire_frame *sent = ask(core, &syn);
    assert_non_null(sent);
    const struct tcp_header *tcp = (const struct tcp_header *)(sent->data + 34);
    packet_tcp(&reset)->sequence = be32(0);
    packet_tcp(&reset)->acknowledgement = be32(1001);
    packet_tcp(&reset)->window = be16(0);
    packet_fix_tcp(&reset);
    assert_memory_equal(tcp, packet_tcp(&reset), TCP_HEADER_MIN);
    struct packet ack = packet_tcp_to(PEER, 1234, US, 80, TCP_ACK);
    packet_tcp(&ack)->acknowledgement = be32(777);
    packet_fix_tcp(&ack);
    sent = ask(core, &ack);
    assert_non_null(sent);
    tcp = (const struct tcp_header *)(sent->data + 34);
    assert_int_equal(tcp->flags, TCP_RST);
    assert_int_equal(be32_get(tcp->sequence), 777);
    assert_int_equal(sim_counter(core, "drop.tcp-no-port"), 2);
    struct packet rst = packet_tcp_to(PEER, 1234, US, 80, TCP_RST);
    assert_null(ask(core, &rst));
    assert_int_equal(sim_counter(core, "drop.tcp-no-port"), 3);
    syn.data[syn.length - 10] ^= 1; /* padding: not part of the packet */
    packet_tcp(&syn)->window.raw ^= 1;
    assert_null(ask(core, &syn));
    assert_int_equal(sim_counter(core, "drop.tcp-checksum"), 1);
    test_stop(core);
}

/* RFC 9293 3.10.7.1: without ACK, the reset acknowledges all that came: data, SYN and FIN. */
static void icmp_08_reset_acknowledges_what_came(void **state)
{
    (void)state;
    static const uint8_t options[4] = {1, 1, 1, 0};
    struct core *core = start();
    struct packet segment = packet_ipv4(PEER, US, IPV4_TCP, TCP_HEADER_MIN + 33);
    *packet_tcp(&segment) = (struct tcp_header){.from = be16(1234),
                                                .to = be16(80),
                                                .sequence = be32(0xfffffff0),
                                                .offset = TCP_HEADER_MIN / 4 << 4,
                                                .flags = TCP_SYN | TCP_FIN};
    packet_fix_tcp(&segment);
    packet_insert_options(&segment, options, 1);
    const struct sim_wire_frame *sent = ask(core, &segment);
    assert_non_null(sent);
    assert_int_equal(sent->length, ETH_HEADER_LENGTH + IPV4_HEADER_MIN + TCP_HEADER_MIN);
    const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + ETH_HEADER_LENGTH);
    const struct tcp_header *tcp = (const struct tcp_header *)(ip + 1);
    assert_int_equal(ip->version_length, 0x45);
    assert_int_equal(be32_get(ip->from), US);
    assert_int_equal(be32_get(ip->to), PEER);
    assert_int_equal(checksum_fold(checksum_add(0, ip, IPV4_HEADER_MIN)), 0xffff);
    assert_int_equal(tcp->flags, TCP_RST | TCP_ACK);
    assert_int_equal(be32_get(tcp->sequence), 0);
    assert_int_equal(be32_get(tcp->acknowledgement), 0xfffffff0u + 33 + 2);
    uint64_t sum = checksum_pseudo(ip, TCP_HEADER_MIN);
    assert_int_equal(checksum_fold(checksum_add(sum, tcp, TCP_HEADER_MIN)), 0xffff);
    test_stop(core);
}

/* What was spent at the old rate does not hold the new one up. */
static void icmp_09_rate_changes_while_running(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 icmp.rate=1");
    struct service_self *self = chain_find(core, "icmp");
    struct packet packet = packet_udp_to(PEER, 1, US, 99, 10);
    sim_advance_us(core, 1000000);
    for (unsigned i = 0; i < 60; i++)
        ask(core, &packet);
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 50);
    assert_int_equal(chain_setting_set(self, "rate", "100"), 0);
    for (unsigned i = 0; i < 60; i++)
        ask(core, &packet);
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 100);
    sim_advance_us(core, 100000);
    for (unsigned i = 0; i < 60; i++)
        ask(core, &packet);
    assert_int_equal(sim_counter(core, "icmp.errors_sent"), 110);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(icmp_01_echo_is_exact),
        cmocka_unit_test(icmp_02_echo_with_options_is_answered_without),
        cmocka_unit_test(icmp_03_smurf_and_unknown),
        cmocka_unit_test(icmp_04_unreachable),
        cmocka_unit_test(icmp_05_no_error_about_broadcasts),
        cmocka_unit_test(icmp_06_rate_limit),
        cmocka_unit_test(icmp_07_tcp_reset),
        cmocka_unit_test(icmp_08_reset_acknowledges_what_came),
        cmocka_unit_test(icmp_09_rate_changes_while_running),
    };
    return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
