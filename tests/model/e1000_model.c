/* A model of the 8254x and 82574L controllers. Section numbers are the 8254x manual's. */
#include "tests/model/e1000_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/e1000/registers.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

enum { MODE_NONE, MODE_RW, MODE_RO, MODE_RC, MODE_S, MODE_C };

static const uint8_t model_mode[E1000_MODEL_BYTES / 4] = {
#define MODEL_MODE(name, offset, count, stride, mode, section) [(offset) / 4] = MODE_##mode,
    E1000_REGISTERS(MODEL_MODE)
#undef MODEL_MODE
};

#define REG(name) (model->reg[E1000_##name / 4])

#define RX_DD_EOP (3ull << 32)
#define RX_DD     (1ull << 32)
#define TX_EOP    (1ull << 24)
#define TX_RS     (1ull << 27)
#define TX_DD     (1ull << 32)

struct model_descriptor {
    uint64_t address, word;
};

static void model_forbid(const struct e1000_model *model, bool broken, const char *rule,
                         uint32_t value)
{
    if (!broken)
        return;
    fprintf(stderr, "e1000 model %04x: %s (%08x)\n", model->device, rule, value);
    abort();
}

/* ---- rings -------------------------------------------------------------------------------- */

enum { RING_BASE, RING_BASE_HIGH, RING_LENGTH, RING_HEAD = 4, RING_TAIL = 6 }; /* words */

static struct model_descriptor *model_descriptor(const uint32_t *ring, uint32_t index)
{
    uint64_t base = (uint64_t)ring[RING_BASE_HIGH] << 32 | ring[RING_BASE];
    return (struct model_descriptor *)(uintptr_t)base + index;
}

/* 13.4.25, 13.4.27: what must hold when a ring is switched on. */
static void model_check_ring(const struct e1000_model *model, const uint32_t *ring)
{
    uint32_t count = ring[RING_LENGTH] / 16;
    model_forbid(model, !ring[RING_BASE] && !ring[RING_BASE_HIGH], "ring enabled without a base",
                 0);
    model_forbid(model, ring[RING_BASE] % 16, "ring base not aligned to 16", ring[RING_BASE]);
    model_forbid(model, !count || ring[RING_LENGTH] % 128, "ring length", ring[RING_LENGTH]);
    model_forbid(model, ring[RING_HEAD] >= count, "ring head outside", ring[RING_HEAD]);
    model_forbid(model, ring[RING_TAIL] >= count, "ring tail outside", ring[RING_TAIL]);
}

/* A new tail hands over the descriptors from the old one on, and must not run past the head. */
static void model_set_tail(struct e1000_model *model, uint32_t *ring, uint32_t tail)
{
    uint32_t count = ring[RING_LENGTH] / 16;
    model_forbid(model, tail > count || (count && tail == count), "tail outside the ring", tail);
    if (count) {
        uint32_t owned = (ring[RING_TAIL] + count - ring[RING_HEAD]) % count;
        uint32_t wanted = (tail + count - ring[RING_HEAD]) % count;
        model_forbid(model, wanted < owned, "tail moved back or past the head", tail);
        for (uint32_t i = ring[RING_TAIL]; i != tail; i = (i + 1) % count) {
            const struct model_descriptor *descriptor = model_descriptor(ring, i);
            model_forbid(model, !descriptor->address, "descriptor without a buffer", i);
            model_forbid(model, descriptor->word & RX_DD, "descriptor handed over as done", i);
        }
    }
    ring[RING_TAIL] = tail;
}

static void model_write_word(struct e1000_model *model, uint64_t *word, uint64_t value)
{
    if (!model->fault.late) {
        *word = value;
        return;
    }
    model_forbid(model, model->pending_count == E1000_MODEL_PENDING, "too much is late", 0);
    model->pending[model->pending_count].word = word;
    model->pending[model->pending_count++].value = value;
}

