/* The classifier. */
#include "kernel/classify.h"

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define CLASSIFY_HASH 0x9e3779b97f4a7c15ull /* 2^64 / golden ratio */

enum { LINK_LOCAL = 0xa9fe }; /* 169.254.0.0/16 */

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A frame that passes gets a kind; DROP_NONE says so. */
#define CLASSIFIED(frame, what) ((frame)->kind = (what), DROP_NONE)

/* RFC 791 3.1: every option but END and NOP has a length that covers at least itself. */
static enum drop_reason classify_options(const uint8_t *option, unsigned bytes)
{
    for (unsigned at = 0; at < bytes && option[at] != IPV4_OPTION_END;) {
        if (option[at] == IPV4_OPTION_NOP) {
            at++;
            continue;
        }
        if (at + 2 > bytes || option[at + 1] < 2 || option[at + 1] > bytes - at)
            return DROP_IP_OPTIONS_MALFORMED;
        if (option[at] == IPV4_OPTION_LOOSE_SOURCE_ROUTE ||
            option[at] == IPV4_OPTION_STRICT_SOURCE_ROUTE)
            return DROP_IP_SOURCE_ROUTE;
        at += option[at + 1];
    }
    return DROP_NONE;
}

static enum drop_reason classify_fragment(const struct ipv4_header *ip, unsigned payload)
{
    unsigned field = be16_get(ip->fragment);
    unsigned offset = (field & IPV4_FRAGMENT_OFFSET) * 8;
    if (offset + payload + ipv4_header_length(ip) > UINT16_MAX ||
        ((field & IPV4_MORE_FRAGMENTS) && payload % 8))
        return DROP_IP_FRAGMENT_INVALID;
    return DROP_NONE;
}

static enum drop_reason classify_udp(struct frame *frame, const struct ipv4_header *ip,
                                     const uint8_t *l4, unsigned payload)
{
    const struct udp_header *udp = (const struct udp_header *)l4;
    if (UNLIKELY(payload < UDP_HEADER_LENGTH))
        return DROP_UDP_TOO_SHORT;
    unsigned length = be16_get(udp->length);
    if (UNLIKELY(length < UDP_HEADER_LENGTH || length > payload))
        return DROP_UDP_LENGTH;
    /* RFC 768: a checksum of zero was not computed. */
    if (udp->checksum.raw && !(frame->flags & FRAME_CHECKED)) {
        uint64_t sum = checksum_pseudo(ip, (uint16_t)length);
        if (UNLIKELY(!checksum_good(checksum_add(sum, udp, length))))
            return DROP_UDP_CHECKSUM;
    }
    return CLASSIFIED(frame, FRAME_UDP);
}

static enum drop_reason classify_to_us(struct frame *frame, const struct ipv4_header *ip)
{
    const uint8_t *l4 = frame->data + frame->l4;
    unsigned payload = (unsigned)frame->end - frame->l4;
    if (UNLIKELY(be16_get(ip->fragment) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)))
        return DROP_IP_FRAGMENT;
    switch (ip->protocol) {
    case IPV4_ICMP:
        if (UNLIKELY(payload < ICMP_HEADER_LENGTH))
            return DROP_ICMP_TOO_SHORT;
        if (UNLIKELY(!checksum_good(checksum_add(0, l4, payload))))
            return DROP_ICMP_CHECKSUM;
        return CLASSIFIED(frame, FRAME_ICMP);
    case IPV4_UDP:
        return classify_udp(frame, ip, l4, payload);
    case IPV4_TCP: {
        unsigned header =
            payload < TCP_HEADER_MIN ? 0 : (((const struct tcp_header *)l4)->offset >> 4) * 4u;
        if (UNLIKELY(header < TCP_HEADER_MIN || header > payload))
            return DROP_TCP_TOO_SHORT;
        return CLASSIFIED(frame, FRAME_TCP);
    }
    default:
        return CLASSIFIED(frame, FRAME_IP_OTHER);
    }
}

static enum drop_reason classify_header_length(const struct ipv4_header *ip, unsigned room)
{
    unsigned header = ipv4_header_length(ip);
    if (ip->version_length >> 4 != 4)
        return DROP_IP_VERSION;
    if (header < IPV4_HEADER_MIN || header > room)
        return DROP_IP_HEADER_LENGTH;
    return DROP_NONE;
}

