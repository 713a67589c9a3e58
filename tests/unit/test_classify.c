/* The classifier: what is accepted, and every reason for which a frame is not. */
#include "tests/unit/test.h"

#define US    IP(10, 0, 0, 2)
#define PEER  IP(10, 0, 0, 1)
#define OTHER IP(10, 9, 9, 9)

static struct core *start(void)
{
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=-arp,-icmp");
    while (sim_sent(core, 0))
        ;
    return core;
}

/* Injects the packet and expects exactly one drop, for this reason. */
static void expect_drop(const struct packet *packet, const char *reason)
{
    char name[64] = "drop.";
    struct core *core = start();
    uint64_t before = sim_drops(core);
    assert_true(sim_inject(core, 0, packet->data, packet->length));
    sim_run(core);
    strcat(name, reason);
    if (sim_counter(core, name) != 1)
        print_error("expected %s; console:\n%s", name, sim_console());
    assert_int_equal(sim_counter(core, name), 1);
    assert_int_equal(sim_drops(core) - before, 1);
    test_stop(core);
}

static void classify_01_ethernet(void **state)
{
    (void)state;
    struct packet good = packet_echo(PEER, US, 56), bad;
    bad = good;
    bad.length = 13;
    expect_drop(&bad, "eth-too-short");
    bad.length = 0;
    expect_drop(&bad, "eth-too-short");
    bad = good;
    packet_eth(&bad)->to[5] = 9;
    expect_drop(&bad, "eth-not-for-us");
    bad = good;
    packet_eth(&bad)->from[0] |= 1;
    expect_drop(&bad, "eth-source-invalid");
    bad = good;
    packet_eth(&bad)->type = be16(0x86dd);
    expect_drop(&bad, "eth-unknown-type");
    bad = packet_arp_request(PEER, US);
    bad.length = ETH_HEADER_LENGTH + ARP_LENGTH - 1;
    expect_drop(&bad, "arp-malformed");
}

static void classify_02_ipv4_header(void **state)
{
    (void)state;
    struct packet good = packet_echo(PEER, US, 56), bad;
    bad = good;
    bad.length = ETH_HEADER_LENGTH + IPV4_HEADER_MIN - 1;
    expect_drop(&bad, "ip-too-short");
    bad = good;
    packet_ip(&bad)->version_length = 0x65;
    expect_drop(&bad, "ip-version");
    bad = good;
    packet_ip(&bad)->version_length = 0x44;
    expect_drop(&bad, "ip-header-length");
    bad = packet_ipv4(PEER, US, 99, 0);
    packet_ip(&bad)->version_length = 0x4f;
    bad.length = ETH_HEADER_LENGTH + 56;
    expect_drop(&bad, "ip-header-length");
    bad = good;
    packet_ip(&bad)->total_length = be16(19);
    packet_fix_ip(&bad);
    expect_drop(&bad, "ip-total-length");
    bad = good;
    packet_ip(&bad)->total_length = be16((uint16_t)(good.length - ETH_HEADER_LENGTH + 1));
    packet_fix_ip(&bad);
    expect_drop(&bad, "ip-total-length");
    bad = good;
    packet_ip(&bad)->checksum.raw ^= 0x100;
    expect_drop(&bad, "ip-checksum");
}

static void classify_03_every_header_bit_is_checked(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet good = packet_echo(PEER, US, 56);
    unsigned dropped = 0;
    for (unsigned bit = 0; bit < IPV4_HEADER_MIN * 8; bit++, dropped++) {
        struct packet bad = good;
        bad.data[ETH_HEADER_LENGTH + bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(sim_inject(core, 0, bad.data, bad.length));
        sim_run(core);
        assert_int_equal(sim_drops(core), dropped + 1);
    }
    assert_int_equal(sim_counter(core, "drop.ip-protocol"), 0);
    test_stop(core);
}

static void classify_04_addresses(void **state)
{
    (void)state;
    static const struct {
        uint32_t from, to;
        const char *reason;
    } row[] = {
        {IP(127, 0, 0, 1), US, "ip-source-invalid"},
        {IP(0, 0, 0, 0), US, "ip-source-invalid"},
        {IP(224, 0, 0, 5), US, "ip-source-invalid"},
        {IP(255, 255, 255, 255), US, "ip-source-invalid"},
        {IP(10, 0, 0, 255), US, "ip-source-invalid"},
        {IP(250, 1, 1, 1), US, "ip-source-invalid"},
        {US, US, "ip-source-ours"},
        {US, PEER, "ip-source-ours"},
        {PEER, IP(224, 0, 0, 1), "ip-multicast"},
        {PEER, IP(127, 0, 0, 1), "ip-not-for-us"},
        {PEER, IP(240, 0, 0, 1), "ip-not-for-us"},
        {PEER, IP(10, 0, 0, 77), "ip-not-for-us"},
        {PEER, OTHER, "ip-no-route"},
    };
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        struct packet packet = packet_echo(row[i].from, row[i].to, 8);
        expect_drop(&packet, row[i].reason);
    }
    struct packet group = packet_echo(PEER, IP(10, 0, 0, 77), 8);
    eth_copy(packet_eth(&group)->to, BROADCAST);
    expect_drop(&group, "ip-not-for-us");
}

