/* What the 82599 model calls a violation, each told, and its faults, each seen to happen. */
#include "tests/unit/ixgbe_model.h"

#define PEER IP(10, 0, 0, 1)
#define OURS IP(10, 0, 0, 2)

static struct queue rx, tx;

static void receive_one(const struct packet *packet)
{
    assert_true(inject(packet));
    uint64_t word = received(&rx);
    assert_int_equal(word & 3, RX_DD | RX_EOP);
    assert_int_equal(word >> 32 & 0xffff, packet->length);
    assert_memory_equal(next_buffer(&rx), packet->data, packet->length);
}

/* ---- violations ---------------------------------------------------------------------------- */

static void ixgbe_model_40_forbidden_at_start(void **state)
{
    (void)state;
    power_on(SFP);
    sim.strict = false;
    reset();
    rx = (struct queue){.receive = true};
    put(IXGBE_RDLEN, RING * 16);
    set(IXGBE_RXDCTL, IXGBE_RXDCTL_ENABLE);
    expect_violation("4.6.7.1", "RXDCTL[0].ENABLE set without a base");
    put(IXGBE_RXDCTL, 0);
    put(IXGBE_RDBAL, 0x1000);
    put(IXGBE_RDLEN, 0);
    set(IXGBE_RXDCTL, IXGBE_RXDCTL_ENABLE);
    expect_violation("4.6.7.1", "with RDLEN 0");
    put(IXGBE_RXDCTL, 0);
    put(IXGBE_RDBAL, 0x1040);
    expect_violation("8.2.3.8.1", "RDBAL[0] (00001000) changes reserved bits");
    tx = make_queue(false, 0);
    set(IXGBE_TXDCTL, IXGBE_TXDCTL_ENABLE);
    expect_violation("4.6.8.1", "before DMATXCTL.TE");
    put(IXGBE_TXDCTL, 0);
    set(IXGBE_DMATXCTL, IXGBE_DMATXCTL_TE);
    set(IXGBE_TXDCTL, IXGBE_TXDCTL_ENABLE);
    send(&tx, 60, 0);
    expect_violation("4.6.8.1", "TDT[0] written (1) before TXDCTL.ENABLE was read as one");
    wait_us(100);
    get(IXGBE_TXDCTL);
    put(IXGBE_TDLEN, 256);
    expect_violation("8.2.3.9.7", "TDLEN[0] written (00000100) while the queue is on");
    put(IXGBE_RXCTRL, IXGBE_RXCTRL_RXEN);
    assert_int_equal(sim.model.violations, 4); /* not halted, CRCSTRIP, RSCFRSTSIZE, RSCACKC */
    put(IXGBE_CTRL, IXGBE_CTRL_RST);
    sim.model.violations = 0;
    start(&rx, &tx);
    sim.strict = false;
    put(IXGBE_CTRL, IXGBE_CTRL_RST);
    expect_violation("5.2.5.3.2", "without master disable");
}

static void ixgbe_model_41_forbidden_with_rings(void **state)
{
    (void)state;
    start(&rx, &tx);
    sim.strict = false;
    put(IXGBE_RDT, RING);
    expect_violation("8.2.3.8.5", "RDT[0] written (32): past the ring of 32");
    put(IXGBE_RDT, 5);
    expect_violation("7.1.9", "RDT[0] written (5, was 31): back");
    start(&rx, &tx);
    sim.strict = false;
    struct packet packet = packet_echo(PEER, OURS, 80);
    assert_true(inject(&packet));
    rx.ring[7].address += 64;
    give_back(&rx);
    expect_violation("7.1.9", "descriptor 7 of receive queue 0 changed while the device owns it");
    start(&rx, &tx);
    sim.strict = false;
    assert_true(inject(&packet));
    assert_true(inject(&packet));
    put(IXGBE_RDT, 1); /* with what was received into it */
    expect_violation("7.1.6.1", "descriptor 0 of receive queue 0 handed over with DD");
    tx.ring[0] = (struct ixgbe_descriptor){0, TX_DATA | TX_PAY(60)};
    put(IXGBE_TDT, ++tx.next);
    assert_int_equal(sim.model.violations, 2); /* no address, so no bytes: too short */
    assert_string_equal(sim.model.first_violation + 11,
                        "descriptor 0 of transmit queue 0: length 60 at 0");
}

static void ixgbe_model_42_forbidden_frames(void **state)
{
    (void)state;
    start(&rx, &tx);
    sim.strict = false;
    send(&tx, 16, 0);
    expect_violation("7.2.1.1", "frame of 16 bytes");
    send(&tx, 60, 1ull << 41);
    expect_violation("7.2.3.2.3", "context 0 is used and was never set");
    send(&tx, 60, 1ull << 46);
    expect_violation("7.2.3.2.4", "PAYLEN");
    tx.ring[tx.next] = (struct ixgbe_descriptor){64, TX_DATA | TX_PAY(60)};
    put(IXGBE_TDT, ++tx.next);
    assert_non_null(strstr(sim.model.first_violation, "at 40, 60 bytes: no memory there"));
    sim.model.violations = 0;
    sim.model.bus_master = false;
    send(&tx, 60, 0);
    expect_violation("9.3.3", "without bus mastering");
}

