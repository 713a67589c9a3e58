/* Hostile writes into one's own window: whatever is there, the other client and the kernel go on. */
#include "tests/client/live.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Client one without the library, on an attachment that the library has not used. */
struct raw {
    struct piglet_window *window;
    struct piglet_request *post, *request;
    struct piglet_event *event;
    uint32_t next, taken;
};

static struct raw raw_begin(void)
{
    live_error(piglet_reopen(live.one), 0, "reopening client one");
    uint8_t *base =
        (uint8_t *)(uintptr_t)piglet_window(live.one); /* its writing is what is tried */
    struct piglet_window *window = (struct piglet_window *)(void *)base;
    return (struct raw){
        .window = window,
        .post = (struct piglet_request *)(void *)(base + window->post_offset),
        .request = (struct piglet_request *)(void *)(base + window->request_offset),
        .event = (struct piglet_event *)(void *)(base + window->event_offset),
        .next = 1,
    };
}

static void ring(void)
{
    piglet_cancel(live.one, 0); /* cancels nothing, and rings */
}

static void raw_post(struct raw *raw, const struct piglet_request *request)
{
    struct piglet_request *slot = &raw->post[(raw->next - 1) % raw->window->post_count];
    memcpy((uint8_t *)slot + 4, (const uint8_t *)request + 4, sizeof *slot - 4);
    __atomic_store_n(&slot->post, raw->next++, __ATOMIC_RELEASE);
    ring();
}

/* Waits for the next event without saying that it was taken. */
static struct piglet_event raw_look(struct raw *raw)
{
    const struct piglet_event *slot = &raw->event[raw->taken % raw->window->event_count];
    uint64_t start_us = live_now_us();
    while (__atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) != raw->taken + 1) {
        CHECK(live_now_us() - start_us < LIVE_WAIT_US, "chain %u has no event", raw->next - 1);
        usleep(20);
    }
    raw->taken++;
    return *slot;
}

static struct piglet_event raw_take(struct raw *raw)
{
    struct piglet_event event = raw_look(raw);
    __atomic_store_n(&raw->window->events_taken, raw->taken, __ATOMIC_RELEASE);
    return event;
}

static struct piglet_event raw_run(struct raw *raw, const struct piglet_request *request)
{
    raw_post(raw, request);
    struct piglet_event event = raw_take(raw);
    CHECK(event.type == PIGLET_EVENT_CHAIN && event.chain == raw->next - 1,
          "type %u of chain %u, not of %u", event.type, event.chain, raw->next - 1);
    return event;
}

static uint64_t lies(void)
{
    struct piglet_client_entry entry;
    CHECK(live_client(live.two, live_number(live.one), &entry), "client one is not listed");
    return entry.lies;
}

/* The other client asks once, and is answered in bounded time. */
static void check_other(void)
{
    uint64_t before_us = live_now_us(), result;
    live_error(live_call(live.two, (struct live_row)ROW(ECHO, NUM(before_us)), &result), 0,
               "the other client");
    CHECK(result == before_us, "the other client was given a wrong answer");
    CHECK(live_now_us() - before_us < 1000000, "the other client waited %" PRIu64 " us",
          live_now_us() - before_us);
}

/* ---- chains ------------------------------------------------------------------------------------ */

static void bad_next(void)
{
    struct raw raw = raw_begin();
    uint16_t next[] = {(uint16_t)raw.window->request_count,
                       (uint16_t)(raw.window->request_count + 1), 0x8000, PIGLET_NEXT_NONE - 1};
    for (unsigned i = 0; i < COUNT_OF(next); i++)
        for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
            struct piglet_request request = {.next = next[i], .flags = (uint8_t)flags};
            struct piglet_event event = raw_run(&raw, &request);
            live_error(event.error, ERR_RANGE, "a `next` beyond the requests");
            CHECK(event.root == 1 && event.at == 1, "root %u of %u", event.root, event.at);
            check_other();
        }
}

/* To itself, and in a circle of three: ended at the longest length. */
static void circular_next(void)
{
    struct raw raw = raw_begin();
    for (unsigned length = 1; length <= 3; length += 2) {
        struct piglet_request request = {.next = 0};
        for (unsigned i = 0; i < length; i++)
            raw.request[i] = (struct piglet_request){.next = (uint16_t)((i + 1) % length)};
        struct piglet_event event = raw_run(&raw, &request);
        live_error(event.error, ERR_LIMIT, "a circle");
        CHECK(event.at == PIGLET_CHAIN_MAX && event.count == PIGLET_CHAIN_MAX, "%u of %u done",
              event.count, event.at);
        check_other();
    }
}

