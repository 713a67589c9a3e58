/* The 82599 model's way in: filters, the packet buffer, and receive descriptors. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum { CRC_BYTES = 4, VLAN_BYTES = 4, MINIMUM = 60, MAXIMUM = 1518 };

/* Bits of the status of a received frame, 7.1.6.2, the same in legacy descriptors up to PIF. */
enum {
    STATUS_DD = 1 << 0,
    STATUS_EOP = 1 << 1,
    STATUS_VP = 1 << 3,
    STATUS_UDPCS = 1 << 4,
    STATUS_L4CS = 1 << 5,
    STATUS_IPCS = 1 << 6,
    STATUS_PIF = 1 << 7,
    STATUS_UDPV = 1 << 10,
    ERROR_RXE = 1 << 9, /* of the 12 bits of errors */
    ERROR_TCPE = 1 << 10,
    ERROR_IPE = 1 << 11,
};

/* What a frame's descriptors say. */
struct reception {
    struct ixgbe_model_queue *queue;
    uint32_t hash;
    unsigned rss_type, packet_type;
    uint32_t status, errors; /* of the last descriptor */
    uint16_t tag;
    bool ip_checked, l4_checked;
};

/* ---- filters ------------------------------------------------------------------------------ */

static bool in_addresses(const struct ixgbe_model *model, const uint8_t *to)
{
    uint32_t low = to[0] | to[1] << 8 | to[2] << 16 | (uint32_t)to[3] << 24;
    uint32_t high = to[4] | to[5] << 8 | IXGBE_RAH_AV;
    for (unsigned i = 0; i < IXGBE_RA_ENTRIES; i++)
        if (model->reg[IXGBE_RAL / 4 + 2 * i] == low &&
            (model->reg[IXGBE_RAH / 4 + 2 * i] & (IXGBE_RAH_AV | 0xffff)) == high)
            return true;
    return false;
}

/* 7.1.1.1.3: twelve of the address's 48 bits, from bit 36, 35, 34 or 32 on. */
static bool in_multicast(const struct ixgbe_model *model, const uint8_t *to)
{
    static const uint8_t shift[4] = {4, 3, 2, 0};
    if (!(REG(MCSTCTRL) & IXGBE_MCSTCTRL_MFE))
        return false;
    unsigned hash = (to[4] | to[5] << 8) >> shift[IXGBE_MCSTCTRL_MO(REG(MCSTCTRL))] & 0xfff;
    return model->reg[IXGBE_MTA / 4 + hash / 32] >> hash % 32 & 1;
}

/* 7.1.1.1, figure: whether the frame is for this host; *inexact: found by a filter that may err. */
static bool is_wanted(const struct ixgbe_model *model, const uint8_t *to, bool *inexact)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t fctrl = REG(FCTRL);
    *inexact = false;
    if (in_addresses(model, to))
        return true;
    if (memcmp(to, broadcast, 6) == 0)
        return fctrl & IXGBE_FCTRL_BAM;
    *inexact = true;
    if (!(to[0] & 1))
        return fctrl & IXGBE_FCTRL_UPE;
    return fctrl & IXGBE_FCTRL_MPE || in_multicast(model, to);
}

static bool is_vlan_wanted(const struct ixgbe_model *model, const struct model_headers *headers)
{
    unsigned id = headers->tag & 0xfff;
    if (!headers->vlan || !(REG(VLNCTRL) & IXGBE_VLNCTRL_VFE))
        return true;
    return model->reg[IXGBE_VFTA / 4 + id / 32] >> id % 32 & 1;
}

/* 8.2.3.22.13: the CRC counts, a VLAN tag does not. */
static bool is_too_long(const struct ixgbe_model *model, size_t length, bool vlan)
{
    size_t most = REG(HLREG0) & IXGBE_HLREG0_JUMBOEN ? REG(MAXFRS) >> IXGBE_MAXFRS_SHIFT : MAXIMUM;
    return length + CRC_BYTES > most + (vlan ? VLAN_BYTES : 0);
}

/* ---- descriptors -------------------------------------------------------------------------- */

