/* DHCP (RFC 2131; options: RFC 2132) over UDP, a BOOTP message (RFC 951) with options behind it.
 *
 *    0    1       2      3      4     8      10      12       16       20       24      28
 *   +----+-------+------+------+-----+------+-------+--------+--------+--------+-------+--------
 *   | op | htype | hlen | hops | xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr| chaddr
 *   +----+-------+------+------+-----+------+-------+--------+--------+--------+-------+--------
 *    44     108    236      240
 *   +------+------+--------+---------
 *   | sname| file | cookie | options: code, length, bytes; PAD and END are a code alone
 *   +------+------+--------+--------- */
#ifndef WIRE_DHCP_H
#define WIRE_DHCP_H

#include "wire/ethernet.h"

enum {
    DHCP_PORT_SERVER = 67,
    DHCP_PORT_CLIENT = 68,
    DHCP_HEADER_LENGTH = 240,     /* the cookie included */
    DHCP_LENGTH_MIN = 300,        /* of what is sent (RFC 1542 2.1); what comes may be shorter */
    DHCP_COOKIE = 0x63825363,     /* RFC 2131 3 */
    DHCP_FLAG_BROADCAST = 0x8000, /* the client has no address yet: answer by broadcast */
    DHCP_OP_REQUEST = 1,
    DHCP_OP_REPLY = 2,
    DHCP_HARDWARE_ETHERNET = 1,

    /* Options */
    DHCP_OPTION_PAD = 0,
    DHCP_OPTION_MASK = 1,
    DHCP_OPTION_ROUTER = 3,
    DHCP_OPTION_REQUESTED = 50,
    DHCP_OPTION_LEASE_S = 51,
    DHCP_OPTION_OVERLOAD = 52,
    DHCP_OPTION_TYPE = 53,
    DHCP_OPTION_SERVER = 54,
    DHCP_OPTION_PARAMETERS = 55,
    DHCP_OPTION_TEXT = 56,
    DHCP_OPTION_LENGTH_MAX = 57,
    DHCP_OPTION_RENEW_S = 58,  /* T1 */
    DHCP_OPTION_REBIND_S = 59, /* T2 */
    DHCP_OPTION_CLIENT = 61,
    DHCP_OPTION_END = 255,

    /* Bits of the option OVERLOAD: which fields hold more options (RFC 2132 9.3) */
    DHCP_OVERLOAD_FILE = 1,
    DHCP_OVERLOAD_SNAME = 2,
};

/* Values of the option TYPE (RFC 2132 9.6) */
enum dhcp_type {
    DHCP_DISCOVER = 1,
    DHCP_OFFER = 2,
    DHCP_REQUEST = 3,
    DHCP_DECLINE = 4,
    DHCP_ACK = 5,
    DHCP_NAK = 6,
    DHCP_RELEASE = 7,
};

#define DHCP_LEASE_FOREVER UINT32_MAX /* seconds (RFC 2131 3.3) */

struct dhcp_message {
    uint8_t op;
    uint8_t hardware;
    uint8_t hardware_length;
    uint8_t hops;
    be32_t xid;
    be16_t seconds; /* since the client began */
    be16_t flags;
    be32_t client; /* its address, if it can answer ARP for it */
    be32_t yours;  /* the client's address, says the server */
    be32_t next_server;
    be32_t relay;
    uint8_t client_mac[16];
    uint8_t sname[64];
    uint8_t file[128];
    be32_t cookie;
} WIRE_PACKED;
_Static_assert(sizeof(struct dhcp_message) == DHCP_HEADER_LENGTH, "RFC 2131 2");
_Static_assert(offsetof(struct dhcp_message, sname) == 44, "RFC 2131 2");

struct dhcp_option {
    uint8_t code;
    uint8_t length;
    const uint8_t *value;
};

/* Reads the option at *at of a field of `bytes` bytes and moves *at behind it. False: there are no
 * more; *at is beyond `bytes` if that is because one is cut off. */
static inline bool dhcp_option_next(const uint8_t *field, size_t bytes, size_t *at,
                                    struct dhcp_option *option)
{
    while (*at < bytes && field[*at] == DHCP_OPTION_PAD)
        ++*at;
    if (*at >= bytes || field[*at] == DHCP_OPTION_END)
        return false;
    if (bytes - *at < 2 || field[*at + 1] > bytes - *at - 2) {
        *at = bytes + 1;
        return false;
    }
    *option = (struct dhcp_option){
        .code = field[*at], .length = field[*at + 1], .value = field + *at + 2};
    *at += 2u + option->length;
    return true;
}

/* Writes an option and returns where the next one goes. */
static inline uint8_t *dhcp_option_put(uint8_t *to, uint8_t code, const void *value, uint8_t length)
{
    to[0] = code;
    to[1] = length;
    memcpy(to + 2, value, length);
    return to + 2 + length;
}

static inline uint8_t *dhcp_option_put32(uint8_t *to, uint8_t code, uint32_t value)
{
    be32_t raw = be32(value);
    return dhcp_option_put(to, code, &raw, sizeof raw);
}

#endif