/* References that the library would not let pass. */
static void bad_references(void)
{
    static const uint64_t to[] = {0, 1, 2, 64, 65, UINT32_MAX, UINT64_MAX};
    struct raw raw = raw_begin();
    for (unsigned i = 0; i < COUNT_OF(to); i++) {
        struct piglet_request request = {.opcode = PIGLET_OP_ECHO,
                                         .next = PIGLET_NEXT_NONE,
                                         .tag = {PIGLET_TAG_REFERENCE},
                                         .argument = {to[i]}};
        live_error(raw_run(&raw, &request).error, ERR_ARGUMENT, "a reference to nothing before");
    }
    check_other();
}

static void bad_offsets(void)
{
    const struct piglet_window *window = piglet_window(live.one);
    const uint64_t offsets[] = {
        0x100000000ull, window->data_offset - 1ull,
        window->bytes,  window->bytes - 3,
        1ull << 63,     UINT64_MAX,
        UINT64_MAX - 3, window->event_offset,
    };
    for (unsigned i = 0; i < COUNT_OF(offsets); i++)
        live_error(CALL(live.one, SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(offsets[i]), NUM(7)),
                   ERR_RANGE, "an offset out of the data");
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
    static const uint64_t inside[] = {1, PIGLET_PAGE, 4096 - 8, 1ull << 32, UINT64_MAX - 7};
    for (unsigned i = 0; i < COUNT_OF(inside); i++)
        live_error(CALL(live.one, ROUTE_LIST, SYS, CAP(memory), NUM(0), NUM(inside[i])), ERR_RANGE,
                   "an offset out of the memory");
    check_other();
}

/* ---- counters --------------------------------------------------------------------------------------- */

/* The ring is full, and more is said to be taken than was written: not believed, and counted. The truth
 * helps. */
static void lying_events_taken(void)
{
    struct raw raw = raw_begin();
    struct piglet_request request = {.next = PIGLET_NEXT_NONE};
    static const uint32_t ahead[] = {1, 1000, 0x7fffffff, 0x80000000, 0xfffffd00};
    for (unsigned i = 0; i < COUNT_OF(ahead); i++) {
        uint64_t before = lies();
        for (unsigned j = 0; j < raw.window->event_count; j++) {
            raw_post(&raw, &request);
            raw_look(&raw);
        }
        raw_post(&raw, &request); /* there is no room for its event */
        __atomic_store_n(&raw.window->events_taken, raw.taken + ahead[i], __ATOMIC_RELEASE);
        ring();
        usleep(2 * PIGLET_SWEEP_MS * 1000);
        CHECK(lies() > before, "%u ahead: nobody noticed", ahead[i]);
        CHECK(raw.window->waiting == raw.next - 1, "%u ahead: believed", ahead[i]);
        check_other();
        __atomic_store_n(&raw.window->events_taken, raw.taken, __ATOMIC_RELEASE);
        ring();
        raw_take(&raw);
    }
}

/* Both rings of a frameset that moves: counters, and what is said about frames. */
static void lying_rings(void)
{
    static const uint32_t wrong[] = {1000, 0x7fffffff, 0x80000000, 0xffffffff};
    struct piglet_frameset frameset;
    uint64_t before = lies();
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        live_error(piglet_frameset_open(live.one, 4, 4, &frameset), 0, "a frameset");
        uint32_t name = frameset.capability;
        live_error(CALL(live.one, SET_PEER, CAP(name), NUM(0), NIL, NUM(99)), 0, "Set_Peer");
        live_error(CALL(live.one, FRAMESET_START, CAP(name)), 0, "Frameset_Start");
        memset((uint8_t *)frameset.tx + PIGLET_PAGE, 0xff, 3 * PIGLET_PAGE);
        frameset.tx->slots = frameset.rx->slots = wrong[i];
        __atomic_store_n(&frameset.rx->consumed, wrong[i], __ATOMIC_RELEASE);
        frameset.rx->produced = wrong[i] / 3;
        __atomic_store_n(&frameset.tx->produced, wrong[i], __ATOMIC_RELEASE);
        ring();
        usleep(2 * PIGLET_SWEEP_MS * 1000);
        check_other();
        /* Lies only stand in its own way: a frame that cannot be is refused, the others go. */
        __atomic_store_n(&frameset.tx->produced, 1, __ATOMIC_RELEASE);
        ring();
        usleep(2 * PIGLET_SWEEP_MS * 1000);
        CHECK(frameset.tx->consumed <= 6, "%u of no frames are sent", frameset.tx->consumed);
        live_error(CALL(live.one, CAP_DROP, CAP(name)), 0, "dropping it");
        live_error(CALL(live.one, FREE_MEM, CAP(frameset.transmit)), 0, "freeing");
        live_error(CALL(live.one, FREE_MEM, CAP(frameset.receive)), 0, "freeing");
    }
    CHECK(lies() > before, "nobody noticed");
}

