/* What the 82599 sees in a frame: headers, checksums, and the RSS hash. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_SCTP = 132,
    IPV6_HOP = 0,
    IPV6_ROUTING = 43,
    IPV6_FRAGMENT = 44,
    IPV6_DESTINATION = 60,
};

static uint16_t be16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t model_sum(const uint8_t *bytes, size_t length, uint32_t sum)
{
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += be16_at(bytes + i);
    if (length % 2)
        sum += (uint32_t)bytes[length - 1] << 8;
    return sum;
}

uint16_t model_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* ---- headers ------------------------------------------------------------------------------ */

static void see_l4(const uint8_t *frame, struct model_headers *headers, uint8_t protocol,
                   uint32_t pseudo)
{
    const uint8_t *l4 = frame + headers->l4;
    unsigned length = headers->end - headers->l4;
    unsigned least = protocol == IP_TCP ? 20 : protocol == IP_UDP ? 8 : 12;
    if (length < least)
        return;
    if (protocol == IP_SCTP) {
        headers->type |= HEADER_SCTP;
        return; /* its CRC is not modelled */
    }
    headers->type |= protocol == IP_TCP ? HEADER_TCP : HEADER_UDP;
    headers->udp_zero = protocol == IP_UDP && be16_at(l4 + 6) == 0;
    headers->l4_checked = !headers->udp_zero;
    headers->l4_good = model_fold(model_sum(l4, length, pseudo + protocol + length)) == 0xffff;
}

static bool is_l4(uint8_t protocol)
{
    return protocol == IP_TCP || protocol == IP_UDP || protocol == IP_SCTP;
}

static void see_ipv4(const uint8_t *frame, size_t length, struct model_headers *headers)
{
    const uint8_t *ip = frame + headers->l3;
    unsigned bytes = (ip[0] & 15) * 4u, total = be16_at(ip + 2);
    if (headers->l3 + 20u > length || ip[0] >> 4 != 4 || bytes < 20 || total < bytes ||
        headers->l3 + total > length)
        return;
    headers->type |= bytes > 20 ? HEADER_IPV4_OPTIONS : HEADER_IPV4;
    headers->ip_checked = true;
    headers->ip_good = model_fold(model_sum(ip, bytes, 0)) == 0xffff;
    headers->end = (uint16_t)(headers->l3 + total);
    headers->fragment = be16_at(ip + 6) & 0x3fff; /* more of them, or not the first */
    if (headers->fragment || !is_l4(ip[9]))
        return;
    headers->l4 = (uint16_t)(headers->l3 + bytes);
    see_l4(frame, headers, ip[9], model_sum(ip + 12, 8, 0));
}

static void see_ipv6(const uint8_t *frame, size_t length, struct model_headers *headers)
{
    const uint8_t *ip = frame + headers->l3;
    if (headers->l3 + 40u > length || ip[0] >> 4 != 6)
        return;
    size_t end = headers->l3 + 40u + be16_at(ip + 4), at = headers->l3 + 40u;
    if (end > length)
        return;
    headers->end = (uint16_t)end;
    uint8_t next = ip[6];
    bool options = false;
    while ((next == IPV6_HOP || next == IPV6_ROUTING || next == IPV6_DESTINATION) &&
           at + 8 <= end) {
        options = true;
        next = frame[at];
        at += 8 + frame[at + 1] * 8u;
    }
    headers->type |= options ? HEADER_IPV6_OPTIONS : HEADER_IPV6;
    headers->fragment = next == IPV6_FRAGMENT;
    if (!is_l4(next) || at > end)
        return;
    headers->l4 = (uint16_t)at;
    see_l4(frame, headers, next, model_sum(ip + 8, 32, 0));
}

void model_headers(const uint8_t *frame, size_t length, uint16_t vlan_type,
                   struct model_headers *headers)
{
    *headers = (struct model_headers){.l3 = 14};
    if (length < 14)
        return;
    uint16_t type = be16_at(frame + 12);
    if (type == vlan_type && length >= 18) {
        headers->vlan = true;
        headers->tag = be16_at(frame + 14);
        headers->l3 = 18;
        type = be16_at(frame + 16);
    }
    if (type == ETHERTYPE_IPV4 && headers->l3 < length)
        see_ipv4(frame, length, headers);
    else if (type == ETHERTYPE_IPV6 && headers->l3 < length)
        see_ipv6(frame, length, headers);
}

