/* ixgbe: receive and transmit are set up, in the order of DS 4.6.7 and 4.6.8. */
#include "drivers/ixgbe/ixgbe_parts.h"

enum {
    IXGBE_ENABLE_US = 10000, /* a queue's ENABLE, a data path's being empty: a few us */
    IXGBE_HIGH_WATER = IXGBE_RXPBSIZE_ALL - 0x6000, /* DS 4.6.3.2, without flow control too */
    IXGBE_FCS_AND_HEADER = 18,
    IXGBE_PTHRESH = 36, /* prefetch when fewer are left, and */
    IXGBE_HTHRESH = 8,  /* as many are waiting: two cache lines at a time (DS 7.2.3.4.1) */
};

/* The key of Microsoft's verification suite ("Verifying the RSS Hash Calculation"), so that hashes
 * can be compared with the vectors published there. First byte lowest. */
static const uint32_t ixgbe_rss_key[IXGBE_RSSRK_WORDS] = {
    0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0,
    0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe,
};

/* No flow control (DS 3.7.7): pause frames would let one stalled receiver stall its peers, and what
 * finds no room is counted instead (RXMPC, QPRDC). */
static const struct {
    uint32_t offset, words;
} ixgbe_zeroed[] = {
#define IXGBE_ZERO(offset, words) {offset, words},
    IXGBE_ZEROED(IXGBE_ZERO)};

/* ---- filters, DS 7.1.1 ----------------------------------------------------------------------- */

/* DS 8.2.3.7.8 to 8.2.3.7.10. All addresses are pool 0's, the only one without virtualization. */
void ixgbe_set_address(const struct ixgbe *self, unsigned index, const uint8_t *mac)
{
    ixgbe_write(self, IXGBE_MPSAR + 8 * index, mac ? 1 : 0);
    intel_address_set(&self->device, IXGBE_RAL + 8 * index, mac);
}

/* DS 8.2.3.7.7: a group address is received if the bit it hashes to is set. */
void ixgbe_set_multicast(const struct ixgbe *self, bool all)
{
    for (unsigned i = 0; i < IXGBE_MTA_WORDS; i++)
        ixgbe_write(self, IXGBE_MTA + 4 * i, all ? UINT32_MAX : 0);
}

/* DS 4.6.7, its end: the receiver is switched while nothing is under way behind it. */
static int ixgbe_receiver(struct ixgbe *self, bool on)
{
    struct intel_device *device = &self->device;
    intel_change(device, IXGBE_SECRXCTRL, 0, IXGBE_SECRXCTRL_RX_DIS);
    int error = intel_wait(device, IXGBE_SECRXSTAT, IXGBE_SECRXSTAT_RDY, IXGBE_SECRXSTAT_RDY,
                           IXGBE_ENABLE_US);
    ixgbe_write(self, IXGBE_RXCTRL, on ? IXGBE_RXCTRL_RXEN : 0);
    intel_change(device, IXGBE_SECRXCTRL, IXGBE_SECRXCTRL_RX_DIS, 0);
    return error;
}

/* DS 8.2.3.7.1: FCTRL changes only while the receiver is off, and what comes then is lost. */
int ixgbe_set_promiscuous(struct ixgbe *self, bool promiscuous)
{
    int error = ixgbe_receiver(self, false);
    ixgbe_write(self, IXGBE_FCTRL,
                IXGBE_FCTRL_BAM | (promiscuous ? IXGBE_FCTRL_UPE | IXGBE_FCTRL_MPE : 0));
    int again = ixgbe_receiver(self, true);
    return error < 0 ? error : again;
}

/* VLANs are not filtered (VLNCTRL.VFE is 0): stations and captures want to see them. */
static void ixgbe_set_filters(const struct ixgbe *self)
{
    for (unsigned i = 0; i < sizeof ixgbe_zeroed / sizeof ixgbe_zeroed[0]; i++)
        for (unsigned n = 0; n < ixgbe_zeroed[i].words; n++)
            ixgbe_write(self, ixgbe_zeroed[i].offset + 4 * n, 0);
    for (unsigned i = 0; i < IXGBE_RA_ENTRIES; i++)
        ixgbe_set_address(self, i, i == 0 ? self->device.nic->mac : NULL);
    ixgbe_set_multicast(self, false);
    ixgbe_write(self, IXGBE_MCSTCTRL, IXGBE_MCSTCTRL_MFE);
}

