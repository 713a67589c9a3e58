/* From a frame to its class: the first match that fits. What was found for a flow is remembered, so
 * that the matches are gone through for its first frame only (PIGLET_SHAPER_MATCHES_MAX of them,
 * about eight instructions each). */
#include "services/shaper/shaper.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"

#define SHAPER_MIX_A 0x9e3779b97f4a7c15ull /* odd, and without a pattern: 2^64 / golden ratio */
#define SHAPER_MIX_B 0xd6e8feb86659fd93ull

static inline struct shaper_key shaper_key(const struct frame *frame)
{
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    const struct ipv4_header *ip = (const struct ipv4_header *)(eth + 1);
    struct shaper_key key = {.rest = SHAPER_KEY_USED | (uint64_t)frame->nic << 48};
    if (frame->length < ETH_HEADER_LENGTH + IPV4_HEADER_MIN || !be16_is(eth->type, ETH_TYPE_IPV4) ||
        ip->version_length >> 4 != 4) {
        key.rest |= SHAPER_KEY_NO_IPV4 | SHAPER_KEY_NO_PORTS;
        return key;
    }
    memcpy(&key.addresses, &ip->from, sizeof key.addresses);
    key.rest |= (uint64_t)ip->protocol << 32 | (uint64_t)(ip->tos & SHAPER_TOS_DSCP) << 40;
    unsigned header = ipv4_header_length(ip), at = ETH_HEADER_LENGTH + header;
    uint32_t ports = 0;
    if ((ip->protocol == IPV4_TCP || ip->protocol == IPV4_UDP) &&
        (ip->fragment.raw & be16(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET).raw) == 0 &&
        header >= IPV4_HEADER_MIN && at + sizeof ports <= frame->length)
        memcpy(&ports, frame->data + at, sizeof ports);
    else
        key.rest |= SHAPER_KEY_NO_PORTS;
    key.rest |= ports;
    return key;
}

static struct shaper_class *shaper_match(const struct shaper_half *half,
                                         const struct shaper_key *key)
{
    const uint8_t *ports = (const uint8_t *)&key->rest; /* see the assertion below */
    uint16_t from = (uint16_t)(ports[0] << 8 | ports[1]), to = (uint16_t)(ports[2] << 8 | ports[3]);
    for (unsigned i = 0; i < half->match_count; i++) {
        const struct shaper_match *match = &half->match[i];
        uint64_t differs = ((key->addresses ^ match->value.addresses) & match->mask.addresses) |
                           ((key->rest ^ match->value.rest) & match->mask.rest);
        if (!differs && (uint16_t)(from - match->from_first) <= match->from_width &&
            (uint16_t)(to - match->to_first) <= match->to_width)
            return match->class;
    }
    return half->fallback[key->rest >> 48 & 0xff];
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the key's ports are its first bytes");

/* Not inlined, and by values, so that the frames of known flows need no stack. */
static __attribute__((noinline)) const struct shaper_cached *
shaper_learn(const struct shaper *shaper, struct shaper_cached *cached, uint64_t addresses,
             uint64_t rest)
{
    struct shaper_key key = {addresses, rest};
    uint64_t mixed = (addresses ^ shaper->seed) * SHAPER_MIX_A;
    mixed = (mixed ^ mixed >> 32 ^ rest) * SHAPER_MIX_B;
    *cached = (struct shaper_cached){
        .key = key,
        .hash = (mixed ^ mixed >> 32) * SHAPER_MIX_A | 1,
        .class = shaper_match(shaper->half, &key),
    };
    return cached;
}

const struct shaper_cached *shaper_classify(const struct shaper *shaper, const struct frame *frame)
{
    struct shaper_key key = shaper_key(frame);
    uint64_t mixed = ((key.addresses ^ shaper->seed) * SHAPER_MIX_A ^ key.rest) * SHAPER_MIX_B;
    struct shaper_cached *cached = &shaper->memory->cached[mixed >> (64 - SHAPER_CACHE_BITS)];
    uint64_t differs = (cached->key.addresses ^ key.addresses) | (cached->key.rest ^ key.rest);
    if (__builtin_expect(differs != 0, 0))
        return shaper_learn(shaper, cached, key.addresses, key.rest);
    return cached;
}

void shaper_match_changed(struct shaper *shaper)
{
    memset(shaper->memory->cached, 0, sizeof shaper->memory->cached);
}
