/* Registers of the 82599, X520 and X540 10-gigabit controllers: a table, for driver, pigctl, model.
 *
 * Names, offsets and sections are those of the Intel 82599 datasheet (331520, revision 3.4). Rows
 * with a count are arrays, their elements `stride` bytes apart. Access:
 *
 *   RO   writes do nothing          RC   statistics: a read clears, writes do nothing
 *   RW   reads as written           WO   reads as nothing useful
 *   SC   like RW, but bits that start something clear themselves
 *   W1C  a read clears, and so does writing ones
 *   S    ones set bits, zeros do nothing; reads as what is set      C   ones clear bits of its S
 *
 * `reset` is what it reads as after a device reset, `writable` the bits that software may change.
 * Both leave out what an EEPROM or the link's state puts there. Names that end in _82598 are second
 * places of the first elements of an array: the device answers there as well. */
#ifndef DRIVERS_IXGBE_REGISTERS_H
#define DRIVERS_IXGBE_REGISTERS_H

/* name, offset, count, stride, access, reset, writable, section, what it is */
#define IXGBE_REGISTERS(X)                                                                         \
    X(CTRL, 0x00000, 1, 0, SC, 0, 0x0400000c, "8.2.3.1.1",                                         \
      "device control: reset, link reset, master disable")                                         \
    X(STATUS, 0x00008, 1, 0, RO, 0x00080000, 0, "8.2.3.1.2",                                       \
      "device status: LAN id, link, master enable")                                                \
    X(CTRL_EXT, 0x00018, 1, 0, RW, 0, 0x14034000, "8.2.3.1.3",                                     \
      "extended control: driver loaded, ordering")                                                 \
    X(ESDP, 0x00020, 1, 0, RW, 0, 0xffffffff, "8.2.3.1.4",                                         \
      "software-definable pins: SFP+ cage, laser")                                                 \
    X(I2CCTL, 0x00028, 1, 0, RW, 0x0000000f, 0x0000000a, "8.2.3.1.5",                              \
      "I2C pins to the SFP+ module")                                                               \
    X(LEDCTL, 0x00200, 1, 0, RW, 0, 0xffffffff, "8.2.3.1.6", "LEDs")                               \
    X(EEC, 0x10010, 1, 0, RW, 0x00000310, 0x0000007f, "8.2.3.2.1",                                 \
      "EEPROM control: present, loaded")                                                           \
    X(EERD, 0x10014, 1, 0, RW, 0, 0x0000fffd, "8.2.3.2.2", "EEPROM read")                          \
    X(FLA, 0x1001c, 1, 0, RW, 0, 0xffffffff, "8.2.3.2.3", "flash access")                          \
    X(EEMNGCTL, 0x10110, 1, 0, RW, 0x000c0000, 0, "8.2.3.2.4",                                     \
      "manageability EEPROM control: configuration done")                                          \
    X(GRC, 0x10200, 1, 0, RW, 0, 0x00000003, "8.2.3.2.10", "general receive control")              \
    X(PFCTOP, 0x03008, 1, 0, RW, 0x0000ffff, 0xffffffff, "8.2.3.3.1",                              \
      "priority flow control opcode")                                                              \
    X(FCTTV, 0x03200, 4, 4, RW, 0, 0xffffffff, "8.2.3.3.2", "pause time to send")                  \
    X(FCRTL, 0x03220, 8, 4, RW, 0, 0x8007ffe0, "8.2.3.3.3", "flow control low water mark")         \
    X(FCRTH, 0x03260, 8, 4, RW, 0, 0x8007ffe0, "8.2.3.3.4", "flow control high water mark")        \
    X(FCRTV, 0x032a0, 1, 0, RW, 0, 0x0000ffff, "8.2.3.3.5", "pause refresh time")                  \
    X(FCCFG, 0x03d00, 1, 0, RW, 0, 0x00000018, "8.2.3.3.7",                                        \
      "flow control sent: none, link, priority")                                                   \
    X(TFCS, 0x0ce00, 1, 0, RO, 0, 0, "8.2.3.3.6", "transmit is paused")                            \
    X(FACTPS, 0x10150, 1, 0, RO, 0, 0, "8.2.3.4.7", "function and power state")                    \
    X(SWSM, 0x10140, 1, 0, RW, 0, 0x00000003, "8.2.3.4.9",                                         \
      "semaphore between drivers, and with firmware")                                              \
    X(FWSM, 0x10148, 1, 0, RO, 0, 0, "8.2.3.4.10", "firmware semaphore: mode, error")              \
    X(SW_FW_SYNC, 0x10160, 1, 0, RW, 0, 0xffffffff, "8.2.3.4.11",                                  \
      "what software and firmware hold")                                                           \
    X(GCR_EXT, 0x11050, 1, 0, RW, 0, 0xc0000003, "8.2.3.4.12", "PCIe extended: clear buffers")     \
    X(EICR, 0x00800, 1, 0, W1C, 0, 0x7fffffff, "8.2.3.5.1",                                        \
      "interrupt causes, cleared by reading")                                                      \
    X(EICS, 0x00808, 1, 0, WO, 0, 0x7fffffff, "8.2.3.5.2", "set interrupt causes")                 \
    X(EIMS, 0x00880, 1, 0, S, 0, 0x7fffffff, "8.2.3.5.3", "let causes through")                    \
    X(EIMC, 0x00888, 1, 0, C, 0, 0x7fffffff, "8.2.3.5.4", "mask causes")                           \
    X(EIAC, 0x00810, 1, 0, RW, 0, 0x7fffffff, "8.2.3.5.5",                                         \
      "causes cleared by their MSI-X message")                                                     \
    X(EIAM, 0x00890, 1, 0, RW, 0, 0x7fffffff, "8.2.3.5.6", "causes masked by their message")       \
    X(EICS_EX, 0x00a90, 2, 4, WO, 0, 0xffffffff, "8.2.3.5.7", "set causes of queues, by message")  \
    X(EIMS_EX, 0x00aa0, 2, 4, S, 0, 0xffffffff, "8.2.3.5.8", "let causes of queues through")       \
    X(EIMC_EX, 0x00ab0, 2, 4, C, 0, 0xffffffff, "8.2.3.5.9", "mask causes of queues")              \
    X(EIAM_EX, 0x00ad0, 2, 4, RW, 0, 0xffffffff, "8.2.3.5.10",                                     \
      "causes of queues masked by their message")                                                  \
    X(EITR, 0x00820, 24, 4, RW, 0, 0x8fffffff, "8.2.3.5.12", "interrupt interval in 2 us units")   \
    X(IVAR, 0x00900, 64, 4, RW, 0, 0xbfbfbfbf, "8.2.3.5.15",                                       \
      "which message two queues' causes raise")                                                    \
    X(IVAR_MISC, 0x00a00, 1, 0, RW, 0, 0x0000bfbf, "8.2.3.5.16",                                   \
      "which message the other causes raise")                                                      \
    X(GPIE, 0x00898, 1, 0, RW, 0, 0xc000ffff, "8.2.3.5.18", "interrupt mode")                      \
    X(FCTRL, 0x05080, 1, 0, RW, 0, 0x00000702, "8.2.3.7.1",                                        \
      "receive filter: broadcast, promiscuous")                                                    \
    X(VLNCTRL, 0x05088, 1, 0, RW, 0x00008100, 0x7000ffff, "8.2.3.7.2", "VLAN type and filter")     \
    X(MCSTCTRL, 0x05090, 1, 0, RW, 0, 0x00000007, "8.2.3.7.3", "multicast filter: on, which bits") \
    X(PSRTYPE, 0x0ea00, 64, 4, RW, 0, 0xe0ffffff, "8.2.3.7.4",                                     \
      "header split; queues of RSS in a pool")                                                     \
    X(RXCSUM, 0x05000, 1, 0, RW, 0, 0x00003000, "8.2.3.7.5", "receive checksums")                  \
    X(RFCTL, 0x05008, 1, 0, RW, 0, 0x000000e0, "8.2.3.7.6",                                        \
      "receive filter control: RSC off, NFS")                                                      \
    X(MTA, 0x05200, 128, 4, RW, 0, 0xffffffff, "8.2.3.7.7", "multicast hash, 4,096 bits")          \
    X(RAL, 0x0a200, 128, 8, RW, 0, 0xffffffff, "8.2.3.7.8", "receive address, first four bytes")   \
    X(RAH, 0x0a204, 128, 8, RW, 0, 0x8000ffff, "8.2.3.7.9",                                        \
      "receive address, last two bytes, valid")                                                    \
    X(MPSAR, 0x0a600, 256, 4, RW, 0, 0xffffffff, "8.2.3.7.10", "pools of a receive address")       \
    X(VFTA, 0x0a000, 128, 4, RW, 0, 0xffffffff, "8.2.3.7.11", "VLAN filter, 4,096 bits")           \
    X(MRQC, 0x05818, 1, 0, RW, 0, 0xffff800f, "8.2.3.7.12",                                        \
      "several receive queues: RSS and its fields")                                                \
    X(RQTC, 0x0ec70, 1, 0, RW, 0, 0x77777777, "8.2.3.7.13", "RSS queues of each traffic class")    \
    X(RSSRK, 0x05c80, 10, 4, RW, 0, 0xffffffff, "8.2.3.7.14", "RSS key, first byte lowest")        \
    X(RETA, 0x05c00, 32, 4, RW, 0, 0x0f0f0f0f, "8.2.3.7.15", "RSS redirection: 128 queue numbers") \
    X(ETQF, 0x05128, 8, 4, RW, 0, 0xffffffff, "8.2.3.7.21", "EtherType queue filter")              \
    X(ETQS, 0x0ec00, 8, 4, RW, 0, 0xffffffff, "8.2.3.7.22", "EtherType queue select")              \
    X(SYNQF, 0x0ec30, 1, 0, RW, 0, 0xffffffff, "8.2.3.7.16", "SYN queue filter")                   \
    X(FTQF, 0x0e600, 128, 4, RW, 0, 0xffffffff, "8.2.3.7.19", "five-tuple queue filter")           \
    X(FDIRCTRL, 0x0ee00, 1, 0, RW, 0, 0xffffffff, "8.2.3.21.1", "flow director: off when 0")       \
    X(RDBAL, 0x01000, 64, 0x40, RW, 0, 0xffffff80, "8.2.3.8.1", "receive ring's address, low")     \
    X(RDBAH, 0x01004, 64, 0x40, RW, 0, 0xffffffff, "8.2.3.8.2", "and high")                        \
    X(RDLEN, 0x01008, 64, 0x40, RW, 0, 0x000fff80, "8.2.3.8.3", "receive ring's bytes")            \
    X(RDH, 0x01010, 64, 0x40, RO, 0, 0, "8.2.3.8.4", "receive head: the device's next descriptor") \
    X(RDT, 0x01018, 64, 0x40, RW, 0, 0x0000ffff, "8.2.3.8.5",                                      \
      "receive tail: past the device's last descriptor")                                           \
    X(RXDCTL, 0x01028, 64, 0x40, RW, 0, 0x42007fff, "8.2.3.8.6",                                   \
      "receive queue control: enable, strip VLAN")                                                 \
    X(SRRCTL, 0x01014, 64, 0x40, RW, 0x00000402, 0x1fc03f1f, "8.2.3.8.7",                          \
      "receive buffer size, descriptor type, drop")                                                \
    X(DCA_RXCTRL, 0x0100c, 64, 0x40, RW, 0x0000a200, 0xffffffff, "8.2.3.11.1",                     \
      "receive DCA, PCIe ordering")                                                                \
    X(RSCCTL, 0x0102c, 64, 0x40, RW, 0, 0x0000000d, "8.2.3.8.13", "receive coalescing")            \
    X(RDRXCTL, 0x02f00, 1, 0, RW, 0x00100008, 0x063e0002, "8.2.3.8.8",                             \
      "receive DMA: CRC strip, ready")                                                             \
    X(RXPBSIZE, 0x03c00, 8, 4, RW, 0x00080000, 0x000ffc00, "8.2.3.8.9",                            \
      "receive packet buffer's bytes, 512 KiB or 0 each")                                          \
    X(RXCTRL, 0x03000, 1, 0, RW, 0, 0x00000001, "8.2.3.8.10", "receive enable")                    \
    X(RSCDBU, 0x03028, 1, 0, RW, 0x00000020, 0x000000ff, "8.2.3.8.12",                             \
      "receive coalescing data buffer")                                                            \
    X(DTXMXSZRQ, 0x08100, 1, 0, RW, 0x00000010, 0x00000fff, "8.2.3.9.1",                           \
      "most bytes of requests under way, 256 each")                                                \
    X(DMATXCTL, 0x04a80, 1, 0, RW, 0x81000000, 0xffff0009, "8.2.3.9.2",                            \
      "transmit enable, VLAN type")                                                                \
    X(TDBAL, 0x06000, 128, 0x40, RW, 0, 0xffffff80, "8.2.3.9.5", "transmit ring's address, low")   \
    X(TDBAH, 0x06004, 128, 0x40, RW, 0, 0xffffffff, "8.2.3.9.6", "and high")                       \
    X(TDLEN, 0x06008, 128, 0x40, RW, 0, 0x000fff80, "8.2.3.9.7", "transmit ring's bytes")          \
    X(TDH, 0x06010, 128, 0x40, RW, 0, 0x0000ffff, "8.2.3.9.8",                                     \
      "transmit head: the device's next descriptor")                                               \
    X(TDT, 0x06018, 128, 0x40, RW, 0, 0x0000ffff, "8.2.3.9.9",                                     \
      "transmit tail: past the device's last descriptor")                                          \
    X(TXDCTL, 0x06028, 128, 0x40, RW, 0, 0x027f7f7f, "8.2.3.9.10",                                 \
      "transmit queue control: enable, thresholds")                                                \
    X(TDWBAL, 0x06038, 128, 0x40, RW, 0, 0xfffffffd, "8.2.3.9.11",                                 \
      "head write-back address, low, enable")                                                      \
    X(TDWBAH, 0x0603c, 128, 0x40, RW, 0, 0xffffffff, "8.2.3.9.12", "and high")                     \
    X(DCA_TXCTRL, 0x0600c, 128, 0x40, RW, 0x00002a00, 0xffffffff, "8.2.3.11.2",                    \
      "transmit DCA, PCIe ordering")                                                               \
    X(TXPBSIZE, 0x0cc00, 8, 4, RW, 0x00028000, 0x000ffc00, "8.2.3.9.13",                           \
      "transmit packet buffer's bytes, 160 KiB or 0 each")                                         \
    X(MTQC, 0x08120, 1, 0, RW, 0, 0x0000000f, "8.2.3.9.15", "several transmit queues")             \
    X(TXPBTHRESH, 0x04950, 8, 4, RW, 0x00000096, 0x000003ff, "8.2.3.9.16",                         \
      "KiB free before a frame is fetched")                                                        \
    X(RTTDCS, 0x04900, 1, 0, RW, 0x00c00000, 0x00c00057, "8.2.3.10.2",                             \
      "transmit descriptor arbiter")                                                               \
    X(RTTDQSEL, 0x04904, 1, 0, RW, 0, 0x0000007f, "8.2.3.10.13", "the queue RTTDT1C is of")        \
    X(RTTDT1C, 0x04908, 1, 0, RW, 0, 0x00003fff, "8.2.3.10.14",                                    \
      "rate credits of the queue selected")                                                        \
    X(SECTXCTRL, 0x08800, 1, 0, RW, 0, 0x00000007, "8.2.3.12.1", "security transmit: disable")     \
    X(SECTXSTAT, 0x08804, 1, 0, RO, 0x00000001, 0, "8.2.3.12.2",                                   \
      "security transmit: path is empty")                                                          \
    X(SECTXMINIFG, 0x08810, 1, 0, RW, 0x00000001, 0x0000001f, "8.2.3.12.4", "gap between frames")  \
    X(SECRXCTRL, 0x08d00, 1, 0, RW, 0, 0x00000003, "8.2.3.12.5", "security receive: disable")      \
    X(SECRXSTAT, 0x08d04, 1, 0, RO, 0, 0, "8.2.3.12.6", "security receive: path is empty")         \
    X(PFVTCTL, 0x051b0, 1, 0, RW, 0, 0xffffffff, "8.2.3.27.1", "virtual machines: off when 0")     \
    X(PFVLVF, 0x0f100, 64, 4, RW, 0, 0x80000fff, "8.2.3.27.15", "VLAN of a pool")                  \
    X(PFVLVFB, 0x0f200, 128, 4, RW, 0, 0xffffffff, "8.2.3.27.16", "pools of a VLAN")               \
    X(PFUTA, 0x0f400, 128, 4, RW, 0, 0xffffffff, "8.2.3.27.17", "unicast hash, 4,096 bits")        \
    X(PCS1GLCTL, 0x04208, 1, 0, RW, 0, 0xffffffff, "8.2.3.22.2", "1 Gb/s PCS link control")        \
    X(PCS1GLSTA, 0x0420c, 1, 0, RO, 0, 0, "8.2.3.22.3", "1 Gb/s PCS link status")                  \
    X(PCS1GANA, 0x04218, 1, 0, RW, 0, 0xffffffff, "8.2.3.22.4", "1 Gb/s PCS, what is advertised")  \
    X(HLREG0, 0x04240, 1, 0, RW, 0x0801040b, 0x18f3ffff, "8.2.3.22.8",                             \
      "MAC core: CRC, padding, jumbo, loopback")                                                   \
    X(HLREG1, 0x04244, 1, 0, RO, 0, 0, "8.2.3.22.9", "MAC core status")                            \
    X(MSCA, 0x0425c, 1, 0, SC, 0, 0x7fffffff, "8.2.3.22.11", "MDIO command and address")           \
    X(MSRWD, 0x04260, 1, 0, RW, 0, 0x0000ffff, "8.2.3.22.12", "MDIO data, written low, read high") \
    X(MAXFRS, 0x04268, 1, 0, RW, 0x05ee0000, 0xffff0000, "8.2.3.22.13",                            \
      "longest frame, CRC included")                                                               \
    X(MFLCN, 0x04294, 1, 0, RW, 0, 0x0000000f, "8.2.3.22.34", "flow control obeyed")               \
    X(MACC, 0x04330, 1, 0, RW, 0, 0xffffffff, "8.2.3.22.30", "MAC control: force link")            \
    X(AUTOC, 0x042a0, 1, 0, SC, 0xc09c6004, 0xffffffff, "8.2.3.22.19",                             \
      "link mode, autonegotiation, as the EEPROM says")                                            \
    X(LINKS, 0x042a4, 1, 0, RO, 0, 0, "8.2.3.22.20", "link up, speed")                             \
    X(LINKS2, 0x04324, 1, 0, RO, 0, 0, "8.2.3.22.21", "which link mode is up")                     \
    X(AUTOC2, 0x042a8, 1, 0, RW, 0x000a0000, 0xffffffff, "8.2.3.22.22", "10 Gb/s serial mode")     \
    X(ANLP1, 0x042b0, 1, 0, RO, 0, 0, "8.2.3.22.23", "the partner's abilities, 1")                 \
    X(ANLP2, 0x042b4, 1, 0, RO, 0, 0, "8.2.3.22.24", "the partner's abilities, 2")                 \
    X(CORECTL, 0x14f00, 1, 0, RW, 0, 0x0001ffff, "8.2.3.22.32",                                    \
      "analog core: writes a byte to it")                                                          \
    X(CRCERRS, 0x04000, 1, 0, RC, 0, 0, "8.2.3.23.1", "received with a wrong CRC")                 \
    X(ILLERRC, 0x04004, 1, 0, RC, 0, 0, "8.2.3.23.2", "received with an illegal symbol")           \
    X(ERRBC, 0x04008, 1, 0, RC, 0, 0, "8.2.3.23.3", "received with an error byte")                 \
    X(MLFC, 0x04034, 1, 0, RC, 0, 0, "8.2.3.23.5", "faults of the own MAC")                        \
    X(MRFC, 0x04038, 1, 0, RC, 0, 0, "8.2.3.23.6", "faults told by the partner's MAC")             \
    X(RLEC, 0x04040, 1, 0, RC, 0, 0, "8.2.3.23.7", "received with a length field that lies")       \
    X(RXMPC, 0x03fa0, 8, 4, RC, 0, 0, "8.2.3.23.4", "missed: no room in the packet buffer")        \
    X(LXONTXC, 0x03f60, 1, 0, RC, 0, 0, "8.2.3.23.9", "XON sent")                                  \
    X(LXONRXC, 0x041a4, 1, 0, RC, 0, 0, "8.2.3.23.10", "XON received")                             \
    X(LXOFFTXC, 0x03f68, 1, 0, RC, 0, 0, "8.2.3.23.11", "XOFF sent")                               \
    X(LXOFFRXC, 0x041a8, 1, 0, RC, 0, 0, "8.2.3.23.12", "XOFF received")                           \
    X(PRC64, 0x0405c, 1, 0, RC, 0, 0, "8.2.3.23.17", "received, 64 bytes")                         \
    X(PRC127, 0x04060, 1, 0, RC, 0, 0, "8.2.3.23.18", "received, up to 127 bytes")                 \
    X(PRC255, 0x04064, 1, 0, RC, 0, 0, "8.2.3.23.19", "received, up to 255 bytes")                 \
    X(PRC511, 0x04068, 1, 0, RC, 0, 0, "8.2.3.23.20", "received, up to 511 bytes")                 \
    X(PRC1023, 0x0406c, 1, 0, RC, 0, 0, "8.2.3.23.21", "received, up to 1,023 bytes")              \
    X(PRC1522, 0x04070, 1, 0, RC, 0, 0, "8.2.3.23.22", "received, longer")                         \
    X(GPRC, 0x04074, 1, 0, RC, 0, 0, "8.2.3.23.25", "good frames received")                        \
    X(BPRC, 0x04078, 1, 0, RC, 0, 0, "8.2.3.23.23", "broadcasts received")                         \
    X(MPRC, 0x0407c, 1, 0, RC, 0, 0, "8.2.3.23.24", "multicasts received")                         \
    X(GPTC, 0x04080, 1, 0, RC, 0, 0, "8.2.3.23.28", "good frames sent")                            \
    X(GORCL, 0x04088, 1, 0, RC, 0, 0, "8.2.3.23.26", "good bytes received, low")                   \
    X(GORCH, 0x0408c, 1, 0, RC, 0, 0, "8.2.3.23.27", "and high, four bits")                        \
    X(GOTCL, 0x04090, 1, 0, RC, 0, 0, "8.2.3.23.29", "good bytes sent, low")                       \
    X(GOTCH, 0x04094, 1, 0, RC, 0, 0, "8.2.3.23.30", "and high, four bits")                        \
    X(RUC, 0x040a4, 1, 0, RC, 0, 0, "8.2.3.23.31", "received, too short, CRC right")               \
    X(RFC, 0x040a8, 1, 0, RC, 0, 0, "8.2.3.23.32", "received, too short, CRC wrong")               \
    X(ROC, 0x040ac, 1, 0, RC, 0, 0, "8.2.3.23.33", "received, too long, CRC right")                \
    X(RJC, 0x040b0, 1, 0, RC, 0, 0, "8.2.3.23.34", "received, too long, CRC wrong")                \
    X(MNGPRC, 0x040b4, 1, 0, RC, 0, 0, "8.2.3.23.35", "received for manageability")                \
    X(MNGPDC, 0x040b8, 1, 0, RC, 0, 0, "8.2.3.23.36", "dropped by manageability")                  \
    X(TORL, 0x040c0, 1, 0, RC, 0, 0, "8.2.3.23.38", "all bytes received, low")                     \
    X(TORH, 0x040c4, 1, 0, RC, 0, 0, "8.2.3.23.39", "and high, four bits")                         \
    X(TPR, 0x040d0, 1, 0, RC, 0, 0, "8.2.3.23.40", "all frames received")                          \
    X(TPT, 0x040d4, 1, 0, RC, 0, 0, "8.2.3.23.41", "all frames sent")                              \
    X(PTC64, 0x040d8, 1, 0, RC, 0, 0, "8.2.3.23.42", "sent, 64 bytes")                             \
    X(PTC127, 0x040dc, 1, 0, RC, 0, 0, "8.2.3.23.43", "sent, up to 127 bytes")                     \
    X(PTC255, 0x040e0, 1, 0, RC, 0, 0, "8.2.3.23.44", "sent, up to 255 bytes")                     \
    X(PTC511, 0x040e4, 1, 0, RC, 0, 0, "8.2.3.23.45", "sent, up to 511 bytes")                     \
    X(PTC1023, 0x040e8, 1, 0, RC, 0, 0, "8.2.3.23.46", "sent, up to 1,023 bytes")                  \
    X(PTC1522, 0x040ec, 1, 0, RC, 0, 0, "8.2.3.23.47", "sent, longer")                             \
    X(MPTC, 0x040f0, 1, 0, RC, 0, 0, "8.2.3.23.48", "multicasts sent")                             \
    X(BPTC, 0x040f4, 1, 0, RC, 0, 0, "8.2.3.23.49", "broadcasts sent")                             \
    X(MSPDC, 0x04010, 1, 0, RC, 0, 0, "8.2.3.23.50", "short frames dropped by the MAC")            \
    X(XEC, 0x04120, 1, 0, RC, 0, 0, "8.2.3.23.51",                                                 \
      "received with a wrong IPv4, TCP or UDP checksum")                                           \
    X(RXDGPC, 0x02f50, 1, 0, RC, 0, 0, "8.2.3.23.56", "good frames by DMA to the host")            \
    X(RXDGBCL, 0x02f54, 1, 0, RC, 0, 0, "8.2.3.23.57", "their bytes, low")                         \
    X(RXDGBCH, 0x02f58, 1, 0, RC, 0, 0, "8.2.3.23.58", "and high, four bits")                      \
    X(TXDGPC, 0x087a0, 1, 0, RC, 0, 0, "8.2.3.23.63", "good frames by DMA from the host")          \
    X(TXDGBCL, 0x087a4, 1, 0, RC, 0, 0, "8.2.3.23.64", "their bytes, low")                         \
    X(TXDGBCH, 0x087a8, 1, 0, RC, 0, 0, "8.2.3.23.65", "and high, four bits")                      \
    X(RQSMR, 0x02300, 32, 4, RW, 0, 0x0f0f0f0f, "8.2.3.23.71",                                     \
      "which of 16 counters a receive queue counts in")                                            \
    X(TQSM, 0x08600, 32, 4, RW, 0, 0x0f0f0f0f, "8.2.3.23.73",                                      \
      "which of 16 counters a transmit queue counts in")                                           \
    X(QPRC, 0x01030, 16, 0x40, RC, 0, 0, "8.2.3.23.74", "frames received by queues")               \
    X(QPRDC, 0x01430, 16, 0x40, RC, 0, 0, "8.2.3.23.75",                                           \
      "frames dropped by queues, for want of a descriptor")                                        \
    X(QBRC_L, 0x01034, 16, 0x40, RC, 0, 0, "8.2.3.23.76", "bytes received by queues, low")         \
    X(QBRC_H, 0x01038, 16, 0x40, RC, 0, 0, "8.2.3.23.77", "and high, four bits")                   \
    X(QPTC, 0x08680, 16, 4, RC, 0, 0, "8.2.3.23.78", "frames sent by queues")                      \
    X(QBTC_L, 0x08700, 16, 8, RC, 0, 0, "8.2.3.23.79", "bytes sent by queues, low")                \
    X(QBTC_H, 0x08704, 16, 8, RC, 0, 0, "8.2.3.23.80", "and high, four bits")                      \
    X(RAL_82598, 0x05400, 16, 8, RW, 0, 0xffffffff, "8.2.3.7.8",                                   \
      "RAL of the first 16, where the 82598 has them")                                             \
    X(RAH_82598, 0x05404, 16, 8, RW, 0, 0x8000ffff, "8.2.3.7.9", "RAH of the first 16, likewise")  \
    X(PSRTYPE_82598, 0x05480, 16, 4, RW, 0, 0xe0ffffff, "8.2.3.7.4",                               \
      "PSRTYPE of the first 16, likewise")                                                         \
    X(SRRCTL_82598, 0x02100, 16, 4, RW, 0x00000402, 0x1fc03f1f, "8.2.3.8.7",                       \
      "SRRCTL of the first 16, likewise")                                                          \
    X(DCA_RXCTRL_82598, 0x02200, 16, 4, RW, 0x0000a200, 0xffffffff, "8.2.3.11.1",                  \
      "DCA_RXCTRL of the first 16, likewise")

