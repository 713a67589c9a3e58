/* The 82599 model's descriptor rings: who owns what, and how descriptors come and go. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

#define CONTROL_ENABLE    IXGBE_RXDCTL_ENABLE /* the same bit in TXDCTL */
#define RX_DD_LEGACY      (1ull << 32)
#define RX_DD_ADVANCED    (1ull << 0)
#define TX_DD             (1ull << 32)
#define TXDCTL_WTHRESH(v) ((v) >> 16 & 0x7f)

static const char *queue_kind(const struct ixgbe_model_queue *queue)
{
    return queue->receive ? "receive" : "transmit";
}

static char queue_letter(const struct ixgbe_model_queue *queue)
{
    return queue->receive ? 'R' : 'T';
}

uint32_t *model_queue_registers(struct ixgbe_model *model, const struct ixgbe_model_queue *queue)
{
    uint32_t base = queue->receive ? IXGBE_RDBAL : IXGBE_TDBAL;
    return &model->reg[(base + queue->index * IXGBE_QUEUE_STRIDE) / 4];
}

static uint32_t queue_count(struct ixgbe_model *model, const struct ixgbe_model_queue *queue)
{
    uint32_t count = model_queue_registers(model, queue)[QUEUE_LENGTH] / 16;
    return count <= IXGBE_MODEL_RING ? count : 0;
}

uint32_t model_queue_between(struct ixgbe_model *model, const struct ixgbe_model_queue *queue,
                             uint32_t from, uint32_t to)
{
    uint32_t count = queue_count(model, queue);
    return count ? (to + count - from) % count : 0;
}

/* The ring in memory, or NULL. */
static struct ixgbe_descriptor *queue_ring(struct ixgbe_model *model,
                                           const struct ixgbe_model_queue *queue)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    if (!reg[QUEUE_LENGTH])
        return NULL;
    return model_dma(model, (uint64_t)reg[QUEUE_BASE_HIGH] << 32 | reg[QUEUE_BASE],
                     reg[QUEUE_LENGTH], queue->receive ? "receive ring" : "transmit ring",
                     queue->index);
}

/* ---- what is handed over ------------------------------------------------------------------ */

/* 7.1.9, 7.2.3.3: software leaves alone what the device owns. */
static void queue_check_untouched(struct ixgbe_model *model, const struct ixgbe_model_queue *queue,
                                  const struct ixgbe_descriptor *ring, uint32_t tail)
{
    uint32_t count = queue_count(model, queue);
    for (uint32_t i = queue->done; i != tail; i = (i + 1) % count)
        if (model_forbid(model, memcmp(&ring[i], &queue->shadow[i], sizeof ring[i]) != 0,
                         queue->receive ? "7.1.9" : "7.2.3.3",
                         "descriptor %u of %s queue %u changed while the device owns it "
                         "(%016llx %016llx, was %016llx %016llx)",
                         i, queue_kind(queue), queue->index, (unsigned long long)ring[i].address,
                         (unsigned long long)ring[i].word,
                         (unsigned long long)queue->shadow[i].address,
                         (unsigned long long)queue->shadow[i].word))
            return;
}

static void queue_check_descriptor(struct ixgbe_model *model, const struct ixgbe_model_queue *queue,
                                   uint32_t index, const struct ixgbe_descriptor *descriptor)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    bool advanced = IXGBE_SRRCTL_DESCTYPE(reg[QUEUE_SRRCTL]) != 0;
    uint64_t done = !queue->receive || !advanced ? RX_DD_LEGACY : RX_DD_ADVANCED;
    model_forbid(model, descriptor->word & done, queue->receive ? "7.1.6.1" : "7.2.3.2.4",
                 "descriptor %u of %s queue %u handed over with DD (%016llx)", index,
                 queue_kind(queue), queue->index, (unsigned long long)descriptor->word);
    model_forbid(model, queue->receive && !descriptor->address, "7.1.6.1",
                 "descriptor %u of receive queue %u handed over without a buffer", index,
                 queue->index);
}

/* The device owns all up to the tail from now on. */
static void queue_hand_over(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                            const struct ixgbe_descriptor *ring, uint32_t from, uint32_t tail)
{
    uint32_t count = queue_count(model, queue);
    for (uint32_t i = from; i != tail; i = (i + 1) % count) {
        queue->shadow[i] = ring[i];
        queue_check_descriptor(model, queue, i, &ring[i]);
    }
}

static void queue_go_on(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    if (queue->receive)
        model_receive_more(model);
    else
        model_transmit(model, queue);
}

