/* The driver for Intel 82599, X520 and X540 10-gigabit controllers: probe, and what it does while
 * it runs. docs/ixgbe.md is for who has one; the fast path is drivers/intel/ring.h. */
#include "drivers/ixgbe/ixgbe.h"

#include <stdio.h>

#include "drivers/ixgbe/ids.h"
#include "drivers/ixgbe/ixgbe_parts.h"
#include "kernel/core.h"

enum {
    IXGBE_STATISTICS_MS = 100, /* slow reads: not at every interrupt */
    IXGBE_STUCK_MS = 2000,     /* more than a full packet buffer takes at 100 Mb/s */
};

static const struct ixgbe_chip ixgbe_chips[] = {
#define IXGBE_CHIP(device, media, name) {device, IXGBE_##media, name},
    IXGBE_IDS(IXGBE_CHIP)};

/* Advanced descriptors (DS 7.1.6.2, 7.2.3.2.4). The FCS and the padding are the device's to add.
 * Nothing is offloaded: what the kernel sends has its checksums, updated rather than summed up. */
static const struct intel_format ixgbe_format = {
    .done = 1u << 0,
    .end = 1u << 1,
    .broken = 1u << 29,   /* RXE: CRC, symbol, length; such frames come only with FCTRL.SBP */
    .doubtful = 3u << 30, /* L4E, IPE; L4E is also set by good UDP without a checksum */
    .checked = 1u << 5,   /* L4I */
    .checked_move = INTEL_SEEN_CHECKED - 5,
    .length_shift = 32,
    .send = INTEL_TX_EOP | INTEL_TX_IFCS | 1u << 29 /* DEXT */ | 3u << 20 /* data */,
    .length = 1 | 1ull << 46 /* PAYLEN */,
};

/* Statistics registers that have a counter each. */
static const struct {
    uint16_t offset;
    const char *name, *help;
} ixgbe_counts[IXGBE_COUNTS] = {
    {IXGBE_XEC, "rx_checksum_bad", "frames with a checksum the device finds wrong"},
    {IXGBE_GPRC, "rx_good_on_wire", "good frames the device has seen"},
    {IXGBE_GPTC, "tx_good_on_wire", "frames the device has sent"},
    {IXGBE_MLFC, "link_faults", "faults of the device's own MAC"},
    {IXGBE_MRFC, "link_faults_of_peer", "faults that the peer's MAC told of"},
};

static const struct ixgbe_chip *ixgbe_chip_of(const struct arch_device *device)
{
    return intel_chip(device, ixgbe_chips, sizeof ixgbe_chips / sizeof ixgbe_chips[0],
                      sizeof ixgbe_chips[0]);
}

static bool ixgbe_match(const struct arch_device *device)
{
    return ixgbe_chip_of(device) != NULL;
}

/* ---- probe ----------------------------------------------------------------------------------- */

static int ixgbe_create(struct nic *nic, const struct ixgbe_chip *chip)
{
    unsigned pairs = nic->core->nic_queues ? nic->core->nic_queues : 1;
    struct ixgbe *self =
        arch_memory_take(sizeof *self + pairs * sizeof self->pair[0], 64 /* a cache line */);
    if (!self) {
        nic_log(nic, LOG_ERROR, "no memory for the driver of %s", nic->device->name);
        return ERR_NO_MEMORY;
    }
    nic->driver_state = self;
    self->chip = chip;
    self->pairs = pairs;
    return 0;
}

static int ixgbe_create_pairs(struct nic *nic, struct ixgbe *self)
{
    int error = 0;
    for (unsigned i = 0; i < self->pairs && error == 0; i++) {
        uint32_t at = IXGBE_QUEUE_STRIDE * i;
        error = intel_pair_create(nic, &self->pair[i], self->device.mmio, IXGBE_RDT + at,
                                  IXGBE_TDT + at);
    }
    return error;
}

/* The frames of a device that is reset are nobody else's any more. */
static int ixgbe_down(struct nic *nic, struct ixgbe *self)
{
    int error = self->device.gone ? ERR_DEVICE : ixgbe_reset(self);
    for (unsigned i = 0; i < self->pairs; i++)
        intel_pair_empty(nic, &self->pair[i]);
    return error;
}

/* From reset to running. */
static int ixgbe_up(struct nic *nic, struct ixgbe *self)
{
    int error = 0;
    for (unsigned i = 0; i < self->pairs && error == 0; i++)
        error = intel_receive_fill(nic, &self->pair[i].receive);
    if (error == 0)
        error = ixgbe_start(self);
    if (error < 0)
        ixgbe_down(nic, self);
    else
        ixgbe_link_start(self);
    return error;
}

