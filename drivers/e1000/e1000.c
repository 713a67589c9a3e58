/* The driver for Intel 8254x and 82574L gigabit controllers: bring-up, link and counters.
 *
 * "SDM" and a section number: the 8254x Software Developer's Manual. "82574": the 82574L datasheet.
 * The fast path is drivers/intel/ring.h. */
#include "drivers/e1000/e1000.h"

#include <string.h>

#include "drivers/e1000/registers.h"
#include "drivers/intel/device.h"
#include "drivers/intel/ring.h"

enum {
    E1000_QUIET_US = 10,      /* it must not be touched for 1 us after a reset */
    E1000_RESET_US = 20000,   /* the reset takes about 1 us, reloading the EEPROM up to 10 ms */
    E1000_MASTER_US = 100000, /* requests under way end within PCIe's longest completion time-out */
    E1000_STATISTICS_MS = 100, /* nine slow reads: not at every interrupt */
};

/* Legacy descriptors (SDM 3.2.3.2, 3.3.3). Errors that spoil a frame: CE, SE, SEQ, CXE, RXE. Not
 * TCPE and IPE: checksums are not offloaded, a wrong one is the kernel's to judge. */
static const struct intel_format e1000_format = {
    .done = 1ull << 32,
    .end = 1ull << 33,
    .broken = 0x97ull << 40,
    .send = INTEL_TX_EOP | INTEL_TX_IFCS,
    .length = 1,
};

struct e1000_chip {
    uint16_t device;
    const char *name;
    bool pcie; /* the 82574's register additions */
    unsigned eerd_address_shift;
    uint32_t eerd_done;
    uint32_t tipg;
};

static const struct e1000_chip e1000_chips[] = {
    /* EERD: SDM 13.4.4, 82574 10.2.2.4. TIPG: SDM 13.4.34 */
    {0x100e, "82540EM", false, 8, 1u << 4, E1000_TIPG_VALUE(10, 8, 6)},
    {0x100f, "82545EM", false, 8, 1u << 4, E1000_TIPG_VALUE(10, 8, 6)},
    {0x10d3, "82574L", true, 2, 1u << 1, E1000_TIPG_VALUE(8, 8, 6)},
};

struct e1000 {
    struct intel_device device; /* first, for intel_register_read */
    struct intel_pair rings;
    const struct e1000_chip *chip;
    uint64_t statistics_due_ns;
    bool promiscuous; /* as RCTL says */
};

static uint32_t e1000_read(const struct e1000 *self, uint32_t offset)
{
    return intel_read(&self->device, offset);
}

static void e1000_write(const struct e1000 *self, uint32_t offset, uint32_t value)
{
    intel_write(&self->device, offset, value);
}

static const struct e1000_chip *e1000_chip_of(const struct arch_device *device)
{
    return intel_chip(device, e1000_chips, sizeof e1000_chips / sizeof e1000_chips[0],
                      sizeof e1000_chips[0]);
}

static bool e1000_match(const struct arch_device *device)
{
    return e1000_chip_of(device) != NULL;
}

/* ---- bring-up, in the order of SDM 14 ----------------------------------------------------- */

/* SDM 14.2 and 13.4.1, 82574 4.6. The PHY is left alone: it has negotiated since power-on, and
 * doing it again costs seconds on copper (QEMU: half a second) before the first frame. */
static int e1000_reset(struct e1000 *self)
{
    e1000_write(self, E1000_IMC, UINT32_MAX);
    e1000_write(self, E1000_RCTL, 0); /* QEMU's e1000 does not stop receiving by a reset */
    e1000_write(self, E1000_TCTL, 0);
    if (self->chip->pcie) {
        /* A reset while the bus owes it data can hang it (82574 10.2.2.1, GIO Master Disable). */
        e1000_write(self, E1000_CTRL, e1000_read(self, E1000_CTRL) | E1000_CTRL_MASTER_DISABLE);
        intel_wait(&self->device, E1000_STATUS, E1000_STATUS_MASTER, 0, E1000_MASTER_US);
    }
    e1000_write(self, E1000_CTRL, e1000_read(self, E1000_CTRL) | E1000_CTRL_RST);
    arch_delay_us(E1000_QUIET_US);
    int error = intel_wait(&self->device, E1000_CTRL, E1000_CTRL_RST, 0, E1000_RESET_US);
    if (error < 0)
        return error;
    if (self->chip->pcie) /* late or never without an EEPROM; what is missing then shows below */
        intel_wait(&self->device, E1000_EECD, E1000_EECD_AUTO_RD, E1000_EECD_AUTO_RD,
                   E1000_RESET_US);
    e1000_write(self, E1000_IMC, UINT32_MAX);
    e1000_read(self, E1000_ICR); /* clears what the reset raised */
    return 0;
}