void e1000_model_write_back(struct e1000_model *model)
{
    for (unsigned i = 0; i < model->pending_count; i++)
        *model->pending[i].word = model->pending[i].value;
    model->pending_count = 0;
}

/* 3.3.3: one frame a descriptor is all the driver uses, and all that is modelled. */
static void model_send(struct e1000_model *model, struct model_descriptor *descriptor)
{
    uint64_t word = descriptor->word;
    uint16_t length = (uint16_t)word;
    model_forbid(model, !(word & TX_EOP), "transmit descriptor without EOP", (uint32_t)word);
    model_forbid(model, length < 17 || length > 1518, "transmit length", length); /* 13.4.33 */
    struct e1000_model_frame *frame = &model->kept[model->sent++ % E1000_MODEL_SENT];
    memset(frame->data, 0, 60);
    memcpy(frame->data, (const void *)(uintptr_t)descriptor->address, length);
    frame->length = length < 60 && REG(TCTL) & E1000_TCTL_PSP ? 60 : length;
    if (word & TX_RS)
        model_write_word(model, &descriptor->word, word | TX_DD);
}

static void model_transmit(struct e1000_model *model)
{
    uint32_t *ring = &REG(TDBAL);
    if (!(REG(TCTL) & E1000_TCTL_EN) || !model->link)
        return;
    while (ring[RING_HEAD] != ring[RING_TAIL]) {
        model_send(model, model_descriptor(ring, ring[RING_HEAD]));
        ring[RING_HEAD] = (ring[RING_HEAD] + 1) % (ring[RING_LENGTH] / 16);
    }
}

/* 13.5.2, 13.5.3: unicast and group addresses alike. */
static bool model_in_addresses(const struct e1000_model *model, const uint8_t *to)
{
    uint32_t low = to[0] | to[1] << 8 | to[2] << 16 | (uint32_t)to[3] << 24;
    uint32_t high = to[4] | to[5] << 8 | E1000_RAH_AV;
    for (unsigned i = 0; i < E1000_RA_ENTRIES; i++) {
        const uint32_t *entry = &REG(RAL) + 2 * i;
        if (entry[0] == low && (entry[1] & (E1000_RAH_AV | 0xffff)) == high)
            return true;
    }
    return false;
}

/* 13.5.1: twelve of the address's 48 bits, of which the last byte holds the highest, from where
 * RCTL.MO says: bit 36, 35, 34 or 32. */
static bool model_in_multicast(const struct e1000_model *model, const uint8_t *to)
{
    static const uint8_t shift[4] = {4, 3, 2, 0};
    unsigned hash = (to[4] | to[5] << 8) >> shift[E1000_RCTL_MO(REG(RCTL))] & 0xfff;
    return (&REG(MTA))[hash / 32] >> hash % 32 & 1;
}

/* 13.4.22: a frame is received when any of the filters that are on passes it. */
static bool model_wanted(const struct e1000_model *model, const uint8_t *to)
{
    if (model_in_addresses(model, to))
        return true;
    if (!(to[0] & 1))
        return REG(RCTL) & E1000_RCTL_UPE;
    if (memcmp(to, BROADCAST, 6) == 0 && REG(RCTL) & E1000_RCTL_BAM)
        return true;
    return REG(RCTL) & E1000_RCTL_MPE || model_in_multicast(model, to);
}

