/* Stations and captures on a nic's wire, and rings whose clients are slow, greedy or lying. */
#include "tests/psr/frames.h"

enum { PORT = 4000, PEER_PORT = 5555, ETHERTYPE = 0x88b5, LIE = 1 << 20 };

static const uint8_t mac_one[6] = {2, 0, 0, 0, 7, 1}, mac_two[6] = {2, 0, 0, 0, 7, 2};

static struct test_client one, two;
static struct test_frames frames, others;

static struct core *start(const char *line)
{
    struct core *core = sim_start(1, line);
    test_client_start(&one, core);
    test_client_start(&two, core);
    frames_know_peer(core);
    return core;
}

static struct core *start_plain(void)
{
    return start(TEST_CLIENTS "ip=10.0.0.2/24");
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&one);
    test_client_free(&two);
}

/* An Ethernet frame that nobody in Piglet knows, of the shortest length. */
static struct packet frame_to(const uint8_t to[6], const uint8_t from[6])
{
    struct packet packet = packet_ipv4(PEER, US, IPV4_UDP, 20);
    eth_copy(packet_eth(&packet)->to, to);
    eth_copy(packet_eth(&packet)->from, from);
    packet_eth(&packet)->type = be16(ETHERTYPE);
    return packet;
}

static void expect_wire(struct core *core, const struct packet *packet)
{
    const struct sim_wire_frame *sent = frames_wire(core, 0);
    assert_non_null(sent);
    assert_int_equal(sent->length, packet->length);
    assert_memory_equal(sent->data, packet->data, packet->length);
}

/* ---- stations ---------------------------------------------------------------------------------- */

static void station_01_what_comes(void **state)
{
    (void)state;
    struct core *core = start_plain();
    uint64_t before = sim_counter(core, "nic0.rx_frames");
    frames_joined(&frames, &one, mac_one);
    struct packet packet = frame_to(mac_one, PEER_MAC); /* its own: for nobody else */
    frames_inject(core, 0, &packet);
    assert_int_equal(frames_expect(&frames, packet.data, packet.length).flags, 0);
    assert_int_equal(sim_drops(core), 0);
    packet = frame_to(mac_two, PEER_MAC); /* another station's */
    frames_inject(core, 0, &packet);
    packet = frame_to(NIC0_MAC, PEER_MAC); /* Piglet's */
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    packet = packet_arp_request(PEER, US); /* a broadcast: for both */
    frames_inject(core, 0, &packet);
    assert_int_equal(frames_expect(&frames, packet.data, packet.length).flags,
                     PIGLET_FRAME_BROADCAST);
    assert_non_null(sim_sent(core, 0)); /* arp's answer */
    assert_int_equal(sim_counter(core, "nic0.rx_frames") - before, 4);
    packet = frame_to(mac_one, PEER_MAC);
    packet.length = ETH_HEADER_LENGTH - 1;
    frames_inject(core, 0, &packet);
    assert_null(frames_peek(&frames));
    assert_int_equal(sim_counter(core, "drop.eth-too-short"), 1);
    stop(core);
}

static void station_02_what_goes(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_joined(&frames, &one, mac_one);
    struct packet packet = frame_to(PEER_MAC, mac_one);
    frames_send(&frames, packet.data, packet.length, 0, 0);
    expect_wire(core, &packet);
    packet.length = FRAME_LENGTH_MAX;
    frames_send(&frames, packet.data, packet.length, 0, 0);
    expect_wire(core, &packet);
    assert_true(frames_refused(&frames, packet.data, FRAME_LENGTH_MAX + 1, 0, 0));
    assert_true(frames_refused(&frames, packet.data, ETH_HEADER_LENGTH - 1, 0, 0));
    assert_true(frames_refused(&frames, packet.data, 0, 0, 0));
    core->nic[0].mtu = 576;
    assert_true(frames_refused(&frames, packet.data, 576 + ETH_HEADER_LENGTH + 1, 0, 0));
    assert_false(frames_refused(&frames, packet.data, 576 + ETH_HEADER_LENGTH, 0, 0));
    stop(core);
}

