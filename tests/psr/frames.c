/* The tests' end of framesets. */
#include "tests/psr/frames.h"

static uint64_t frames_name(const struct test_frames *frames)
{
    return piglet_result_capability(frames->capability);
}

/* ---- making ------------------------------------------------------------------------------------ */

void frames_make(struct test_frames *frames, struct test_client *client, unsigned pages)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(pages)),
        REQUEST(ALLOC_MEM, FRESH, NUM(pages)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
    };
    assert_int_equal(test_client_run(client, request, COUNT_OF(request), 0).error, 0);
    *frames = (struct test_frames){.client = client};
    frames->transmit = test_client_result(client, 1);
    frames->receive = test_client_result(client, 2);
    frames->capability = test_client_result(client, 3);
    frames->tx = test_client_at(client, frames->transmit);
    frames->rx = test_client_at(client, frames->receive);
    assert_int_equal(frames->tx->slots, piglet_ring_slots(pages));
    assert_int_equal(frames->rx->slots, piglet_ring_slots(pages));
}

void frames_peer(struct test_frames *frames, uint32_t address, unsigned port, unsigned protocol)
{
    test_client_must(frames->client,
                     (struct test_request)REQUEST(SET_PEER, CAP(frames_name(frames)), NUM(address),
                                                  NUM(port), NUM(protocol)));
}

int frames_bind(struct test_frames *frames, unsigned port)
{
    return test_client_do(
        frames->client,
        (struct test_request)REQUEST(BIND_PORT, CAP(frames_name(frames)), NUM(port)), NULL);
}

static uint64_t mac_number(const uint8_t mac[6])
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 6; i++)
        number = number << 8 | mac[i];
    return number;
}

int frames_join(struct test_frames *frames, unsigned nic, const uint8_t mac[6])
{
    struct test_request request =
        REQUEST(JOIN, CAP(frames->client->header->system), CAP(frames_name(frames)), NUM(nic), NIL);
    if (mac)
        request.argument[3] = (struct test_argument)NUM(mac_number(mac));
    return test_client_do(frames->client, request, NULL);
}

int frames_start(struct test_frames *frames)
{
    return test_client_do(frames->client,
                          (struct test_request)REQUEST(FRAMESET_START, CAP(frames_name(frames))),
                          NULL);
}

int frames_leave(struct test_frames *frames)
{
    return test_client_do(frames->client,
                          (struct test_request)REQUEST(CAP_DROP, CAP(frames_name(frames))), NULL);
}

void frames_udp(struct test_frames *frames, struct test_client *client, unsigned port)
{
    frames_make(frames, client, 5);
    assert_int_equal(frames_bind(frames, port), 0);
    assert_int_equal(frames_start(frames), 0);
}

void frames_protocol(struct test_frames *frames, struct test_client *client, uint32_t address,
                     unsigned protocol)
{
    frames_make(frames, client, 5);
    frames_peer(frames, address, 0, protocol);
    assert_int_equal(frames_start(frames), 0);
}

void frames_joined(struct test_frames *frames, struct test_client *client, const uint8_t mac[6])
{
    frames_make(frames, client, 5);
    assert_int_equal(frames_join(frames, 0, mac), 0);
    assert_int_equal(frames_start(frames), 0);
}

/* ---- sending ----------------------------------------------------------------------------------- */

static uint8_t *ring_slot(struct piglet_ring *ring, uint32_t number)
{
    return (uint8_t *)ring + PIGLET_PAGE + (size_t)(number % ring->slots) * PIGLET_SLOT_BYTES;
}

void frames_put(struct test_frames *frames, unsigned ahead, const void *data,
                const struct piglet_frame *said)
{
    uint8_t *slot = ring_slot(frames->tx, frames->tx->produced + ahead);
    size_t room = PIGLET_SLOT_BYTES - PIGLET_FRAME_DATA;
    memcpy(slot, said, sizeof *said);
    if (data)
        memcpy(slot + PIGLET_FRAME_DATA, data, said->length < room ? said->length : room);
}