/* ---- receive-side scaling ----------------------------------------------------------------- */

/* 7.1.2.8.2: for each bit of the input that is one, the 32 bits of the key from there on. */
uint32_t ixgbe_toeplitz(const uint8_t key[40], const uint8_t *input, size_t bytes)
{
    uint32_t hash = 0;
    uint32_t window = (uint32_t)key[0] << 24 | key[1] << 16 | key[2] << 8 | key[3];
    for (size_t i = 0; i < bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (input[i] << bit & 0x80)
                hash ^= window;
            window = window << 1 | (uint32_t)(key[(i + 4) % 40] >> (7 - bit) & 1);
        }
    }
    return hash;
}

/* 8.2.3.7.12, MRQC: which kinds of packet are hashed; 7.1.2.8.1: the type that is then reported. */
enum {
    RSS_TCP_IPV4 = 1,
    RSS_IPV4 = 2,
    RSS_TCP_IPV6 = 3,
    RSS_IPV6 = 5,
    RSS_UDP_IPV4 = 7,
    RSS_UDP_IPV6 = 8,
};
#define RSS_FIELD_TCP_IPV4 (1u << 16)
#define RSS_FIELD_IPV4     (1u << 17)
#define RSS_FIELD_IPV6     (1u << 20)
#define RSS_FIELD_TCP_IPV6 (1u << 21)
#define RSS_FIELD_UDP_IPV4 (1u << 22)
#define RSS_FIELD_UDP_IPV6 (1u << 23)

static unsigned rss_type(uint32_t mrqc, const struct model_headers *headers)
{
    bool tcp = headers->type & HEADER_TCP, udp = headers->type & HEADER_UDP;
    if (headers->type & (HEADER_IPV4 | HEADER_IPV4_OPTIONS)) {
        if (tcp && mrqc & RSS_FIELD_TCP_IPV4)
            return RSS_TCP_IPV4;
        if (udp && mrqc & RSS_FIELD_UDP_IPV4)
            return RSS_UDP_IPV4;
        return mrqc & RSS_FIELD_IPV4 ? RSS_IPV4 : 0;
    }
    if (headers->type & (HEADER_IPV6 | HEADER_IPV6_OPTIONS)) {
        if (tcp && mrqc & RSS_FIELD_TCP_IPV6)
            return RSS_TCP_IPV6;
        if (udp && mrqc & RSS_FIELD_UDP_IPV6)
            return RSS_UDP_IPV6;
        return mrqc & RSS_FIELD_IPV6 ? RSS_IPV6 : 0;
    }
    return 0;
}

unsigned model_rss(const struct ixgbe_model *model, const uint8_t *frame,
                   const struct model_headers *headers, uint32_t *hash)
{
    uint32_t mrqc = REG(MRQC);
    *hash = 0;
    if ((mrqc & 0xf) !=
        1) /* RSS only; the mixtures with pools and traffic classes are not modelled */
        return 0;
    unsigned type = rss_type(mrqc, headers);
    if (!type)
        return 0;
    bool ipv4 = headers->type & (HEADER_IPV4 | HEADER_IPV4_OPTIONS);
    unsigned addresses = ipv4 ? 8 : 32;
    uint8_t input[36], key[40];
    memcpy(input, frame + headers->l3 + (ipv4 ? 12 : 8), addresses);
    unsigned length = addresses;
    if (type != RSS_IPV4 && type != RSS_IPV6) {
        memcpy(input + addresses, frame + headers->l4, 4); /* the ports */
        length += 4;
    }
    for (unsigned i = 0; i < 40; i++)
        key[i] = (uint8_t)(model->reg[IXGBE_RSSRK / 4 + i / 4] >> i % 4 * 8);
    *hash = ixgbe_toeplitz(key, input, length);
    return type;
}