/* The MAC address is in words 0 to 2, low byte first (SDM 5.6.1). They are read by EERD (SDM 5.3.1,
 * 82574 10.2.2.4), without the 82574's software semaphore: that keeps software from driving the
 * EEPROM's pins together, while EERD has an arbiter of its own. Falls back on what the device,
 * firmware or a hypervisor put into the first receive address. */
static int e1000_find_mac(struct nic *nic, struct e1000 *self)
{
    const struct intel_eeprom eeprom = {E1000_EERD, self->chip->eerd_done,
                                        self->chip->eerd_address_shift, 0, 0};
    uint16_t word[3];
    if (intel_eeprom_check(&self->device, &eeprom, word)) {
        for (unsigned i = 0; i < 6; i++)
            nic->mac[i] = (uint8_t)(word[i / 2] >> 8 * (i % 2));
        if (intel_mac_valid(nic->mac))
            return 0;
    }
    return intel_address_get(&self->device, E1000_RAL, nic->mac) ? 0 : ERR_DEVICE;
}

/* SDM 14.3: no flow control (a stalled receiver must not stall its peers; it counts MPC instead),
 * no forced speed, link up as the PHY says. */
static void e1000_set_link(const struct e1000 *self)
{
    uint32_t ctrl = e1000_read(self, E1000_CTRL);
    ctrl &= ~(E1000_CTRL_LRST | E1000_CTRL_ILOS | E1000_CTRL_FORCE | E1000_CTRL_FLOW |
              E1000_CTRL_MASTER_DISABLE | E1000_CTRL_VME);
    e1000_write(self, E1000_CTRL, ctrl | E1000_CTRL_SLU | E1000_CTRL_ASDE);
    e1000_write(self, E1000_FCAL, 0);
    e1000_write(self, E1000_FCAH, 0);
    e1000_write(self, E1000_FCT, 0);
    e1000_write(self, E1000_FCTTV, 0);
}

/* SDM 13.5.1: a group address is received if the bit it hashes to is set. QEMU 7.2 hashes all
 * addresses, and then receives everything, which the filter's contract allows. */
static void e1000_set_multicast(const struct e1000 *self, bool all)
{
    for (unsigned i = 0; i < E1000_MTA_WORDS; i++)
        e1000_write(self, E1000_MTA + 4 * i, all ? UINT32_MAX : 0);
}

/* SDM 14.4: our address and broadcasts, no multicast groups (none has a member here), no VLANs. */
static void e1000_set_filters(const struct nic *nic)
{
    const struct e1000 *self = nic->driver_state;
    for (unsigned i = 0; i < E1000_RA_ENTRIES; i++)
        intel_address_set(&self->device, E1000_RAL + 8 * i, i == 0 ? nic->mac : NULL);
    e1000_set_multicast(self, false);
}

/* SDM 13.4.22. After each write QEMU's e1000 receives nothing for a second of its clock, so this is
 * written at the start, and then for `promiscuous` alone, which no other register offers. */
static void e1000_set_receive(const struct e1000 *self)
{
    e1000_write(self, E1000_RCTL,
                E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_BSIZE_2048 | E1000_RCTL_SECRC |
                    (self->promiscuous ? E1000_RCTL_UPE | E1000_RCTL_MPE : 0));
}

/* SDM 14.4. Every register is written, its reset value too: QEMU's CTRL.RST leaves them as they
 * were. RXDCTL stays: it tunes the descriptor prefetch, and the defaults suit a ring of 256. */