/* Arrays that software zeroes before the device is used (4.6.7, 4.6.11.3.4): memories that come up
 * with anything, flow control, and packet buffers other than the first. X(first, how many) */
#define IXGBE_ZEROED(X)                                                                            \
    X(IXGBE_MPSAR, 256)                                                                            \
    X(IXGBE_PFUTA, 128)                                                                            \
    X(IXGBE_VFTA, 128)                                                                             \
    X(IXGBE_FTQF, 128)                                                                             \
    X(IXGBE_PFVLVF, 64)                                                                            \
    X(IXGBE_PFVLVFB, 128)                                                                          \
    X(IXGBE_MFLCN, 1)                                                                              \
    X(IXGBE_FCCFG, 1)                                                                              \
    X(IXGBE_FCTTV, 4)                                                                              \
    X(IXGBE_FCRTL, 8)                                                                              \
    X(IXGBE_FCRTV, 1)                                                                              \
    X(IXGBE_RXPBSIZE + 4, 7)                                                                       \
    X(IXGBE_TXPBSIZE + 4, 7)                                                                       \
    X(IXGBE_TXPBTHRESH + 4, 7)                                                                     \
    X(IXGBE_MTQC, 1)

enum ixgbe_register {
#define IXGBE_REGISTER_ENUM(name, offset, count, stride, access, reset, writable, section, help)   \
    IXGBE_##name = (offset),
    IXGBE_REGISTERS(IXGBE_REGISTER_ENUM)
#undef IXGBE_REGISTER_ENUM
};

