/* ixgbe: the reset, the EEPROM, and the semaphores that software and firmware share. */
#include "drivers/ixgbe/ixgbe_parts.h"

enum {
    IXGBE_MASTER_US = 100000, /* requests under way end within PCIe's longest completion time-out */
    IXGBE_FLUSH_US = 20,      /* DS 5.2.5.3.2 */
    IXGBE_QUIET_US = 1000,    /* a device in reset must not be touched (DS 8.2.3.1.1) */
    IXGBE_RESET_US = 20000,
    IXGBE_SETTLE_US = 10000, /* "at least 10 ms" after a reset (DS 4.6.3.2) */
    IXGBE_LOAD_US = 200000,  /* reading the EEPROM; boards with firmware take 50 ms */
    IXGBE_HOLD_US = 100000,  /* firmware keeps a semaphore for a few ms */
    IXGBE_HOLD_STEP_US = 100,
};

/* DS 5.2.5.3.2: a reset while the bus owes the device data can hang it. Where requests do not end
 * (a link that is down or paused holds frames back), what is inside is thrown away, and the device
 * is reset twice. */
static bool ixgbe_quiesce(struct ixgbe *self)
{
    intel_change(&self->device, IXGBE_CTRL, 0, IXGBE_CTRL_MASTER_DISABLE);
    if (intel_wait(&self->device, IXGBE_STATUS, IXGBE_STATUS_MASTER, 0, IXGBE_MASTER_US) == 0)
        return true;
    intel_change(&self->device, IXGBE_HLREG0, 0, IXGBE_HLREG0_LPBK);
    intel_change(&self->device, IXGBE_RXCTRL, IXGBE_RXCTRL_RXEN, 0);
    intel_change(&self->device, IXGBE_GCR_EXT, 0, IXGBE_GCR_EXT_BUFFERS_CLEAR);
    arch_delay_us(IXGBE_FLUSH_US);
    intel_change(&self->device, IXGBE_HLREG0, IXGBE_HLREG0_LPBK, 0);
    intel_change(&self->device, IXGBE_GCR_EXT, IXGBE_GCR_EXT_BUFFERS_CLEAR, 0);
    return false;
}

/* RST and LRST together are the global reset of DS 4.6.3.2. */
static int ixgbe_reset_once(struct ixgbe *self)
{
    intel_change(&self->device, IXGBE_CTRL, 0, IXGBE_CTRL_RST | IXGBE_CTRL_LRST);
    arch_delay_us(IXGBE_QUIET_US);
    return intel_wait(&self->device, IXGBE_CTRL, IXGBE_CTRL_RST, 0, IXGBE_RESET_US);
}

static void ixgbe_mask_interrupts(struct ixgbe *self)
{
    ixgbe_write(self, IXGBE_EIMC, 0x7fffffff); /* bit 31 is reserved */
    ixgbe_write(self, IXGBE_EIMC_EX, UINT32_MAX);
    ixgbe_write(self, IXGBE_EIMC_EX + 4, UINT32_MAX);
}

int ixgbe_reset(struct ixgbe *self)
{
    struct intel_device *device = &self->device;
    ixgbe_mask_interrupts(self);
    bool quiet = ixgbe_quiesce(self);
    int error = ixgbe_reset_once(self);
    if (error == 0 && !quiet)
        error = ixgbe_reset_once(self);
    if (error < 0)
        return error;
    arch_delay_us(IXGBE_SETTLE_US);
    ixgbe_mask_interrupts(self);
    ixgbe_read(self, IXGBE_EICR); /* clears what the reset raised */
    self->lan = IXGBE_STATUS_LAN(ixgbe_read(self, IXGBE_STATUS)) & 1;
    /* Late or never without an EEPROM; what is missing then shows below. */
    uint32_t configured = IXGBE_EEMNGCTL_CFG_DONE(self->lan);
    if (intel_wait(device, IXGBE_EEC, IXGBE_EEC_AUTO_RD, IXGBE_EEC_AUTO_RD, IXGBE_LOAD_US) == 0)
        intel_wait(device, IXGBE_EEMNGCTL, configured, configured, IXGBE_LOAD_US);
    return intel_wait(device, IXGBE_RDRXCTL, IXGBE_RDRXCTL_DMAIDONE, IXGBE_RDRXCTL_DMAIDONE,
                      IXGBE_LOAD_US);
}

