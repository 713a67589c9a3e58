/* IPv4 (RFC 791) and the Internet checksum (RFC 1071, incremental: RFC 1624).
 *
 *    0    1    2        4        6            8    9        10         12      16    20
 *   +----+----+--------+--------+------------+----+--------+----------+-------+-----+---------
 *   |v|hl|tos | length | id     | flags|frag | ttl| proto  | checksum | from  | to  | options
 *   +----+----+--------+--------+------------+----+--------+----------+-------+-----+--------- */
#ifndef WIRE_IPV4_H
#define WIRE_IPV4_H

#include <string.h>

#include "wire/wire.h"

enum {
    IPV4_HEADER_MIN = 20,
    IPV4_HEADER_MAX = 60,
    IPV4_DONT_FRAGMENT = 0x4000,
    IPV4_MORE_FRAGMENTS = 0x2000,
    IPV4_FRAGMENT_OFFSET = 0x1fff, /* in units of eight bytes */
    IPV4_ICMP = 1,
    IPV4_TCP = 6,
    IPV4_UDP = 17,
    IPV4_TTL_DEFAULT = 64, /* RFC 1340 */
    /* Option types (RFC 791 3.1) */
    IPV4_OPTION_END = 0,
    IPV4_OPTION_NOP = 1,
    IPV4_OPTION_LOOSE_SOURCE_ROUTE = 131,
    IPV4_OPTION_STRICT_SOURCE_ROUTE = 137,
};

struct ipv4_header {
    uint8_t version_length; /* version << 4 | header length in words */
    uint8_t tos;
    be16_t total_length;
    be16_t id;
    be16_t fragment; /* flags and offset */
    uint8_t ttl;
    uint8_t protocol;
    be16_t checksum;
    be32_t from;
    be32_t to;
} WIRE_PACKED;
_Static_assert(sizeof(struct ipv4_header) == IPV4_HEADER_MIN, "RFC 791");

static inline unsigned ipv4_header_length(const struct ipv4_header *ip)
{
    return (ip->version_length & 15u) * 4;
}

/* Partial sums are 64-bit ones' complement: 2^16 - 1 divides 2^64 - 1, so folding one to 16 bits
 * gives the sum of its 16-bit words. Bytes are summed as they lie in memory; the result is right in
 * either byte order (RFC 1071 2 B). */
static inline uint64_t checksum_word(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word); /* compilers know this as add, adc */
}

static inline uint64_t checksum_load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Adds `bytes` bytes to a partial sum. All but the last piece of a packet must be of even length.
 */
static inline uint64_t checksum_add(uint64_t sum, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (; bytes >= 32; bytes -= 32, at += 32) {
        sum = checksum_word(sum, checksum_load(at));
        sum = checksum_word(sum, checksum_load(at + 8));
        sum = checksum_word(sum, checksum_load(at + 16));
        sum = checksum_word(sum, checksum_load(at + 24));
    }
    for (; bytes >= 8; bytes -= 8, at += 8)
        sum = checksum_word(sum, checksum_load(at));
    if (bytes) {
        uint64_t rest = 0;
        memcpy(&rest, at, bytes);
        sum = checksum_word(sum, rest);
    }
    return sum;
}

/* An IPv4 header without options: 20 bytes in five instructions. */
static inline uint64_t checksum_ipv4_header(const struct ipv4_header *ip)
{
    const uint8_t *at = (const uint8_t *)ip;
    return checksum_word(checksum_word(ip->to.raw, checksum_load(at + 8)), checksum_load(at));
}

/* Folds a partial sum to 16 bits, not complemented. A good packet, its checksum included, folds to
 * 0xffff. Adding a word to itself with its halves swapped leaves in the upper half the sum of both
 * and the carry. */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum += sum << 32 | sum >> 32;
    uint32_t half = (uint32_t)(sum >> 32);
    half += half << 16 | half >> 16;
    return (uint16_t)(half >> 16);
}

/* Whether a partial sum folds to 0xffff: a good packet's does. That is, whether 2^16 - 1 divides it
 * and it is not 0. A multiple of an odd number, times its inverse modulo 2^64, is the quotient, and
 * the quotients are exactly the numbers up to the largest one: a multiplication and a comparison. */
static inline bool checksum_good(uint64_t sum)
{
    const uint64_t quotient_max = UINT64_MAX / 0xffff, inverse = -quotient_max;
    return sum * inverse - 1 < quotient_max;
}

static inline be16_t checksum_finish(uint64_t sum)
{
    return (be16_t){(uint16_t)~checksum_fold(sum)};
}

/* The checksum after a 16-bit field changed from `old` to `now`: RFC 1624 equation 3. */
static inline be16_t checksum_update(be16_t checksum, be16_t old, be16_t now)
{
    uint32_t sum = (uint32_t)(uint16_t)~checksum.raw + (uint16_t)~old.raw + now.raw;
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    return (be16_t){(uint16_t)~sum};
}

/* The pseudo header's share of a UDP or TCP checksum (RFC 768, RFC 9293 3.1). */
static inline uint64_t checksum_pseudo(const struct ipv4_header *ip, uint16_t length)
{
    uint64_t sum = (uint64_t)ip->from.raw + ip->to.raw;
    return sum + be16(ip->protocol).raw + be16(length).raw;
}

static inline void ipv4_checksum_set(struct ipv4_header *ip)
{
    ip->checksum = be16(0);
    ip->checksum = checksum_finish(checksum_add(0, ip, ipv4_header_length(ip)));
}

#endif