enum {
    IXGBE_BYTES = 128 << 10, /* of region 0 that registers lie in; X540 has 2 MiB, the rest flash */
    IXGBE_QUEUE_STRIDE = 0x40,
    IXGBE_MTA_WORDS = 128, /* 4,096 bits of multicast hash */
    IXGBE_VFTA_WORDS = 128,
    IXGBE_PFUTA_WORDS = 128,
    IXGBE_MPSAR_WORDS = 256,
    IXGBE_RA_ENTRIES = 128, /* receive addresses; ours is the first */
    IXGBE_FTQF_ENTRIES = 128,
    IXGBE_RSSRK_WORDS = 10,
    IXGBE_RETA_WORDS = 32, /* four entries each */
    IXGBE_QUEUES = 16,     /* that RSS can tell apart (8.2.3.7.15) */

    IXGBE_EEPROM_WORDS = 64,   /* 0 to 0x3f: what the checksum covers, and pointers (6.4) */
    IXGBE_EEPROM_SUM = 0xbaba, /* of these words, and all that their pointers lead to */
};

#define IXGBE_CTRL_MASTER_DISABLE (1u << 2)
#define IXGBE_CTRL_LRST           (1u << 3) /* link reset: MAC, PHY interface, autonegotiation */
#define IXGBE_CTRL_RST            (1u << 26)

