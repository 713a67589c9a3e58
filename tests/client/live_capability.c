/* Capabilities: rights, copies, dropping, revoking; whose they are; and how many of what there may be. */
#include "tests/client/live.h"

#include <string.h>

static uint32_t copy(struct piglet *piglet, uint32_t of, unsigned rights)
{
    return MADE(piglet, CAP_COPY, FRESH, CAP(of), NUM(rights));
}

/* ---- rights -------------------------------------------------------------------------------------- */

/* What each right allows is refused to a copy that has all the others. */
static void rights(void)
{
    enum { ALL = PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY };
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    uint32_t other = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    uint32_t no_use = copy(live.one, memory, PIGLET_RIGHT_COPY | PIGLET_RIGHT_FREE);
    uint32_t no_copy = copy(live.one, memory, PIGLET_RIGHT_USE | PIGLET_RIGHT_FREE);
    uint32_t no_free = copy(live.one, memory, ALL);
    live_error(CALL(live.one, MAKE_FRAMESET, FRESH, CAP(no_use), CAP(other)), ERR_DENIED, "USE");
    live_error(CALL(live.one, MAKE_FRAMESET, FRESH, CAP(other), CAP(no_use)), ERR_DENIED,
               "USE, second");
    live_error(CALL(live.one, CAP_COPY, FRESH, CAP(no_copy), NUM(0)), ERR_DENIED, "COPY");
    live_error(CALL(live.one, FREE_MEM, CAP(no_free)), ERR_DENIED, "FREE");
    live_error(CALL(live.one, CAP_COPY, FRESH, CAP(no_free), NUM(ALL | PIGLET_RIGHT_FREE)),
               ERR_DENIED, "a copy with more rights");
    uint32_t frameset = MADE(live.one, MAKE_FRAMESET, FRESH, CAP(memory), CAP(other));
    uint32_t no_bind = copy(live.one, frameset, ALL);
    uint32_t only_bind = copy(live.one, frameset, PIGLET_RIGHT_BIND);
    live_error(CALL(live.one, SET_PEER, CAP(no_bind), NUM(LIVE_HOST)), ERR_DENIED, "BIND");
    live_error(CALL(live.one, BIND_PORT, CAP(no_bind), NUM(LIVE_PORT)), ERR_DENIED, "BIND port");
    live_error(CALL(live.one, SET_PEER, CAP(only_bind), NUM(LIVE_HOST)), 0, "Set_Peer");
    live_error(CALL(live.one, FRAMESET_START, CAP(only_bind)), ERR_DENIED, "USE of a frameset");
    uint32_t timer = MADE(live.one, TIMER_START, FRESH, NUM(60000000));
    live_error(CALL(live.one, TIMER_STOP, CAP(copy(live.one, timer, PIGLET_RIGHT_COPY))),
               ERR_DENIED, "USE of a timer");
}

/* The system's rights: each opcode that needs one is refused to a copy without it, and not changed. */
static void rights_of_system(void)
{
    struct live_tables before;
    uint32_t system = piglet_window(live.one)->system;
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
    uint32_t lacking[3] = {
        copy(live.one, system, PIGLET_RIGHT_ALL & ~PIGLET_RIGHT_READ),
        copy(live.one, system, PIGLET_RIGHT_ALL & ~PIGLET_RIGHT_CONFIG),
        copy(live.one, system, PIGLET_RIGHT_ALL & ~PIGLET_RIGHT_JOIN),
    };
    live_tables(&before);
    unsigned tried = 0;
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        const struct piglet_opcode_info *info = piglet_opcode(i);
        if (!info || info->want[0] != PIGLET_WANT_SYSTEM)
            continue;
        unsigned which = info->right == PIGLET_RIGHT_READ     ? 0
                         : info->right == PIGLET_RIGHT_CONFIG ? 1
                                                              : 2;
        struct live_row row = {.opcode = (uint8_t)i, .argument = {CAP(lacking[which])}};
        for (unsigned j = 1; j < 4 && info->want[j] != PIGLET_WANT_NONE; j++)
            row.argument[j] = info->want[j] == PIGLET_WANT_MEMORY
                                  ? (struct piglet_argument)CAP(memory)
                                  : (struct piglet_argument)NUM(0);
        live_error(live_call(live.one, row, NULL), ERR_DENIED, info->name);
        tried++;
    }
    CHECK(tried > 10, "only %u opcodes need the system", tried);
    live_same(&before, "after what is refused");
}

