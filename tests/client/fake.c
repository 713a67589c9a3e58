/* The kernel that test_client.c tests against. It trusts its client: psr/ has tests of its own. */
#define _GNU_SOURCE
#include "tests/client/fake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    POST = PIGLET_PAGE,
    REQUEST = POST + FAKE_POSTS * 64,
    EVENT = REQUEST + FAKE_REQUESTS * 64,
    DATA = 5 * PIGLET_PAGE,
    BEAT_TURNS = 1000,
};

_Static_assert(EVENT + FAKE_EVENTS * 32 <= DATA, "the parts lie behind one another");

/* ---- requests -------------------------------------------------------------------------------- */

static struct piglet_request *request_at(struct fake *fake, unsigned index)
{
    return (struct piglet_request *)(void *)(fake->memory + REQUEST) + index;
}

static struct piglet_request *post_at(struct fake *fake, uint32_t number)
{
    return (struct piglet_request *)(void *)(fake->memory + POST) + (number - 1) % FAKE_POSTS;
}

static uint64_t value(const uint64_t *results, const struct piglet_request *request, unsigned i)
{
    uint64_t argument = request->argument[i];
    return request->tag[i] == PIGLET_TAG_REFERENCE ? results[argument] : argument;
}

static struct piglet_ring *ring_make(struct fake *fake, uint64_t memory)
{
    struct piglet_ring *ring =
        (struct piglet_ring *)(void *)(fake->memory + piglet_result_offset(memory));
    memset(ring, 0, sizeof *ring);
    ring->slots = 3; /* no power of two */
    return ring;
}

static uint64_t counters_write(struct fake *fake, uint64_t first)
{
    struct piglet_counter_entry *entry = (void *)(fake->memory + DATA);
    unsigned count = 0;
    for (; count < PIGLET_PAGE / sizeof *entry && first < FAKE_COUNTERS; count++, first++)
        entry[count] =
            (struct piglet_counter_entry){.value = first * 3, .next = (uint32_t)first + 1};
    return count;
}

static uint64_t endless_write(struct fake *fake)
{
    struct piglet_address_entry *entry = (void *)(fake->memory + DATA);
    memset(entry, 0, PIGLET_TABLE_ENTRIES * sizeof *entry);
    return PIGLET_TABLE_ENTRIES;
}

static int request_run(struct fake *fake, const struct piglet_request *request,
                       const uint64_t *results, uint64_t *result)
{
    switch (request->opcode) {
    case PIGLET_OP_NOP:
        return 0;
    case PIGLET_OP_ECHO:
        *result = value(results, request, 0);
        return 0;
    case PIGLET_OP_BARRIER:
        return ERR_DENIED;
    case PIGLET_OP_ALLOC_MEM:
        *result = (uint64_t)(DATA / PIGLET_PAGE + fake->pages) << 32 | (fake->pages + 1);
        fake->pages += (uint32_t)value(results, request, 1);
        return 0;
    case PIGLET_OP_MAKE_FRAMESET:
        fake->tx = ring_make(fake, value(results, request, 1));
        fake->rx = ring_make(fake, value(results, request, 2));
        return 0;
    case PIGLET_OP_COUNTER_READ:
        *result = counters_write(fake, value(results, request, 2));
        return 0;
    case PIGLET_OP_ADDRESS_LIST:
        *result = endless_write(fake);
        return 0;
    default:
        return ERR_UNSUPPORTED;
    }
}

/* ---- chains ---------------------------------------------------------------------------------- */