static void ixgbe_count_start(struct nic *nic, struct ixgbe *self)
{
    char name[32];
    for (unsigned i = 0; i < IXGBE_COUNTS; i++)
        self->count[i] = nic_counter(nic, ixgbe_counts[i].name, ixgbe_counts[i].help);
    for (unsigned i = 0; self->pairs > 1 && i < self->pairs; i++) {
        snprintf(name, sizeof name, "rx_queue%u_frames", i);
        self->queue_frames[i] = nic_counter(nic, name, "frames received by one of the queues");
    }
}

/* Queue n's causes raise EICR bit n, all on the device's one line (DS 7.3.4); MSI-X would save the
 * read of EICR, once a sleep. EITR stays 0: the loop batches; the device need not. */
static void ixgbe_set_causes(struct ixgbe *self)
{
    for (unsigned i = 0; i < self->pairs; i += 2)
        ixgbe_write(self, IXGBE_IVAR + 2 * i,
                    (IXGBE_IVAR_VALID | i) | (IXGBE_IVAR_VALID | (i + 1)) << 16);
}

static int ixgbe_probe(struct nic *nic, const struct arch_device *device)
{
    const struct ixgbe_chip *chip = ixgbe_chip_of(device);
    if (chip->media == IXGBE_UNKNOWN) {
        nic_log(nic, LOG_ERROR, "%s: its EEPROM and PHY differ from the X540's, not supported",
                chip->name);
        return ERR_UNSUPPORTED;
    }
    int error = ixgbe_create(nic, chip);
    if (error < 0)
        return error;
    struct ixgbe *self = nic->driver_state;
    if ((error = intel_open(&self->device, nic, chip->name)) < 0 || (error = ixgbe_reset(self)) < 0)
        return error; /* each logged its reason and holds nothing */
    ixgbe_check_eeprom(self);
    if (!intel_address_get(&self->device, IXGBE_RAL, nic->mac))
        return ERR_DEVICE;
    if ((error = ixgbe_create_pairs(nic, self)) < 0 || (error = ixgbe_up(nic, self)) < 0)
        return error;
    ixgbe_count_start(nic, self);
    ixgbe_set_causes(self);
    nic->interrupts_work = nic->link_interrupts =
        arch_interrupt_attach(device, event_post, nic->event) == 0;
    return 0;
}

/* ---- while it runs --------------------------------------------------------------------------- */

static __attribute__((noinline)) unsigned ixgbe_take(struct nic *nic, struct intel_ring *ring,
                                                     struct frame **frames, unsigned max)
{
    return intel_receive(nic, ring, &ixgbe_format, frames, max);
}

/* One queue's batch: a flow's frames are in one queue, and so stay in order. */
static unsigned ixgbe_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct ixgbe *self = nic->driver_state;
    if (self->pairs == 1)
        return intel_received(&self->pair[0].receive, &ixgbe_format)
                   ? ixgbe_take(nic, &self->pair[0].receive, frames, max)
                   : 0;
    for (unsigned i = 0; i < self->pairs; i++) {
        struct intel_ring *ring = &self->pair[self->turn].receive;
        self->turn = self->turn + 1 < self->pairs ? self->turn + 1 : 0;
        unsigned count = ixgbe_take(nic, ring, frames, max);
        if (count)
            return count;
    }
    return 0;
}

/* One core sends by one queue, its own: frames of a flow leave in the order they were sent in. */
static unsigned ixgbe_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct ixgbe *self = nic->driver_state;
    return intel_transmit(nic, &self->pair[0].transmit, &ixgbe_format, frames, count);
}

/* Registers that clear when read (DS 8.2.3.23). */
static void ixgbe_count(struct nic *nic, struct ixgbe *self)
{
    static const uint16_t errors[] = {IXGBE_CRCERRS, IXGBE_ILLERRC, IXGBE_ERRBC, IXGBE_RLEC,
                                      IXGBE_RUC,     IXGBE_RFC,     IXGBE_ROC,   IXGBE_RJC};
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++)
        *nic->count.rx_errors += ixgbe_read(self, errors[i]);
    *nic->count.rx_missed += ixgbe_read(self, IXGBE_RXMPC);
    for (unsigned i = 0; i < IXGBE_COUNTS; i++)
        *self->count[i] += ixgbe_read(self, ixgbe_counts[i].offset);
    for (unsigned i = 0; i < self->pairs; i++) {
        uint32_t at = IXGBE_QUEUE_STRIDE * i;
        *nic->count.rx_missed += ixgbe_read(self, IXGBE_QPRDC + at);
        if (self->pairs > 1)
            *self->queue_frames[i] += ixgbe_read(self, IXGBE_QPRC + at);
    }
}

