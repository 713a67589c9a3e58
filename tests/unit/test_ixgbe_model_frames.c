/* Frames through the 82599 model: rings, offloads, filters, statistics. */
#include "tests/unit/ixgbe_model.h"

#define PEER IP(10, 0, 0, 1)
#define OURS IP(10, 0, 0, 2)

static struct queue rx, tx;

static const struct ixgbe_sim_frame *expect_sent(unsigned length)
{
    const struct ixgbe_sim_frame *frame = ixgbe_sim_sent(&sim);
    assert_non_null(frame);
    assert_int_equal(frame->length, length);
    return frame;
}

static void receive_one(const struct packet *packet)
{
    assert_true(inject(packet));
    uint64_t word = received(&rx);
    assert_int_equal(word & 3, RX_DD | RX_EOP);
    assert_int_equal(word >> 32 & 0xffff, packet->length);
    assert_memory_equal(next_buffer(&rx), packet->data, packet->length);
}

/* Both rings several times round, and exact counts. */
static void ixgbe_model_20_wrap(void **state)
{
    (void)state;
    start(&rx, &tx);
    for (unsigned i = 0; i < 5 * RING; i++) {
        struct packet packet = packet_echo(PEER, OURS, 100 + i);
        receive_one(&packet);
        give_back(&rx);
        memcpy(next_buffer(&tx), packet.data, packet.length);
        send(&tx, packet.length, 0);
        assert_true(tx.ring[(tx.next - 1) % RING].word & TX_DD);
        assert_memory_equal(expect_sent(packet.length)->data, packet.data, packet.length);
    }
    assert_null(ixgbe_sim_sent(&sim));
    assert_int_equal(get(IXGBE_TDH), 0);
    assert_int_equal(get(IXGBE_RDH), 0);
    assert_int_equal(get(IXGBE_GPRC), 5 * RING);
    assert_int_equal(get(IXGBE_GPRC), 0);
}

static void ixgbe_model_21_frame_in_pieces(void **state)
{
    (void)state;
    start(&rx, &tx);
    struct packet packet = packet_echo(PEER, OURS, 300);
    memcpy(tx.buffer, packet.data, 100);
    memcpy(tx.buffer + BUFFER, packet.data + 100, packet.length - 100);
    uint64_t pay = (uint64_t)packet.length << 46, eop = 1ull << 24, rs = 1ull << 27;
    tx.ring[0] =
        (struct ixgbe_descriptor){arch_dma_address(tx.buffer), (TX_DATA & ~eop & ~rs) | pay | 100};
    tx.ring[1] = (struct ixgbe_descriptor){arch_dma_address(tx.buffer + BUFFER),
                                           TX_DATA | pay | (packet.length - 100)};
    put(IXGBE_TDT, 2);
    assert_memory_equal(expect_sent(packet.length)->data, packet.data, packet.length);
    assert_false(tx.ring[0].word & TX_DD);
    assert_true(tx.ring[1].word & TX_DD);
    set(IXGBE_HLREG0, IXGBE_HLREG0_JUMBOEN);
    put(IXGBE_MAXFRS, 9018u << IXGBE_MAXFRS_SHIFT);
    static uint8_t jumbo[9015];
    for (unsigned i = 0; i < sizeof jumbo; i++)
        jumbo[i] = (uint8_t)(i * 7);
    memset(jumbo, 0xff, 6);
    jumbo[12] = 0x12;
    assert_true(ixgbe_sim_inject(&sim, jumbo, sizeof jumbo - 1));
    for (unsigned i = 0; i < 5; i++) {
        uint64_t word = received(&rx);
        unsigned bytes = i < 4 ? BUFFER : sizeof jumbo - 1 - 4 * BUFFER;
        assert_int_equal(word & 3, i < 4 ? RX_DD : RX_DD | RX_EOP);
        assert_int_equal(word >> 32 & 0xffff, bytes);
        assert_memory_equal(next_buffer(&rx), jumbo + i * BUFFER, bytes);
        give_back(&rx);
    }
    assert_false(ixgbe_sim_inject(&sim, jumbo, sizeof jumbo));
    assert_int_equal(get(IXGBE_ROC), 1);
}