static void e1000_start_receive(struct e1000 *self)
{
    uint64_t base = arch_dma_address(self->rings.receive.descriptor);
    e1000_write(self, E1000_RDTR, 0); /* the loop batches; the device need not */
    e1000_write(self, E1000_RADV, 0);
    e1000_write(self, E1000_ITR, 0);
    e1000_write(self, E1000_RXCSUM, 0);
    if (self->chip->pcie)
        e1000_write(self, E1000_RFCTL, e1000_read(self, E1000_RFCTL) & ~E1000_RFCTL_EXSTEN);
    e1000_write(self, E1000_RDBAL, (uint32_t)base);
    e1000_write(self, E1000_RDBAH, (uint32_t)(base >> 32));
    e1000_write(self, E1000_RDLEN, INTEL_RING_BYTES);
    e1000_write(self, E1000_RDH, 0);
    e1000_write(self, E1000_RDT, 0);
    e1000_set_receive(self);
    intel_receive_offer(&self->rings.receive);
}

/* SDM 14.5. TIDV and TADV are skipped: they delay an interrupt that is never let through. */
static void e1000_start_transmit(struct e1000 *self)
{
    uint64_t base = arch_dma_address(self->rings.transmit.descriptor);
    uint32_t tctl = E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT | E1000_TCTL_COLD;
    e1000_write(self, E1000_TDBAL, (uint32_t)base);
    e1000_write(self, E1000_TDBAH, (uint32_t)(base >> 32));
    e1000_write(self, E1000_TDLEN, INTEL_RING_BYTES);
    e1000_write(self, E1000_TDH, 0);
    e1000_write(self, E1000_TDT, 0);
    /* No thresholds: a report is written back as soon as it is due. */
    e1000_write(self, E1000_TXDCTL, self->chip->pcie ? E1000_TXDCTL_COUNT_DESC : 0);
    e1000_write(self, E1000_TIPG, self->chip->tipg);
    e1000_write(self, E1000_TCTL, tctl | (self->chip->pcie ? E1000_TCTL_MULR : 0));
}

static uint32_t e1000_speed_mbps(uint32_t status)
{
    static const uint16_t speed_mbps[4] = {10, 100, 1000, 1000};
    return speed_mbps[E1000_STATUS_SPEED(status)];
}

static int e1000_probe(struct nic *nic, const struct arch_device *device)
{
    struct e1000 *self = arch_memory_take(sizeof *self, 64 /* a cache line */);
    if (!self) {
        nic_log(nic, LOG_ERROR, "no memory for the driver of %s", device->name);
        return ERR_NO_MEMORY;
    }
    nic->driver_state = self;
    self->chip = e1000_chip_of(device);
    int error = intel_open(&self->device, nic, self->chip->name);
    if (error < 0)
        return error;
    if ((error = e1000_reset(self)) < 0 || (error = e1000_find_mac(nic, self)) < 0 ||
        (error = intel_pair_create(nic, &self->rings, self->device.mmio, E1000_RDT, E1000_TDT)) <
            0 ||
        (error = intel_receive_fill(nic, &self->rings.receive)) < 0)
        return error; /* each logged its reason and holds nothing; the device is as reset */
    e1000_set_link(self);
    e1000_set_filters(nic);
    e1000_start_transmit(self);
    e1000_start_receive(self);
    uint32_t status = e1000_read(self, E1000_STATUS);
    nic->link_up = status & E1000_STATUS_LU;
    nic->speed_mbps = e1000_speed_mbps(status);
    nic->interrupts_work = nic->link_interrupts =
        arch_interrupt_attach(device, event_post, nic->event) == 0;
    return 0;
}

/* ---- while it runs ------------------------------------------------------------------------ */

static __attribute__((noinline)) unsigned e1000_take(struct nic *nic, struct frame **frames,
                                                     unsigned max)
{
    struct e1000 *self = nic->driver_state;
    return intel_receive(nic, &self->rings.receive, &e1000_format, frames, max);
}

static unsigned e1000_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct e1000 *self = nic->driver_state;
    if (!intel_received(&self->rings.receive, &e1000_format))
        return 0;
    return e1000_take(nic, frames, max);
}

static unsigned e1000_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct e1000 *self = nic->driver_state;
    return intel_transmit(nic, &self->rings.transmit, &e1000_format, frames, count);
}

/* Registers that clear when read. RNBC is left out of rx_missed: it counts frames that found no
 * descriptor, but those are received after all when one comes before the FIFO overflows (MPC). */