#define IXGBE_STATUS_LAN(status) ((status) >> 2 & 3)
#define IXGBE_STATUS_LU          (1u << 7)
#define IXGBE_STATUS_MASTER      (1u << 19) /* requests may be under way */

#define IXGBE_CTRL_EXT_PFRSTD   (1u << 14) /* the physical function's reset is done */
#define IXGBE_CTRL_EXT_NS_DIS   (1u << 16) /* no snoop off */
#define IXGBE_CTRL_EXT_RO_DIS   (1u << 17) /* relaxed ordering off */
#define IXGBE_CTRL_EXT_DRV_LOAD (1u << 28) /* tells firmware that a driver is there */

#define IXGBE_EEC_EE_PRES (1u << 8)
#define IXGBE_EEC_AUTO_RD (1u << 9)

#define IXGBE_EERD_START         (1u << 0)
#define IXGBE_EERD_DONE          (1u << 1)
#define IXGBE_EERD_ADDRESS_SHIFT 2
#define IXGBE_EERD_DATA_SHIFT    16

#define IXGBE_EEMNGCTL_CFG_DONE(lan) (1u << (18 + (lan)))

#define IXGBE_ESDP_SDP2 (1u << 2) /* SFP+ cages: 0 when a module is there */
#define IXGBE_ESDP_SDP3 (1u << 3) /* laser: 1 turns it off */