static void station_03_no_other_address(void **state)
{
    (void)state;
    const uint8_t *const forged[] = {NIC0_MAC, mac_two, PEER_MAC};
    struct core *core = start_plain();
    frames_joined(&frames, &one, mac_one);
    for (unsigned i = 0; i < COUNT_OF(forged); i++) {
        struct packet packet = frame_to(PEER_MAC, forged[i]);
        assert_true(frames_refused(&frames, packet.data, packet.length, 0, 0));
    }
    stop(core);
}

/* A station's question for Piglet, on its way there by broadcast or alone. */
static struct packet station_asks(const uint8_t to[6])
{
    struct packet ask = packet_arp_request(OTHER, US);
    eth_copy(packet_eth(&ask)->to, to);
    eth_copy(packet_eth(&ask)->from, mac_one);
    eth_copy(packet_arp(&ask)->sender_mac, mac_one);
    return ask;
}

static void station_04_talks_to_piglet(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_joined(&frames, &one, mac_one);
    struct packet packet = station_asks(BROADCAST); /* goes to the wire and to Piglet, */
    frames_send(&frames, packet.data, packet.length, 0, 0);
    const struct sim_wire_frame *sent = sim_sent(core, 0);
    assert_non_null(sent);
    assert_memory_equal(sent->data, packet.data, packet.length);
    const struct piglet_frame *answer = frames_peek(&frames); /* which answers */
    assert_non_null(answer);
    const struct eth_header *eth = (const struct eth_header *)(answer + 1);
    assert_memory_equal(eth->to, mac_one, 6);
    assert_memory_equal(eth->from, NIC0_MAC, 6);
    assert_int_equal(be16_get(eth->type), ETH_TYPE_ARP);
    frames_done(&frames);
    while (sim_sent(core, 0))
        ;

    packet = packet_echo(OTHER, US, 56); /* a ping stays off the wire */
    eth_copy(packet_eth(&packet)->from, mac_one);
    frames_send(&frames, packet.data, packet.length, 0, 0);
    struct packet reply = packet_echo(US, OTHER, 56);
    packet_icmp(&reply)->type = ICMP_ECHO_REPLY;
    packet_fix_icmp(&reply);
    answer = frames_peek(&frames);
    assert_non_null(answer);
    const uint8_t *data = (const uint8_t *)(answer + 1);
    assert_memory_equal(data, mac_one, 6);
    assert_memory_equal(data + 34, reply.data + 34, ICMP_HEADER_LENGTH + 56);
    frames_done(&frames);
    assert_null(frames_peek(&frames));
    while ((sent = sim_sent(core, 0)))
        assert_memory_not_equal(sent->data, NIC0_MAC, 6);
    assert_int_equal(sim_drops(core), 0);
    stop(core);
}

static void station_05_talks_to_another(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_joined(&frames, &one, mac_one);
    frames_joined(&others, &two, mac_two);
    struct packet packet = frame_to(mac_two, mac_one);
    frames_send(&frames, packet.data, packet.length, 0, 0);
    frames_expect(&others, packet.data, packet.length);
    assert_null(sim_sent(core, 0));
    packet = frame_to(BROADCAST, mac_one); /* to all, but not back */
    frames_send(&frames, packet.data, packet.length, 0, 0);
    assert_int_equal(frames_expect(&others, packet.data, packet.length).flags,
                     PIGLET_FRAME_BROADCAST | PIGLET_FRAME_SENT);
    expect_wire(core, &packet);
    assert_null(frames_peek(&frames));
    frames_inject(core, 0, &packet); /* a hub's echo of it is not taken for another's */
    assert_null(frames_peek(&frames));
    frames_expect(&others, packet.data, packet.length);
    stop(core);
}