static void ixgbe_model_22_legacy_descriptors(void **state)
{
    (void)state;
    power_on(KX4);
    reset();
    rx = receiver(0);
    tx = make_queue(false, 0);
    put(IXGBE_SRRCTL, 0x402);
    receive_on();
    set(IXGBE_DMATXCTL, IXGBE_DMATXCTL_TE);
    enable_queue(&rx);
    enable_queue(&tx);
    fill(&rx);
    struct packet packet = packet_echo(PEER, OURS, 200);
    packet.data[24] ^= 1;
    assert_true(inject(&packet));
    assert_int_equal(rx.ring[0].address, arch_dma_address(rx.buffer));
    assert_int_equal(rx.ring[0].word & 0xffff, packet.length);
    assert_int_equal(rx.ring[0].word >> 32 & 0xff, 0x43); /* DD, EOP, IPCS */
    assert_int_equal(rx.ring[0].word >> 40 & 0xff, 0x80); /* IPE */
    memcpy(tx.buffer, packet.data, packet.length);
    tx.ring[0] = (struct ixgbe_descriptor){arch_dma_address(tx.buffer),
                                           packet.length | 0xbull << 24}; /* EOP, IFCS, RS */
    put(IXGBE_TDT, 1);
    assert_memory_equal(expect_sent(packet.length)->data, packet.data, packet.length);
    assert_true(tx.ring[0].word & TX_DD);
}

/* ---- offloads ------------------------------------------------------------------------------ */

static void ixgbe_model_23_verify(void **state)
{
    (void)state;
    enum { IPCS = 0x40, L4CS = 0x20, UDPCS = 0x10, TCPE = 1 << 30 };
    const uint64_t ipe = 1ull << 31;
    start(&rx, &tx);
    struct packet good[] = {packet_tcp_to(PEER, 1, OURS, 2, 2), packet_udp_to(PEER, 1, OURS, 2, 99),
                            packet_echo(PEER, OURS, 51)};
    const unsigned says[] = {IPCS | L4CS, IPCS | L4CS | UDPCS, IPCS};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(inject(&good[i]));
        assert_int_equal(received(&rx) & 0xf0, says[i]);
        assert_int_equal(received(&rx) & (ipe | TCPE), 0);
        give_back(&rx);
        good[i].data[39] ^= 0x10;
        assert_true(inject(&good[i]));
        assert_int_equal(received(&rx) & (ipe | TCPE), i < 2 ? TCPE : 0);
        give_back(&rx);
        packet_ip(&good[i])->ttl ^= 1;
        assert_true(inject(&good[i]));
        assert_int_equal(received(&rx) & ipe, ipe);
        give_back(&rx);
    }
    assert_int_equal(get(IXGBE_XEC), 5);
    struct packet zero = packet_udp_to(PEER, 1, OURS, 2, 99); /* a sender may leave it out */
    memset(zero.data + 14 + 20 + 6, 0, 2);
    assert_true(inject(&zero));
    assert_int_equal(received(&rx) & 0xf0, IPCS);
    assert_int_equal(received(&rx) & TCPE, 0);
}

/* A context for IPv4 and TCP or UDP, at descriptor `tx.next`. */
static void put_context(bool tcp, uint16_t tag)
{
    struct ixgbe_descriptor *context = &tx.ring[tx.next++ % RING];
    context->address = (uint64_t)tag << 16 | 14 << 9 | 20;
    context->word = 2ull << 20 | 1ull << 29 | 1u << 10 | (tcp ? 1u << 11 : 0);
}

static void ixgbe_model_24_insert(void **state)
{
    (void)state;
    start(&rx, &tx);
    for (unsigned i = 0; i < 60; i++) {
        struct packet whole =
            i & 1 ? packet_tcp_to(PEER, 1, OURS, 2, 2) : packet_udp_to(PEER, 1, OURS, 2, 30 + i);
        struct packet bare = whole;
        unsigned at = 34 + (i & 1 ? 16 : 6);
        memset(bare.data + 24, 0, 2);
        uint32_t pseudo = bare.data[23] + (unsigned)(bare.data[16] << 8 | bare.data[17]) - 20;
        for (unsigned j = 26; j < 34; j += 2)
            pseudo += (uint32_t)(bare.data[j] << 8 | bare.data[j + 1]);
        pseudo = (pseudo & 0xffff) + (pseudo >> 16);
        bare.data[at] = (uint8_t)(pseudo >> 8);
        bare.data[at + 1] = (uint8_t)pseudo;
        put_context(i & 1, 0);
        memcpy(next_buffer(&tx), bare.data, bare.length);
        send(&tx, bare.length, 3ull << 40);
        const struct ixgbe_sim_frame *frame = ixgbe_sim_sent(&sim);
        assert_non_null(frame);
        assert_memory_equal(frame->data, whole.data, whole.length);
    }
}

