/* Coming and going: what a client leaves when it detaches or dies, a kernel that starts anew, and how one
 * client fares beside another that asks for as much as it can. */
#include "tests/client/live.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GONE_US = 3000000, RESTART_US = 30000000, UNWIRED = 5 };

/* ---- detaching --------------------------------------------------------------------------------- */

/* A bit of everything; an ATOMIC chain, so that it is all there or an error. */
static const struct live_row everything[] = {
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
    ROW(BIND_PORT, REF(3), NUM(LIVE_PORT)),
    ROW(FRAMESET_START, REF(3)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(MAKE_FRAMESET, FRESH, REF(6), REF(7)),
    ROW(JOIN, SYS, REF(8), NUM(0)),
    ROW(FRAMESET_START, REF(8)),
    ROW(TIMER_START, FRESH, NUM(100), NUM(100)),
    ROW(CAP_COPY, FRESH, REF(3), NUM(PIGLET_RIGHT_USE)),
};

/* The port is the last one's; whoever can bind it finds the other one gone. */
static void check_port_free(struct piglet *piglet)
{
    struct live_ran ran = live_run(piglet, everything, COUNT_OF(everything), PIGLET_ATOMIC);
    live_error(ran.event.error, 0, "taking what the other one had");
}

static void detach_frees(void)
{
    struct piglet_client_entry entry;
    for (unsigned i = 0; i < 10; i++) {
        check_port_free(live.one);
        live_error(CALL(live.two, BIND_PORT, CAP(0), NUM(LIVE_PORT)), ERR_CAPABILITY,
                   "no frameset");
        live_error(piglet_reopen(live.one), 0, "reopening");
        CHECK(live_client(live.two, live_number(live.one), &entry), "it is not listed");
        CHECK(entry.capabilities == 1 && entry.pages == 0 && entry.framesets == 0,
              "%u capabilities, %u pages, %u framesets are left", entry.capabilities, entry.pages,
              entry.framesets);
        struct piglet_event event;
        CHECK(piglet_next_event(live.one, 0, &event) == ERR_TIMEOUT, "an event of before");
    }
    check_port_free(live.two);
    live_error(piglet_reopen(live.two), 0, "reopening client two");
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(piglet_window(live.one)->data_pages)), 0,
               "all pages");
}

/* Chains that had not ended are no more; those of the next attachment are its own. */
static void detach_under_way(void)
{
    for (unsigned i = 0; i < 10; i++) {
        struct live_row row = ROW(ECHO, NUM(i));
        for (unsigned j = 0; j < 60; j++)
            live_post(live.one, &row, 1, 0);
        live_error(piglet_reopen(live.one), 0, "reopening");
        struct live_ran ran = live_run(live.one, &row, 1, 0);
        CHECK(ran.number == 1 && ran.event.result == i, "chain %" PRId64 " gave %" PRIu64,
              ran.number, ran.event.result);
    }
}

/* ---- dying ------------------------------------------------------------------------------------- */

