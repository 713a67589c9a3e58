/* Runs cases with two clients of a kernel that is there: `live WHERE1 WHERE2 [NAME...]`.
 *
 * Prints `ok NAME` or `not ok NAME: why` for each; without names it runs those that need nobody else.
 * `live --list` names these. */
#include "tests/client/live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <piglet/shaper.h>

enum { CASE_S = 120 };

struct live live;

static const struct live_case *const groups[] = {
    live_chain_cases, live_order_cases,   live_event_cases, live_capability_cases,
    live_life_cases,  live_hostile_cases, live_frame_cases,
};

static jmp_buf failed;
static char why[2048];
static const char *running;

_Noreturn void live_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    longjmp(failed, 1);
}

void live_ready(void)
{
    printf("ready %s\n", running);
    fflush(stdout);
}

/* A case that hangs says so before it takes the others with it. */
static void overdue(int number)
{
    (void)number;
    static const char text[] = ": not ended after 120 s\n";
    if (write(1, "not ok ", 7) < 0 || write(1, running, strlen(running)) < 0 ||
        write(1, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

/* ---- one case ---------------------------------------------------------------------------------- */

static struct piglet *attach(const char *where, const char *name)
{
    int error;
    struct piglet *piglet = piglet_open(where, name, &error);
    CHECK(piglet, "%s: %s", where, piglet_error_text(error));
    return piglet;
}

/* Without classes and matches. */
static const struct piglet_shaper_table empty_table = {
    .magic = PIGLET_SHAPER_MAGIC, .version = PIGLET_SHAPER_VERSION, .bytes = sizeof empty_table};

static int is_tentative(const void *entry, void *context)
{
    (void)context;
    return ((const struct piglet_address_entry *)entry)->state == 0;
}

/* Until the kernel's own addresses are as they will be. */
static void settle(struct piglet *piglet)
{
    uint64_t start_us = live_now_us();
    while (piglet_read_table(piglet, PIGLET_OP_ADDRESS_LIST, 0, is_tentative, NULL) > 0) {
        CHECK(live_now_us() - start_us < LIVE_WAIT_US, "an address stays tentative");
        usleep(10000);
    }
}

/* Client one begins anew, so that nothing is left of the case before; two has been there all along. */
static void prepare(void)
{
    if (!live.two) {
        live.two = attach(live.where[1], "two");
        settle(live.two);
    }
    if (!live.one)
        live.one = attach(live.where[0], "one");
    else
        live_error(piglet_reopen(live.one), 0, "reopening client one");
    live.text = piglet_result_offset(MUST(live.one, ALLOC_MEM, FRESH, NUM(1)));
    char *text = piglet_memory(live.one, live.text, 2 * PIGLET_PAGE); /* two first pages */
    memcpy(text + TEXT_OTHER, "port=77", TEXT_OTHER_BYTES);
    memcpy(text + TEXT_USUAL, "port=7", TEXT_USUAL_BYTES);
    memcpy(text + TEXT_ECHO, "echo", TEXT_ECHO_BYTES);
    live.table = MADE(live.one, ALLOC_MEM, FRESH, NUM(1));
    memcpy(text + PIGLET_PAGE, &empty_table, sizeof empty_table);
    live.echo = live_service("echo");
    live.shaper = live_service("shaper");
}

/* Whatever happened to client one, the other one is served, and the kernel is the same. */
static void conclude(void)
{
    uint64_t result;
    CHECK(piglet_alive(live.two), "client two has lost its kernel");
    live_error(live_call(live.two, (struct live_row)ROW(ECHO, NUM(4711)), &result), 0,
               "client two, after the case");
    CHECK(result == 4711, "client two was given a wrong answer");
}

static void run_body(const struct live_case *one, unsigned opcode)
{
    prepare();
    if (one)
        one->run();
    else
        live_opcode_run(opcode);
    conclude();
}

/* Returns 1 when it failed. */
static int run_case(const char *name, const struct live_case *one, unsigned opcode)
{
    running = name;
    alarm(CASE_S);
    int ended = setjmp(failed);
    if (ended == 0)
        run_body(one, opcode);
    if (ended)
        printf("not ok %s: %s\n", name, why);
    else
        printf("ok %s\n", name);
    alarm(0);
    fflush(stdout);
    return ended;
}

/* ---- all of them ------------------------------------------------------------------------------- */

static bool wanted(const char *name, bool driven, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0 && !driven;
}

static const char *opcode_case(unsigned opcode)
{
    static char name[PIGLET_OP_COUNT][48];
    snprintf(name[opcode], sizeof name[opcode], "opcode-%s", piglet_opcode(opcode)->name);
    return name[opcode];
}

struct tally {
    int found, failures;
};

static void visit(const char *name, const struct live_case *one, unsigned opcode, bool list,
                  struct tally *tally)
{
    tally->found++;
    if (list)
        printf("%s\n", name);
    else
        tally->failures += run_case(name, one, opcode);
}

static struct tally visit_all(bool list, char **names, int count)
{
    struct tally tally = {0, 0};
    for (unsigned i = 0; i < COUNT_OF(groups); i++)
        for (const struct live_case *one = groups[i]; one->name; one++)
            if (wanted(one->name, one->driven, names, count))
                visit(one->name, one, 0, list, &tally);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++)
        if (piglet_opcode(i) && wanted(opcode_case(i), false, names, count))
            visit(opcode_case(i), NULL, i, list, &tally);
    return tally;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return visit_all(true, NULL, 0).found ? 0 : 1;
    if (argc < 3) {
        fprintf(stderr, "usage: live WHERE1 WHERE2 [NAME...] | live --list\n");
        return 2;
    }
    live.where[0] = argv[1];
    live.where[1] = argv[2];
    signal(SIGALRM, overdue);
    struct tally tally = visit_all(false, argv + 3, argc - 3);
    if (tally.found == 0 || (argc > 3 && tally.found != argc - 3))
        fprintf(stderr, "live: no such case\n");
    piglet_close(live.one);
    piglet_close(live.two);
    return tally.failures || tally.found == 0 || (argc > 3 && tally.found != argc - 3);
}
