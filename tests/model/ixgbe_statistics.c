/* The 82599 model's statistics registers, 8.2.3.23. Bytes are counted with the CRC. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum { CRC_BYTES = 4 };

/* A pair of registers of 36 bits. */
static void count_bytes(struct ixgbe_model *model, uint32_t low, uint32_t high, size_t bytes)
{
    uint64_t sum = ((uint64_t)model->reg[high / 4] << 32 | model->reg[low / 4]) + bytes;
    model->reg[low / 4] = (uint32_t)sum;
    model->reg[high / 4] = sum >> 32 & 15;
}

void model_count_seen(struct ixgbe_model *model, size_t length)
{
    REG(TPR)++;
    count_bytes(model, IXGBE_TORL, IXGBE_TORH, length + CRC_BYTES);
}

/* Which of the six registers from `first` on, 4 bytes apart, counts frames of this length. */
static void count_length(struct ixgbe_model *model, uint32_t first, size_t bytes)
{
    static const uint16_t most[] = {64, 127, 255, 511, 1023};
    unsigned i = 0;
    while (i < 5 && bytes > most[i])
        i++;
    model->reg[first / 4 + i]++;
}

void model_count_frame(struct ixgbe_model *model, enum model_direction direction,
                       const uint8_t *frame, size_t length)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    bool in = direction == MODEL_IN, all = memcmp(frame, broadcast, 6) == 0;
    size_t bytes = length + CRC_BYTES;
    if (in) {
        REG(GPRC)++;
        count_bytes(model, IXGBE_GORCL, IXGBE_GORCH, bytes);
        count_length(model, IXGBE_PRC64, bytes);
    } else {
        REG(GPTC)++;
        REG(TPT)++;
        count_bytes(model, IXGBE_GOTCL, IXGBE_GOTCH, bytes);
        count_length(model, IXGBE_PTC64, bytes);
    }
    if (all)
        model->reg[(in ? IXGBE_BPRC : IXGBE_BPTC) / 4]++;
    else if (frame[0] & 1)
        model->reg[(in ? IXGBE_MPRC : IXGBE_MPTC) / 4]++;
}

/* 8.2.3.23.71, 73: which of 16 counters a queue counts in. */
void model_count_queue(struct ixgbe_model *model, enum model_direction direction, unsigned queue,
                       size_t length)
{
    bool in = direction == MODEL_IN;
    uint32_t map = model->reg[(in ? IXGBE_RQSMR : IXGBE_TQSM) / 4 + queue / 4];
    uint32_t counter = map >> queue % 4 * 8 & 15, rx = counter * IXGBE_QUEUE_STRIDE;
    size_t bytes = length + CRC_BYTES;
    if (in) {
        model->reg[(IXGBE_QPRC + rx) / 4]++;
        count_bytes(model, IXGBE_QBRC_L + rx, IXGBE_QBRC_H + rx, bytes);
        REG(RXDGPC)++;
        count_bytes(model, IXGBE_RXDGBCL, IXGBE_RXDGBCH, bytes);
    } else {
        model->reg[IXGBE_QPTC / 4 + counter]++;
        count_bytes(model, IXGBE_QBTC_L + counter * 8, IXGBE_QBTC_H + counter * 8, bytes);
        REG(TXDGPC)++;
        count_bytes(model, IXGBE_TXDGBCL, IXGBE_TXDGBCH, bytes);
    }
}