bool e1000_model_inject(struct e1000_model *model, const void *data, size_t length)
{
    uint32_t *ring = &REG(RDBAL);
    if (model->fault.gone || !model->link || !(REG(RCTL) & E1000_RCTL_EN))
        return false;
    if (!model_wanted(model, data) || length > (REG(RCTL) & E1000_RCTL_SECRC ? 1518 : 1514)) {
        model->filtered++;
        return false;
    }
    if (ring[RING_HEAD] == ring[RING_TAIL]) {
        model->missed++;
        REG(MPC)++;
        REG(ICR) |= E1000_ICR_RXO;
        return false;
    }
    struct model_descriptor *descriptor = model_descriptor(ring, ring[RING_HEAD]);
    uint8_t *buffer = (uint8_t *)(uintptr_t)descriptor->address;
    memcpy(buffer, data, length);
    if (length < 60) {
        memset(buffer + length, 0, 60 - length); /* it was padded before it was on the wire */
        length = 60;
    }
    uint64_t word = length | RX_DD_EOP;
    word = (word & ~model->fault.receive_clear) | model->fault.receive_or;
    model_write_word(model, &descriptor->word, word);
    ring[RING_HEAD] = (ring[RING_HEAD] + 1) % (ring[RING_LENGTH] / 16);
    REG(ICR) |= E1000_ICR_RXT0;
    model->received++;
    return true;
}

const struct e1000_model_frame *e1000_model_sent(struct e1000_model *model)
{
    if (model->sent_taken == model->sent)
        return NULL;
    return &model->kept[model->sent_taken++ % E1000_MODEL_SENT];
}

/* ---- registers ---------------------------------------------------------------------------- */

/* 13.4.1: everything to its initial value, the MAC address and the like from the EEPROM. */
static void model_reset(struct e1000_model *model)
{
    memset(model->reg, 0, sizeof model->reg);
    REG(CTRL) =
        E1000_CTRL_VME | E1000_CTRL_ILOS; /* bits an EEPROM can set, for software to clear */
    REG(EECD) = model->pcie ? E1000_EECD_AUTO_RD : 0;
    REG(RAL) = model->eeprom[0] | (uint32_t)model->eeprom[1] << 16;
    REG(RAH) = model->eeprom[2] | E1000_RAH_AV;
    REG(RXCSUM) = 0x300;
    REG(ICR) = E1000_ICR_LSC;
    model->pending_count = 0;
    model->reset_ns = arch_clock_ns();
    model->reset_done = true;
}

static uint32_t model_status(const struct e1000_model *model)
{
    bool master = !(REG(CTRL) & E1000_CTRL_MASTER_DISABLE) || model->fault.stuck_master;
    bool up = model->link && REG(CTRL) & E1000_CTRL_SLU;
    return (up ? E1000_STATUS_LU : 0) | model->speed << 6 | (master ? E1000_STATUS_MASTER : 0);
}

/* 5.3.1, and 82574 10.2.2.4 for its other layout. */
static uint32_t model_read_eerd(struct e1000_model *model)
{
    uint32_t value = REG(EERD), index = model->pcie ? value >> 2 & 0x3fff : value >> 8 & 0xff;
    if (!(value & E1000_EERD_START) || model->fault.eeprom_silent)
        return value;
    if (model->eerd_busy && model->eerd_busy--)
        return value;
    model_forbid(model, index >= E1000_EEPROM_WORDS, "EEPROM address", index);
    return index << (model->pcie ? 2 : 8) | (model->pcie ? 1u << 1 : 1u << 4) |
           (uint32_t)model->eeprom[index] << 16;
}

static bool model_in_table(uint32_t offset)
{
    return (offset >= E1000_MTA && offset < E1000_MTA + 4 * E1000_MTA_WORDS) ||
           (offset >= E1000_RAL && offset < E1000_RAL + 8 * E1000_RA_ENTRIES);
}

static unsigned model_access(const struct e1000_model *model, uint32_t offset)
{
    model_forbid(model, offset % 4 || offset >= E1000_MODEL_BYTES, "register offset", offset);
    unsigned mode = model_in_table(offset) ? MODE_RW : model_mode[offset / 4];
    model_forbid(model, mode == MODE_NONE, "register not in the table", offset);
    model_forbid(model, model->reset_done && arch_clock_ns() < model->reset_ns + 1000,
                 "touched within 1 us of a reset", offset);
    return mode;
}

