/* Registers of the 8254x and 82574 gigabit controllers that we use: a table, for driver and model.
 *
 * Names, offsets and modes as in the "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual" (8254x), whose section the last column gives; RFCTL is in the 82574L
 * datasheet only. Rows with a count are arrays, their elements `stride` bytes apart. Modes: RW; RO;
 * RC is cleared by reading; S sets and C clears the bits written as ones. */
#ifndef DRIVERS_E1000_REGISTERS_H
#define DRIVERS_E1000_REGISTERS_H

/* name, offset, count, stride, mode, section */
#define E1000_REGISTERS(X)                                                                         \
    X(CTRL, 0x0000, 1, 0, RW, "13.4.1")                                                            \
    X(STATUS, 0x0008, 1, 0, RO, "13.4.2")                                                          \
    X(EECD, 0x0010, 1, 0, RW, "13.4.3")                                                            \
    X(EERD, 0x0014, 1, 0, RW, "13.4.4")                                                            \
    X(FCAL, 0x0028, 1, 0, RW, "13.4.8")                                                            \
    X(FCAH, 0x002c, 1, 0, RW, "13.4.9")                                                            \
    X(FCT, 0x0030, 1, 0, RW, "13.4.10")                                                            \
    X(ICR, 0x00c0, 1, 0, RC, "13.4.17")                                                            \
    X(ITR, 0x00c4, 1, 0, RW, "13.4.18")                                                            \
    X(IMS, 0x00d0, 1, 0, S, "13.4.20")                                                             \
    X(IMC, 0x00d8, 1, 0, C, "13.4.21")                                                             \
    X(RCTL, 0x0100, 1, 0, RW, "13.4.22")                                                           \
    X(FCTTV, 0x0170, 1, 0, RW, "13.4.12")                                                          \
    X(TCTL, 0x0400, 1, 0, RW, "13.4.33")                                                           \
    X(TIPG, 0x0410, 1, 0, RW, "13.4.34")                                                           \
    X(RDBAL, 0x2800, 1, 0, RW, "13.4.25")                                                          \
    X(RDBAH, 0x2804, 1, 0, RW, "13.4.26")                                                          \
    X(RDLEN, 0x2808, 1, 0, RW, "13.4.27")                                                          \
    X(RDH, 0x2810, 1, 0, RW, "13.4.28")                                                            \
    X(RDT, 0x2818, 1, 0, RW, "13.4.29")                                                            \
    X(RDTR, 0x2820, 1, 0, RW, "13.4.30")                                                           \
    X(RADV, 0x282c, 1, 0, RW, "13.4.31")                                                           \
    X(TDBAL, 0x3800, 1, 0, RW, "13.4.36")                                                          \
    X(TDBAH, 0x3804, 1, 0, RW, "13.4.37")                                                          \
    X(TDLEN, 0x3808, 1, 0, RW, "13.4.38")                                                          \
    X(TDH, 0x3810, 1, 0, RW, "13.4.39")                                                            \
    X(TDT, 0x3818, 1, 0, RW, "13.4.40")                                                            \
    X(TXDCTL, 0x3828, 1, 0, RW, "13.4.43")                                                         \
    X(CRCERRS, 0x4000, 1, 0, RC, "13.7.1")                                                         \
    X(ALGNERRC, 0x4004, 1, 0, RC, "13.7.2")                                                        \
    X(RXERRC, 0x400c, 1, 0, RC, "13.7.4")                                                          \
    X(MPC, 0x4010, 1, 0, RC, "13.7.5")                                                             \
    X(ECOL, 0x4018, 1, 0, RC, "13.7.7")                                                            \
    X(LATECOL, 0x4020, 1, 0, RC, "13.7.9")                                                         \
    X(RLEC, 0x4040, 1, 0, RC, "13.7.15")                                                           \
    X(RXCSUM, 0x5000, 1, 0, RW, "13.4")                                                            \
    X(RFCTL, 0x5008, 1, 0, RW, "82574")                                                            \
    X(MTA, 0x5200, 128, 4, RW, "13.5.1")                                                           \
    X(RAL, 0x5400, 16, 8, RW, "13.5.2")                                                            \
    X(RAH, 0x5404, 16, 8, RW, "13.5.3")

