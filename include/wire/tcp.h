/* TCP (RFC 9293): the header, for services that look at ports and flags.
 *
 *    0      2    4     8      12          13      14       16         18       20
 *   +------+----+-----+------+-----------+-------+--------+----------+--------+---------
 *   | from | to | seq | ack  | offset<<4 | flags | window | checksum | urgent | options
 *   +------+----+-----+------+-----------+-------+--------+----------+--------+--------- */
#ifndef WIRE_TCP_H
#define WIRE_TCP_H

#include "wire/ipv4.h"

enum {
    TCP_HEADER_MIN = 20,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_ACK = 16,
};

struct tcp_header {
    be16_t from;
    be16_t to;
    be32_t sequence;
    be32_t acknowledgement;
    uint8_t offset; /* header length in words << 4 */
    uint8_t flags;
    be16_t window;
    be16_t checksum;
    be16_t urgent;
} WIRE_PACKED;
_Static_assert(sizeof(struct tcp_header) == TCP_HEADER_MIN, "RFC 9293");

#endif