static void station_06_joins_refused(void **state)
{
    (void)state;
    static const uint8_t group[6] = {3, 0, 0, 0, 0, 1}, zero[6];
    struct core *core = start_plain();
    frames_joined(&frames, &one, mac_one);
    frames_make(&others, &two, 5);
    assert_int_equal(frames_join(&others, 0, mac_one), ERR_EXISTS);
    assert_int_equal(frames_join(&others, 0, NIC0_MAC), ERR_EXISTS);
    assert_int_equal(frames_join(&others, 0, group), ERR_INVALID);
    assert_int_equal(frames_join(&others, 0, zero), ERR_INVALID);
    assert_int_equal(frames_join(&others, 1, mac_two), ERR_NOT_FOUND);
    assert_int_equal(frames_start(&others), ERR_INVALID); /* nothing was joined */
    sim_filter_fails(core, 0, true);
    assert_int_equal(frames_join(&others, 0, mac_two), ERR_TIMEOUT);
    sim_filter_fails(core, 0, false);
    assert_int_equal(core->nic[0].joined, 1);
    assert_int_equal(frames_join(&others, 0, mac_two), 0);
    assert_int_equal(frames_join(&others, 0, mac_two), ERR_INVALID); /* once is enough */
    stop(core);
}

static void station_07_filter_follows(void **state)
{
    (void)state;
    struct core *core = start_plain();
    const struct nic_filter *filter = sim_filter(core, 0);
    struct test_frames capture;
    frames_joined(&frames, &one, mac_one);
    frames_joined(&others, &two, mac_two);
    assert_int_equal(filter->stations, 2);
    assert_true(filter->all_multicast && !filter->promiscuous);
    frames_joined(&capture, &two, NULL);
    assert_true(filter->promiscuous);
    assert_int_equal(core->nic[0].joined, 3);
    assert_int_equal(frames_leave(&frames), 0);
    assert_int_equal(filter->stations, 1);
    assert_memory_equal(filter->station[0], mac_two, 6);
    test_client_close(&two); /* its process ends */
    assert_int_equal(filter->stations, 0);
    assert_false(filter->all_multicast || filter->promiscuous);
    assert_int_equal(core->nic[0].joined, 0);
    struct packet packet = packet_echo(PEER, US, 56); /* and Piglet goes on as ever */
    frames_inject(core, 0, &packet);
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

/* ---- captures ---------------------------------------------------------------------------------- */

static void capture_01_received_and_sent(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_joined(&frames, &one, NULL);
    struct packet packet = packet_echo(PEER, US, 56);
    frames_inject(core, 0, &packet);
    assert_int_equal(frames_expect(&frames, packet.data, packet.length).flags, 0);
    const struct sim_wire_frame *sent = frames_wire(core, 0);
    assert_non_null(sent);
    assert_int_equal(frames_expect(&frames, sent->data, sent->length).flags, PIGLET_FRAME_SENT);
    assert_null(frames_peek(&frames));

    eth_copy(packet_eth(&packet)->to, mac_two); /* somebody else's: seen, not answered */
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data, packet.length);
    assert_null(frames_wire(core, 0));
    assert_null(frames_peek(&frames));
    assert_true(frames_refused(&frames, packet.data, packet.length, 0, 0));
    stop(core);
}

static void capture_02_sees_stations(void **state)
{
    (void)state;
    struct core *core = start_plain();
    struct test_frames station;
    frames_joined(&frames, &one, NULL);
    frames_joined(&station, &two, mac_two);
    frames_joined(&others, &two, mac_one);
    const uint8_t *const to[] = {PEER_MAC, mac_one, NIC0_MAC};
    for (unsigned i = 0; i < COUNT_OF(to); i++) {
        struct packet packet = frame_to(to[i], mac_two);
        frames_send(&station, packet.data, packet.length, 0, 0);
        frames_expect(&frames, packet.data, packet.length);
        assert_null(frames_peek(&frames)); /* once each */
    }
    struct packet packet = frame_to(mac_two, PEER_MAC);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data, packet.length);
    frames_expect(&station, packet.data, packet.length);
    stop(core);
}