/* DS 6.2: words 3 to 0xe point to sections; the firmware's, behind them, has a sum of its own. */
void ixgbe_check_eeprom(struct ixgbe *self)
{
    static const struct intel_eeprom eeprom = {IXGBE_EERD, IXGBE_EERD_DONE,
                                               IXGBE_EERD_ADDRESS_SHIFT, 0x03, 0x0f};
    struct nic *nic = self->device.nic;
    uint32_t eec = ixgbe_read(self, IXGBE_EEC), fwsm = ixgbe_read(self, IXGBE_FWSM);
    uint16_t word[3];
    if (!(eec & IXGBE_EEC_EE_PRES)) {
        nic_log(nic, LOG_WARNING, "%s at %s: no EEPROM, or one without signature: EEC is %08lx",
                self->chip->name, nic->device->name, (unsigned long)eec);
        return;
    }
    if (IXGBE_FWSM_EXT_ERR(fwsm))
        nic_log(nic, LOG_WARNING, "%s at %s: firmware finds a fault: FWSM is %08lx",
                self->chip->name, nic->device->name, (unsigned long)fwsm);
    if (ixgbe_hold(self, IXGBE_SYNC_EEP) < 0)
        return;
    intel_eeprom_check(&self->device, &eeprom, word);
    ixgbe_release(self, IXGBE_SYNC_EEP);
}

/* ---- semaphores, DS 10.5.4 --------------------------------------------------------------- */

/* SWSM.SMBI is ours if it reads as 0; reading sets it. Then SWESMBI is, once it stays set. */
static int ixgbe_swsm_take(struct ixgbe *self)
{
    int error = intel_wait(&self->device, IXGBE_SWSM, IXGBE_SWSM_SMBI, 0, IXGBE_HOLD_US);
    uint32_t bit = IXGBE_SWSM_SWESMBI;
    for (unsigned spent_us = 0; error == 0; spent_us += IXGBE_HOLD_STEP_US) {
        intel_change(&self->device, IXGBE_SWSM, 0, bit);
        if (ixgbe_read(self, IXGBE_SWSM) & bit)
            return 0;
        if (spent_us >= IXGBE_HOLD_US)
            error = intel_wait(&self->device, IXGBE_SWSM, bit, bit, 0); /* says so */
        arch_delay_us(IXGBE_HOLD_STEP_US);
    }
    return error;
}

/* A driver that died may have left its bits behind; firmware's are never left. So after the limit
 * those of software are taken over, as DS 10.5.4 says, and only firmware's are respected. */
int ixgbe_hold(struct ixgbe *self, uint32_t sync)
{
    uint32_t held = sync << IXGBE_SYNC_FIRMWARE_SHIFT | sync, seen = 0;
    for (unsigned spent_us = 0; spent_us <= 2 * IXGBE_HOLD_US; spent_us += IXGBE_HOLD_STEP_US) {
        int error = ixgbe_swsm_take(self);
        if (error < 0)
            return error;
        seen = ixgbe_read(self, IXGBE_SW_FW_SYNC);
        if (!(seen & held))
            ixgbe_write(self, IXGBE_SW_FW_SYNC, seen | sync);
        ixgbe_write(self, IXGBE_SWSM, 0);
        if (!(seen & held))
            return 0;
        if (spent_us == IXGBE_HOLD_US)
            held &= ~sync;
        arch_delay_us(IXGBE_HOLD_STEP_US);
    }
    nic_log(self->device.nic, LOG_WARNING, "%s at %s: firmware keeps SW_FW_SYNC at %08lx",
            self->chip->name, self->device.nic->device->name, (unsigned long)seen);
    return ERR_TIMEOUT;
}

void ixgbe_release(struct ixgbe *self, uint32_t sync)
{
    if (ixgbe_swsm_take(self) < 0)
        return; /* said; whoever waits for it takes it over */
    intel_change(&self->device, IXGBE_SW_FW_SYNC, sync, 0);
    ixgbe_write(self, IXGBE_SWSM, 0);
}
