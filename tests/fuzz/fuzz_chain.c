/* Fuzzes what clients can do to the kernel through their windows.
 *
 * The input is a program of actions of three clients: attach, post, take events, send frames, write
 * anything anywhere, go. Whatever they do, no sanitizer may complain, nothing may panic, all that the
 * kernel keeps of them must agree, a client that keeps the rules gets one event for each chain, and
 * when all have gone everything is as it was. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/loop.h"
#include "tests/fuzz/guess.h"
#include "tests/fuzz/produce.h"
#include "tests/fuzz/sample.h"
#include "tests/psr/invariants.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum {
    ACTORS = 3,
    ACTIONS = 16,
    ROUNDS =
        8192, /* of taking events, in which every chain ends: 64 chains of 64 requests, each a turn of its own */
    CHECK_EVERY = 8,
};

struct actor {
    struct window window;
    struct client *kernel; /* its side */
    struct piglet_window *header;
    struct guess guess;
    uint32_t attachment, next_chain, ended, taken;
    bool spoiled; /* it broke a rule: nothing is promised to it */
};

struct play {
    struct core *core;
    const uint8_t *data;
    size_t left;
    struct actor actor[ACTORS];
    struct piglet_bell bell;
    uint32_t attachments;
    unsigned held;
    struct frame *frame[FRAMES_MAX];
};

static const size_t window_bytes[ACTORS] = {256 << 10, PIGLET_WINDOW_BYTES_MIN + 100,
                                            PIGLET_WINDOW_BYTES_MIN};

static uint8_t take(struct play *play)
{
    if (!play->left)
        return 0;
    play->left--;
    return *play->data++;
}

static void fail(const char *why)
{
    fprintf(stderr, "broken: %s\n", why);
    abort();
}

static void check(struct play *play)
{
    const char *wrong = psr_invariants(play->core, play->held);
    if (wrong)
        fail(wrong);
}

static void ring(struct play *play, struct actor *actor)
{
    if (!actor->window.belled) {
        SHARED_STORE(actor->header->bell, actor->header->bell + 1);
        return;
    }
    play->bell.word[0] |= 1ull << window_number(&actor->window);
    play->bell.summary |= 1;
}

static bool attached(const struct actor *actor)
{
    return actor->kernel && actor->kernel->attached == actor->attachment && actor->attachment;
}

/* ---- coming and going ------------------------------------------------------------------------------ */

static void wake(struct window *window)
{
    (void)window;
}

static const struct window_driver waking = {.name = "waking", .wake = wake};
static const struct window_driver silent = {.name = "silent"};

static void actor_open(struct play *play, unsigned at)
{
    static uint8_t *memory[ACTORS];
    struct actor *actor = &play->actor[at];
    void *fresh;
    if (!memory[at]) {
        if (posix_memalign(&fresh, PIGLET_PAGE, window_bytes[at]))
            abort();
        memory[at] = fresh;
    }
    memset(memory[at], 0, window_bytes[at]);
    memset(actor, 0, sizeof *actor);
    actor->window = (struct window){.driver = at == 2 ? &silent : &waking,
                                    .memory = memory[at],
                                    .bytes = window_bytes[at],
                                    .heartbeat = at == 2,
                                    .belled = at != 2};
    if (window_open(play->core, &actor->window) < 0)
        fail("no place for a client");
    actor->kernel = actor->window.client;
    actor->header = (struct piglet_window *)(void *)memory[at];
}

static void act_attach(struct play *play, struct actor *actor)
{
    actor->attachment = ++play->attachments;
    SHARED_STORE(actor->header->attach, actor->attachment);
    ring(play, actor);
    loop_turn(play->core);
    if (!attached(actor)) /* its bell was rung already, by what it wrote anywhere */
        sim_advance_us(play->core, 2000 * PIGLET_SWEEP_MS);
    if (!attached(actor))
        fail("a client that attaches is not attached");
    struct client *kernel = actor->kernel;
    actor->next_chain = 1;
    actor->ended = actor->taken = 0;
    actor->spoiled = false;
    uint32_t page = kernel->data_pages - 1;
    char *texts = (char *)kernel->data + (size_t)page * PIGLET_PAGE;
    actor->guess = (struct guess){.system = SHARED_LOAD(actor->header->system),
                                  .text_offset = (uint64_t)(texts - (char *)actor->header)};
    guess_texts(texts);
}

static void act_detach(struct play *play, struct actor *actor)
{
    SHARED_STORE(actor->header->attach, 0);
    ring(play, actor);
    loop_turn(play->core);
    if (actor->kernel->attached)
        sim_advance_us(play->core, 2000 * PIGLET_SWEEP_MS);
    if (actor->kernel->attached)
        fail("a client that went is still attached");
}

static void act_reopen(struct play *play, struct actor *actor)
{
    window_close(play->core, &actor->window);
    check(play);
    actor_open(play, (unsigned)(actor - play->actor));
}

static void act_heartbeat(struct play *play, struct actor *actor)
{
    actor->header->client_heartbeat += take(play);
    actor->header->sleeping = take(play) & 1;
    ring(play, actor);
}