static void reception_see(struct ixgbe_model *model, struct reception *reception,
                          const uint8_t *frame, size_t length)
{
    struct model_headers headers;
    bool inexact;
    *reception = (struct reception){.status = STATUS_DD | STATUS_EOP};
    model_headers(frame, length, (uint16_t)REG(VLNCTRL), &headers);
    reception->rss_type = model_rss(model, frame, &headers, &reception->hash);
    unsigned entry = reception->hash & 127;
    unsigned queue = model->reg[IXGBE_RETA / 4 + entry / 4] >> entry % 4 * 8 & 15;
    reception->queue = &model->rx[reception->rss_type ? queue : 0];
    if (!(REG(RXCSUM) & IXGBE_RXCSUM_PCSD)) /* its place is another's: a fragment's sum */
        reception->hash = reception->rss_type = 0;
    reception->packet_type = headers.type;
    reception->ip_checked = headers.ip_checked;
    reception->l4_checked = headers.l4_checked;
    if (headers.ip_checked)
        reception->status |= STATUS_IPCS;
    if (headers.l4_checked)
        reception->status |= STATUS_L4CS;
    if (headers.l4_checked && headers.type & HEADER_UDP)
        reception->status |= STATUS_UDPCS | STATUS_UDPV;
    reception->errors = (headers.ip_checked && !headers.ip_good ? ERROR_IPE : 0) |
                        (headers.l4_checked && !headers.l4_good ? ERROR_TCPE : 0);
    is_wanted(model, frame, &inexact);
    if (inexact)
        reception->status |= STATUS_PIF;
    const uint32_t *reg = model_queue_registers(model, reception->queue);
    if (headers.vlan && reg[QUEUE_CONTROL] & IXGBE_RXDCTL_VME) {
        reception->status |= STATUS_VP;
        reception->tag = headers.tag;
    }
}

/* The faults that a test asked for. */
static void reception_spoil(struct ixgbe_model *model, struct reception *reception)
{
    bool checked = reception->ip_checked || reception->l4_checked;
    if (checked && model_fault(model, IXGBE_FAULT_BAD_CHECKSUM))
        reception->errors |=
            (reception->ip_checked ? ERROR_IPE : 0) | (reception->l4_checked ? ERROR_TCPE : 0);
    if (model_fault(model, IXGBE_FAULT_RECEIVE_ERROR))
        reception->errors |= ERROR_RXE;
    if (model_fault(model, IXGBE_FAULT_NO_END))
        reception->status &= ~(uint32_t)STATUS_EOP;
    REG(XEC) += (reception->errors & (ERROR_IPE | ERROR_TCPE)) != 0;
}

/* 7.1.5: the first byte of errors is the last of the advanced ones', RXE being its lowest bit. */
static struct ixgbe_descriptor legacy_descriptor(const struct reception *reception,
                                                 uint64_t address, uint32_t length, bool last)
{
    uint64_t errors = (reception->errors & (ERROR_TCPE | ERROR_IPE)) >> 4 |
                      (reception->errors & ERROR_RXE ? 1 : 0);
    uint64_t status = last ? (reception->status & 0xff) | errors << 8 : STATUS_DD;
    uint64_t tag = last ? reception->tag : 0;
    return (struct ixgbe_descriptor){address, tag << 48 | status << 32 | length};
}

static struct ixgbe_descriptor advanced_descriptor(const struct reception *reception,
                                                   uint32_t length, bool last)
{
    if (!last)
        return (struct ixgbe_descriptor){0, (uint64_t)length << 32 | STATUS_DD};
    return (struct ixgbe_descriptor){
        (uint64_t)reception->hash << 32 | reception->packet_type << 4 | reception->rss_type,
        (uint64_t)reception->tag << 48 | (uint64_t)length << 32 |
            (uint64_t)reception->errors << 20 | reception->status,
    };
}

static void reception_give(struct ixgbe_model *model, const struct reception *reception,
                           const uint8_t *data, size_t length)
{
    struct ixgbe_model_queue *queue = reception->queue;
    uint32_t srrctl = model_queue_registers(model, queue)[QUEUE_SRRCTL];
    uint32_t room = (srrctl & 0x1f) << 10;
    for (size_t at = 0; at < length;) {
        uint32_t index, piece = length - at < room ? (uint32_t)(length - at) : room;
        struct ixgbe_descriptor taken = model_take(model, queue, &index);
        uint8_t *buffer = model_dma(model, taken.address, room, "receive buffer", index);
        if (buffer)
            memcpy(buffer, data + at, piece);
        at += piece;
        bool last = at == length;
        uint32_t said = last && model_fault(model, IXGBE_FAULT_BAD_LENGTH) ? 0xffff : piece;
        model_give(model, queue, index,
                   IXGBE_SRRCTL_DESCTYPE(srrctl) == 0
                       ? legacy_descriptor(reception, taken.address, said, last)
                       : advanced_descriptor(reception, said, last));
    }
}

/* ---- the packet buffer -------------------------------------------------------------------- */

static void buffer_copy_out(const struct ixgbe_model *model, uint32_t from, void *to,
                            uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = model->buffer.data[(from + i) % IXGBE_MODEL_BUFFER];
}

static void buffer_copy_in(struct ixgbe_model *model, const void *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        model->buffer.data[(model->buffer.head + model->buffer.bytes + i) % IXGBE_MODEL_BUFFER] =
            ((const uint8_t *)from)[i];
    model->buffer.bytes += bytes;
}