static void queue_write_tail(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                             uint32_t tail)
{
    uint32_t *reg = model_queue_registers(model, queue), old = reg[QUEUE_TAIL];
    uint32_t count = queue_count(model, queue);
    char letter = queue_letter(queue);
    const char *section = queue->receive ? "4.6.7.1" : "4.6.8.1";
    if (model_forbid(model, tail != reg[QUEUE_HEAD] && !queue->seen_enabled, section,
                     "%cDT[%u] written (%u) before %cXDCTL.ENABLE was read as one", letter,
                     queue->index, tail, letter))
        queue->seen_enabled = queue->enabled; /* said once */
    if (model_forbid(model, count && tail >= count, queue->receive ? "8.2.3.8.5" : "8.2.3.9.9",
                     "%cDT[%u] written (%u): past the ring of %u", letter, queue->index, tail,
                     count))
        return;
    if (model_fault(model, IXGBE_FAULT_LOST_DOORBELL))
        return;
    reg[QUEUE_TAIL] = tail;
    if (!queue->enabled)
        return;
    const struct ixgbe_descriptor *ring = queue_ring(model, queue);
    if (!ring || !count)
        return;
    uint32_t owned = model_queue_between(model, queue, queue->done, old);
    uint32_t wanted = model_queue_between(model, queue, queue->done, tail);
    model_forbid(model, wanted < owned, queue->receive ? "7.1.9" : "7.2.3.3",
                 "%cDT[%u] written (%u, was %u): back, or past the oldest descriptor the device "
                 "owns (%u)",
                 letter, queue->index, tail, old, queue->done);
    queue_check_untouched(model, queue, ring, old);
    queue_hand_over(model, queue, ring, old, tail);
    queue_go_on(model, queue);
}

/* ---- on and off --------------------------------------------------------------------------- */

static void queue_check_enable(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    const char *section = queue->receive ? "4.6.7.1" : "4.6.8.1";
    char letter = queue_letter(queue);
    unsigned index = queue->index, type = IXGBE_SRRCTL_DESCTYPE(reg[QUEUE_SRRCTL]);
    uint32_t count = reg[QUEUE_LENGTH] / 16;
    model_forbid(model, !reg[QUEUE_BASE] && !reg[QUEUE_BASE_HIGH], section,
                 "%cXDCTL[%u].ENABLE set without a base in %cDBAL", letter, index, letter);
    model_forbid(model, !count || count > IXGBE_MODEL_RING, section,
                 "%cXDCTL[%u].ENABLE set with %cDLEN %u", letter, index, letter, reg[QUEUE_LENGTH]);
    model_forbid(model, reg[QUEUE_HEAD] != reg[QUEUE_TAIL], section,
                 "%cXDCTL[%u].ENABLE set with head %u and tail %u", letter, index, reg[QUEUE_HEAD],
                 reg[QUEUE_TAIL]);
    model_forbid(model, model->now_ns < model->loaded_ns, "4.6.3",
                 "%cXDCTL[%u].ENABLE set before RDRXCTL.DMAIDONE", letter, index);
    model_forbid(model, !queue->receive && !(REG(DMATXCTL) & IXGBE_DMATXCTL_TE), section,
                 "TXDCTL[%u].ENABLE set before DMATXCTL.TE", index);
    model_forbid(model, queue->receive && !(reg[QUEUE_SRRCTL] & 0x1f), "8.2.3.8.7",
                 "RXDCTL[%u].ENABLE set with SRRCTL.BSIZEPACKET zero", index);
    model_forbid(model, queue->receive && type > 1, "8.2.3.8.7",
                 "SRRCTL[%u].DESCTYPE %u is not modelled", index, type);
}

static void queue_off(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    if (queue->receive) /* software cannot write it */
        model_queue_registers(model, queue)[QUEUE_HEAD] = 0;
    queue->enabled = queue->seen_enabled = false;
    queue->enable_ns = 0;
    queue->length = queue->buffers = queue->unwritten = 0;
    queue->context_set[0] = queue->context_set[1] = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model->late.count; i++)
        if (model->late.entry[i].queue != queue)
            model->late.entry[kept++] = model->late.entry[i];
    model->late.count = kept;
}

static void queue_write_control(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                                uint32_t value)
{
    uint32_t *control = &model_queue_registers(model, queue)[QUEUE_CONTROL];
    bool was = *control & CONTROL_ENABLE, is = value & CONTROL_ENABLE;
    *control = value;
    if (is && !was) {
        queue_check_enable(model, queue);
        queue->enable_ns = model->now_ns + MODEL_ENABLE_US * MODEL_US;
    } else if (was && !is) {
        queue_off(model, queue);
    }
}