/* ---- chains ----------------------------------------------------------------------------------------- */

static void post(struct play *play, struct actor *actor, const struct piglet_request *first)
{
    struct client *kernel = actor->kernel;
    struct piglet_request *shared = &kernel->post[(actor->next_chain - 1) & kernel->post_mask];
    memcpy((char *)shared + sizeof shared->post, (const char *)first + sizeof first->post,
           sizeof *first - sizeof first->post);
    SHARED_PUBLISH(shared->post, actor->next_chain);
    actor->next_chain++;
    ring(play, actor);
}

/* A chain as it should be written, of requests that may be nonsense. */
static void act_chain(struct play *play, struct actor *actor)
{
    struct client *kernel = actor->kernel;
    uint8_t head = take(play);
    unsigned length = head == UINT8_MAX ? PIGLET_CHAIN_MAX + 1 : head % 16u + 1;
    struct piglet_request first = {.post = 0}, request;
    if (!attached(actor) || actor->next_chain - actor->ended > kernel->post_mask + 1)
        return;
    unsigned at = actor->next_chain * (PIGLET_CHAIN_MAX + 2) % kernel->request_count;
    for (unsigned i = 0; i < length; i++) {
        uint8_t byte[GUESS_BYTES];
        for (unsigned j = 0; j < GUESS_BYTES; j++)
            byte[j] = take(play);
        guess_request(&actor->guess, &request, byte, i);
        if (i == 0 && head & 0x10)
            request.flags |= PIGLET_ATOMIC;
        unsigned to = (at + i) % kernel->request_count;
        request.next =
            i + 1 < length ? (uint16_t)((to + 1) % kernel->request_count) : PIGLET_NEXT_NONE;
        if (head & 0x20 && i + 1 == length)
            request.next = take(play); /* may come round again */
        if (i)
            kernel->request[to] = request;
        else
            first = request;
    }
    post(play, actor, &first);
}

/* One request of raw fields, anywhere, perhaps posted. */
static void act_request(struct play *play, struct actor *actor)
{
    struct client *kernel = actor->kernel;
    struct piglet_request request = {.opcode = take(play), .flags = take(play)};
    unsigned to = take(play);
    request.next = (uint16_t)(take(play) << 8);
    request.next |= take(play);
    for (unsigned i = 0; i < 4; i++) {
        request.tag[i] = take(play) % 9;
        request.argument[i] = (uint64_t)take(play) << take(play) % 64;
    }
    if (!attached(actor))
        return;
    if (to & 1 && actor->next_chain - actor->ended <= kernel->post_mask + 1)
        post(play, actor, &request);
    else
        kernel->request[to % kernel->request_count] = request;
}

static void event_take(struct actor *actor, const struct piglet_event *event)
{
    if (event->result)
        guess_learn(&actor->guess, event->result);
    if (event->type != PIGLET_EVENT_CHAIN || actor->spoiled)
        return;
    if (event->chain != actor->ended + 1 || event->chain >= actor->next_chain)
        fail("a chain ended out of order, or twice");
    actor->ended = event->chain;
}

static void events_take(struct play *play, struct actor *actor, unsigned max)
{
    const struct client *kernel = actor->kernel;
    if (!attached(actor))
        return;
    for (unsigned i = 0; i < max; i++) {
        const struct piglet_event *event = &kernel->event[actor->taken & kernel->event_mask];
        if (SHARED_LOAD_ACQUIRE(event->number) != actor->taken + 1)
            break;
        event_take(actor, event);
        actor->taken++;
    }
    SHARED_STORE(actor->header->events_taken, actor->taken);
    ring(play, actor);
}

static void act_events(struct play *play, struct actor *actor)
{
    events_take(play, actor, take(play));
}

static void act_cancel(struct play *play, struct actor *actor)
{
    SHARED_STORE(actor->header->cancel, actor->next_chain - take(play) % 8);
}

/* ---- lies --------------------------------------------------------------------------------------------- */

static void act_write(struct play *play, struct actor *actor)
{
    size_t at = (size_t)(take(play) << 8 | take(play)) << (take(play) % 4);
    unsigned count = take(play) % 32;
    actor->spoiled = true;
    for (unsigned i = 0; i < count; i++)
        actor->window.memory[(at + i) % actor->window.bytes] = take(play);
}

static void act_lie(struct play *play, struct actor *actor)
{
    uint32_t value = (uint32_t)take(play) << take(play) % 32;
    struct frameset *frameset = &actor->kernel->frameset[value % FRAMESETS_MAX];
    actor->spoiled = true;
    switch (take(play) % 4) {
    case 0:
        SHARED_STORE(actor->header->events_taken, actor->taken + value);
        break;
    case 1:
        SHARED_STORE(actor->header->attach, value); /* the kernel makes of it what it says */
        break;
    case 2:
        if (frameset->object.type)
            frameset->transmit.shared->produced += value;
        break;
    default:
        if (frameset->object.type)
            frameset->receive.shared->consumed += value;
        break;
    }
    ring(play, actor);
}

/* ---- frames ------------------------------------------------------------------------------------------- */