#define IXGBE_I2CCTL_CLK_IN   (1u << 0)
#define IXGBE_I2CCTL_CLK_OUT  (1u << 1)
#define IXGBE_I2CCTL_DATA_IN  (1u << 2)
#define IXGBE_I2CCTL_DATA_OUT (1u << 3)

#define IXGBE_SWSM_SMBI           (1u << 0) /* between drivers: whoever read it as 0 has it */
#define IXGBE_SWSM_SWESMBI        (1u << 1) /* with firmware: granted when it stays 1 */
#define IXGBE_FWSM_EXT_ERR(fwsm)  ((fwsm) >> 19 & 0x3f)
#define IXGBE_SYNC_EEP            (1u << 0)           /* SW_FW_SYNC: software holds the EEPROM, */
#define IXGBE_SYNC_PHY(lan)       (1u << (1 + (lan))) /* this port's MDIO and I2C, */
#define IXGBE_SYNC_MAC_CSR        (1u << 3)           /* registers of the MAC (AUTOC) */
#define IXGBE_SYNC_FIRMWARE_SHIFT 5                   /* the same, held by firmware */

#define IXGBE_GCR_EXT_BUFFERS_CLEAR (1u << 30)

#define IXGBE_EICR_RTXQ      0xffffu
#define IXGBE_EICR_RX_MISS   (1u << 17)
#define IXGBE_EICR_PCI       (1u << 18)
#define IXGBE_EICR_LSC       (1u << 20) /* link status changed */
#define IXGBE_EICR_SDP(n)    (1u << (24 + (n)))
#define IXGBE_EICR_ECC       (1u << 28)
#define IXGBE_EICR_TCP_TIMER (1u << 30)

