/* Fuzzes boot modules: whatever bytes a boot loader hands over, the kernel starts, keeps nothing of them
 * but what their requests may do, and ends whole.
 *
 * The first byte chooses: the bytes as they are; a good header before them; or requests guessed from
 * them, so that most get past the first check. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "piglet/module.h"
#include "tests/fuzz/guess.h"
#include "tests/psr/invariants.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { REQUESTS_MAX = 200, FILE_ROOM = 1 << 18, RAW = 0, HEADED = 1 };

static uint8_t file[FILE_ROOM] __attribute__((aligned(16)));

static void fail(const char *why)
{
    fprintf(stderr, "broken: %s\n", why);
    abort();
}

static void header(unsigned requests, size_t data, unsigned pages)
{
    struct piglet_module module = {.magic = PIGLET_MODULE_MAGIC,
                                   .major = PIGLET_MODULE_MAJOR,
                                   .requests = requests,
                                   .data = (uint32_t)data,
                                   .data_pages = pages,
                                   .bytes = (uint32_t)(data + pages * (size_t)PIGLET_PAGE)};
    memcpy(file, &module, sizeof module);
}

/* Requests of a few bytes each; now and then a chain ends. */
static size_t guessed(const uint8_t *data, size_t bytes)
{
    struct guess guess = {.system = 0, .text_offset = 0};
    unsigned count = 0, before = 0;
    size_t at = sizeof(struct piglet_module);
    for (; count < REQUESTS_MAX && bytes > GUESS_BYTES; count++) {
        struct piglet_request request = {.cookie = count};
        guess_request(&guess, &request, data + 1, before);
        request.next = data[0] % 8 != 0;
        request.cookie = count;
        before = request.next ? before + 1 : 0;
        memcpy(file + at, &request, sizeof request);
        at += sizeof request;
        data += GUESS_BYTES + 1;
        bytes -= GUESS_BYTES + 1;
    }
    memset(file + at, 0, 4 * PIGLET_PAGE);
    guess_texts((char *)file + at);
    header(count, at, 4);
    return at + (size_t)4 * PIGLET_PAGE;
}

static size_t headed(const uint8_t *data, size_t bytes)
{
    size_t requests = bytes / sizeof(struct piglet_request), at = sizeof(struct piglet_module);
    memset(file + at, 0, bytes + (size_t)4 * PIGLET_PAGE);
    memcpy(file + at, data, bytes);
    at += requests * sizeof(struct piglet_request);
    header((unsigned)requests, at, 3);
    return at + (size_t)3 * PIGLET_PAGE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0 || bytes > FILE_ROOM / 2)
        return 0;
    unsigned how = *data++;
    size_t length = --bytes;
    if (how == HEADED)
        length = headed(data, bytes);
    else if (how != RAW)
        length = guessed(data, bytes);
    else
        memcpy(file, data, bytes);
    uint8_t *copy = malloc(length + 1); /* reading behind it is seen */
    memcpy(copy, file, length);
    struct core *core =
        sim_start_module(2, "ip=10.0.0.2/24 services=+echo log=error", copy, length);
    free(copy);
    if (!core)
        fail("it does not start");
    const char *wrong = psr_nothing_left(core);
    if (wrong)
        fail(wrong);
    sim_advance_us(core, 2000);
    wrong = psr_nothing_left(core);
    if (wrong)
        fail(wrong);
    for (unsigned i = 0; i < core->nic_count; i++)
        while (sim_sent(core, i))
            ;
    if (sim_stop(core) != 0)
        fail("frames were lost");
    return 0;
}
