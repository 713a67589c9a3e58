/* How libFuzzer changes inputs of fuzz_chain: a third of the mutations put a recipe in front
 * of what there is, where actions are sure to begin. */
#include <string.h>

#include "tests/fuzz/recipes.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    const struct recipe *what = recipe(seed / 3);
    size_t chain = what->length * GUESS_BYTES, tail = what->tail[0], used = 2 + chain + tail;
    if (seed % 3 || bytes == 0 || bytes + used > room)
        return LLVMFuzzerMutate(data, bytes, room);
    uint8_t actor = (uint8_t)((seed >> 8) % 3 << 4), *to = data;
    memmove(data + used, data, bytes);
    to[0] = actor;
    to[1] = (uint8_t)(what->length - 1) | (seed >> 12 & 0x10); /* ATOMIC or not */
    memcpy(to + 2, what->request, chain);
    memcpy(to + 2 + chain, what->tail + 1, tail);
    if (tail > 2)
        to[2 + chain + 2] |= actor;
    return bytes + used;
}