static _Noreturn void hold(int ready)
{
    struct piglet_chain chain;
    struct piglet *piglet = piglet_open(live.where[0], "held", NULL);
    alarm(60);
    if (!piglet)
        _exit(1);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    for (unsigned i = 0; i < COUNT_OF(everything); i++) {
        const struct live_row *row = &everything[i];
        struct piglet_argument first = row->argument[0];
        if (first.tag == PIGLET_TAG_CAPABILITY)
            first = piglet_chain_system(&chain);
        piglet_chain_add(&chain, row->opcode, first, row->argument[1], row->argument[2],
                         row->argument[3]);
    }
    if (piglet_wait(piglet, piglet_post(&chain), LIVE_WAIT_US, NULL) || write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static int count_held(const void *entry, void *context)
{
    const struct piglet_client_entry *client = entry;
    *(uint32_t *)context += strcmp(client->name, "held") ? 0 : client->capabilities;
    return 0;
}

static uint32_t held(void)
{
    uint32_t capabilities = 0;
    live_error(piglet_read_table(live.two, PIGLET_OP_CLIENT_LIST, 0, count_held, &capabilities), 0,
               "Client_List");
    return capabilities;
}

static void killed(void)
{
    int ready[2];
    piglet_close(live.one);
    live.one = NULL;
    CHECK(pipe(ready) == 0, "no pipe");
    pid_t child = fork();
    CHECK(child >= 0, "no process");
    if (child == 0)
        hold(ready[1]);
    struct pollfd told = {.fd = ready[0], .events = POLLIN};
    bool holds = poll(&told, 1, LIVE_WAIT_US / 1000) == 1;
    uint32_t before = holds ? held() : 0;
    kill(child, SIGKILL);
    uint64_t killed_us = live_now_us();
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    CHECK(before == 9, "the one to be killed holds %u capabilities", before);
    while (held()) {
        CHECK(live_now_us() - killed_us < GONE_US, "%u capabilities after 3 s", held());
        usleep(10000);
    }
    check_port_free(live.two);
    live_error(piglet_reopen(live.two), 0, "reopening client two");
}

/* ---- a kernel that starts anew (driven) ------------------------------------------------------------ */

static void reopen_both(uint64_t until_us)
{
    struct piglet *both[] = {live.one, live.two};
    for (unsigned i = 0; i < 2; i++) {
        int error;
        while ((error = piglet_reopen(both[i])) != 0) {
            CHECK(live_now_us() < until_us, "client %u: %s", i + 1, piglet_error_text(error));
            usleep(50000);
        }
    }
}

static void restart(void)
{
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(12));
    uint64_t until_us = live_now_us() + RESTART_US;
    live_ready();
    while (piglet_alive(live.one) || piglet_alive(live.two)) {
        CHECK(live_now_us() < until_us, "the kernel is still alive");
        usleep(10000);
    }
    CHECK(piglet_call(live.one, PIGLET_OP_NOP, piglet_none(), piglet_none(), piglet_none(),
                      piglet_none(), NULL) == ERR_CANCELLED,
          "a dead kernel answers");
    reopen_both(until_us);
    struct piglet_client_entry entry;
    CHECK(live_client(live.two, live_number(live.one), &entry) && entry.capabilities == 1,
          "something is left of before");
    CHECK(CALL(live.one, FREE_MEM, CAP(memory)) < 0, "a capability of before");
    struct live_ran ran = live_run(live.one, everything, UNWIRED, PIGLET_ATOMIC);
    live_error(ran.event.error, 0, "client one, anew"); /* there may be no nic */
}

/* ---- fairness ---------------------------------------------------------------------------------- */

enum { FLOOD_CHAINS = 20, FLOOD_ROUNDS = 300, FLOOD_ANSWER_US = 1000000 };

/* Costly requests, up to the brim, each time before the other asks once. */
static void flood(struct piglet *piglet, const struct live_row *rows, unsigned *under_way)
{
    struct piglet_event event;
    while (piglet_next_event(piglet, 0, &event) == 0) {
        live_error(event.error, 0, "a chain of the flood");
        --*under_way;
    }
    for (; *under_way < FLOOD_CHAINS; ++*under_way)
        live_post(piglet, rows, PIGLET_CHAIN_MAX, *under_way % 2 ? PIGLET_ATOMIC : 0);
}

static void fairness(void)
{
    struct live_row rows[PIGLET_CHAIN_MAX];
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
    unsigned under_way = 0, beside = 0;
    for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
        rows[i] = i % 2 ? (struct live_row)ROW(ROUTE_LIST, SYS, CAP(memory))
                        : (struct live_row)ROW(CLIENT_LIST, SYS, CAP(memory));
    for (unsigned i = 0; i < FLOOD_ROUNDS; i++) {
        struct piglet_event event;
        flood(live.one, rows, &under_way);
        uint64_t before_us = live_now_us(), result;
        live_error(live_call(live.two, (struct live_row)ROW(ECHO, NUM(i)), &result), 0,
                   "the other client");
        uint64_t took_us = live_now_us() - before_us;
        CHECK(result == i, "round %u gave %" PRIu64, i, result);
        CHECK(took_us < FLOOD_ANSWER_US, "the other client waited %" PRIu64 " us", took_us);
        while (piglet_next_event(live.one, 0, &event) == 0)
            under_way--;
        beside += under_way > 0;
    }
    /* It was served before the flood was through, not behind it. */
    CHECK(beside > FLOOD_ROUNDS / 2, "the flood was over in all but %u rounds", beside);
}

const struct live_case live_life_cases[] = {
    {"life-detach-frees", detach_frees, false},
    {"life-detach-under-way", detach_under_way, false},
    {"life-killed", killed, false},
    {"life-fairness", fairness, false},
    {"life-restart", restart, true},
    {NULL, NULL, false},
};
