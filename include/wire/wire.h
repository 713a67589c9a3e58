/* Wire formats: what they all share. Big-endian types, and views that check length first.
 *
 * A wire struct is packed and byte-aligned, so it can lie anywhere in a frame; its multi-byte
 * fields are be16_t and be32_t, which cannot be mixed up with numbers. No state, no kernel headers.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PACKED __attribute__((packed))

typedef struct {
    uint16_t raw;
} WIRE_PACKED be16_t;

typedef struct {
    uint32_t raw;
} WIRE_PACKED be32_t;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WIRE_SWAP16(x) __builtin_bswap16(x)
#define WIRE_SWAP32(x) __builtin_bswap32(x)
#else
#define WIRE_SWAP16(x) (x)
#define WIRE_SWAP32(x) (x)
#endif

static inline uint16_t be16_get(be16_t field)
{
    return WIRE_SWAP16(field.raw);
}

static inline uint32_t be32_get(be32_t field)
{
    return WIRE_SWAP32(field.raw);
}

static inline be16_t be16(uint16_t value)
{
    return (be16_t){WIRE_SWAP16(value)};
}

static inline be32_t be32(uint32_t value)
{
    return (be32_t){WIRE_SWAP32(value)};
}

/* field == value, with the swap on the side that is mostly constant. */
static inline bool be16_is(be16_t field, uint16_t value)
{
    return field.raw == WIRE_SWAP16(value);
}

#endif
