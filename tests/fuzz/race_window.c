/* Runs a kernel while another thread rewrites the windows under its hands: fields, whole requests, rings,
 * bytes anywhere. What the kernel read once it must not read again, and whatever it read must do no harm.
 *
 * Built with ASan and UBSan, and with TSan, for which the vandal's stores are atomic: a plain
 * load of the kernel's from a window is then a finding. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/loop.h"
#include "tests/fuzz/recipes.h"
#include "tests/psr/invariants.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

#ifdef __SANITIZE_THREAD__
/* TSan is to look at what the kernel reads: of what it writes into a window, others believe what they
 * like, and what it copies, once, it checks in the copy. The linker puts these in the place of what tells
 * TSan of writes, and of what copies. */
#define WRITE_IGNORED(name)                                                                        \
    void __wrap___tsan_##name(void *place);                                                        \
    void __wrap___tsan_##name(void *place)                                                         \
    {                                                                                              \
        (void)place;                                                                               \
    }
WRITE_IGNORED(write1)
WRITE_IGNORED(write2)
WRITE_IGNORED(write4)
WRITE_IGNORED(write8)
WRITE_IGNORED(write16)
WRITE_IGNORED(unaligned_write2)
WRITE_IGNORED(unaligned_write4)
WRITE_IGNORED(unaligned_write8)

void __wrap___tsan_write_range(void *place, size_t bytes);
void __wrap___tsan_write_range(void *place, size_t bytes)
{
    (void)place, (void)bytes;
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

__attribute__((no_sanitize("thread"))) void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
    return to;
}

__attribute__((no_sanitize("thread"))) void *__wrap_memset(void *to, int byte, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}
#endif

enum {
    WINDOWS = 2,
    WINDOW_BYTES = 128 << 10,
    CHECK_EVERY = 64,    /* turns */
    TURN_NS = 20000,     /* by which time moves on in each */
    CHAIN_REQUESTS = 12, /* of a chain the vandal writes, at most */
    SECONDS = 10,
};

/* What the vandal is told, so that it gets somewhere. */
struct hints {
    uint32_t next_chain, events, data;
    uint32_t ring[2 * FRAMESETS_MAX]; /* where they lie; 0: nowhere */
};

struct target {
    struct window window;
    struct client *kernel;
    struct hints hints; /* stored and loaded by __atomic */
    struct guess guess; /* the vandal's own */
    uint32_t attachment;
};

static struct target target[WINDOWS];
static bool vandal_stop;