void frames_publish(struct test_frames *frames, unsigned count)
{
    __atomic_store_n(&frames->tx->produced, frames->tx->produced + count, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!frames->client->header->polled)
        test_client_ring(frames->client);
}

void frames_send(struct test_frames *frames, const void *data, size_t length, uint32_t address,
                 unsigned port)
{
    struct piglet_frame said = {
        .length = (uint32_t)length, .address = address, .port = (uint16_t)port};
    frames_put(frames, 0, data, &said);
    frames_publish(frames, 1);
    sim_run(frames->client->core);
}

bool frames_refused(struct test_frames *frames, const void *data, size_t length, uint32_t address,
                    unsigned port)
{
    struct core *core = frames->client->core;
    uint64_t before = frames->tx->refused, all = sim_counter(core, "clients.refused");
    frames_send(frames, data, length, address, port);
    assert_int_equal(frames->tx->consumed, frames->tx->produced); /* taken it is, anyway */
    assert_int_equal(sim_counter(core, "clients.refused") - all, frames->tx->refused - before);
    bool refused = frames->tx->refused == before + 1;
    if (refused)
        assert_null(frames_wire(core, 0));
    return refused;
}

/* ---- receiving --------------------------------------------------------------------------------- */

const struct piglet_frame *frames_peek(const struct test_frames *frames)
{
    struct piglet_ring *ring = frames->rx;
    if (__atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE) == ring->consumed)
        return NULL;
    return (const struct piglet_frame *)(const void *)ring_slot(ring, ring->consumed);
}

void frames_done(struct test_frames *frames)
{
    __atomic_store_n(&frames->rx->consumed, frames->rx->consumed + 1, __ATOMIC_RELEASE);
}

struct piglet_frame frames_expect(struct test_frames *frames, const void *data, size_t length)
{
    const struct piglet_frame *frame = frames_peek(frames);
    assert_non_null(frame);
    struct piglet_frame about = *frame;
    assert_int_equal(about.length, length);
    assert_memory_equal((const uint8_t *)frame + PIGLET_FRAME_DATA, data, length);
    assert_true(about.time_ns == frames->client->core->now_ns);
    for (unsigned i = 0; i < COUNT_OF(about.reserved); i++)
        assert_int_equal(about.reserved[i], 0);
    frames_done(frames);
    return about;
}

/* ---- the wire ---------------------------------------------------------------------------------- */

const struct sim_wire_frame *frames_wire(struct core *core, unsigned nic)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic)) && frame->data[12] == 8 && frame->data[13] == 6)
        ;
    return frame;
}

void frames_wire_expect(struct core *core, unsigned nic, struct packet packet)
{
    const struct sim_wire_frame *sent = frames_wire(core, nic);
    assert_non_null(sent);
    const struct ipv4_header *ip = (const struct ipv4_header *)(sent->data + ETH_HEADER_LENGTH);
    packet_ip(&packet)->id = ip->id;
    packet_ip(&packet)->ttl = ip->ttl;
    packet_fix_ip(&packet);
    eth_copy(packet_eth(&packet)->to, PEER_MAC);
    eth_copy(packet_eth(&packet)->from, NIC0_MAC);
    assert_int_equal(sent->length, ETH_HEADER_LENGTH + be16_get(packet_ip(&packet)->total_length));
    assert_memory_equal(sent->data, packet.data, sent->length);
}

void frames_inject(struct core *core, unsigned nic, const struct packet *packet)
{
    assert_true(sim_inject(core, nic, packet->data, packet->length));
    sim_run(core);
}

void frames_know_peer(struct core *core)
{
    struct packet ask = packet_arp_request(PEER, US);
    frames_inject(core, 0, &ask);
    while (sim_sent(core, 0))
        ;
}