/* DS 7.1.2.8: flows are told apart by addresses and ports, and keep to a queue by their hash. */
static void ixgbe_set_rss(const struct ixgbe *self)
{
    for (unsigned i = 0; i < IXGBE_RSSRK_WORDS; i++)
        ixgbe_write(self, IXGBE_RSSRK + 4 * i, ixgbe_rss_key[i]);
    for (unsigned i = 0; i < IXGBE_RETA_WORDS; i++) {
        uint32_t entries = 0;
        for (unsigned n = 0; n < 4; n++)
            entries |= (4 * i + n) % self->pairs << 8 * n;
        ixgbe_write(self, IXGBE_RETA + 4 * i, entries);
    }
    ixgbe_write(self, IXGBE_MRQC, IXGBE_MRQC_RSS | IXGBE_MRQC_HASH_ALL);
}

/* ---- receive --------------------------------------------------------------------------------- */

/* DS 4.6.7 and 8.2.3.8.8. Frames over 1,518 bytes only where the mtu is for them; a VLAN tag's four
 * bytes come on top by themselves (DS 8.2.3.22.13). */
static void ixgbe_set_receive(const struct ixgbe *self)
{
    ixgbe_write(self, IXGBE_FCRTH, IXGBE_HIGH_WATER & IXGBE_FCRTH_RTH);
    ixgbe_write(self, IXGBE_RXPBSIZE, IXGBE_RXPBSIZE_ALL);
    uint32_t longest = self->device.nic->mtu + IXGBE_FCS_AND_HEADER;
    bool jumbo = longest > FRAME_LENGTH_MAX + 4;
    intel_change(&self->device, IXGBE_HLREG0, IXGBE_HLREG0_LPBK | IXGBE_HLREG0_JUMBOEN,
                 IXGBE_HLREG0_TXCRCEN | IXGBE_HLREG0_RXCRCSTRP | IXGBE_HLREG0_TXPADEN |
                     (jumbo ? IXGBE_HLREG0_JUMBOEN : 0));
    if (jumbo)
        ixgbe_write(self, IXGBE_MAXFRS, longest << IXGBE_MAXFRS_SHIFT);
    intel_change(&self->device, IXGBE_RDRXCTL, IXGBE_RDRXCTL_RSCFRSTSIZE,
                 IXGBE_RDRXCTL_CRC_STRIP | IXGBE_RDRXCTL_RSCACKC | IXGBE_RDRXCTL_FCOE_WRFIX);
    ixgbe_write(self, IXGBE_RXCSUM, IXGBE_RXCSUM_PCSD);
    if (self->pairs > 1)
        ixgbe_set_rss(self);
    for (unsigned i = 0; i < IXGBE_QUEUES / 4;
         i++) /* a queue counts in the counter of its number */
        ixgbe_write(self, IXGBE_RQSMR + 4 * i, 0x03020100 + 0x04040404 * i);
}

/* With one queue, frames that find no descriptor wait in the packet buffer, 400 us at 10 Gb/s; with
 * several, a full queue's are dropped, or else they would stand in the others' way. */