/* ---- noise ------------------------------------------------------------------------------------------ */

static uint64_t random_state = 88172645463325252ull;

static uint64_t noise(void)
{
    random_state ^= random_state << 13; /* xorshift64, Marsaglia 2003 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Plausible, so that it gets far; but nothing that would change the configuration. */
static struct piglet_request noise_request(const struct piglet_window *window)
{
    struct piglet_request request = {.flags = (uint8_t)(noise() % 4), .next = PIGLET_NEXT_NONE};
    const struct piglet_opcode_info *info;
    do {
        request.opcode = (uint8_t)(noise() % (PIGLET_OP_COUNT + 1));
        info = piglet_opcode(request.opcode);
    } while (info && info->right == PIGLET_RIGHT_CONFIG);
    if (noise() % 4)
        request.next = (uint16_t)(noise() % (window->request_count + window->request_count / 8));
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t edges[] = {0, 1, 17, 4096, 65535, 1ull << 32, UINT64_MAX};
        request.tag[i] = (uint8_t)(noise() % (PIGLET_TAG_COUNT + 1));
        request.argument[i] = noise() % 3 ? noise() % 12 : edges[noise() % COUNT_OF(edges)];
        if (request.tag[i] == PIGLET_TAG_CAPABILITY)
            request.argument[i] = (1 + noise() % 6) << PIGLET_CAPABILITY_SLOT_BITS | noise() % 24;
    }
    return request;
}

/* Chains of plausible nonsense, rewritten while they run. */
static void noise_in_chains(void)
{
    enum { ROUNDS = 3000 };
    struct raw raw = raw_begin();
    uint32_t requests = raw.window->request_count, posts = raw.window->post_count;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned j = 0; j < 16; j++)
            raw.request[noise() % requests] = noise_request(raw.window);
        struct piglet_request request = noise_request(raw.window);
        if (request.opcode == PIGLET_OP_TIMER_START)
            request.opcode = PIGLET_OP_NOP; /* its events would be taken for those of chains */
        raw_post(&raw, &request);
        raw.post[noise() % posts].argument[noise() % 4] = noise();
        /* Whatever is there is taken; chains end sooner or later, whatever they are. */
        __atomic_store_n(&raw.window->events_taken, (uint32_t)raw.window->events, __ATOMIC_RELEASE);
        if (i % 50 == 0)
            check_other();
    }
    live_error(piglet_reopen(live.one), 0, "reopening client one");
    live_error(CALL(live.one, NOP), 0, "client one, anew");
}

/* Anything anywhere in the header and the rings, the kernel's own fields included. */
static void noise_everywhere(void)
{
    enum { ROUNDS = 400, WORDS = 64 };
    for (unsigned turn = 0; turn < 4; turn++) {
        struct raw raw = raw_begin();
        uint32_t words = raw.window->data_offset / sizeof(uint64_t);
        volatile uint64_t *word = (volatile uint64_t *)(void *)raw.window;
        for (unsigned i = 0; i < ROUNDS; i++) {
            for (unsigned j = 0; j < WORDS; j++)
                word[noise() % (j % 8 ? words : sizeof *raw.window / sizeof *word)] = noise();
            if (i % 20 == 0)
                check_other();
        }
        __atomic_store_n(&raw.window->attach, 0, __ATOMIC_RELEASE);
        usleep(3 * PIGLET_SWEEP_MS * 1000); /* without a bell: until the kernel looks round */
        live_error(piglet_reopen(live.one), 0, "reopening client one");
        live_error(CALL(live.one, NOP), 0, "client one, anew");
    }
}

const struct live_case live_hostile_cases[] = {
    {"hostile-next", bad_next, false},
    {"hostile-circular-next", circular_next, false},
    {"hostile-references", bad_references, false},
    {"hostile-offsets", bad_offsets, false},
    {"hostile-events-taken", lying_events_taken, false},
    {"hostile-rings", lying_rings, false},
    {"hostile-noise-in-chains", noise_in_chains, false},
    {"hostile-noise-everywhere", noise_everywhere, false},
    {NULL, NULL, false},
};