static void event_write(struct fake *fake, struct piglet_event event)
{
    struct piglet_event *place =
        (struct piglet_event *)(void *)(fake->memory + EVENT) + fake->events % FAKE_EVENTS;
    fake->window->waiting = event.chain;
    while (!__atomic_load_n(&fake->stop, __ATOMIC_ACQUIRE) &&
           fake->events - __atomic_load_n(&fake->window->events_taken, __ATOMIC_ACQUIRE) ==
               FAKE_EVENTS)
        usleep(10);
    fake->window->waiting = 0;
    event.number = 0;
    *place = event;
    __atomic_store_n(&place->number, ++fake->events, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (fake->wake && __atomic_load_n(&fake->window->sleeping, __ATOMIC_RELAXED) &&
        write(fake->wake, "wakewake", 8) != 8)
        abort();
}

static void chain_run(struct fake *fake, uint32_t number)
{
    uint64_t results[PIGLET_CHAIN_MAX + 1] = {0};
    struct piglet_request *request = post_at(fake, number);
    struct piglet_event end = {.type = PIGLET_EVENT_CHAIN, .chain = number};
    end.cookie = request->cookie;
    for (uint8_t at = 1;; at++) {
        int error = request_run(fake, request, results, &results[at]);
        request->status = (struct piglet_status){
            .state = error ? PIGLET_STATE_FAILED : PIGLET_STATE_DONE, .error = (int8_t)error};
        request->result = results[at];
        if (error && !end.error) {
            end.error = (int8_t)error;
            end.root = at;
        }
        end.result = results[at];
        end.at = at;
        end.count += !error;
        if (request->flags & PIGLET_EVENT)
            event_write(fake, (struct piglet_event){.type = PIGLET_EVENT_REQUEST,
                                                    .at = at,
                                                    .chain = number,
                                                    .cookie = request->cookie,
                                                    .result = results[at]});
        if (request->next == PIGLET_NEXT_NONE)
            break;
        request = request_at(fake, request->next);
    }
    event_write(fake, end);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void frames_return(struct fake *fake)
{
    uint32_t consumed = fake->tx ? fake->tx->consumed : 0;
    if (!fake->tx || __atomic_load_n(&fake->tx->produced, __ATOMIC_ACQUIRE) == consumed ||
        fake->rx->produced - __atomic_load_n(&fake->rx->consumed, __ATOMIC_ACQUIRE) == 3)
        return;
    /* Both rings have moved alike, so the slot is the same. */
    size_t slot = PIGLET_PAGE + consumed % 3 * PIGLET_SLOT_BYTES;
    memcpy((uint8_t *)fake->rx + slot, (uint8_t *)fake->tx + slot, PIGLET_SLOT_BYTES);
    __atomic_store_n(&fake->tx->consumed, consumed + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&fake->rx->produced, fake->rx->produced + 1, __ATOMIC_RELEASE);
}

static void attach(struct fake *fake, uint32_t number)
{
    memset(fake->memory + POST, 0, DATA - POST);
    fake->chains = fake->events = fake->pages = 0;
    fake->tx = fake->rx = NULL;
    __atomic_store_n(&fake->window->attached, number, __ATOMIC_RELEASE);
}

static void *fake_run(void *context)
{
    struct fake *fake = context;
    struct piglet_window *window = fake->window;
    for (unsigned turn = 0; !__atomic_load_n(&fake->stop, __ATOMIC_ACQUIRE); turn++) {
        uint32_t number = __atomic_load_n(&window->attach, __ATOMIC_ACQUIRE);
        if (turn % BEAT_TURNS == 0)
            __atomic_store_n(&window->heartbeat, window->heartbeat + 1, __ATOMIC_RELAXED);
        if (number != window->attached)
            attach(fake, number);
        number = fake->chains + 1;
        if (!__atomic_load_n(&fake->hold, __ATOMIC_ACQUIRE) &&
            __atomic_load_n(&post_at(fake, number)->post, __ATOMIC_ACQUIRE) == number) {
            fake->chains = number;
            chain_run(fake, number);
        }
        frames_return(fake);
        usleep(10);
    }
    return NULL;
}

void fake_start(struct fake *fake)
{
    if (!fake->memory) {
        strcpy(fake->path, "/tmp/piglet-test-XXXXXX");
        fake->fd = mkstemp(fake->path);
        if (fake->fd < 0 || ftruncate(fake->fd, FAKE_BYTES) < 0)
            abort();
        snprintf(fake->where, sizeof fake->where, "shm:%s", fake->path);
        fake->memory = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake->fd, 0);
    }
    fake->window = (struct piglet_window *)(void *)fake->memory;
    memset(fake->memory, 0, DATA);
    *fake->window = (struct piglet_window){.abi_major = PIGLET_ABI_MAJOR,
                                           .features = fake->features,
                                           .boot = ++fake->boot,
                                           .bytes = FAKE_BYTES,
                                           .system = 1,
                                           .post_offset = POST,
                                           .post_count = FAKE_POSTS,
                                           .request_offset = REQUEST,
                                           .request_count = FAKE_REQUESTS,
                                           .event_offset = EVENT,
                                           .event_count = FAKE_EVENTS,
                                           .data_offset = DATA,
                                           .data_pages = FAKE_BYTES / PIGLET_PAGE - 5};
    fake->stop = fake->hold = false;
    __atomic_store_n(&fake->window->magic, PIGLET_MAGIC, __ATOMIC_RELEASE);
    pthread_create(&fake->thread, NULL, fake_run, fake);
}

void fake_stop(struct fake *fake)
{
    __atomic_store_n(&fake->stop, true, __ATOMIC_RELEASE);
    pthread_join(fake->thread, NULL);
}

void fake_remove(struct fake *fake)
{
    munmap(fake->memory, FAKE_BYTES);
    close(fake->fd);
    unlink(fake->path);
}