#define IXGBE_IVAR_VALID 0x80u /* of each byte, the others its message */

#define IXGBE_GPIE_MULTIPLE_MSIX (1u << 4)
#define IXGBE_GPIE_OCD           (1u << 5) /* only the causes of EIAC clear by reading */
#define IXGBE_GPIE_EIAME         (1u << 30)
#define IXGBE_GPIE_PBA_SUPPORT   (1u << 31)

#define IXGBE_FCTRL_SBP (1u << 1)  /* bad frames too */
#define IXGBE_FCTRL_MPE (1u << 8)  /* any multicast */
#define IXGBE_FCTRL_UPE (1u << 9)  /* any unicast */
#define IXGBE_FCTRL_BAM (1u << 10) /* broadcasts */

#define IXGBE_VLNCTRL_VFE (1u << 30)

#define IXGBE_MCSTCTRL_MO(mcstctrl)                                                                \
    ((mcstctrl)&3) /* which bits of a group address MTA is asked by */
#define IXGBE_MCSTCTRL_MFE (1u << 2)

#define IXGBE_RXCSUM_IPPCSE (1u << 12)
#define IXGBE_RXCSUM_PCSD   (1u << 13) /* the RSS hash in the descriptor, not a fragment's sum */

#define IXGBE_RAH_AV (1u << 31)