enum e1000_register {
#define E1000_REGISTER_ENUM(name, offset, count, stride, mode, section) E1000_##name = (offset),
    E1000_REGISTERS(E1000_REGISTER_ENUM)
#undef E1000_REGISTER_ENUM
};

enum {
    E1000_MTA_WORDS = 128, /* 4,096 bits of multicast hash */
    E1000_RA_ENTRIES = 16, /* receive addresses, 8 bytes apart; ours is the first (82574: 16 too) */

    E1000_EEPROM_WORDS = 64, /* those that the checksum covers, it included; 8254x 5.6 */
    E1000_EEPROM_SUM = 0xbaba,
};

#define E1000_CTRL_MASTER_DISABLE (1u << 2)  /* 82574: stop asking for the bus */
#define E1000_CTRL_LRST           (1u << 3)  /* link reset */
#define E1000_CTRL_ASDE           (1u << 5)  /* take the speed the PHY found */
#define E1000_CTRL_SLU            (1u << 6)  /* set link up: listen to the PHY */
#define E1000_CTRL_ILOS           (1u << 7)  /* invert loss of signal */
#define E1000_CTRL_FORCE          (3u << 11) /* forced speed, forced duplex */
#define E1000_CTRL_RST            (1u << 26)
#define E1000_CTRL_FLOW           (3u << 27) /* obey and send pause frames */
#define E1000_CTRL_VME            (1u << 30) /* take VLAN tags out */

#define E1000_STATUS_LU            (1u << 1)
#define E1000_STATUS_SPEED(status) ((status) >> 6 & 3) /* 10, 100, 1000, 1000 Mb/s */
#define E1000_STATUS_MASTER        (1u << 19)          /* 82574: requests may be under way */

#define E1000_EECD_AUTO_RD (1u << 9) /* 82574: the EEPROM's settings are loaded */

#define E1000_EERD_START (1u << 0)

#define E1000_ICR_LSC  (1u << 2) /* link status changed */
#define E1000_ICR_RXO  (1u << 6) /* receive FIFO overrun */
#define E1000_ICR_RXT0 (1u << 7) /* frame received (RDTR is 0) */

#define E1000_RCTL_EN         (1u << 1)
#define E1000_RCTL_UPE        (1u << 3)          /* any unicast */
#define E1000_RCTL_MPE        (1u << 4)          /* any multicast */
#define E1000_RCTL_MO(rctl)   ((rctl) >> 12 & 3) /* which bits of a group address MTA is asked by */
#define E1000_RCTL_BSIZE_2048 (0u << 16)
#define E1000_RCTL_BAM        (1u << 15) /* broadcasts */
#define E1000_RCTL_SECRC      (1u << 26) /* leave the FCS out */

#define E1000_TCTL_EN   (1u << 1)
#define E1000_TCTL_PSP  (1u << 3)     /* pad to 64 bytes */
#define E1000_TCTL_CT   (0x0fu << 4)  /* tries against collisions: 802.3's 16 */
#define E1000_TCTL_COLD (0x40u << 12) /* collision distance in full duplex: 64 bytes */
#define E1000_TCTL_MULR (1u << 28)    /* 82574: several memory reads under way */

#define E1000_TXDCTL_COUNT_DESC (1u << 22) /* 82574: to be written as 1 */

#define E1000_TIPG_VALUE(ipgt, ipgr1, ipgr2) ((ipgt) | (ipgr1) << 10 | (ipgr2) << 20)

#define E1000_RFCTL_EXSTEN (1u << 15) /* extended receive descriptors */

#define E1000_RAH_AV (1u << 31) /* address valid */

#endif
