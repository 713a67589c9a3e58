/* The 82599 model's way out: transmit descriptors, contexts, and what is put into frames. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum { CRC_BYTES = 4, VLAN_BYTES = 4, MINIMUM = 60, SHORTEST = 17 /* 7.2.1.1 */ };

/* Bits of the word, legacy (7.2.3.2.2) and advanced (7.2.3.2.4). */
#define TX_EOP       (1ull << 24)
#define TX_IFCS      (1ull << 25)
#define TX_IC        (1ull << 26) /* legacy: insert a checksum */
#define TX_RS        (1ull << 27)
#define TX_DEXT      (1ull << 29)
#define TX_VLE       (1ull << 30)
#define TX_TSE       (1ull << 31)
#define TX_IXSM      (1ull << 40)
#define TX_TXSM      (1ull << 41)
#define TX_TYPE(w)   ((w) >> 20 & 15)
#define TX_INDEX(w)  ((w) >> 36 & 1)
#define TX_PAYLEN(w) ((uint32_t)((w) >> 46))
enum { TYPE_CONTEXT = 2, TYPE_DATA = 3 };

/* A context, 7.2.3.2.3. */
#define CONTEXT_IPLEN(c)  ((unsigned)(c)->address & 0x1ff)
#define CONTEXT_MACLEN(c) ((unsigned)((c)->address >> 9) & 0x7f)
#define CONTEXT_TAG(c)    ((uint16_t)((c)->address >> 16))
#define CONTEXT_IPV4(c)   ((c)->word >> 10 & 1)
#define CONTEXT_L4T(c)    ((unsigned)((c)->word >> 11) & 3)
enum { L4T_UDP, L4T_TCP, L4T_SCTP };

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* ---- checksums and tags ------------------------------------------------------------------- */

/* 7.2.5.3: from CSS to the end, put at CSO. */
static void insert_legacy_sum(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    uint64_t word = queue->first.word;
    unsigned from = word >> 40 & 0xff, to = word >> 16 & 0xff;
    if (model_forbid(model, from >= queue->length || to + 2 > queue->length, "7.2.5.3",
                     "transmit queue %u: CSS %u or CSO %u outside a frame of %u", queue->index,
                     from, to, queue->length))
        return;
    uint32_t sum = model_sum(queue->frame + from, queue->length - from, 0);
    put16(queue->frame + to, (uint16_t)~model_fold(sum));
}

/* 7.2.5.1, 7.2.5.2: software has put the pseudo header's sum where the checksum goes. */
static void insert_sums(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                        const struct ixgbe_descriptor *context)
{
    unsigned l3 = CONTEXT_MACLEN(context), l4 = l3 + CONTEXT_IPLEN(context);
    unsigned kind = CONTEXT_L4T(context), at = l4 + (kind == L4T_TCP ? 16 : 6);
    uint64_t word = queue->first.word;
    if (model_forbid(model, l3 < 14 || l4 > queue->length || l4 - l3 < 20, "7.2.3.2.3",
                     "transmit queue %u: MACLEN %u or IPLEN %u does not fit a frame of %u",
                     queue->index, l3, l4 - l3, queue->length))
        return;
    if (word & TX_IXSM &&
        !model_forbid(model, !CONTEXT_IPV4(context), "7.2.5.1",
                      "transmit queue %u: POPTS.IXSM without TUCMD.IPV4 (%016llx)", queue->index,
                      (unsigned long long)context->word)) {
        put16(queue->frame + l3 + 10, 0);
        put16(queue->frame + l3 + 10,
              (uint16_t)~model_fold(model_sum(queue->frame + l3, l4 - l3, 0)));
    }
    if (!(word & TX_TXSM) ||
        model_forbid(model, kind > L4T_TCP || at + 2 > queue->length, "7.2.5.2",
                     "transmit queue %u: POPTS.TXSM with L4T %u, checksum at %u of %u",
                     queue->index, kind, at, queue->length))
        return;
    uint16_t sum = (uint16_t)~model_fold(model_sum(queue->frame + l4, queue->length - l4, 0));
    put16(queue->frame + at, kind == L4T_UDP && sum == 0 ? 0xffff : sum);
}

static void insert_tag(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint16_t tag)
{
    memmove(queue->frame + 12 + VLAN_BYTES, queue->frame + 12, queue->length - 12);
    put16(queue->frame + 12, (uint16_t)(REG(DMATXCTL) >> 16));
    put16(queue->frame + 14, tag);
    queue->length += VLAN_BYTES;
}