/* What a pair of addresses means, looked up in the route table. */
static __attribute__((noinline)) void classify_pair(struct core *core, struct classified_pair *pair,
                                                    uint64_t key, uint32_t from, uint32_t to)
{
    const struct route_table *table = &core->routes;
    uint8_t from_type = table->route[route_lookup(table, from)].type;
    const struct route *route = &table->route[route_lookup(table, to)];
    pair->key = key;
    pair->to = route->type;
    pair->next_hop = route->gateway ? route->gateway : to;
    pair->leaves_by = route->type == ROUTE_UNICAST ? route->nic : NIC_NOWHERE;
    pair->reason = DROP_NONE;
    if (from_type > ROUTE_UNREACHABLE)
        pair->reason = from_type == ROUTE_LOCAL ? DROP_IP_SOURCE_OURS : DROP_IP_SOURCE_INVALID;
    else if (pair->to == ROUTE_MULTICAST)
        pair->reason = DROP_IP_MULTICAST;
    else if (pair->to == ROUTE_MARTIAN)
        pair->reason = DROP_IP_NOT_FOR_US;
    /* RFC 3927 7: what comes from or goes to a link-local address stays on its link. */
    else if (pair->to <= ROUTE_UNREACHABLE && (from >> 16 == LINK_LOCAL || to >> 16 == LINK_LOCAL))
        pair->reason = DROP_IP_NOT_FOR_US;
    pair->passed_on = pair->reason == DROP_NONE && pair->to <= ROUTE_UNREACHABLE;
}

/* Both addresses, and where a pair of them is remembered. Traffic has few pairs at a time, so what
 * was found out about one is kept until the routes change. */
static inline uint64_t classify_key(const struct ipv4_header *ip)
{
    return eth_load8(&ip->from);
}

static inline struct classified_pair *classify_place(struct core *core, uint64_t key)
{
    return &core->pair[key * CLASSIFY_HASH >> (64 - CLASSIFIED_PAIRS_BITS)];
}

/* Where an IPv4 packet with a good header is to go, by its addresses. */
static __attribute__((noinline)) enum drop_reason classify_addresses(struct core *core,
                                                                     struct frame *frame)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + frame->l3);
    uint64_t key = classify_key(ip);
    struct classified_pair *pair = classify_place(core, key);
    if (UNLIKELY(pair->key != key))
        classify_pair(core, pair, key, be32_get(ip->from), be32_get(ip->to));
    if (UNLIKELY(pair->reason))
        return pair->reason;
    if (pair->to == ROUTE_LOCAL)
        return classify_to_us(frame, ip);
    if (pair->to == ROUTE_BROADCAST) {
        frame->flags |= FRAME_TO_BROADCAST;
        return classify_to_us(frame, ip);
    }
    /* RFC 1122 3.2.1.3: a unicast packet in a broadcast frame is not passed on. */
    if (frame->flags & FRAME_TO_BROADCAST)
        return DROP_IP_NOT_FOR_US;
    frame->leaves_by = pair->leaves_by;
    frame->next_hop = pair->next_hop;
    return CLASSIFIED(frame, FRAME_FORWARD);
}

/* Any IPv4 packet, checked step by step. */
static enum drop_reason classify_ipv4(struct core *core, struct frame *frame)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    unsigned room = (unsigned)frame->length - ETH_HEADER_LENGTH;
    if (room < IPV4_HEADER_MIN)
        return DROP_IP_TOO_SHORT;
    enum drop_reason wrong = classify_header_length(ip, room);
    if (wrong)
        return wrong;
    unsigned header = ipv4_header_length(ip), total = be16_get(ip->total_length);
    if (total < header || total > room)
        return DROP_IP_TOTAL_LENGTH;
    if (!checksum_good(checksum_add(0, ip, header)))
        return DROP_IP_CHECKSUM;
    wrong = classify_options((const uint8_t *)(ip + 1), header - IPV4_HEADER_MIN);
    if (!wrong)
        wrong = classify_fragment(ip, total - header);
    if (wrong)
        return wrong;
    frame->l3 = ETH_HEADER_LENGTH;
    frame->l4 = (uint16_t)(ETH_HEADER_LENGTH + header);
    frame->end = (uint16_t)(ETH_HEADER_LENGTH + total);
    return classify_addresses(core, frame);
}