/* The nic's own address stays in entry 0. */
static int ixgbe_filter(struct nic *nic, const struct nic_filter *filter)
{
    struct ixgbe *self = nic->driver_state;
    bool promiscuous = self->filter.promiscuous;
    if (self->device.gone)
        return ERR_DEVICE;
    self->filter = *filter;
    for (unsigned i = 0; i < NIC_STATIONS_MAX; i++)
        ixgbe_set_address(self, 1 + i, i < filter->stations ? filter->station[i] : NULL);
    ixgbe_set_multicast(self, filter->all_multicast);
    return filter->promiscuous == promiscuous ? 0
                                              : ixgbe_set_promiscuous(self, filter->promiscuous);
}

/* A device that has sent nothing for long though there is a link is begun anew. */
static void ixgbe_watch(struct nic *nic, struct ixgbe *self, uint64_t now_ns)
{
    struct intel_ring *ring = &self->pair[0].transmit;
    bool stuck = intel_transmit_stuck(ring, now_ns, IXGBE_STUCK_MS * 1000000ull);
    if (!nic->link_up)
        ring->since_ns = now_ns; /* that explains it */
    if (!stuck || !nic->link_up)
        return;
    nic_log(nic, LOG_ERROR, "%s at %s sends nothing: TDH[0] is %08lx, TDT[0] %08lx; it is reset",
            self->chip->name, nic->device->name, (unsigned long)ixgbe_read(self, IXGBE_TDH),
            (unsigned long)ixgbe_read(self, IXGBE_TDT));
    nic_link(nic, false, 0);
    if (ixgbe_down(nic, self) < 0 || ixgbe_up(nic, self) < 0) {
        self->device.gone = true; /* it said why; nothing of it is used any more */
        return;
    }
    struct nic_filter filter = self->filter;
    self->filter.promiscuous = false; /* as ixgbe_up has left it */
    ixgbe_filter(nic, &filter);
    ixgbe_set_causes(self);
}

static void ixgbe_attend(struct nic *nic)
{
    struct ixgbe *self = nic->driver_state;
    if (self->device.gone)
        return;
    intel_transmit_reclaim(nic->pool, &self->pair[0].transmit);
    uint32_t causes = ixgbe_read(self, IXGBE_EICR); /* clears, and so releases the line */
    if (!intel_present(&self->device, ixgbe_read(self, IXGBE_STATUS), causes))
        return;
    if (causes & IXGBE_EICR_ECC)
        nic_log(nic, LOG_ERROR, "%s at %s: memory fault in the device: EICR is %08lx",
                self->chip->name, nic->device->name, (unsigned long)causes);
    ixgbe_link_follow(self);
    uint64_t now_ns = arch_clock_ns();
    if (now_ns >= self->statistics_due_ns) {
        self->statistics_due_ns = now_ns + IXGBE_STATISTICS_MS * 1000000ull;
        ixgbe_count(nic, self);
        for (unsigned i = 0; i < self->pairs; i++)
            intel_pair_remind(&self->pair[i]);
        ixgbe_watch(nic, self, now_ns);
    }
}

/* What interrupts, what does not, and why EICR is read first: as e1000_interrupts. */
static void ixgbe_interrupts(struct nic *nic, bool on)
{
    struct ixgbe *self = nic->driver_state;
    if (self->device.gone)
        return;
    if (!on) {
        ixgbe_write(self, IXGBE_EIMC, 0x7fffffff);
        return;
    }
    if (ixgbe_read(self, IXGBE_EICR) & IXGBE_EICR_LSC)
        event_post(nic->event);
    ixgbe_write(self, IXGBE_EIMS, IXGBE_EICR_RTXQ | IXGBE_EICR_RX_MISS | IXGBE_EICR_LSC);
}

static void ixgbe_stop(struct nic *nic)
{
    ixgbe_down(nic, nic->driver_state);
}

/* A read of SWSM takes the semaphore, one of LINKS forgets that the link was down. */
static const struct nic_register ixgbe_registers[] = {
#define IXGBE_ROW(name, offset, count, stride, access, reset, writable, section, help)             \
    {#name, offset, count, stride,                                                                 \
     INTEL_READABLE_##access && (offset) != IXGBE_SWSM && (offset) != IXGBE_LINKS},
    IXGBE_REGISTERS(IXGBE_ROW)};

const struct nic_driver ixgbe_driver = {
    .name = "ixgbe",
    .match = ixgbe_match,
    .probe = ixgbe_probe,
    .receive = ixgbe_receive,
    .transmit = ixgbe_transmit,
    .attend = ixgbe_attend,
    .interrupts = ixgbe_interrupts,
    .filter = ixgbe_filter,
    .stop = ixgbe_stop,
    .registers = ixgbe_registers,
    .register_count = sizeof ixgbe_registers / sizeof ixgbe_registers[0],
    .register_read = intel_register_read,
};
