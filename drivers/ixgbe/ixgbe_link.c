/* ixgbe: the link, and the SFP+ module that it may go through. */
#include "drivers/ixgbe/ixgbe_parts.h"

enum {
    IXGBE_I2C_HALF_US = 5,    /* 100 kHz, which every module can */
    IXGBE_I2C_MODULE = 0xa0,  /* its EEPROM (SFF-8472 4.1) */
    IXGBE_MODULE_MS = 1000,   /* how often an empty cage is looked at: 0.2 ms of waiting each */
    IXGBE_SFF_IDENTIFIER = 0, /* SFF-8472 5.1: 3 is SFP and SFP+ */
    IXGBE_SFF_10G = 3,        /* 5.4: SR 0x10, LR 0x20, LRM 0x40, ER 0x80 */
    IXGBE_SFF_1G = 6,         /* SX 1, LX 2, CX 4, T 8 */
    IXGBE_SFF_CABLE = 8,      /* direct attach: passive 4, active 8 */
    IXGBE_SFF_IDENTIFIER_SFP = 3,
};

/* ---- I2C by hand, DS 3.5.1 and 8.2.3.1.5 ----------------------------------------------------- */

/* Lines are let go by writing ones; the read makes sure that the write is out before the wait. */
static void ixgbe_i2c_lines(struct ixgbe *self, bool clock, bool data)
{
    ixgbe_write(self, IXGBE_I2CCTL,
                (clock ? IXGBE_I2CCTL_CLK_OUT : 0) | (data ? IXGBE_I2CCTL_DATA_OUT : 0));
    ixgbe_read(self, IXGBE_I2CCTL);
    arch_delay_us(IXGBE_I2C_HALF_US);
}

static void ixgbe_i2c_start(struct ixgbe *self)
{
    ixgbe_i2c_lines(self, false, true);
    ixgbe_i2c_lines(self, true, true);
    ixgbe_i2c_lines(self, true, false);
    ixgbe_i2c_lines(self, false, false);
}

static void ixgbe_i2c_stop(struct ixgbe *self)
{
    ixgbe_i2c_lines(self, false, false);
    ixgbe_i2c_lines(self, true, false);
    ixgbe_i2c_lines(self, true, true);
}

/* One bit out, which a 1 leaves to the module, and what was on the line meanwhile. */
static bool ixgbe_i2c_bit(struct ixgbe *self, bool bit)
{
    ixgbe_i2c_lines(self, false, bit);
    ixgbe_i2c_lines(self, true, bit);
    bool seen = ixgbe_read(self, IXGBE_I2CCTL) & IXGBE_I2CCTL_DATA_IN;
    ixgbe_i2c_lines(self, false, bit);
    return seen;
}

/* False: not acknowledged. */
static bool ixgbe_i2c_send(struct ixgbe *self, uint8_t byte)
{
    for (unsigned i = 0; i < 8; i++)
        ixgbe_i2c_bit(self, byte >> (7 - i) & 1);
    return !ixgbe_i2c_bit(self, true);
}

/* -1: no module, or none that answers. */
static int ixgbe_module_read(struct ixgbe *self, uint8_t at)
{
    int byte = 0;
    ixgbe_i2c_start(self);
    bool answers =
        ixgbe_i2c_send(self, IXGBE_I2C_MODULE) && ixgbe_i2c_send(self, at); /* sets its pointer */
    if (answers) {
        ixgbe_i2c_start(self);
        answers = ixgbe_i2c_send(self, IXGBE_I2C_MODULE | 1);
        for (unsigned i = 0; i < 8; i++)
            byte = byte << 1 | ixgbe_i2c_bit(self, true);
        ixgbe_i2c_bit(self, true); /* no more */
    }
    ixgbe_i2c_stop(self);
    return answers ? byte : -1;
}

/* ---- SFP+ ------------------------------------------------------------------------------------ */

/* The serial interface of DS 3.7.4.2 as the module wants it: 10 Gb/s by SFI, or 1 Gb/s. What the
 * EEPROM has set stays where it agrees. Firmware may work on AUTOC as well (DS 10.5.4). */