static int ixgbe_start_receive(struct ixgbe *self, unsigned queue)
{
    struct intel_device *device = &self->device;
    uint32_t at = IXGBE_QUEUE_STRIDE * queue;
    uint64_t base = arch_dma_address(self->pair[queue].receive.descriptor);
    ixgbe_write(self, IXGBE_RDBAL + at, (uint32_t)base);
    ixgbe_write(self, IXGBE_RDBAH + at, (uint32_t)(base >> 32));
    ixgbe_write(self, IXGBE_RDLEN + at, INTEL_RING_BYTES);
    ixgbe_write(self, IXGBE_SRRCTL + at,
                IXGBE_SRRCTL_BSIZEPACKET(FRAME_ROOM) | IXGBE_SRRCTL_BSIZEHEADER(256) |
                    IXGBE_SRRCTL_DESCTYPE_ADVANCED | (self->pairs > 1 ? IXGBE_SRRCTL_DROP_EN : 0));
    intel_change(device, IXGBE_DCA_RXCTRL + at, IXGBE_DCA_RXCTRL_RESERVED12, 0);
    intel_change(device, IXGBE_RXDCTL + at, IXGBE_RXDCTL_VME, IXGBE_RXDCTL_ENABLE);
    int error = intel_wait(device, IXGBE_RXDCTL + at, IXGBE_RXDCTL_ENABLE, IXGBE_RXDCTL_ENABLE,
                           IXGBE_ENABLE_US);
    if (error == 0)
        intel_receive_offer(&self->pair[queue].receive);
    return error;
}

/* ---- transmit -------------------------------------------------------------------------------- */

/* DS 4.6.8 and 4.6.11.3.4: one packet buffer, no arbitration. */
static void ixgbe_set_transmit(const struct ixgbe *self)
{
    intel_change(&self->device, IXGBE_RTTDCS, 0, IXGBE_RTTDCS_ARBDIS);
    ixgbe_write(self, IXGBE_DTXMXSZRQ, IXGBE_DTXMXSZRQ_MOST);
    ixgbe_write(self, IXGBE_TXPBSIZE, IXGBE_TXPBSIZE_ALL);
    ixgbe_write(self, IXGBE_TXPBTHRESH, (IXGBE_TXPBSIZE_ALL - FRAME_ROOM) >> 10);
    intel_change(&self->device, IXGBE_RTTDCS, IXGBE_RTTDCS_ARBDIS, 0);
    for (unsigned i = 0; i < IXGBE_QUEUES / 4; i++)
        ixgbe_write(self, IXGBE_TQSM + 4 * i, 0x03020100 + 0x04040404 * i);
    intel_change(&self->device, IXGBE_DMATXCTL, 0, IXGBE_DMATXCTL_TE);
}

/* WTHRESH stays 0 (DS 7.2.3.5.1): a report is asked for once a batch, so the device writes back no
 * more often than that anyway, and a threshold would only make the last ones late. */
static int ixgbe_start_transmit(struct ixgbe *self, unsigned queue)
{
    struct intel_device *device = &self->device;
    uint32_t at = IXGBE_QUEUE_STRIDE * queue;
    uint64_t base = arch_dma_address(self->pair[queue].transmit.descriptor);
    ixgbe_write(self, IXGBE_TDBAL + at, (uint32_t)base);
    ixgbe_write(self, IXGBE_TDBAH + at, (uint32_t)(base >> 32));
    ixgbe_write(self, IXGBE_TDLEN + at, INTEL_RING_BYTES);
    intel_change(device, IXGBE_DCA_TXCTRL + at, IXGBE_DCA_TXCTRL_WB_RO, 0);
    ixgbe_write(self, IXGBE_TXDCTL + at,
                IXGBE_TXDCTL_PTHRESH(IXGBE_PTHRESH) | IXGBE_TXDCTL_HTHRESH(IXGBE_HTHRESH) |
                    IXGBE_TXDCTL_ENABLE);
    return intel_wait(device, IXGBE_TXDCTL + at, IXGBE_TXDCTL_ENABLE, IXGBE_TXDCTL_ENABLE,
                      IXGBE_ENABLE_US);
}

int ixgbe_start(struct ixgbe *self)
{
    int error = 0;
    ixgbe_set_filters(self);
    ixgbe_set_receive(self);
    ixgbe_set_transmit(self);
    for (unsigned i = 0; i < self->pairs && error == 0; i++)
        if ((error = ixgbe_start_transmit(self, i)) == 0)
            error = ixgbe_start_receive(self, i);
    if (error == 0) /* and with it, at last, the receiver is on */
        error = ixgbe_set_promiscuous(self, false);
    intel_change(&self->device, IXGBE_CTRL_EXT, 0, IXGBE_CTRL_EXT_NS_DIS | IXGBE_CTRL_EXT_DRV_LOAD);
    return error;
}