/* ---- copies -------------------------------------------------------------------------------------- */

static void copies(void)
{
    enum { DEPTH = 8, ALL = PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY };
    uint32_t chain[DEPTH + 1];
    chain[0] = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    for (unsigned i = 1; i <= DEPTH; i++)
        chain[i] = copy(live.one, chain[i - 1], ALL);
    live_error(CALL(live.one, CAP_COPY, FRESH, CAP(chain[DEPTH]), NUM(0)), ERR_LIMIT,
               "a ninth copy of a copy");
    /* The one in the middle goes; those below it are its parent's now, and go when that is revoked. */
    live_error(CALL(live.one, CAP_DROP, CAP(chain[4])), 0, "dropping");
    live_error(CALL(live.one, CAP_COPY, FRESH, CAP(chain[4]), NUM(0)), ERR_CAPABILITY,
               "a dropped one");
    uint64_t ended = MUST(live.one, CAP_REVOKE, CAP(chain[3]));
    CHECK(ended == DEPTH - 4, "%llu ended", (unsigned long long)ended);
    for (unsigned i = 0; i <= DEPTH; i++)
        live_error(CALL(live.one, CAP_COPY, FRESH, CAP(chain[i]), NUM(0)),
                   i <= 3 ? 0 : ERR_CAPABILITY, "a copy after revoking");
    /* The memory lives as long as one name does. */
    live_error(CALL(live.one, CAP_DROP, CAP(chain[0])), 0, "dropping the first");
    live_error(CALL(live.one, NIC_LIST, SYS, CAP(chain[2])), 0, "using what is left");
}

/* A slot that is used again does not make an old number good. */
static void numbers_age(void)
{
    enum { TURNS = 1000 };
    uint32_t old[16], used = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
        for (unsigned j = 0; j < used; j++)
            CHECK(old[j] != memory, "number %u is given out again", memory);
        live_error(CALL(live.one, FREE_MEM, CAP(memory)), 0, "freeing");
        live_error(CALL(live.one, FREE_MEM, CAP(memory)), ERR_CAPABILITY, "freeing again");
        old[i % COUNT_OF(old)] = memory;
        used = used < COUNT_OF(old) ? used + 1 : used;
    }
}

/* ---- whose they are --------------------------------------------------------------------------------- */

/* Numbers of client one, in client two's hands, name nothing or what is two's own. */
static void other_client(void)
{
    enum { PIECES = 60 };
    uint32_t made[PIECES], frameset;
    struct piglet_client_entry before, after;
    for (unsigned i = 0; i < PIECES; i++)
        made[i] = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    frameset = MADE(live.one, MAKE_FRAMESET, FRESH, CAP(made[0]), CAP(made[1]));
    live_error(piglet_reopen(live.two), 0, "reopening client two");
    live_client(live.one, live_number(live.one), &before);
    uint32_t system = piglet_window(live.two)->system;
    unsigned tried = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        if (made[i] == system)
            continue;
        live_error(CALL(live.two, CAP_COPY, FRESH, CAP(made[i]), NUM(0)), ERR_CAPABILITY,
                   "copying another's");
        live_error(CALL(live.two, FREE_MEM, CAP(made[i])), ERR_CAPABILITY, "freeing another's");
        live_error(CALL(live.two, CAP_DROP, CAP(made[i])), ERR_CAPABILITY, "dropping another's");
        live_error(CALL(live.two, NIC_LIST, SYS, CAP(made[i])), ERR_CAPABILITY, "writing there");
        tried++;
    }
    live_error(CALL(live.two, FRAMESET_START, CAP(frameset)), ERR_CAPABILITY, "starting another's");
    CHECK(tried >= PIECES - 1, "only %u tried", tried);
    live_client(live.one, live_number(live.one), &after);
    CHECK(before.capabilities == after.capabilities && before.pages == after.pages,
          "client one had %u capabilities, %u pages; now %u, %u", before.capabilities, before.pages,
          after.capabilities, after.pages);
    for (unsigned i = 2; i < PIECES; i++)
        live_error(CALL(live.one, FREE_MEM, CAP(made[i])), 0, "freeing one's own");
}