static struct packet some_packet(struct play *play)
{
    uint8_t what = take(play), detail = take(play);
    return sample(what, detail);
}

static void act_inject(struct play *play, struct actor *actor)
{
    unsigned nic = take(play) % 2, to = take(play) % 4, count = take(play) % 70;
    struct packet packet = some_packet(play);
    (void)actor;
    if (nic)
        eth_copy(packet.data, NIC1_MAC);
    if (to == 1)
        memcpy(packet.data, (uint8_t[]){0x02, 0xaa, 0, 0, 0, 1}, 6); /* a station */
    if (to == 2)
        eth_copy(packet.data, BROADCAST);
    if (to == 3 && packet.length < 2048)
        packet.length += take(play);
    for (unsigned i = 0; i <= count; i++)
        sim_inject(play->core, nic, packet.data, packet.length < 2048 ? packet.length : 2048);
}

/* Puts frames into a transmit ring; takes those of the receive ring. */
static void act_frames(struct play *play, struct actor *actor)
{
    uint8_t byte[PRODUCE_BYTES];
    for (unsigned i = 0; i < PRODUCE_BYTES; i++)
        byte[i] = take(play);
    frames_produce(actor->kernel, byte);
    ring(play, actor);
}

static void act_pool(struct play *play, struct actor *actor)
{
    unsigned leave = take(play);
    (void)actor;
    while (play->held)
        frame_free(&play->core->frames, play->frame[--play->held]);
    while (leave % 4 == 0 && play->core->frames.free_count > leave)
        play->frame[play->held++] = frame_alloc(&play->core->frames);
}

static void act_wire(struct play *play, struct actor *actor)
{
    uint8_t byte = take(play);
    (void)actor;
    if (byte & 2)
        sim_wire_full(play->core, byte & 1, byte & 4);
    else
        sim_link(play->core, byte & 1, byte & 4);
}

/* ---- time ------------------------------------------------------------------------------------------------ */

static void wires_empty(struct core *core)
{
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
}

static void act_turns(struct play *play, struct actor *actor)
{
    (void)actor;
    for (unsigned i = take(play) % 16; i > 0; i--)
        loop_turn(play->core);
    wires_empty(play->core);
}

static void act_time(struct play *play, struct actor *actor)
{
    uint8_t byte = take(play);
    (void)actor;
    if (byte & 0x80)
        clients_arm(play->core, true);
    sim_advance_us(play->core, (uint64_t)(byte & 7) << (byte >> 3 & 15)); /* to 230 ms */
    if (byte & 0x80)
        clients_arm(play->core, false);
    wires_empty(play->core);
}

/* ---- a whole input ------------------------------------------------------------------------------------------ */

/* Whoever kept the rules gets the event of each of its chains. */
static void chains_end(struct play *play)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        struct actor *actor = &play->actor[i];
        for (unsigned round = 0; attached(actor) && !actor->spoiled; round++) {
            if (actor->ended + 1 == actor->next_chain)
                break;
            if (round == ROUNDS)
                fail("a chain did not end");
            events_take(play, actor, UINT8_MAX);
            loop_turn(play->core);
        }
    }
}

static void all_go(struct play *play)
{
    for (unsigned i = 0; i < ACTORS; i++)
        if (play->actor[i].spoiled)
            window_close(play->core, &play->actor[i].window); /* its header may say anything */
        else
            act_detach(play, &play->actor[i]);
    const char *wrong = psr_nothing_left(play->core);
    if (wrong)
        fail(wrong);
    for (unsigned i = 0; i < ACTORS; i++)
        window_close(play->core, &play->actor[i].window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static void (*const act[ACTIONS])(struct play * play, struct actor * actor) = {
        act_chain, act_chain,  act_chain,  act_request, act_events, act_turns,
        act_time,  act_attach, act_write,  act_lie,     act_inject, act_frames,
        act_pool,  act_wire,   act_detach, act_cancel,
    };
    static struct play play;
    memset(&play, 0, offsetof(struct play, frame));
    play.data = data;
    play.left = bytes;
    play.attachments = 1 << 30; /* not what it writes by chance */
    play.core = sim_start(2, "clients=3 ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 "
                             "services=+echo,+forward log=error");
    window_bell(play.core, &play.bell);
    for (unsigned i = 0; i < ACTORS; i++) {
        actor_open(&play, i);
        act_attach(&play, &play.actor[i]);
    }
    for (unsigned count = 0; play.left; count++) {
        uint8_t byte = take(&play);
        struct actor *actor = &play.actor[(byte >> 4) % ACTORS];
        if (byte == UINT8_MAX)
            act_reopen(&play, actor);
        else if (byte >= 0xf0)
            act_heartbeat(&play, actor);
        else
            act[byte % ACTIONS](&play, actor);
        if (count % CHECK_EVERY == 0)
            check(&play);
    }
    wires_empty(play.core);
    chains_end(&play);
    check(&play);
    while (play.held)
        frame_free(&play.core->frames, play.frame[--play.held]);
    all_go(&play);
    wires_empty(play.core);
    if (sim_stop(play.core) != 0)
        fail("frames were lost");
    return 0;
}
