/* ixgbe: the link, and the SFP+ module that it may go through. */
#include "drivers/intel/sfp.h"
#include "drivers/ixgbe/ixgbe_parts.h"

enum { IXGBE_MODULE_MS = 1000 }; /* how often an empty cage is looked at: 0.2 ms of waiting each */

/* The serial interface of DS 3.7.4.2 as the module wants it: 10 Gb/s by SFI, or 1 Gb/s. What the
 * EEPROM has set stays where it agrees. Firmware may work on AUTOC as well (DS 10.5.4). */
static void ixgbe_sfp_mode(struct ixgbe *self, bool slow)
{
    struct intel_device *device = &self->device;
    uint32_t mode = slow ? IXGBE_LMS_1G_AN : IXGBE_LMS_10G_SERIAL;
    if (ixgbe_hold(self, IXGBE_SYNC_MAC_CSR) < 0)
        return;
    if (!slow)
        intel_change(device, IXGBE_AUTOC2, IXGBE_AUTOC2_10G_SERIAL, IXGBE_AUTOC2_10G_SFI);
    intel_change(device, IXGBE_ESDP, IXGBE_ESDP_SDP3, 0); /* the laser is on */
    intel_change(device, IXGBE_AUTOC, 7u << IXGBE_AUTOC_LMS_SHIFT | IXGBE_AUTOC_FLU,
                 mode << IXGBE_AUTOC_LMS_SHIFT | IXGBE_AUTOC_RESTART_AN);
    ixgbe_release(self, IXGBE_SYNC_MAC_CSR);
}

/* Looks what is in the cage and starts the link for it. */
static void ixgbe_sfp_start(struct ixgbe *self)
{
    const struct intel_i2c i2c = {&self->device, IXGBE_I2CCTL, IXGBE_I2CCTL_CLK_OUT,
                                  IXGBE_I2CCTL_DATA_OUT, IXGBE_I2CCTL_DATA_IN};
    struct intel_sfp sfp;
    if (ixgbe_hold(self, IXGBE_SYNC_PHY(self->lan)) < 0)
        return;
    self->module_known = intel_sfp_read(&i2c, &sfp);
    ixgbe_release(self, IXGBE_SYNC_PHY(self->lan));
    if (!self->module_known)
        return;
    nic_log(self->device.nic, LOG_INFO, "SFP+ module (identifier %02x): %s", sfp.identifier,
            sfp.name);
    ixgbe_sfp_mode(self, sfp.slow && !sfp.fast);
}

void ixgbe_link_start(struct ixgbe *self)
{
    if (self->chip->media == IXGBE_SFP) {
        ixgbe_sfp_start(self);
        if (!self->module_known)
            nic_log(self->device.nic, LOG_WARNING, "%s at %s: no module answers: I2CCTL is %08lx",
                    self->chip->name, self->device.nic->device->name,
                    (unsigned long)ixgbe_read(self, IXGBE_I2CCTL));
    } else if (self->chip->media == IXGBE_BACKPLANE && ixgbe_hold(self, IXGBE_SYNC_MAC_CSR) == 0) {
        /* DS 4.6.4: mode and abilities are the EEPROM's. */
        intel_change(&self->device, IXGBE_AUTOC, 0, IXGBE_AUTOC_RESTART_AN);
        ixgbe_release(self, IXGBE_SYNC_MAC_CSR);
    }
}

void ixgbe_link_follow(struct ixgbe *self)
{
    static const uint16_t speed_mbps[4] = {0, 100, 1000, 10000};
    uint32_t links = ixgbe_read(self, IXGBE_LINKS);
    bool up = links & IXGBE_LINKS_UP;
    nic_link(self->device.nic, up, speed_mbps[IXGBE_LINKS_SPEED(links)]);
    if (up || self->module_known || self->chip->media != IXGBE_SFP)
        return;
    uint64_t now_ns = arch_clock_ns();
    if (now_ns < self->module_due_ns)
        return;
    self->module_due_ns = now_ns + IXGBE_MODULE_MS * 1000000ull;
    ixgbe_sfp_start(self);
}