/* ---- rings --------------------------------------------------------------------------------------- */

static struct packet datagram_to(uint16_t port)
{
    return packet_udp_to(PEER, PEER_PORT, US, port, 8);
}

static void ring_01_full_hurts_its_client_only(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    frames_udp(&others, &two, PORT + 1);
    unsigned slots = frames.rx->slots;
    struct packet packet = datagram_to(PORT), other = datagram_to(PORT + 1);
    for (unsigned i = 0; i < slots + 3; i++) {
        frames_inject(core, 0, &packet);
        frames_inject(core, 0, &other);
        frames_expect(&others, other.data + 42, 8);
    }
    assert_int_equal(frames.rx->produced, slots);
    assert_int_equal(frames.rx->dropped, 3);
    assert_int_equal(others.rx->dropped, 0);
    assert_int_equal(sim_counter(core, "drop.client-full"), 3);
    assert_int_equal(sim_counter(core, "clients.dropped"), 3);
    assert_null(sim_sent(core, 0)); /* a port that is busy is no closed port */
    for (unsigned i = 0; i < slots; i++)
        frames_done(&frames);
    frames_inject(core, 0, &packet);
    frames_expect(&frames, packet.data + 42, 8);
    stop(core);
}

static void ring_02_lies_about_what_was_taken(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    struct packet packet = datagram_to(PORT);
    static const uint32_t lies[] = {LIE, UINT32_MAX, 9};
    unsigned slots = frames.rx->slots;
    for (unsigned i = 0; i < slots; i++)
        frames_inject(core, 0, &packet);
    for (unsigned i = 0; i < COUNT_OF(lies); i++) {
        frames.rx->consumed = lies[i];
        frames_inject(core, 0, &packet);
        assert_int_equal(frames.rx->dropped, i + 1);
        assert_int_equal(sim_counter(core, "clients.lies"), i + 1);
    }
    frames.rx->consumed = 1; /* honest again */
    frames_inject(core, 0, &packet);
    assert_int_equal(frames.rx->produced, slots + 1);
    assert_int_equal(sim_counter(core, "clients.lies"), COUNT_OF(lies));
    stop(core);
}