static void buffer_drop(struct ixgbe_model *model, uint32_t length)
{
    uint32_t bytes = (uint32_t)sizeof length + length;
    model->buffer.head = (model->buffer.head + bytes) % IXGBE_MODEL_BUFFER;
    model->buffer.bytes -= bytes;
    model->buffer.frames--;
}

static uint32_t crc32(const uint8_t *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The bytes as they come to memory: without the tag, with the CRC, as registers say. */
static uint32_t reception_trim(const struct ixgbe_model *model, const struct reception *reception,
                               uint8_t *frame, uint32_t length)
{
    if (!(REG(HLREG0) & IXGBE_HLREG0_RXCRCSTRP)) {
        uint32_t crc = crc32(frame, length);
        memcpy(frame + length, &crc, CRC_BYTES);
        length += CRC_BYTES;
    }
    if (reception->status & STATUS_VP) {
        memmove(frame + 12, frame + 12 + VLAN_BYTES, length - 12 - VLAN_BYTES);
        length -= VLAN_BYTES;
    }
    return length;
}

/* The oldest frame goes to its queue. False: it waits, and all behind it do (7.1.10: a queue
 * without SRRCTL.DROP_EN and without descriptors holds up all). */
static bool buffer_move_one(struct ixgbe_model *model)
{
    static uint8_t frame[IXGBE_MODEL_FRAME + CRC_BYTES];
    struct reception reception;
    uint32_t length;
    buffer_copy_out(model, model->buffer.head, &length, sizeof length);
    buffer_copy_out(model, model->buffer.head + (uint32_t)sizeof length, frame, length);
    reception_see(model, &reception, frame, length);
    struct ixgbe_model_queue *queue = reception.queue;
    uint32_t trimmed = reception_trim(model, &reception, frame, length);
    uint32_t srrctl = model_queue_registers(model, queue)[QUEUE_SRRCTL];
    uint32_t room = (srrctl & 0x1f) << 10;
    if (!room || model_available(model, queue) < (trimmed + room - 1) / room) {
        if (!(srrctl & IXGBE_SRRCTL_DROP_EN) && queue->enabled)
            return false;
        model->missed++;
        model->reg[(IXGBE_QPRDC + queue->index * IXGBE_QUEUE_STRIDE) / 4]++;
        buffer_drop(model, length);
        return true;
    }
    buffer_drop(model, length);
    reception_spoil(model, &reception);
    model->received++;
    queue->frames++;
    model_count_queue(model, MODEL_IN, queue->index, length);
    reception_give(model, &reception, frame, trimmed);
    return true;
}

void model_receive_more(struct ixgbe_model *model)
{
    while (model->buffer.frames && buffer_move_one(model))
        ;
}

bool ixgbe_model_listens(const struct ixgbe_model *model)
{
    return !model->fault[IXGBE_FAULT_GONE] && model->link && REG(RXCTRL) & IXGBE_RXCTRL_RXEN &&
           !(REG(SECRXCTRL) & IXGBE_SECRXCTRL_RX_DIS);
}

bool ixgbe_model_receive(struct ixgbe_model *model, const void *data, size_t length)
{
    static uint8_t frame[IXGBE_MODEL_FRAME];
    struct model_headers headers;
    bool inexact;
    if (!ixgbe_model_listens(model) || length < 14 || length > sizeof frame)
        return false;
    memset(frame, 0, MINIMUM); /* it was padded before it was on the wire */
    memcpy(frame, data, length);
    uint32_t bytes = length < MINIMUM ? MINIMUM : (uint32_t)length;
    model_headers(frame, bytes, (uint16_t)REG(VLNCTRL), &headers);
    model_count_seen(model, bytes);
    if (is_too_long(model, bytes, headers.vlan)) {
        REG(ROC)++;
        model->filtered++;
        return false;
    }
    if (!is_wanted(model, frame, &inexact) || !is_vlan_wanted(model, &headers)) {
        model->filtered++;
        return false;
    }
    uint32_t room = REG(RXPBSIZE) & 0x000ffc00;
    if (room > IXGBE_MODEL_BUFFER)
        room = IXGBE_MODEL_BUFFER;
    if (model->buffer.bytes + bytes + sizeof bytes > room) {
        model->missed++;
        REG(RXMPC)++;
        model_interrupt_cause(model, IXGBE_EICR_RX_MISS);
        return false;
    }
    model_count_frame(model, MODEL_IN, frame, bytes);
    buffer_copy_in(model, &bytes, sizeof bytes);
    buffer_copy_in(model, frame, bytes);
    model->buffer.frames++;
    model_receive_more(model);
    return true;
}
