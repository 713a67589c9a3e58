/* The least software that runs an 82599, by the datasheet's own order: what the tests of its model
 * share. It is no driver: one test is one story about registers and descriptors. */
#ifndef TESTS_UNIT_IXGBE_MODEL_H
#define TESTS_UNIT_IXGBE_MODEL_H

#include "drivers/ixgbe/registers.h"
#include "tests/model/ixgbe_sim.h"
#include "tests/unit/test.h"

enum { RING = 32, BUFFER = 2048, SFP = 0x10fb, KX4 = 0x10f7 };

#define RX_DD     1u
#define RX_EOP    2u
#define TX_DATA   (3ull << 20 | 1ull << 24 | 1ull << 25 | 1ull << 27 | 1ull << 29)
#define TX_DD     (1ull << 32)
#define TX_PAY(n) ((uint64_t)(n) << 46 | (n))

static struct ixgbe_sim sim;

struct queue {
    unsigned index, next;
    bool receive;
    struct ixgbe_descriptor *ring;
    uint8_t *buffer;
};

static inline uint32_t get(uint32_t offset)
{
    return sim.ops->read32(&sim, offset);
}

static inline void put(uint32_t offset, uint32_t value)
{
    sim.ops->write32(&sim, offset, value);
}

static inline void set(uint32_t offset, uint32_t bits)
{
    put(offset, get(offset) | bits);
}

static inline void wait_us(uint64_t delay_us)
{
    sim_now_ns += delay_us * 1000;
    ixgbe_sim_tick(&sim);
}

/* A register of a queue, by that of queue 0. */
static inline uint32_t of(const struct queue *queue, uint32_t offset)
{
    return offset + queue->index * IXGBE_QUEUE_STRIDE;
}

static inline void power_on(uint16_t device)
{
    sim_reset();
    ixgbe_sim_start(&sim, device, NIC0_MAC);
}

/* 4.6.3: reset, and what is waited for after it. */
static inline void reset(void)
{
    put(IXGBE_CTRL, IXGBE_CTRL_MASTER_DISABLE);
    put(IXGBE_CTRL, IXGBE_CTRL_RST);
    for (unsigned i = 0; i < 100 && get(IXGBE_CTRL) & IXGBE_CTRL_RST; i++)
        wait_us(100);
    assert_false(get(IXGBE_CTRL) & IXGBE_CTRL_RST);
    wait_us(10000);
    assert_true(get(IXGBE_EEC) & IXGBE_EEC_AUTO_RD);
    assert_true(get(IXGBE_RDRXCTL) & IXGBE_RDRXCTL_DMAIDONE);
    wait_us(100000);
}

/* Rings and a buffer for each descriptor, registers written, not enabled. */
static inline struct queue make_queue(bool receive, unsigned index)
{
    struct queue queue = {.index = index, .receive = receive};
    uint32_t base = receive ? IXGBE_RDBAL : IXGBE_TDBAL;
    queue.ring = arch_memory_take(RING * 16, 128);
    queue.buffer = arch_memory_take(RING * BUFFER, 2048);
    uint64_t address = arch_dma_address(queue.ring);
    put(of(&queue, base), (uint32_t)address);
    put(of(&queue, base + 4), (uint32_t)(address >> 32));
    put(of(&queue, base + 8), RING * 16);
    return queue;
}

static inline void enable_queue(const struct queue *queue)
{
    uint32_t control = of(queue, queue->receive ? IXGBE_RXDCTL : IXGBE_TXDCTL);
    set(control, IXGBE_RXDCTL_ENABLE);
    assert_false(get(control) & IXGBE_RXDCTL_ENABLE);
    wait_us(100);
    assert_true(get(control) & IXGBE_RXDCTL_ENABLE);
}

static inline struct ixgbe_descriptor empty(const struct queue *queue, unsigned index)
{
    return (struct ixgbe_descriptor){arch_dma_address(queue->buffer + index * BUFFER), 0};
}

static inline void fill(struct queue *queue)
{
    for (unsigned i = 0; i < RING; i++)
        queue->ring[i] = empty(queue, i);
    put(of(queue, IXGBE_RDT), RING - 1);
}

/* 4.6.7, 4.6.8: everything up to receiving and sending. */
static inline void receive_on(void)
{
    put(IXGBE_RXCSUM, IXGBE_RXCSUM_PCSD);
    put(IXGBE_FCTRL, IXGBE_FCTRL_BAM);
    put(IXGBE_RDRXCTL, IXGBE_RDRXCTL_DMAIDONE | IXGBE_RDRXCTL_CRC_STRIP | IXGBE_RDRXCTL_RSCACKC |
                           IXGBE_RDRXCTL_FCOE_WRFIX);
    set(IXGBE_SECRXCTRL, IXGBE_SECRXCTRL_RX_DIS);
    assert_true(get(IXGBE_SECRXSTAT) & IXGBE_SECRXSTAT_RDY);
    set(IXGBE_RXCTRL, IXGBE_RXCTRL_RXEN);
    put(IXGBE_SECRXCTRL, 0);
}

static inline struct queue receiver(unsigned index)
{
    struct queue rx = make_queue(true, index);
    put(of(&rx, IXGBE_SRRCTL),
        IXGBE_SRRCTL_BSIZEPACKET(BUFFER) | IXGBE_SRRCTL_DESCTYPE_ADVANCED | 0x400);
    return rx;
}

static inline void start(struct queue *rx, struct queue *tx)
{
    power_on(SFP);
    reset();
    *rx = receiver(0);
    *tx = make_queue(false, 0);
    receive_on();
    put(IXGBE_DMATXCTL, get(IXGBE_DMATXCTL) | IXGBE_DMATXCTL_TE);
    enable_queue(rx);
    enable_queue(tx);
    fill(rx);
}

/* Sends what is in the next buffer as one frame with these bits besides. */
static inline void send(struct queue *tx, unsigned length, uint64_t bits)
{
    unsigned index = tx->next % RING;
    tx->ring[index].address = arch_dma_address(tx->buffer + index * BUFFER);
    tx->ring[index].word = TX_DATA | TX_PAY(length) | bits;
    tx->next++;
    put(of(tx, IXGBE_TDT), tx->next % RING);
}

static inline uint8_t *next_buffer(const struct queue *queue)
{
    return queue->buffer + queue->next % RING * BUFFER;
}

/* The next received frame's status word, or 0; the descriptor is not given back. */
static inline uint64_t received(const struct queue *rx)
{
    uint64_t word = rx->ring[rx->next % RING].word;
    return word & RX_DD ? word : 0;
}

static inline void give_back(struct queue *rx)
{
    unsigned index = rx->next % RING;
    rx->ring[index] = empty(rx, index);
    put(of(rx, IXGBE_RDT), index);
    rx->next++;
}

static inline bool inject(const struct packet *packet)
{
    return ixgbe_sim_inject(&sim, packet->data, packet->length);
}

/* The model has noted exactly one violation since the last call, by this section and words. */
static inline void expect_violation(const char *section, const char *words)
{
    if (sim.model.violations != 1 || strncmp(sim.model.last_violation, section, strlen(section)) ||
        !strstr(sim.model.last_violation, words))
        fail_msg("%u violations; first %s; last %s; expected %s: %s", sim.model.violations,
                 sim.model.first_violation, sim.model.last_violation, section, words);
    sim.model.violations = 0;
}

#endif