static void ring_03_lies_about_what_is_to_be_sent(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_non_null(frames_wire(core, 0));
    uint32_t honest = frames.tx->produced;
    const uint32_t lies[] = {honest + frames.tx->slots + 1, honest - 1, honest + LIE};
    for (unsigned i = 0; i < COUNT_OF(lies); i++) {
        uint64_t before = sim_counter(core, "clients.lies");
        frames.tx->produced = lies[i];
        test_client_ring(&one);
        sim_run(core);
        assert_null(frames_wire(core, 0));
        assert_true(sim_counter(core, "clients.lies") > before);
        assert_int_equal(frames.tx->consumed, honest);
    }
    frames.tx->produced = honest;
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

/* What the kernel reads once the client cannot change any more: the header may say what it likes, and
 * its own numbers are not the client's to move. */
static void ring_04_slots_and_own_numbers_are_not_read_back(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    frames.tx->slots = frames.rx->slots = LIE;
    frames.tx->consumed = LIE;
    frames.rx->produced = LIE;
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_non_null(frames_wire(core, 0));
    assert_int_equal(frames.tx->consumed, 1);
    struct packet packet = datagram_to(PORT);
    frames_inject(core, 0, &packet);
    assert_int_equal(frames.rx->produced, 1);
    stop(core);
}

static void ring_05_waits_for_the_pool(void **state)
{
    (void)state;
    static struct frame *held[8192];
    struct core *core = start_plain();
    unsigned count = 0;
    frames_udp(&frames, &one, PORT);
    while (count < COUNT_OF(held) && (held[count] = frame_alloc(&core->frames)))
        count++;
    assert_true(count < COUNT_OF(held));
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_int_equal(frames.tx->consumed, 0);
    assert_int_equal(frames.tx->refused, 0);
    while (count)
        frame_free(&core->frames, held[--count]);
    sim_advance_us(core, PIGLET_SWEEP_MS * 1000);
    assert_int_equal(frames.tx->consumed, 1);
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

/* As for any sender: what the nic has no room for is dropped, and counted. */
static void ring_06_a_nic_that_takes_nothing(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    sim_wire_full(core, 0, true);
    for (unsigned i = 1; i <= 3 * frames.tx->slots; i++) {
        frames_send(&frames, "oink", 4, PEER, PEER_PORT);
        assert_int_equal(frames.tx->consumed, i);
        assert_int_equal(sim_counter(core, "drop.nic-ring-full"), i);
    }
    sim_wire_full(core, 0, false);
    frames_send(&frames, "oink", 4, PEER, PEER_PORT);
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

/* Batches go in the ring's order, past its end, and all of them. */
static void ring_07_wraps(void **state)
{
    (void)state;
    struct core *core = start_plain();
    uint32_t posted = 0, seen = 0;
    frames_udp(&frames, &one, PORT);
    for (unsigned count = 1; count <= frames.tx->slots; count++) {
        for (unsigned i = 0; i < count; i++, posted++) {
            struct piglet_frame said = {
                .length = sizeof posted, .address = PEER, .port = PEER_PORT};
            frames_put(&frames, i, &posted, &said);
        }
        frames_publish(&frames, count);
        sim_run(core);
    }
    const struct sim_wire_frame *sent;
    while ((sent = frames_wire(core, 0)))
        assert_memory_equal(sent->data + 42, &(uint32_t){seen++}, sizeof seen);
    assert_int_equal(seen, posted);
    stop(core);
}

static void ring_08_a_sleeper_is_woken(void **state)
{
    (void)state;
    struct core *core = start_plain();
    frames_udp(&frames, &one, PORT);
    struct packet packet = datagram_to(PORT);
    unsigned before = one.woken;
    frames_inject(core, 0, &packet);
    assert_int_equal(one.woken, before); /* awake */
    one.header->sleeping = 1;
    frames_inject(core, 0, &packet);
    assert_int_equal(one.woken, before + 1);
    frames_send(&frames, "oink", 4, PEER, PEER_PORT); /* room in the ring is worth waking for */
    assert_int_equal(one.woken, before + 2);
    assert_non_null(frames_wire(core, 0));
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(station_01_what_comes),
        cmocka_unit_test(station_02_what_goes),
        cmocka_unit_test(station_03_no_other_address),
        cmocka_unit_test(station_04_talks_to_piglet),
        cmocka_unit_test(station_05_talks_to_another),
        cmocka_unit_test(station_06_joins_refused),
        cmocka_unit_test(station_07_filter_follows),
        cmocka_unit_test(capture_01_received_and_sent),
        cmocka_unit_test(capture_02_sees_stations),
        cmocka_unit_test(ring_01_full_hurts_its_client_only),
        cmocka_unit_test(ring_02_lies_about_what_was_taken),
        cmocka_unit_test(ring_03_lies_about_what_is_to_be_sent),
        cmocka_unit_test(ring_04_slots_and_own_numbers_are_not_read_back),
        cmocka_unit_test(ring_05_waits_for_the_pool),
        cmocka_unit_test(ring_06_a_nic_that_takes_nothing),
        cmocka_unit_test(ring_07_wraps),
        cmocka_unit_test(ring_08_a_sleeper_is_woken),
    };
    return cmocka_run_group_tests_name("stations and rings", tests, NULL, NULL);
}