/* The queue is on: the device reads what it was handed before. */
static void queue_on(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    uint32_t count = queue_count(model, queue);
    if (!queue->receive && !(REG(DMATXCTL) & IXGBE_DMATXCTL_TE))
        return;
    queue->enable_ns = 0;
    if (model_forbid(model, reg[QUEUE_HEAD] >= count || reg[QUEUE_TAIL] >= count,
                     queue->receive ? "4.6.7.1" : "4.6.8.1",
                     "%s queue %u is on with head %u and tail %u in a ring of %u",
                     queue_kind(queue), queue->index, reg[QUEUE_HEAD], reg[QUEUE_TAIL], count))
        return;
    queue->enabled = true;
    queue->done = reg[QUEUE_HEAD];
    const struct ixgbe_descriptor *ring =
        reg[QUEUE_HEAD] == reg[QUEUE_TAIL] ? NULL : queue_ring(model, queue);
    if (ring)
        queue_hand_over(model, queue, ring, reg[QUEUE_HEAD], reg[QUEUE_TAIL]);
    queue_go_on(model, queue);
}

/* ---- registers ---------------------------------------------------------------------------- */

static struct ixgbe_model_queue *queue_of(struct ixgbe_model *model, uint32_t offset)
{
    uint32_t rx = offset - IXGBE_RDBAL, tx = offset - IXGBE_TDBAL;
    if (rx < IXGBE_MODEL_QUEUES * IXGBE_QUEUE_STRIDE)
        return &model->rx[rx / IXGBE_QUEUE_STRIDE];
    if (tx < IXGBE_MODEL_QUEUES * IXGBE_QUEUE_STRIDE)
        return &model->tx[tx / IXGBE_QUEUE_STRIDE];
    return NULL;
}

static bool beyond_queues(uint32_t offset)
{
    uint32_t rx = offset - IXGBE_RDBAL, tx = offset - IXGBE_TDBAL;
    return rx < 64 * IXGBE_QUEUE_STRIDE || tx < 128 * IXGBE_QUEUE_STRIDE;
}

bool model_queue_write(struct ixgbe_model *model, uint32_t offset, uint32_t value)
{
    struct ixgbe_model_queue *queue = queue_of(model, offset);
    model_forbid(model, !queue && beyond_queues(offset) && offset % IXGBE_QUEUE_STRIDE == 0x18,
                 "8.2.3.8.5", "tail %05x is of a queue that is not modelled", offset);
    if (!queue)
        return false;
    uint32_t *reg = model_queue_registers(model, queue);
    unsigned field = offset % IXGBE_QUEUE_STRIDE / 4;
    char name[32];
    if (field == QUEUE_TAIL) {
        queue_write_tail(model, queue, value);
        return true;
    }
    if (field == QUEUE_CONTROL) {
        queue_write_control(model, queue, value);
        return true;
    }
    bool fixed = field <= QUEUE_LENGTH || field == QUEUE_HEAD ||
                 (field == QUEUE_SRRCTL && queue->receive) || field >= QUEUE_WRITE_BACK;
    model_forbid(model, fixed && reg[QUEUE_CONTROL] & CONTROL_ENABLE,
                 model_register_section(model, offset), "%s written (%08x) while the queue is on",
                 model_register_name(model, offset, name), value);
    if (field <= QUEUE_LENGTH && queue->enabled)
        queue_off(model,
                  queue); /* whatever the device does with a ring that moves, it is no more */
    reg[field] = value;
    return true;
}

void model_queue_read(struct ixgbe_model *model, uint32_t offset, uint32_t *value)
{
    struct ixgbe_model_queue *queue = queue_of(model, offset);
    if (!queue || offset % IXGBE_QUEUE_STRIDE / 4 != QUEUE_CONTROL)
        return;
    bool stuck = model->fault[IXGBE_FAULT_STUCK_ENABLE];
    if (!queue->enabled || stuck)
        *value &= ~CONTROL_ENABLE;
    queue->seen_enabled = queue->seen_enabled || (*value & CONTROL_ENABLE);
}

void model_queues_reset(struct ixgbe_model *model)
{
    for (unsigned i = 0; i < IXGBE_MODEL_QUEUES; i++) {
        queue_off(model, &model->rx[i]);
        queue_off(model, &model->tx[i]);
    }
    model->buffer.head = model->buffer.bytes = model->buffer.frames = 0;
}

/* ---- descriptors -------------------------------------------------------------------------- */

uint32_t model_available(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    if (!queue->enabled || model->fault[IXGBE_FAULT_NO_DMA] || model->fault[IXGBE_FAULT_GONE] ||
        !model->bus_master)
        return 0;
    return model_queue_between(model, queue, reg[QUEUE_HEAD], reg[QUEUE_TAIL]);
}

struct ixgbe_descriptor model_take(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                                   uint32_t *index)
{
    uint32_t *head = &model_queue_registers(model, queue)[QUEUE_HEAD];
    *index = *head;
    *head = (*head + 1) % queue_count(model, queue);
    return queue->shadow[*index];
}