#define IXGBE_MRQC_RSS           1u
#define IXGBE_MRQC_HASH_TCP_IPV4 (1u << 16)
#define IXGBE_MRQC_HASH_IPV4     (1u << 17)
#define IXGBE_MRQC_HASH_IPV6     (1u << 20)
#define IXGBE_MRQC_HASH_TCP_IPV6 (1u << 21)
#define IXGBE_MRQC_HASH_UDP_IPV4 (1u << 22)
#define IXGBE_MRQC_HASH_UDP_IPV6 (1u << 23)
#define IXGBE_MRQC_HASH_ALL      (0xf3u << 16) /* those above */

#define IXGBE_FTQF_ENABLE (1u << 31)

#define IXGBE_RXDCTL_ENABLE (1u << 25)
#define IXGBE_RXDCTL_VME    (1u << 30) /* take VLAN tags out */

#define IXGBE_SRRCTL_BSIZEPACKET(bytes) ((bytes) >> 10)
#define IXGBE_SRRCTL_BSIZEHEADER(bytes) ((bytes) >> 6 << 8)
#define IXGBE_SRRCTL_DESCTYPE(srrctl)   ((srrctl) >> 25 & 7)
#define IXGBE_SRRCTL_DESCTYPE_LEGACY    (0u << 25)
#define IXGBE_SRRCTL_DESCTYPE_ADVANCED  (1u << 25) /* one buffer */
#define IXGBE_SRRCTL_DROP_EN            (1u << 28) /* drop when the ring is empty, do not stall */