/* A client that drops its system's capability can compute, and ask no more; the other one can. */
static void system_dropped(void)
{
    live_error(CALL(live.one, CAP_DROP, SYS), 0, "dropping the system");
    live_error(CALL(live.one, SERVICE_STOP, SYS, NUM(LIVE_ECHO)), ERR_CAPABILITY, "stopping echo");
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(1)), 0, "memory");
    live_error(CALL(live.two, SERVICE_START, SYS, NUM(LIVE_ECHO)), 0, "the other client");
}

/* ---- limits ---------------------------------------------------------------------------------------- */

/* How many succeed before one fails, and with what. */
static unsigned until(struct live_row row, int error)
{
    for (unsigned count = 0; count <= 2 * PIGLET_CAPABILITIES_MAX; count++) {
        int is = live_call(live.one, row, NULL);
        if (is) {
            live_error(is, error, "at the limit");
            return count;
        }
    }
    live_fail("there is no limit");
}

static void limits_of_memory(void)
{
    uint32_t pages = piglet_window(live.one)->data_pages;
    CHECK(until((struct live_row)ROW(ALLOC_MEM, FRESH, NUM(1)), ERR_LIMIT) == 62,
          "not 64 memories, with the text and the table");
    live_error(piglet_reopen(live.one), 0, "reopening");
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(pages + 1)), ERR_RANGE, "more than there is");
    uint32_t all = MADE(live.one, ALLOC_MEM, FRESH, NUM(pages));
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(1)), ERR_NO_MEMORY, "one more page");
    live_error(CALL(live.two, ALLOC_MEM, FRESH, NUM(1)), 0, "a page of the other client's");
    live_error(piglet_reopen(live.two), 0, "reopening client two");
    live_error(CALL(live.one, FREE_MEM, CAP(all)), 0, "freeing all");
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(pages)), 0, "all again");
}

static void limits_of_others(void)
{
    uint32_t memory = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
    CHECK(until((struct live_row)ROW(TIMER_START, FRESH, NUM(60000000)), ERR_LIMIT) == 16,
          "not 16 timers");
    for (unsigned i = 0; i < 8; i++) {
        uint32_t transmit = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
        uint32_t receive = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
        MUST(live.one, MAKE_FRAMESET, FRESH, CAP(transmit), CAP(receive));
    }
    uint32_t transmit = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    uint32_t receive = MADE(live.one, ALLOC_MEM, FRESH, NUM(2));
    live_error(CALL(live.one, MAKE_FRAMESET, FRESH, CAP(transmit), CAP(receive)), ERR_LIMIT,
               "a ninth frameset");
    /* system, text, table, memory, 16 timers, 18 memories, 8 framesets: 46 */
    CHECK(until((struct live_row)ROW(CAP_COPY, FRESH, CAP(memory), NUM(0)), ERR_LIMIT) ==
              PIGLET_CAPABILITIES_MAX - 46,
          "not 256 capabilities");
    live_error(CALL(live.one, ALLOC_MEM, FRESH, NUM(1)), ERR_LIMIT, "memory without a name for it");
    live_error(CALL(live.two, TIMER_START, FRESH, NUM(60000000)), 0, "the other client's timer");
    live_error(piglet_reopen(live.two), 0, "reopening client two");
}

const struct live_case live_capability_cases[] = {
    {"capability-rights", rights, false},
    {"capability-rights-of-system", rights_of_system, false},
    {"capability-copies", copies, false},
    {"capability-numbers-age", numbers_age, false},
    {"capability-other-client", other_client, false},
    {"capability-system-dropped", system_dropped, false},
    {"limits-memory", limits_of_memory, false},
    {"limits-others", limits_of_others, false},
    {NULL, NULL, false},
};