/* Both words, the one with DD in it last and at once. */
static void queue_write_back(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                             uint32_t index, struct ixgbe_descriptor value)
{
    const uint32_t *reg = model_queue_registers(model, queue);
    uint32_t next = (index + 1) % queue_count(model, queue);
    if (!queue->receive && reg[QUEUE_WRITE_BACK] & 1) { /* the head instead, 7.2.3.5.2 */
        uint64_t address =
            (uint64_t)reg[QUEUE_WRITE_BACK_HIGH] << 32 | (reg[QUEUE_WRITE_BACK] & ~3u);
        uint32_t *head = model_dma(model, address, 4, "head write-back", queue->index);
        if (head)
            __atomic_store_n(head, next, __ATOMIC_RELEASE);
    } else {
        struct ixgbe_descriptor *ring = queue_ring(model, queue);
        if (!ring)
            return;
        if (queue->receive)
            ring[index].address = value.address;
        __atomic_store_n(&ring[index].word, value.word, __ATOMIC_RELEASE);
    }
    queue->done = next;
    model_queue_cause(model, queue);
}

static void queue_late(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                       struct ixgbe_descriptor value, uint64_t due_ns)
{
    if (model->late.count == IXGBE_MODEL_LATE)
        ixgbe_model_write_back(model);
    model->late.entry[model->late.count++] = (struct ixgbe_model_late){queue, index, value, due_ns};
}

/* Writes back what is due. */
static void queue_write_due(struct ixgbe_model *model, uint64_t now_ns)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model->late.count; i++) {
        struct ixgbe_model_late late = model->late.entry[i];
        if (late.due_ns > now_ns)
            model->late.entry[kept++] = late;
        else
            queue_write_back(model, late.queue, late.index, late.value);
    }
    model->late.count = kept;
}

void ixgbe_model_write_back(struct ixgbe_model *model)
{
    queue_write_due(model, UINT64_MAX);
}

/* The byte of IVAR that tells of this queue's cause, 8.2.3.5.15. */
static uint8_t queue_ivar(const struct ixgbe_model *model, const struct ixgbe_model_queue *queue)
{
    uint32_t ivar = model->reg[IXGBE_IVAR / 4 + queue->index / 2];
    return (uint8_t)(ivar >> (queue->index % 2 * 16 + (queue->receive ? 0 : 8)));
}

void model_queue_cause(struct ixgbe_model *model, const struct ixgbe_model_queue *queue)
{
    uint8_t ivar = queue_ivar(model, queue);
    if (ivar & IXGBE_IVAR_VALID)
        model_interrupt_cause(model, 1u << (ivar & 15));
}

/* 7.2.3.5.1: with WTHRESH, descriptors are written back when there are so many, or when the
 * interrupt's timer has run out. */
static bool queue_hold(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                       struct ixgbe_descriptor value)
{
    uint32_t threshold = TXDCTL_WTHRESH(model_queue_registers(model, queue)[QUEUE_CONTROL]);
    if (queue->receive || !threshold)
        return false;
    uint8_t ivar = queue_ivar(model, queue);
    uint32_t units = ivar & IXGBE_IVAR_VALID ? REG(EITR) >> 3 & 0x1ff : 0;
    if (units)
        units = model->reg[IXGBE_EITR / 4 + (ivar & 15)] >> 3 & 0x1ff;
    queue_late(model, queue, index, value,
               units ? model->now_ns + units * 2048ull : UINT64_MAX); /* 2.048 us at 10 Gb/s */
    if (++queue->unwritten >= threshold) {
        queue->unwritten = 0;
        for (uint32_t i = 0; i < model->late.count; i++)
            if (model->late.entry[i].queue == queue)
                model->late.entry[i].due_ns = model->now_ns;
        queue_write_due(model, model->now_ns);
    }
    return true;
}

void model_give(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                struct ixgbe_descriptor value)
{
    if (!queue->receive)
        value.word |= TX_DD;
    if (model_fault(model, IXGBE_FAULT_LATE))
        queue_late(model, queue, index, value, model->now_ns + MODEL_LATE_US * MODEL_US);
    else if (!queue_hold(model, queue, index, value))
        queue_write_back(model, queue, index, value);
}

void model_queues_tick(struct ixgbe_model *model)
{
    for (unsigned i = 0; i < 2 * IXGBE_MODEL_QUEUES; i++) {
        struct ixgbe_model_queue *queue =
            i < IXGBE_MODEL_QUEUES ? &model->rx[i] : &model->tx[i - IXGBE_MODEL_QUEUES];
        if (queue->enable_ns && model->now_ns >= queue->enable_ns)
            queue_on(model, queue);
        if (queue->enabled && !queue->receive)
            model_transmit(model, queue);
    }
    queue_write_due(model, model->now_ns);
    model_receive_more(model);
}
