/* UDP (RFC 768).
 *
 *    0        2      4        6          8
 *   +--------+------+--------+----------+---------
 *   | from   | to   | length | checksum | data
 *   +--------+------+--------+----------+--------- */
#ifndef WIRE_UDP_H
#define WIRE_UDP_H

#include "wire/ipv4.h"

enum {
    UDP_HEADER_LENGTH = 8,
    UDP_PORT_ECHO = 7, /* RFC 862 */
};

struct udp_header {
    be16_t from;
    be16_t to;
    be16_t length;
    be16_t checksum; /* 0: the sender did not compute one */
} WIRE_PACKED;
_Static_assert(sizeof(struct udp_header) == UDP_HEADER_LENGTH, "RFC 768");

#endif