#define IXGBE_DCA_RXCTRL_RESERVED12 (1u << 12) /* to be cleared (4.6.7) */
#define IXGBE_DCA_TXCTRL_WB_RO      (1u << 11) /* write-backs may overtake: off, so that DD comes last */

#define IXGBE_RDRXCTL_CRC_STRIP   (1u << 1)
#define IXGBE_RDRXCTL_DMAIDONE    (1u << 3)
#define IXGBE_RDRXCTL_RSCFRSTSIZE (0x1fu << 17)
#define IXGBE_RDRXCTL_RSCACKC     (1u << 25)
#define IXGBE_RDRXCTL_FCOE_WRFIX  (1u << 26)

#define IXGBE_RXPBSIZE_ALL (512u << 10)
#define IXGBE_RXCTRL_RXEN  (1u << 0)

#define IXGBE_DMATXCTL_TE       (1u << 0)
#define IXGBE_TXDCTL_PTHRESH(n) (n)
#define IXGBE_TXDCTL_HTHRESH(n) ((n) << 8)
#define IXGBE_TXDCTL_WTHRESH(n) ((n) << 16)
#define IXGBE_TXDCTL_ENABLE     (1u << 25)
#define IXGBE_TXPBSIZE_ALL      (160u << 10)
#define IXGBE_DTXMXSZRQ_MOST    0xfffu
#define IXGBE_RTTDCS_ARBDIS     (1u << 6)

#define IXGBE_SECRXCTRL_RX_DIS (1u << 1)
#define IXGBE_SECRXSTAT_RDY    (1u << 0)

#define IXGBE_FCRTH_RTH       0x0007ffe0u
#define IXGBE_FCRTH_FCEN      (1u << 31)
#define IXGBE_FCCFG_TFCE_LINK (1u << 3)

#define IXGBE_HLREG0_TXCRCEN      (1u << 0)
#define IXGBE_HLREG0_RXCRCSTRP    (1u << 1)
#define IXGBE_HLREG0_JUMBOEN      (1u << 2)
#define IXGBE_HLREG0_TXPADEN      (1u << 10)
#define IXGBE_HLREG0_LPBK         (1u << 15)
#define IXGBE_HLREG0_RXLNGTHERREN (1u << 27)

#define IXGBE_MAXFRS_SHIFT 16

#define IXGBE_MFLCN_RFCE (1u << 3)

#define IXGBE_AUTOC_FLU        (1u << 0) /* force link up */
#define IXGBE_AUTOC_RESTART_AN (1u << 12)
#define IXGBE_AUTOC_LMS(autoc) ((autoc) >> 13 & 7)
#define IXGBE_AUTOC_LMS_SHIFT  13
enum ixgbe_link_mode {
    IXGBE_LMS_1G,           /* no autonegotiation */
    IXGBE_LMS_10G_PARALLEL, /* KX4, CX4, XAUI; no autonegotiation */
    IXGBE_LMS_1G_AN,        /* clause 37 */
    IXGBE_LMS_10G_SERIAL,   /* SFI to an SFP+ module, or KR without autonegotiation */
    IXGBE_LMS_BACKPLANE,    /* KX, KX4, KR by clause 73 */
    IXGBE_LMS_SGMII,
    IXGBE_LMS_BACKPLANE_1G_AN,
    IXGBE_LMS_BACKPLANE_SGMII,
};
#define IXGBE_AUTOC_10G_PARALLEL_KX4 (1u << 7)
#define IXGBE_AUTOC2_10G_SFI         (2u << 16) /* 10 Gb/s serial: SFI; 0: KR */
#define IXGBE_AUTOC2_10G_SERIAL      (3u << 16)

#define IXGBE_LINKS_SPEED(links) ((links) >> 28 & 3) /* -, 100, 1000, 10000 Mb/s */
#define IXGBE_LINKS_UP           (1u << 30)
#define IXGBE_LINKS_WAS_UP       (1u << 7) /* 0: down at some time since the last read */

#endif
