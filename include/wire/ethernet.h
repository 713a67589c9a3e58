/* Ethernet II (RFC 894, IEEE 802.3 3.2).
 *
 *    0      6      12     14
 *   +------+------+------+---------
 *   | to   | from | type | payload
 *   +------+------+------+--------- */
#ifndef WIRE_ETHERNET_H
#define WIRE_ETHERNET_H

#include <string.h>

#include "wire/wire.h"

enum {
    ETH_ADDRESS_LENGTH = 6,
    ETH_HEADER_LENGTH = 14,
    ETH_TYPE_IPV4 = 0x0800,
    ETH_TYPE_ARP = 0x0806,
};

struct eth_header {
    uint8_t to[ETH_ADDRESS_LENGTH];
    uint8_t from[ETH_ADDRESS_LENGTH];
    be16_t type;
} WIRE_PACKED;
_Static_assert(sizeof(struct eth_header) == ETH_HEADER_LENGTH, "RFC 894");

/* Group bit: multicast, broadcast included (IEEE 802.3 3.2.3). */
static inline bool eth_is_group(const uint8_t address[ETH_ADDRESS_LENGTH])
{
    return address[0] & 1;
}

static inline bool eth_equal(const uint8_t a[ETH_ADDRESS_LENGTH],
                             const uint8_t b[ETH_ADDRESS_LENGTH])
{
    return memcmp(a, b, ETH_ADDRESS_LENGTH) == 0;
}

static inline bool eth_is_zero(const uint8_t address[ETH_ADDRESS_LENGTH])
{
    static const uint8_t zero[ETH_ADDRESS_LENGTH];
    return eth_equal(address, zero);
}

static inline void eth_copy(uint8_t to[ETH_ADDRESS_LENGTH], const uint8_t from[ETH_ADDRESS_LENGTH])
{
    memcpy(to, from, ETH_ADDRESS_LENGTH);
}

/* Eight bytes, or four, as one number, to be compared under a mask. */
static inline uint64_t eth_load8(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t eth_load4(const void *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Whether the frame's first eight bytes, loaded by eth_load8, say that it is to the address whose
 * bytes `to` begins with (loaded likewise), and from a station: not from a group. */
static inline bool eth_is_plain(uint64_t frame, uint64_t to)
{
    static const uint8_t mask[8] = {255, 255, 255, 255, 255, 255, 1, 0};
    static const uint8_t address[8] = {255, 255, 255, 255, 255, 255, 0, 0};
    return (frame & eth_load8(mask)) == (to & eth_load8(address));
}

/* Back to where it came from, from `mac`. */
static inline void eth_reply(struct eth_header *eth, const uint8_t mac[ETH_ADDRESS_LENGTH])
{
    eth_copy(eth->to, eth->from);
    eth_copy(eth->from, mac);
}

#endif