/* ---- faults -------------------------------------------------------------------------------- */

static void ixgbe_model_50_late_and_lost(void **state)
{
    (void)state;
    struct packet packet = packet_echo(PEER, OURS, 80);
    start(&rx, &tx);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LATE, 2);
    assert_true(inject(&packet));
    send(&tx, 60, 0);
    wait_us(1000);
    assert_false(received(&rx));
    assert_false(tx.ring[0].word & TX_DD);
    wait_us(20000);
    assert_true(received(&rx));
    assert_true(tx.ring[0].word & TX_DD);
    assert_non_null(ixgbe_sim_sent(&sim));
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LATE, 1);
    send(&tx, 60, 0);
    ixgbe_model_write_back(&sim.model);
    assert_true(tx.ring[1].word & TX_DD);
    assert_non_null(ixgbe_sim_sent(&sim));
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LOST_DOORBELL, 1);
    send(&tx, 60, 0);
    assert_null(ixgbe_sim_sent(&sim));
    send(&tx, 60, 0); /* the next shows both */
    assert_non_null(ixgbe_sim_sent(&sim));
    assert_non_null(ixgbe_sim_sent(&sim));
}

static void ixgbe_model_51_wrong_descriptors(void **state)
{
    (void)state;
    struct packet packet = packet_udp_to(PEER, 1, OURS, 2, 80);
    static const struct {
        enum ixgbe_fault fault;
        uint64_t mask, value;
    } wrong[] = {
        {IXGBE_FAULT_BAD_CHECKSUM, 3ull << 30, 3ull << 30},
        {IXGBE_FAULT_RECEIVE_ERROR, 1ull << 29, 1ull << 29},
        {IXGBE_FAULT_NO_END, 3, 1},
        {IXGBE_FAULT_BAD_LENGTH, 0xffffull << 32, 0xffffull << 32},
    };
    start(&rx, &tx);
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        ixgbe_model_fault(&sim.model, wrong[i].fault, 1);
        assert_true(inject(&packet));
        assert_true((received(&rx) & wrong[i].mask) == wrong[i].value);
        give_back(&rx);
        receive_one(&packet);
        assert_false(received(&rx) & 7ull << 29);
        give_back(&rx);
    }
}

static void ixgbe_model_52_stuck_and_gone(void **state)
{
    (void)state;
    struct packet packet = packet_echo(PEER, OURS, 80);
    start(&rx, &tx);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_NO_DMA, IXGBE_ALWAYS);
    inject(&packet);
    send(&tx, 60, 0);
    assert_false(received(&rx));
    assert_null(ixgbe_sim_sent(&sim));
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_NO_DMA, 0);
    assert_true(received(&rx));
    assert_non_null(ixgbe_sim_sent(&sim));
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LINK_DOWN, IXGBE_ALWAYS);
    assert_false(inject(&packet));
    send(&tx, 60, 0);
    assert_null(ixgbe_sim_sent(&sim)); /* waits for the link */
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LINK_DOWN, 0);
    assert_non_null(ixgbe_sim_sent(&sim));
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_STUCK_MASTER, IXGBE_ALWAYS);
    put(IXGBE_CTRL, IXGBE_CTRL_MASTER_DISABLE);
    wait_us(100000);
    assert_true(get(IXGBE_STATUS) & IXGBE_STATUS_MASTER);
    put(IXGBE_RXDCTL, 0);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_STUCK_ENABLE, IXGBE_ALWAYS);
    put(IXGBE_RDT, 0);
    put(IXGBE_RXDCTL, IXGBE_RXDCTL_ENABLE);
    wait_us(100000);
    assert_false(get(IXGBE_RXDCTL) & IXGBE_RXDCTL_ENABLE);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_STUCK_DMA, IXGBE_ALWAYS);
    assert_false(get(IXGBE_RDRXCTL) & IXGBE_RDRXCTL_DMAIDONE);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_STUCK_RESET, IXGBE_ALWAYS);
    put(IXGBE_CTRL, IXGBE_CTRL_RST);
    wait_us(1000000);
    assert_true(get(IXGBE_CTRL) & IXGBE_CTRL_RST);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_STUCK_RESET, 0);
    assert_false(get(IXGBE_CTRL) & IXGBE_CTRL_RST);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_GONE, IXGBE_ALWAYS);
    assert_int_equal(get(IXGBE_STATUS), UINT32_MAX);
    put(IXGBE_FCTRL, 0xffff);
    assert_false(inject(&packet));
}