/* Any frame, checked step by step. */
static __attribute__((noinline)) enum drop_reason
classify_any(struct core *core, const struct nic *nic, struct frame *frame)
{
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    if (frame->length < ETH_HEADER_LENGTH)
        return DROP_ETH_TOO_SHORT;
    if (!eth_equal(eth->to, nic->mac)) {
        if (!eth_is_group(eth->to))
            return DROP_ETH_NOT_FOR_US;
        frame->flags |= FRAME_TO_BROADCAST;
    }
    if (eth_is_group(eth->from))
        return DROP_ETH_SOURCE_INVALID;
    if (be16_is(eth->type, ETH_TYPE_IPV4))
        return classify_ipv4(core, frame);
    if (be16_is(eth->type, ETH_TYPE_ARP)) {
        if (frame->length < ETH_HEADER_LENGTH + ARP_LENGTH)
            return DROP_ARP_MALFORMED;
        frame->l3 = ETH_HEADER_LENGTH;
        return CLASSIFIED(frame, FRAME_ARP);
    }
    return CLASSIFIED(frame, FRAME_OTHER);
}

/* Nearly all frames are IPv4 without options, whole, right and sent to our MAC address: all of that
 * is one question here, asked quickly. Whatever is not goes the long way, which finds out why. */
static inline bool classify_plain(uint64_t mac, const struct frame *frame)
{
    static const uint8_t type[4] = {ETH_TYPE_IPV4 >> 8, ETH_TYPE_IPV4 & 0xff, 0x45, 0};
    static const uint8_t type_mask[4] = {255, 255, 255, 0}; /* the type, then version and length */
    enum { HEADERS = ETH_HEADER_LENGTH + IPV4_HEADER_MIN };
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    const struct ipv4_header *ip = (const struct ipv4_header *)(eth + 1);
    if (UNLIKELY(frame->length < HEADERS || !eth_is_plain(eth_load8(eth), mac) ||
                 (eth_load4(&eth->type) & eth_load4(type_mask)) != eth_load4(type)))
        return false;
    unsigned payload = be16_get(ip->total_length) - (unsigned)IPV4_HEADER_MIN; /* or very many */
    return LIKELY(payload <= (unsigned)frame->length - HEADERS &&
                  (ip->fragment.raw & be16(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET).raw) == 0 &&
                  checksum_good(checksum_ipv4_header(ip)));
}

static inline enum drop_reason classify_frame(struct core *core, const struct nic *nic,
                                              uint64_t mac, struct frame *frame)
{
    if (UNLIKELY(!classify_plain(mac, frame)))
        return classify_any(core, nic, frame);
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    frame->l3 = ETH_HEADER_LENGTH;
    frame->l4 = ETH_HEADER_LENGTH + IPV4_HEADER_MIN;
    frame->end = (uint16_t)(ETH_HEADER_LENGTH + be16_get(ip->total_length));
    uint64_t key = classify_key(ip);
    const struct classified_pair *pair = classify_place(core, key);
    if (UNLIKELY(pair->key != key) || !pair->passed_on)
        return classify_addresses(core, frame);
    frame->leaves_by = pair->leaves_by;
    frame->next_hop = pair->next_hop;
    return CLASSIFIED(frame, FRAME_FORWARD);
}

void classify(struct core *core, struct nic *nic, struct batch *batch)
{
    if (UNLIKELY(core->pairs_of != core->routes.changes)) {
        core->pairs_of = core->routes.changes;
        memset(core->pair, 0, sizeof core->pair);
        for (unsigned i = 0; i < CLASSIFIED_PAIRS; i++)
            core->pair[i].reason =
                DROP_IP_SOURCE_INVALID; /* right for key 0: from and to 0.0.0.0 */
    }
    struct frame **kept = batch->frame, *const *end = batch->frame + batch->count;
    unsigned kinds = 0;
    uint64_t bytes = 0, mac = eth_load8(nic->mac); /* and two bytes of what comes after it */
    for (struct frame *const *at = kept; at < end; at++) {
        struct frame *frame = *at;
        bytes += frame->length;
        enum drop_reason reason = classify_frame(core, nic, mac, frame);
        if (UNLIKELY(reason != DROP_NONE)) {
            frame->kind = 0; /* its last user's */
            core_drop(core, frame, reason);
            continue;
        }
        *kept++ = frame;
        kinds |= frame->kind;
    }
    *nic->count.rx_frames += batch->count;
    *nic->count.rx_bytes += bytes;
    ++*nic->count.rx_batches;
    batch->count = (unsigned)(kept - batch->frame);
    batch->kinds = kinds;
}