/* xorshift64* */
static uint64_t dice(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

/* ---- the vandal ------------------------------------------------------------------------------------- */

static void put32(struct target *to, uint32_t offset, uint32_t value)
{
    SHARED_STORE(*(uint32_t *)(void *)(to->window.memory + offset % WINDOW_BYTES / 4 * 4), value);
}

static void put_request(struct target *to, uint32_t offset, const struct piglet_request *request)
{
    uint64_t word[sizeof *request / sizeof(uint64_t)];
    memcpy(word, request, sizeof word);
    for (unsigned i = 1; i < sizeof word / sizeof word[0]; i++)
        SHARED_STORE(*(uint64_t *)(void *)(to->window.memory + offset + i * 8), word[i]);
    SHARED_PUBLISH(*(uint64_t *)(void *)(to->window.memory + offset), word[0]);
}

static uint32_t request_offset(uint32_t slot)
{
    return PIGLET_PAGE + slot * (uint32_t)sizeof(struct piglet_request);
}

/* Written from its end, so that the post, which is in the first, comes last. */
static void vandal_chain(struct target *to, uint64_t *state)
{
    uint32_t chain = SHARED_LOAD(to->hints.next_chain), at = (uint32_t)dice(state) % 200;
    const struct recipe *known = dice(state) & 1 ? recipe((unsigned)(dice(state) >> 40)) : NULL;
    uint32_t length = known ? known->length : (uint32_t)(dice(state) >> 40) % CHAIN_REQUESTS + 1;
    for (uint32_t i = length; i-- > 0;) {
        struct piglet_request request;
        uint64_t random = dice(state);
        uint8_t byte[GUESS_BYTES];
        memcpy(byte, known ? known->request[i] : (const uint8_t *)&random, sizeof byte);
        guess_request(&to->guess, &request, byte, i);
        request.next = i + 1 < length ? (uint16_t)(at + i + 1) : PIGLET_NEXT_NONE;
        if (random >> 62 == 0)
            request.flags |= PIGLET_ATOMIC;
        request.post = i ? 0 : chain;
        put_request(to, request_offset(i ? 64 + at + i : (chain - 1) % 64), &request);
    }
}

static void vandal_header(struct target *to, uint64_t *state)
{
    uint64_t random = dice(state);
    uint32_t value = random >> 32 & 1 ? (uint32_t)dice(state) : (uint32_t)(random >> 33) % 4;
    switch (random % 8) {
    case 0:
        put32(to, offsetof(struct piglet_window, cancel),
              SHARED_LOAD(to->hints.next_chain) + value);
        break;
    case 1:
        if (random >> 8 & 0xff)
            break;
        put32(to, offsetof(struct piglet_window, attach), value);
        break;
    case 2:
        put32(to, (uint32_t)(random >> 8) % sizeof(struct piglet_window), value);
        break;
    default: /* as it should be */
        put32(to, offsetof(struct piglet_window, events_taken), SHARED_LOAD(to->hints.events));
        put32(to, offsetof(struct piglet_window, bell), value);
        break;
    }
}

static void vandal_ring(struct target *to, uint64_t *state)
{
    uint64_t random = dice(state);
    uint32_t ring = SHARED_LOAD(to->hints.ring[random % (2 * FRAMESETS_MAX)]);
    if (!ring)
        return;
    uint32_t field =
        ring + (random >> 8 & 1 ? 0 : (uint32_t)offsetof(struct piglet_ring, consumed));
    uint32_t now = SHARED_LOAD(*(uint32_t *)(void *)(to->window.memory + field));
    uint32_t slot = ring + PIGLET_PAGE + (random >> 16 & 7) * PIGLET_SLOT_BYTES;
    put32(to, slot, random >> 24 & 3 ? (uint32_t)(random >> 32) % 1500 : (uint32_t)dice(state));
    put32(to, slot + PIGLET_FRAME_DATA + (random >> 40) % 64, (uint32_t)dice(state));
    put32(to, field,
          now + (random >> 28 & 15 ? (uint32_t)(random >> 9 & 3) : (uint32_t)dice(state)));
}

/* It learns from what the kernel shows, in any of the requests. */
static void vandal_learn(struct target *to, uint64_t *state)
{
    uint32_t at =
        request_offset((uint32_t)dice(state) % 256) + offsetof(struct piglet_request, result);
    uint64_t result = SHARED_LOAD(*(uint64_t *)(void *)(to->window.memory + at));
    struct piglet_window *header = (struct piglet_window *)(void *)to->window.memory;
    if (result)
        guess_learn(&to->guess, result);
    to->guess.system = SHARED_LOAD(header->system);
    to->guess.text_offset = SHARED_LOAD(to->hints.data);
    if (SHARED_LOAD(header->attached) == 0)
        SHARED_STORE(header->attach, ++to->attachment);
}

static void *vandal(void *argument)
{
    uint64_t state = *(const uint64_t *)argument;
    while (!__atomic_load_n(&vandal_stop, __ATOMIC_RELAXED)) {
        struct target *to = &target[dice(&state) % WINDOWS];
        switch (dice(&state) % 8) {
        case 0:
        case 1:
            vandal_chain(to, &state);
            break;
        case 2:
            put32(to, request_offset((uint32_t)dice(&state) % 320), (uint32_t)dice(&state));
            break;
        case 3:
            vandal_header(to, &state);
            break;
        case 4:
            vandal_learn(to, &state);
            break;
        case 5:
            put32(to, PIGLET_PAGE + (uint32_t)dice(&state) % (WINDOW_BYTES - PIGLET_PAGE),
                  (uint32_t)dice(&state));
            break;
        default:
            vandal_ring(to, &state);
            break;
        }
    }
    return NULL;
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

static const struct window_driver driver = {.name = "raced"};

static void windows_open(struct core *core)
{
    for (unsigned i = 0; i < WINDOWS; i++) {
        void *memory;
        if (posix_memalign(&memory, PIGLET_PAGE, WINDOW_BYTES))
            abort();
        memset(memory, 0, WINDOW_BYTES);
        target[i].window =
            (struct window){.driver = &driver, .memory = memory, .bytes = WINDOW_BYTES};
        if (window_open(core, &target[i].window) < 0)
            abort();
        target[i].kernel = target[i].window.client;
    }
}

static void hints_tell(struct target *to)
{
    const struct client *client = to->kernel;
    SHARED_STORE(to->hints.next_chain, client->next_chain);
    SHARED_STORE(to->hints.events, client->events_written);
    SHARED_STORE(to->hints.data, (uint32_t)(client->data - to->window.memory));
    for (unsigned i = 0; i < FRAMESETS_MAX; i++) {
        const struct frameset *frameset = &client->frameset[i];
        bool there = frameset->object.type != OBJECT_NONE;
        const struct ring *ring[2] = {&frameset->transmit, &frameset->receive};
        for (unsigned j = 0; j < 2; j++)
            SHARED_STORE(to->hints.ring[2 * i + j],
                         there ? (uint32_t)((uint8_t *)ring[j]->shared - to->window.memory) : 0);
    }
}

static void check(const char *wrong)
{
    if (!wrong)
        return;
    fprintf(stderr, "broken: %s\n", wrong);
    abort();
}

static void frames_come(struct core *core, uint64_t *state)
{
    static const uint16_t port[] = {7, 9, 99, 49152, 49153, 1};
    uint64_t random = dice(state);
    struct packet packet = packet_udp_to(IP(10, 0, 0, 1), 9, IP(10, 0, 0, 2), port[random % 6],
                                         (unsigned)(random >> 8) % 1400);
    if (random >> 32 & 1)
        packet = packet_ipv4(IP(10, 0, 0, 1), IP(10, 0, 0, 2), 253, 100);
    if (random >> 33 & 1)
        memcpy(packet.data, (uint8_t[]){0x02, 0xaa, 0, 0, 0, 1}, 6);
    sim_inject(core, 0, packet.data, packet.length);
    while (sim_sent(core, 0))
        ;
}

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

/* Turns; how many. */
static uint64_t race(struct core *core, unsigned seconds, uint64_t state)
{
    uint64_t end_s = now_s() + seconds, turns = 0;
    for (; turns % 1024 || now_s() < end_s; turns++) {
        sim_now_ns += TURN_NS;
        frames_come(core, &state);
        loop_turn(core);
        for (unsigned i = 0; i < WINDOWS; i++)
            hints_tell(&target[i]);
        if (turns % CHECK_EVERY == 0)
            check(psr_invariants(core, 0));
    }
    return turns;
}

static void report(const struct core *core, uint64_t turns)
{
    static const char *const name[] = {"requests",  "chains",     "failed",    "undone",
                                       "cancelled", "lies",       "rx_frames", "tx_frames",
                                       "refused",   "attachments"};
    printf("%llu turns", (unsigned long long)turns);
    for (unsigned i = 0; i < sizeof name / sizeof name[0]; i++) {
        char full[40];
        snprintf(full, sizeof full, "clients.%s", name[i]);
        printf(", %llu %s", (unsigned long long)sim_counter(core, full), name[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    unsigned seconds = SECONDS;
    uint64_t seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = (unsigned)atoi(argv[i + 1]);
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
    }
    printf("seed %llu\n", (unsigned long long)seed);
    struct core *core =
        sim_start(1, "clients=2 ip=10.0.0.2/24 services=+echo log=error arp.dad=off");
    windows_open(core);
    uint64_t vandal_seed = seed * 2 + 1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, vandal, &vandal_seed))
        abort();
    uint64_t turns = race(core, seconds, seed | 1);
    __atomic_store_n(&vandal_stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    report(core, turns);
    bool worked = sim_counter(core, "clients.chains") && sim_counter(core, "clients.lies");
    for (unsigned i = 0; i < WINDOWS; i++)
        window_close(core, &target[i].window);
    check(psr_nothing_left(core));
    while (sim_sent(core, 0))
        ;
    if (sim_stop(core) != 0)
        check("frames were lost");
    if (!worked)
        check("nothing was raced");
    for (unsigned i = 0; i < WINDOWS; i++)
        free(target[i].window.memory);
    return 0;
}
