/* From a frame to its class: the first match that fits. What was found for a flow is remembered, so
 * that the matches are gone through for its first frame only (PIGLET_SHAPER_MATCHES_MAX of them,
 * about eight instructions each). */
#include "services/shaper/shaper.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"

#define SHAPER_MIX_A 0x9e3779b97f4a7c15ull /* odd, and without a pattern: 2^64 / golden ratio */
#define SHAPER_MIX_B 0xd6e8feb86659fd93ull

static __attribute__((noinline)) struct shaper_key shaper_key_of_any(const struct frame *frame)
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

/* What of the first bytes says that a frame is TCP or UDP with a header without options, and whole:
 * nearly all are, and this is looked at in two words. The type with version and length of the header;
 * the fragment's place, with the protocol. */
enum {
    SHAPER_PLAIN_AT = 12,
    SHAPER_PLAIN_MASK = 0xffffff,
    SHAPER_PLAIN = 0x450008,
    SHAPER_WHOLE_AT = 20,
    SHAPER_WHOLE_MASK = 0xff3f, /* more fragments, and the offset */
    SHAPER_PORTS_AT = ETH_HEADER_LENGTH + IPV4_HEADER_MIN,
};

static inline uint32_t shaper_word(const struct frame *frame, unsigned at)
{
    uint32_t word;
    memcpy(&word, frame->data + at, sizeof word);
    return word;
}

static inline struct shaper_key shaper_key(const struct frame *frame)
{
    const struct ipv4_header *ip = (const void *)(frame->data + ETH_HEADER_LENGTH);
    if (__builtin_expect(frame->length < SHAPER_PORTS_AT + 4, 0))
        return shaper_key_of_any(frame);
    uint32_t plain = shaper_word(frame, SHAPER_PLAIN_AT);
    uint32_t whole = shaper_word(frame, SHAPER_WHOLE_AT), protocol = whole >> 24;
    if (__builtin_expect((plain & SHAPER_PLAIN_MASK) != SHAPER_PLAIN ||
                             (whole & SHAPER_WHOLE_MASK) ||
                             (protocol != IPV4_TCP && protocol != IPV4_UDP),
                         0))
        return shaper_key_of_any(frame);
    struct shaper_key key = {
        .rest = SHAPER_KEY_USED | (uint64_t)frame->nic << 48 |
                (uint64_t)(plain >> 24 & SHAPER_TOS_DSCP) << 40 | (uint64_t)protocol << 32 |
                shaper_word(frame, SHAPER_PORTS_AT),
    };
    memcpy(&key.addresses, &ip->from, sizeof key.addresses);
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
