/* Guesses arguments that opcodes may take. */
#include "tests/fuzz/guess.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define IP(a, b, c, d)                                                                             \
    ((uint64_t)(a) << 24 | (uint64_t)(b) << 16 | (uint64_t)(c) << 8 | (uint64_t)(d))
#define CIDR(a, b, c, d, length) (IP(a, b, c, d) << 8 | (length))

static const uint8_t wants[PIGLET_OP_COUNT][4] = {
#define GUESS_WANTS(name, number, text, result, want, ...) [number] = PIGLET_OPCODE_WANTS want,
    PIGLET_OPCODES(GUESS_WANTS)
#undef GUESS_WANTS
};

/* Numbers worth trying, by what they are of. */
static const uint64_t addresses[] = {0,
                                     IP(10, 0, 0, 1),
                                     IP(10, 0, 0, 2),
                                     IP(10, 0, 0, 3),
                                     IP(10, 1, 0, 2),
                                     IP(10, 1, 0, 9),
                                     IP(10, 2, 0, 2),
                                     IP(127, 0, 0, 1),
                                     IP(255, 255, 255, 255),
                                     IP(10, 0, 0, 255),
                                     IP(10, 0, 0, 0),
                                     IP(224, 0, 0, 1),
                                     1ull << 32};
static const uint64_t prefixes[] = {
    CIDR(10, 0, 0, 3, 24),  CIDR(10, 0, 0, 4, 24),  CIDR(10, 0, 0, 2, 24),   CIDR(10, 0, 0, 0, 24),
    CIDR(10, 1, 0, 3, 24),  CIDR(10, 3, 0, 2, 16),  CIDR(10, 3, 0, 0, 16),   CIDR(10, 3, 4, 5, 32),
    CIDR(10, 3, 4, 4, 31),  CIDR(0, 0, 0, 0, 0),    CIDR(10, 2, 0, 0, 16),   CIDR(10, 1, 0, 0, 24),
    CIDR(10, 0, 0, 2, 32),  CIDR(10, 0, 0, 3, 32),  CIDR(10, 0, 0, 255, 32), CIDR(127, 0, 0, 0, 8),
    CIDR(172, 16, 0, 1, 9), CIDR(10, 0, 0, 7, 255), CIDR(10, 0, 0, 128, 25)};
static const uint64_t protocols[] = {0,      17,     1,      6,      253,    2,      0x600,
                                     0x88b5, 0x86dd, 0x0800, 0x0806, 0x05ff, 0x10000};
static const uint64_t ports[] = {0, 1, 2, 7, 9, 99, 49152, 49153, 65535, 65536, 5353};
static const uint64_t macs[] = {0x02aa00000001,
                                0x02aa00000002,
                                0x020000000001,
                                0x020000000002,
                                0x525400000077,
                                0x030000000001,
                                0,
                                0xffffffffffff,
                                1ull << 48};
static const uint64_t delays[] = {0,    1, 100, 99, 1000, 50000, 1000000, 30ull * 86400 * 1000000,
                                  ~0ull};
static const uint64_t sizes[] = {0, 8, 96, 4096, 4096 - 8, 4096 - 184, 8192, 4, ~0ull, 1ull << 40};
static const uint64_t service_rows[] = {0,         1, 1ull << 32, 2ull << 32, 1ull << 32 | 1023,
                                        9ull << 32};

static const char *const texts[GUESS_TEXTS] = {
    "lifetime=7",
    "dad=off",
    "port=9",
    "port=49152",
    "rate=1000000",
    "rate=0",
    "lifetime=99999999999999999999999",
    "=",
};

#define PICK(list, byte) (list)[(byte) % (sizeof(list) / sizeof((list)[0]))]

enum { AT_1 = 1 << 8, AT_2 = 2 << 8, AT_3 = 3 << 8 }; /* which argument */