static void ixgbe_model_25_vlan(void **state)
{
    (void)state;
    start(&rx, &tx);
    struct packet plain = packet_echo(PEER, OURS, 80), tagged = plain;
    memmove(tagged.data + 16, tagged.data + 12, tagged.length - 12);
    memcpy(tagged.data + 12, "\x81\x00\x20\x05", 4);
    tagged.length += 4;
    receive_one(&tagged); /* left in */
    give_back(&rx);
    set(IXGBE_RXDCTL, IXGBE_RXDCTL_VME);
    assert_true(inject(&tagged));
    uint64_t word = received(&rx);
    assert_true(word & 8); /* VP */
    assert_int_equal(word >> 48, 0x2005);
    assert_int_equal(word >> 32 & 0xffff, plain.length);
    assert_memory_equal(next_buffer(&rx), plain.data, plain.length);
    give_back(&rx);
    put_context(false, 0x2005);
    memcpy(next_buffer(&tx), plain.data, plain.length);
    send(&tx, plain.length, 1ull << 30);
    assert_memory_equal(expect_sent(tagged.length)->data, tagged.data, tagged.length);
    set(IXGBE_VLNCTRL, IXGBE_VLNCTRL_VFE);
    assert_false(inject(&tagged));
    assert_true(inject(&plain));
    put(IXGBE_VFTA, 1 << 5);
    assert_true(inject(&tagged));
}

static void ixgbe_model_26_filters(void **state)
{
    (void)state;
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x00, 0x12, 0x34};
    start(&rx, &tx);
    struct packet packet = packet_echo(PEER, OURS, 80), all = packet, many = packet, other = packet;
    memcpy(all.data, BROADCAST, 6);
    memcpy(many.data, group, 6);
    memcpy(other.data, NIC1_MAC, 6);
    assert_true(inject(&packet));
    assert_true(inject(&all));
    assert_false(inject(&many));
    assert_false(inject(&other));
    put(IXGBE_FCTRL, 0);
    assert_false(inject(&all));
    put(IXGBE_FCTRL, IXGBE_FCTRL_UPE);
    assert_true(inject(&other));
    assert_false(inject(&many));
    put(IXGBE_FCTRL, IXGBE_FCTRL_MPE);
    assert_true(inject(&many));
    put(IXGBE_FCTRL, 0);
    unsigned hash = (0x12 | 0x34 << 8) >> 4; /* bits 47 to 36 */
    put(IXGBE_MTA + hash / 32 * 4, 1u << hash % 32);
    assert_false(inject(&many));
    put(IXGBE_MCSTCTRL, IXGBE_MCSTCTRL_MFE);
    assert_true(inject(&many));
    put(IXGBE_RAL + 8, 0x00000002);
    put(IXGBE_RAH + 8, IXGBE_RAH_AV | 0x0200);
    assert_true(inject(&other));
}

static void ixgbe_model_27_statistics(void **state)
{
    (void)state;
    start(&rx, &tx);
    struct packet small = packet_echo(PEER, OURS, 1), large = packet_echo(PEER, OURS, 1000);
    memcpy(small.data, BROADCAST, 6);
    assert_true(inject(&small));
    assert_true(inject(&large));
    memcpy(next_buffer(&tx), large.data, large.length);
    send(&tx, large.length, 0);
    unsigned bytes = 64 + large.length + 4;
    assert_int_equal(get(IXGBE_GPRC), 2);
    assert_int_equal(get(IXGBE_QPRC), 2);
    assert_int_equal(get(IXGBE_GORCL), bytes);
    assert_int_equal(get(IXGBE_QBRC_L), bytes);
    assert_int_equal(get(IXGBE_GORCH), 0);
    assert_int_equal(get(IXGBE_BPRC), 1);
    assert_int_equal(get(IXGBE_PRC64), 1);
    assert_int_equal(get(IXGBE_PRC1522), 1);
    assert_int_equal(get(IXGBE_GPTC), 1);
    assert_int_equal(get(IXGBE_QPTC), 1);
    assert_int_equal(get(IXGBE_GOTCL), large.length + 4);
    static const uint32_t cleared[] = {IXGBE_GPRC, IXGBE_QPRC,  IXGBE_GORCL,   IXGBE_QBRC_L,
                                       IXGBE_BPRC, IXGBE_PRC64, IXGBE_PRC1522, IXGBE_GPTC,
                                       IXGBE_QPTC, IXGBE_GOTCL};
    for (unsigned i = 0; i < COUNT_OF(cleared); i++)
        assert_int_equal(get(cleared[i]), 0);
}