static void classify_05_options(void **state)
{
    (void)state;
    static const struct {
        uint8_t option[8];
        const char *reason;
    } row[] = {
        {{131, 7, 4, 10, 0, 0, 9, 0}, "ip-source-route"},
        {{1, 137, 7, 4, 10, 0, 0, 9}, "ip-source-route"},
        {{7, 9, 4, 0, 0, 0, 0, 0}, "ip-options-malformed"},
        {{7, 1, 4, 0, 0, 0, 0, 0}, "ip-options-malformed"},
        {{7, 0, 4, 0, 0, 0, 0, 0}, "ip-options-malformed"},
        {{1, 1, 1, 1, 1, 1, 1, 7}, "ip-options-malformed"},
        {{7, 7, 4, 0, 0, 0, 0, 0}, "ip-protocol"}, /* record route: good, and nobody answers */
        {{0, 131, 131, 131, 131, 131, 131, 131}, "ip-protocol"}, /* behind the end: not read */
    };
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        struct packet packet = packet_echo(PEER, US, 8);
        packet_insert_options(&packet, row[i].option, 2);
        expect_drop(&packet, row[i].reason);
    }
    struct packet spoiled = packet_echo(PEER, US, 8);
    packet_insert_options(&spoiled, row[6].option, 2);
    spoiled.data[ETH_HEADER_LENGTH + IPV4_HEADER_MIN + 3] ^= 1;
    expect_drop(&spoiled, "ip-checksum");
}

static void classify_06_fragments(void **state)
{
    (void)state;
    static const struct {
        uint16_t field;
        unsigned payload;
        const char *reason;
    } row[] = {
        {IPV4_MORE_FRAGMENTS, 64, "ip-fragment"},
        {100, 61, "ip-fragment"},
        {IPV4_MORE_FRAGMENTS, 63, "ip-fragment-invalid"},
        {8191, 64, "ip-fragment-invalid"}, /* ping of death */
        {IPV4_MORE_FRAGMENTS | 8190, 1000, "ip-fragment-invalid"},
    };
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        struct packet packet = packet_ipv4(PEER, US, IPV4_ICMP, row[i].payload);
        packet_ip(&packet)->fragment = be16(row[i].field);
        packet_fix_ip(&packet);
        expect_drop(&packet, row[i].reason);
    }
}

static void classify_07_transport(void **state)
{
    (void)state;
    struct packet bad;
    bad = packet_ipv4(PEER, US, IPV4_ICMP, 7);
    expect_drop(&bad, "icmp-too-short");
    bad = packet_echo(PEER, US, 56);
    bad.data[bad.length - 1] ^= 1;
    expect_drop(&bad, "icmp-checksum");
    bad = packet_ipv4(PEER, US, IPV4_UDP, 7);
    expect_drop(&bad, "udp-too-short");
    bad = packet_udp_to(PEER, 1000, US, 7, 30);
    packet_udp(&bad)->length = be16(7);
    expect_drop(&bad, "udp-length");
    packet_udp(&bad)->length = be16(39);
    expect_drop(&bad, "udp-length");
    bad = packet_udp_to(PEER, 1000, US, 7, 30);
    bad.data[bad.length - 1] ^= 1;
    expect_drop(&bad, "udp-checksum");
    packet_udp(&bad)->checksum = be16(0); /* not computed: taken as it is */
    expect_drop(&bad, "udp-no-port");
    bad = packet_ipv4(PEER, US, IPV4_TCP, 19);
    expect_drop(&bad, "tcp-too-short");
    bad = packet_tcp_to(PEER, 1000, US, 80, TCP_SYN);
    packet_tcp(&bad)->offset = 4 << 4;
    expect_drop(&bad, "tcp-too-short");
    packet_tcp(&bad)->offset = 6 << 4;
    expect_drop(&bad, "tcp-too-short");
    packet_tcp(&bad)->offset = 5 << 4;
    expect_drop(&bad, "tcp-no-port");
    bad = packet_ipv4(PEER, US, 89, 20);
    expect_drop(&bad, "ip-protocol");
}

static void classify_08_checksum_of_any_length(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned bytes = 0; bytes <= 1472; bytes += bytes < 80 ? 1 : 29) {
        struct packet packet = packet_echo(PEER, US, bytes);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
        packet = packet_udp_to(PEER, 9, US, 9, bytes);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        sim_run(core);
    }
    assert_int_equal(sim_counter(core, "drop.icmp-checksum"), 0);
    assert_int_equal(sim_counter(core, "drop.udp-checksum"), 0);
    assert_true(sim_counter(core, "drop.udp-no-port") > 100);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), sim_counter(core, "drop.ip-protocol"));
    test_stop(core);
}

static void classify_09_counts_frames_and_bytes(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet packet = packet_echo(PEER, US, 56);
    for (unsigned i = 0; i < 100; i++)
        assert_true(sim_inject(core, 0, packet.data, packet.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), 100);
    assert_int_equal(sim_counter(core, "nic0.rx_bytes"), 9800);
    assert_int_equal(sim_counter(core, "nic0.rx_batches"), 2); /* 64 and 36 */
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify_01_ethernet),
        cmocka_unit_test(classify_02_ipv4_header),
        cmocka_unit_test(classify_03_every_header_bit_is_checked),
        cmocka_unit_test(classify_04_addresses),
        cmocka_unit_test(classify_05_options),
        cmocka_unit_test(classify_06_fragments),
        cmocka_unit_test(classify_07_transport),
        cmocka_unit_test(classify_08_checksum_of_any_length),
        cmocka_unit_test(classify_09_counts_frames_and_bytes),
    };
    return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