static void ixgbe_sfp_mode(struct ixgbe *self, bool slow)
{
    uint32_t mode = slow ? IXGBE_LMS_1G_AN : IXGBE_LMS_10G_SERIAL;
    if (ixgbe_hold(self, IXGBE_SYNC_MAC_CSR) < 0)
        return;
    if (!slow)
        intel_change(&self->device, IXGBE_AUTOC2, IXGBE_AUTOC2_10G_SERIAL, IXGBE_AUTOC2_10G_SFI);
    intel_change(&self->device, IXGBE_ESDP, IXGBE_ESDP_SDP3, 0); /* the laser is on */
    intel_change(&self->device, IXGBE_AUTOC, 7u << IXGBE_AUTOC_LMS_SHIFT | IXGBE_AUTOC_FLU,
                 mode << IXGBE_AUTOC_LMS_SHIFT | IXGBE_AUTOC_RESTART_AN);
    ixgbe_release(self, IXGBE_SYNC_MAC_CSR);
}

static const char *ixgbe_module_name(int fast, int slow, int cable)
{
    return cable & 4     ? "passive cable"
           : cable & 8   ? "active cable"
           : fast & 0x10 ? "10GBASE-SR"
           : fast & 0x20 ? "10GBASE-LR"
           : fast & 0x40 ? "10GBASE-LRM"
           : fast & 0x80 ? "10GBASE-ER"
           : slow & 1    ? "1000BASE-SX"
           : slow & 2    ? "1000BASE-LX"
           : slow & 8    ? "1000BASE-T"
                         : "of a kind not known, taken for 10 Gb/s";
}

/* Looks what is in the cage and starts the link for it. */
static void ixgbe_sfp_start(struct ixgbe *self)
{
    uint32_t sync = IXGBE_SYNC_PHY(self->lan);
    if (ixgbe_hold(self, sync) < 0)
        return;
    int kind = ixgbe_module_read(self, IXGBE_SFF_IDENTIFIER);
    int fast = 0, slow = 0, cable = 0;
    if (kind >= 0) {
        fast = ixgbe_module_read(self, IXGBE_SFF_10G);
        slow = ixgbe_module_read(self, IXGBE_SFF_1G);
        cable = ixgbe_module_read(self, IXGBE_SFF_CABLE);
    }
    ixgbe_release(self, sync);
    if ((kind | fast | slow | cable) < 0)
        return; /* none, or pulled out meanwhile */
    self->module_known = true;
    if (kind != IXGBE_SFF_IDENTIFIER_SFP)
        nic_log(self->device.nic, LOG_WARNING, "the module says it is no SFP+: identifier %02x",
                kind);
    nic_log(self->device.nic, LOG_INFO, "SFP+ module: %s", ixgbe_module_name(fast, slow, cable));
    ixgbe_sfp_mode(self, !(fast & 0xf0) && !(cable & 0x0c) && slow & 0x0f);
}

/* ---- the link -------------------------------------------------------------------------------- */

void ixgbe_link_start(struct ixgbe *self)
{
    if (self->chip->media == IXGBE_SFP) {
        ixgbe_sfp_start(self);
        if (!self->module_known)
            nic_log(self->device.nic, LOG_WARNING, "no SFP+ module answers: I2CCTL is %08lx",
                    (unsigned long)ixgbe_read(self, IXGBE_I2CCTL));
    } else if (self->chip->media == IXGBE_BACKPLANE && ixgbe_hold(self, IXGBE_SYNC_MAC_CSR) == 0) {
        /* DS 4.6.4: mode and abilities are the EEPROM's. */
        intel_change(&self->device, IXGBE_AUTOC, 0, IXGBE_AUTOC_RESTART_AN);
        ixgbe_release(self, IXGBE_SYNC_MAC_CSR);
    }
}

uint32_t ixgbe_link_speed_mbps(uint32_t links)
{
    static const uint16_t speed_mbps[4] = {0, 100, 1000, 10000};
    return speed_mbps[IXGBE_LINKS_SPEED(links)];
}

void ixgbe_link_follow(struct ixgbe *self)
{
    uint32_t links = ixgbe_read(self, IXGBE_LINKS);
    bool up = links & IXGBE_LINKS_UP;
    nic_link(self->device.nic, up, ixgbe_link_speed_mbps(links));
    if (up || self->module_known || self->chip->media != IXGBE_SFP)
        return;
    uint64_t now_ns = arch_clock_ns();
    if (now_ns < self->module_due_ns)
        return;
    self->module_due_ns = now_ns + IXGBE_MODULE_MS * 1000000ull;
    ixgbe_sfp_start(self);
}