/* No descriptors: frames wait in the packet buffer, or are dropped if SRRCTL says so. */
static void ixgbe_model_28_no_descriptors(void **state)
{
    (void)state;
    start(&rx, &tx);
    struct packet packet = packet_echo(PEER, OURS, 1400);
    for (unsigned i = 0; i < RING - 1; i++)
        assert_true(inject(&packet));
    unsigned waiting = 0;
    while (inject(&packet))
        waiting++;
    assert_in_range(waiting, 350, 375); /* 512 KiB */
    assert_int_equal(get(IXGBE_RXMPC), 1);
    assert_true(get(IXGBE_EICR) & IXGBE_EICR_RX_MISS);
    for (unsigned i = 0; i < RING - 1 + waiting; i++) {
        assert_true(received(&rx));
        give_back(&rx);
    }
    assert_false(received(&rx));
    start(&rx, &tx);
    put(IXGBE_RXDCTL, 0);
    put(IXGBE_SRRCTL, get(IXGBE_SRRCTL) | IXGBE_SRRCTL_DROP_EN);
    put(IXGBE_RDT, 0);
    enable_queue(&rx);
    fill(&rx);
    for (unsigned i = 0; i < RING + 4; i++)
        inject(&packet);
    assert_int_equal(get(IXGBE_QPRDC), 5);
}

/* 7.2.3.5: by threshold, or as a head in memory. */
static void ixgbe_model_29_write_back(void **state)
{
    (void)state;
    start(&rx, &tx);
    set(IXGBE_TXDCTL, IXGBE_TXDCTL_WTHRESH(4u));
    for (unsigned i = 0; i < 4; i++) {
        assert_false(tx.ring[0].word & TX_DD);
        send(&tx, 60, 0);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(tx.ring[i].word & TX_DD);
    start(&rx, &tx);
    put(IXGBE_TXDCTL, 0);
    uint32_t *head = arch_memory_take(64, 64);
    put(IXGBE_TDWBAL, (uint32_t)arch_dma_address(head) | 1);
    put(IXGBE_TDWBAH, (uint32_t)(arch_dma_address(head) >> 32));
    enable_queue(&tx);
    send(&tx, 60, 0);
    assert_int_equal(*head, 1);
    assert_false(tx.ring[0].word & TX_DD);
}

static void ixgbe_model_30_interrupt_causes(void **state)
{
    (void)state;
    start(&rx, &tx);
    put(IXGBE_IVAR, 0x8180); /* receive 0, transmit 1 */
    put(IXGBE_EIMS, 3);
    get(IXGBE_EICR);
    struct packet packet = packet_echo(PEER, OURS, 80);
    assert_true(inject(&packet));
    assert_int_equal(ixgbe_model_interrupt(&sim.model), 1);
    send(&tx, 60, 0);
    assert_int_equal(ixgbe_model_interrupt(&sim.model), 3);
    assert_int_equal(get(IXGBE_EICR), 3);
    assert_int_equal(ixgbe_model_interrupt(&sim.model), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ixgbe_model_20_wrap),
        cmocka_unit_test(ixgbe_model_21_frame_in_pieces),
        cmocka_unit_test(ixgbe_model_22_legacy_descriptors),
        cmocka_unit_test(ixgbe_model_23_verify),
        cmocka_unit_test(ixgbe_model_24_insert),
        cmocka_unit_test(ixgbe_model_25_vlan),
        cmocka_unit_test(ixgbe_model_26_filters),
        cmocka_unit_test(ixgbe_model_27_statistics),
        cmocka_unit_test(ixgbe_model_28_no_descriptors),
        cmocka_unit_test(ixgbe_model_29_write_back),
        cmocka_unit_test(ixgbe_model_30_interrupt_causes),
    };
    return cmocka_run_group_tests_name("ixgbe_model_frames", tests, NULL, NULL);
}