static void ixgbe_model_53_counts_accesses(void **state)
{
    (void)state;
    start(&rx, &tx);
    struct packet packet = packet_echo(PEER, OURS, 80);
    uint32_t before = sim.model.writes[IXGBE_RDT / 4];
    receive_one(&packet);
    give_back(&rx);
    assert_int_equal(sim.model.writes[IXGBE_RDT / 4], before + 1);
    char text[4096] = "";
    FILE *out = tmpfile();
    assert_non_null(out);
    ixgbe_model_report(&sim.model, out);
    rewind(out);
    assert_true(fread(text, 1, sizeof text - 1, out));
    fclose(out);
    assert_non_null(strstr(text, "frames 1 received 0 sent"));
    assert_non_null(strstr(text, "RDT[0]"));
    assert_non_null(strstr(text, "violations 0"));
}

static uint32_t guess(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* A value that gets somewhere: a ring that is memory, a small index, an enable bit, or anything. */
static uint32_t guess_value(uint32_t *state)
{
    uint32_t ring = (uint32_t)arch_dma_address(rx.ring);
    const uint32_t likely[] = {0,
                               1,
                               guess(state) % 40,
                               ring,
                               ring + 128,
                               512,
                               1u << 25,
                               1u << 6,
                               0x02000402,
                               1u << 19,
                               1024,
                               1u << 26,
                               guess(state) & 0xff,
                               guess(state) << 8};
    return likely[guess(state) % COUNT_OF(likely)];
}

/* Software that does anything at all: the model goes on, inside its memory and in bounded time. */
static void ixgbe_model_54_any_software(void **state)
{
    (void)state;
    static const uint32_t place[] = {
        IXGBE_RDBAL, IXGBE_RDLEN, IXGBE_RDT,  IXGBE_RXDCTL, IXGBE_SRRCTL,   IXGBE_TDBAL,
        IXGBE_TDLEN, IXGBE_TDH,   IXGBE_TDT,  IXGBE_TXDCTL, IXGBE_DMATXCTL, IXGBE_RXCTRL,
        IXGBE_RDBAH, IXGBE_RETA,  IXGBE_MRQC, IXGBE_TDWBAL, IXGBE_RTTDCS,   IXGBE_HLREG0,
    };
    uint32_t seed = 82599;
    uint64_t received = 0, sent = 0;
    struct packet packet = packet_udp_to(PEER, 1, OURS, 2, 1400);
    for (unsigned round = 0; round < 400; round++) {
        start(&rx, &tx);
        sim.strict = false;
        for (unsigned i = 0; i < RING; i++)
            tx.ring[i] = (struct ixgbe_descriptor){empty(&tx, i).address, TX_DATA | TX_PAY(60)};
        put(IXGBE_RDBAH + IXGBE_QUEUE_STRIDE, (uint32_t)(arch_dma_address(rx.ring) >> 32));
        put(IXGBE_TDBAH + IXGBE_QUEUE_STRIDE, (uint32_t)(arch_dma_address(rx.ring) >> 32));
        for (unsigned i = 0; i < 250; i++) {
            uint32_t offset = place[guess(&seed) % COUNT_OF(place)];
            bool queue = (offset >= IXGBE_RDBAL && offset < 0x2000) || offset >= IXGBE_TDBAL;
            offset += queue && guess(&seed) & 1 ? IXGBE_QUEUE_STRIDE : 0;
            if (guess(&seed) % 16 == 0)
                offset = guess(&seed) % (IXGBE_MODEL_BYTES + 64);
            if (guess(&seed) % 4)
                put(offset, guess_value(&seed));
            else
                get(offset);
            if (guess(&seed) % 64 == 0)
                rx.ring[guess(&seed) % RING].word =
                    (uint64_t)guess(&seed) << 20 | guess_value(&seed);
            if (guess(&seed) % 64 == 0)
                ixgbe_model_fault(&sim.model, guess(&seed) % IXGBE_FAULT_GONE, guess(&seed) & 1);
            if (guess(&seed) % 8 == 0)
                wait_us(guess(&seed) % 4000);
            inject(&packet);
        }
        received += sim.model.received;
        sent += sim.model.sent;
    }
    assert_true(received > 1000 && sent > 100); /* it did get somewhere */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ixgbe_model_40_forbidden_at_start),
        cmocka_unit_test(ixgbe_model_41_forbidden_with_rings),
        cmocka_unit_test(ixgbe_model_42_forbidden_frames),
        cmocka_unit_test(ixgbe_model_50_late_and_lost),
        cmocka_unit_test(ixgbe_model_51_wrong_descriptors),
        cmocka_unit_test(ixgbe_model_52_stuck_and_gone),
        cmocka_unit_test(ixgbe_model_53_counts_accesses),
        cmocka_unit_test(ixgbe_model_54_any_software),
    };
    return cmocka_run_group_tests_name("ixgbe_model_faults", tests, NULL, NULL);
}
