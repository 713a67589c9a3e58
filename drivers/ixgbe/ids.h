/* The devices: PCI ids of vendor 8086, from the datasheets and "pci.ids". X520 are cards with an
 * 82599. Those of IXGBE_UNKNOWN are named so that it can be said why they are left out. */
#ifndef DRIVERS_IXGBE_IDS_H
#define DRIVERS_IXGBE_IDS_H

/* device id, how it reaches the wire, name */
#define IXGBE_IDS(X)                                                                               \
    X(0x10fb, SFP, "82599 SFP+")                                                                   \
    X(0x1507, SFP, "82599 SFP+ EM")                                                                \
    X(0x1529, SFP, "82599 SFP+ FCoE")                                                              \
    X(0x154a, SFP, "X520-4")                                                                       \
    X(0x154d, SFP, "82599 SFP+ SF2")                                                               \
    X(0x1557, SFP, "82599EN SFP+")                                                                 \
    X(0x10f7, BACKPLANE, "82599 KX4")                                                              \
    X(0x10f8, BACKPLANE, "82599 backplane")                                                        \
    X(0x10f9, BACKPLANE, "82599 CX4")                                                              \
    X(0x10fc, BACKPLANE, "82599 XAUI")                                                             \
    X(0x1514, BACKPLANE, "82599 KX4 mezzanine")                                                    \
    X(0x1517, BACKPLANE, "82599 KR")                                                               \
    X(0x152a, BACKPLANE, "82599 backplane FCoE")                                                   \
    X(0x1528, COPPER, "X540-AT2")                                                                  \
    X(0x1560, COPPER, "X540-AT1")                                                                  \
    X(0x1563, UNKNOWN, "X550-AT2")                                                                 \
    X(0x15d1, UNKNOWN, "X550-AT")                                                                  \
    X(0x15ac, UNKNOWN, "X552 SFP+")                                                                \
    X(0x15ad, UNKNOWN, "X557-AT")                                                                  \
    X(0x15ce, UNKNOWN, "X553 SFP+")

#endif