static void offload_advanced(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    uint64_t word = queue->first.word;
    unsigned index = (unsigned)TX_INDEX(word);
    const struct ixgbe_descriptor *context = &queue->context[index];
    model_forbid(model, TX_PAYLEN(word) != queue->length, "7.2.3.2.4",
                 "transmit queue %u: PAYLEN %u of a frame of %u bytes", queue->index,
                 TX_PAYLEN(word), queue->length);
    if (!(word & (TX_IXSM | TX_TXSM | TX_VLE)) ||
        model_forbid(model, !queue->context_set[index], "7.2.3.2.3",
                     "transmit queue %u: context %u is used and was never set", queue->index,
                     index))
        return;
    if (word & (TX_IXSM | TX_TXSM))
        insert_sums(model, queue, context);
    if (word & TX_VLE)
        insert_tag(model, queue, CONTEXT_TAG(context));
}

/* ---- frames ------------------------------------------------------------------------------- */

static void send_frame(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    uint64_t word = queue->first.word;
    if (model_forbid(model, queue->length < SHORTEST, "7.2.1.1",
                     "transmit queue %u: frame of %u bytes, fewer than 17", queue->index,
                     queue->length))
        return;
    if (word & TX_DEXT) {
        offload_advanced(model, queue);
    } else {
        if (word & TX_IC)
            insert_legacy_sum(model, queue);
        if (word & TX_VLE)
            insert_tag(model, queue, (uint16_t)(word >> 48));
    }
    model_forbid(model, !(word & TX_IFCS), "7.2.3.2.4",
                 "transmit queue %u: frame without IFCS (%016llx)", queue->index,
                 (unsigned long long)word);
    if (queue->length < MINIMUM && REG(HLREG0) & IXGBE_HLREG0_TXPADEN) {
        memset(queue->frame + queue->length, 0, MINIMUM - queue->length);
        queue->length = MINIMUM;
    }
    model->sent++;
    queue->frames++;
    model_count_frame(model, MODEL_OUT, queue->frame, queue->length);
    model_count_queue(model, MODEL_OUT, queue->index, queue->length);
    if (REG(HLREG0) & IXGBE_HLREG0_LPBK)
        ixgbe_model_receive(model, queue->frame, queue->length);
    else
        model->host.send(model->host.argument, queue->frame, queue->length);
}

static void add_buffer(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                       const struct ixgbe_descriptor *descriptor)
{
    uint64_t word = descriptor->word;
    uint32_t length = word & 0xffff, room = IXGBE_MODEL_FRAME - VLAN_BYTES - queue->length;
    if (queue->buffers++ == 0)
        queue->first = *descriptor;
    model_forbid(model, word & TX_DEXT && word & TX_TSE, "7.2.4",
                 "descriptor %u of transmit queue %u: TSE is not modelled", index, queue->index);
    if (model_forbid(model, !length || !descriptor->address, "7.2.3.2.4",
                     "descriptor %u of transmit queue %u: length %u at %llx", index, queue->index,
                     length, (unsigned long long)descriptor->address) ||
        model_forbid(model, length > room, "7.2.1.1",
                     "descriptor %u of transmit queue %u: the frame is longer than %u", index,
                     queue->index, IXGBE_MODEL_FRAME))
        return;
    const uint8_t *buffer = model_dma(model, descriptor->address, length, "transmit buffer", index);
    if (buffer)
        memcpy(queue->frame + queue->length, buffer, length);
    queue->length += buffer ? length : 0;
}

/* 7.2.3.2.3: a context lies before a frame's descriptors, never between them. */
static void set_context(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                        const struct ixgbe_descriptor *descriptor)
{
    model_forbid(model, queue->buffers, "7.2.3.2.3",
                 "descriptor %u of transmit queue %u: a context within a frame", index,
                 queue->index);
    unsigned slot = (unsigned)TX_INDEX(descriptor->word);
    queue->context[slot] = *descriptor;
    queue->context_set[slot] = true;
}

static void transmit_one(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    uint32_t index;
    struct ixgbe_descriptor descriptor = model_take(model, queue, &index);
    uint64_t word = descriptor.word;
    bool context = word & TX_DEXT && TX_TYPE(word) == TYPE_CONTEXT;
    model_forbid(model, word & TX_DEXT && !context && TX_TYPE(word) != TYPE_DATA, "7.2.3.2.4",
                 "descriptor %u of transmit queue %u: DTYP %u", index, queue->index,
                 (unsigned)TX_TYPE(word));
    if (context) {
        set_context(model, queue, index, &descriptor);
    } else {
        add_buffer(model, queue, index, &descriptor);
        if (word & TX_EOP) {
            send_frame(model, queue);
            queue->length = queue->buffers = 0;
        }
    }
    if (word & TX_RS)
        model_give(model, queue, index, descriptor);
}

void model_transmit(struct ixgbe_model *model, struct ixgbe_model_queue *queue)
{
    bool on = REG(DMATXCTL) & IXGBE_DMATXCTL_TE && !(REG(RTTDCS) & IXGBE_RTTDCS_ARBDIS);
    while (on && model->link && model_available(model, queue))
        transmit_one(model, queue);
}