static uint32_t model_read32(void *argument, uint32_t offset)
{
    struct e1000_model *model = argument;
    unsigned mode = model_access(model, offset);
    model->register_reads++;
    if (model->fault.gone)
        return UINT32_MAX;
    if (offset == E1000_STATUS)
        return model_status(model);
    if (offset == E1000_EERD)
        return model_read_eerd(model);
    uint32_t value = model->reg[offset / 4];
    if (mode == MODE_RC)
        model->reg[offset / 4] = 0;
    return value;
}

static void model_write_control(struct e1000_model *model, uint32_t value)
{
    if (value & E1000_CTRL_RST) {
        model_forbid(model,
                     model->pcie && model_status(model) & E1000_STATUS_MASTER &&
                         !model->fault.stuck_master,
                     "reset with requests under way", value);
        model_reset(model);
        if (model->fault.stuck_reset)
            REG(CTRL) |= E1000_CTRL_RST;
        return;
    }
    REG(CTRL) = value;
}

static void model_write32(void *argument, uint32_t offset, uint32_t value)
{
    struct e1000_model *model = argument;
    unsigned mode = model_access(model, offset);
    if (model->fault.gone)
        return;
    model_forbid(model, mode == MODE_RO || mode == MODE_RC, "write to a read-only register",
                 offset);
    switch (offset) {
    case E1000_CTRL:
        model_write_control(model, value);
        return;
    case E1000_IMS:
        REG(IMS) |= value;
        return;
    case E1000_IMC:
        REG(IMS) &= ~value;
        return;
    case E1000_RDT:
        model->receive_tails++;
        model_set_tail(model, &REG(RDBAL), value);
        return;
    case E1000_TDT:
        model->transmit_tails++;
        model_set_tail(model, &REG(TDBAL), value);
        model_transmit(model);
        return;
    case E1000_EERD:
        model->eerd_busy = 2;
        break;
    case E1000_RCTL:
        model->receive_controls++;
        if (value & E1000_RCTL_EN)
            model_check_ring(model, &REG(RDBAL));
        break;
    case E1000_TCTL:
        if (value & E1000_TCTL_EN)
            model_check_ring(model, &REG(TDBAL));
        break;
    default:
        break;
    }
    model->reg[offset / 4] = value;
}

static const struct arch_model_ops model_ops = {model_read32, model_write32};

/* ---- set-up ------------------------------------------------------------------------------- */

void e1000_model_fix_eeprom(struct e1000_model *model)
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < E1000_EEPROM_WORDS - 1; i++)
        sum = (uint16_t)(sum + model->eeprom[i]);
    model->eeprom[E1000_EEPROM_WORDS - 1] = (uint16_t)(E1000_EEPROM_SUM - sum);
}

void e1000_model_start(struct e1000_model *model, uint16_t device, const uint8_t mac[6])
{
    memset(model, 0, sizeof *model);
    model->ops = &model_ops;
    model->device = device;
    model->pcie = device == 0x10d3;
    model->link = true;
    model->speed = 2;
    for (unsigned i = 0; i < 3; i++)
        model->eeprom[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
    model->eeprom[0x0d] = device;
    e1000_model_fix_eeprom(model);
    model_reset(model);
    model->reset_done = false; /* power-on was long ago */
}

void e1000_model_add(struct e1000_model *model, unsigned slot)
{
    struct arch_device device = {
        .bus = ARCH_BUS_PCI,
        .vendor = 0x8086,
        .device = model->device,
        .class_code = 2,
        .address = (uint16_t)(slot << 3),
        .region[0] = {.address = 0xfeb00000 + slot * E1000_MODEL_BYTES, .bytes = E1000_MODEL_BYTES},
        .machine = model,
    };
    snprintf(device.name, sizeof device.name, "pci 00:%02x.0", slot);
    sim_add_device(&device);
}

void e1000_model_link(struct e1000_model *model, bool up)
{
    model->link = up;
    REG(ICR) |= E1000_ICR_LSC;
    model_transmit(model);
}

uint32_t e1000_model_interrupt(const struct e1000_model *model)
{
    return REG(ICR) & REG(IMS);
}