static void e1000_count(struct nic *nic, const struct e1000 *self)
{
    *nic->count.rx_errors += (uint64_t)e1000_read(self, E1000_CRCERRS) +
                             e1000_read(self, E1000_ALGNERRC) + e1000_read(self, E1000_RXERRC) +
                             e1000_read(self, E1000_RLEC);
    *nic->count.rx_missed += e1000_read(self, E1000_MPC);
    *nic->count.tx_errors +=
        (uint64_t)e1000_read(self, E1000_ECOL) + e1000_read(self, E1000_LATECOL);
}

static void e1000_attend(struct nic *nic)
{
    struct e1000 *self = nic->driver_state;
    if (self->device.gone)
        return;
    intel_transmit_reclaim(nic->pool, &self->rings.transmit);
    uint32_t icr = e1000_read(self, E1000_ICR); /* clears, and so releases the interrupt line */
    uint32_t status = e1000_read(self, E1000_STATUS);
    if (!intel_present(&self->device, status, icr))
        return;
    nic_link(nic, status & E1000_STATUS_LU, e1000_speed_mbps(status));
    uint64_t now_ns = arch_clock_ns();
    if (now_ns >= self->statistics_due_ns) {
        self->statistics_due_ns = now_ns + E1000_STATISTICS_MS * 1000000ull;
        e1000_count(nic, self);
    }
}

/* What interrupts: a frame came (or was lost for want of room), the link changed. Not transmit
 * causes: waking to free sent frames is no gain, attend and transmit do it in time.
 *
 * Frames served while polling have left RXT0 in ICR, which would wake the first sleep at once.
 * Reading ICR before unmasking forgets them. Nothing is lost: a frame that came before the read is
 * found by the look that the loop takes after this call and before it sleeps; one that comes later
 * sets RXT0 anew. A link change has no second look, so that it is handed on. */
static void e1000_interrupts(struct nic *nic, bool on)
{
    const struct e1000 *self = nic->driver_state;
    if (self->device.gone)
        return; /* all ones would look like a link change before every sleep */
    if (!on) {
        e1000_write(self, E1000_IMC, UINT32_MAX);
        return;
    }
    if (e1000_read(self, E1000_ICR) & E1000_ICR_LSC)
        event_post(nic->event);
    e1000_write(self, E1000_IMS, E1000_ICR_RXT0 | E1000_ICR_RXO | E1000_ICR_LSC);
}

/* The nic's own address stays in entry 0. */
static int e1000_filter(struct nic *nic, const struct nic_filter *filter)
{
    _Static_assert(1 + NIC_STATIONS_MAX <= (int)E1000_RA_ENTRIES, "all stations have room");
    struct e1000 *self = nic->driver_state;
    if (self->device.gone)
        return ERR_DEVICE;
    for (unsigned i = 0; i < NIC_STATIONS_MAX; i++)
        intel_address_set(&self->device, E1000_RAL + 8 * (1 + i),
                          i < filter->stations ? filter->station[i] : NULL);
    e1000_set_multicast(self, filter->all_multicast);
    if (filter->promiscuous != self->promiscuous) {
        self->promiscuous = filter->promiscuous;
        e1000_set_receive(self);
    }
    return 0;
}

/* The reset ends all DMA, which RCTL and TCTL alone do only after the frame under way. */
static void e1000_stop(struct nic *nic)
{
    struct e1000 *self = nic->driver_state;
    if (!self->device.gone)
        e1000_reset(self);
    intel_pair_empty(nic, &self->rings);
}

static const struct nic_register e1000_registers[] = {
#define E1000_ROW(name, offset, count, stride, mode, section)                                      \
    {#name, offset, count, stride, INTEL_READABLE_##mode},
    E1000_REGISTERS(E1000_ROW)};

const struct nic_driver e1000_driver = {
    .name = "e1000",
    .match = e1000_match,
    .probe = e1000_probe,
    .receive = e1000_receive,
    .transmit = e1000_transmit,
    .attend = e1000_attend,
    .interrupts = e1000_interrupts,
    .filter = e1000_filter,
    .stop = e1000_stop,
    .registers = e1000_registers,
    .register_count = sizeof e1000_registers / sizeof e1000_registers[0],
    .register_read = intel_register_read,
};