/* A number for an argument of an opcode. */
static uint64_t guess_number(unsigned opcode, unsigned index, uint8_t byte)
{
    switch (opcode | index << 8) {
    case PIGLET_OP_ALLOC_MEM | AT_1:
        return byte < 224 ? byte % 5u + 1 : byte - 224u;
    case PIGLET_OP_CAP_COPY | AT_2:
        return byte & PIGLET_RIGHT_ALL;
    case PIGLET_OP_SET_PEER | AT_1:
    case PIGLET_OP_ADDRESS_ADD | AT_3:
    case PIGLET_OP_ADDRESS_DELETE | AT_1:
    case PIGLET_OP_ROUTE_ADD | AT_2:
        return PICK(addresses, byte);
    case PIGLET_OP_SET_PEER | AT_2:
    case PIGLET_OP_BIND_PORT | AT_1:
        return PICK(ports, byte);
    case PIGLET_OP_SET_PEER | AT_3:
        return PICK(protocols, byte);
    case PIGLET_OP_JOIN | AT_3:
        return PICK(macs, byte);
    case PIGLET_OP_ADDRESS_ADD | AT_1:
    case PIGLET_OP_ROUTE_ADD | AT_1:
    case PIGLET_OP_ROUTE_DELETE | AT_1:
        return PICK(prefixes, byte);
    case PIGLET_OP_JOIN | AT_2:
    case PIGLET_OP_ADDRESS_ADD | AT_2:
    case PIGLET_OP_ROUTE_ADD | AT_3:
        return byte % 3;
    case PIGLET_OP_TIMER_START | AT_1:
    case PIGLET_OP_TIMER_START | AT_2:
        return PICK(delays, byte);
    case PIGLET_OP_SERVICE_SHOW | AT_2:
        return PICK(service_rows, byte);
    case PIGLET_OP_SERVICE_START | AT_1:
    case PIGLET_OP_SERVICE_STOP | AT_1:
    case PIGLET_OP_SERVICE_CONFIGURE | AT_1:
        return byte % 8;
    case PIGLET_OP_SERVICE_CONFIGURE | AT_3:
        return byte < 200 ? 10u : byte - 200u;
    default:
        return byte < 128 ? byte % 40 : PICK(sizes, byte);
    }
}

void guess_learn(struct guess *guess, uint64_t result)
{
    guess->known[guess->known_count++ % GUESS_KNOWN_MAX] = result;
}

/* The lower bytes refer back, the upper ones name what is known. */
static void guess_capability(const struct guess *guess, struct piglet_request *request,
                             unsigned index, unsigned want, uint8_t byte, unsigned before)
{
    bool system = want == PIGLET_WANT_SYSTEM || (want == PIGLET_WANT_ANY && byte % 16 == 0);
    unsigned kept = guess->known_count < GUESS_KNOWN_MAX ? guess->known_count : GUESS_KNOWN_MAX;
    request->tag[index] = PIGLET_TAG_CAPABILITY;
    if (system && byte < 240) {
        request->argument[index] = guess->system;
    } else if (before && byte < 160) {
        request->tag[index] = PIGLET_TAG_REFERENCE;
        request->argument[index] = before - byte % before;
    } else if (kept && byte < 250) {
        request->argument[index] = piglet_result_capability(guess->known[byte % kept]);
    } else {
        request->argument[index] = byte % 3 ? byte : guess->system ^ 1u << byte % 32;
    }
}

static void guess_argument(const struct guess *guess, struct piglet_request *request,
                           unsigned index, uint8_t byte, unsigned before)
{
    unsigned want = wants[request->opcode][index];
    switch (want) {
    case PIGLET_WANT_NONE:
        return;
    case PIGLET_WANT_NEW:
        request->tag[index] = PIGLET_TAG_NEW;
        return;
    case PIGLET_WANT_OPTION:
        if (byte % 4 == 0)
            return;
        byte /= 4;
        break;
    case PIGLET_WANT_OFFSET:
        request->tag[index] = PIGLET_TAG_OFFSET;
        request->argument[index] = byte < 240
                                       ? guess->text_offset + byte % GUESS_TEXTS * GUESS_TEXT_BYTES
                                       : (uint64_t)byte << byte % 64;
        return;
    case PIGLET_WANT_NUMBER:
    case PIGLET_WANT_VALUE:
        break;
    default:
        guess_capability(guess, request, index, want, byte, before);
        return;
    }
    bool refer = before && byte >= 250;
    request->tag[index] = refer ? PIGLET_TAG_REFERENCE : PIGLET_TAG_NUMBER;
    request->argument[index] =
        refer ? byte % before + 1u : guess_number(request->opcode, index, byte);
}

void guess_request(const struct guess *guess, struct piglet_request *request,
                   const uint8_t byte[GUESS_BYTES], unsigned before)
{
    *request = (struct piglet_request){.opcode = byte[0] & 0x3f, .next = PIGLET_NEXT_NONE};
    request->flags = byte[1] & PIGLET_EVENT;
    request->cookie = byte[1];
    if (request->opcode < PIGLET_OP_COUNT)
        for (unsigned i = 0; i < 4; i++)
            guess_argument(guess, request, i, byte[2 + i], before);
    if (byte[0] >= 0xf0) /* now and then something that cannot be */
        request->tag[byte[1] % 4] = byte[1] % 8;
}

void guess_texts(char *to)
{
    memset(to, 0, GUESS_TEXTS * GUESS_TEXT_BYTES);
    for (unsigned i = 0; i < GUESS_TEXTS; i++)
        snprintf(to + i * GUESS_TEXT_BYTES, GUESS_TEXT_BYTES, "%s", texts[i]);
}
