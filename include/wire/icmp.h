/* ICMP (RFC 792; errors: RFC 1122 3.2.2, RFC 1812 4.3; next-hop MTU: RFC 1191).
 *
 *    0      1      2          4                  8
 *   +------+------+----------+------------------+---------
 *   | type | code | checksum | id, seq or value | data
 *   +------+------+----------+------------------+--------- */
#ifndef WIRE_ICMP_H
#define WIRE_ICMP_H

#include "wire/ipv4.h"

enum {
    ICMP_HEADER_LENGTH = 8,
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_SOURCE_QUENCH = 4,
    ICMP_REDIRECT = 5,
    ICMP_ECHO_REQUEST = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
    /* codes of ICMP_UNREACHABLE */
    ICMP_UNREACHABLE_NET = 0,
    ICMP_UNREACHABLE_HOST = 1,
    ICMP_UNREACHABLE_PROTOCOL = 2,
    ICMP_UNREACHABLE_PORT = 3,
    ICMP_UNREACHABLE_TOO_BIG = 4,
    ICMP_UNREACHABLE_ADMIN = 13,
    /* codes of ICMP_TIME_EXCEEDED */
    ICMP_TIME_EXCEEDED_TTL = 0,
};

struct icmp_header {
    uint8_t type;
    uint8_t code;
    be16_t checksum;
    be16_t id;
    be16_t sequence; /* of a fragmentation-needed error: the next hop's MTU */
} WIRE_PACKED;
_Static_assert(sizeof(struct icmp_header) == ICMP_HEADER_LENGTH, "RFC 792");

/* An error about a packet, as opposed to a query or its answer. */
static inline bool icmp_is_error(uint8_t type)
{
    return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
           type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}

#endif
