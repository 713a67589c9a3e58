/* Boot modules: a good one does what it says; of a bad one nothing is done, and why is said. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/chain.h"
#include "piglet/module.h"
#include "tests/psr/client.h"
#include "tests/psr/invariants.h"

enum { REQUESTS_ROOM = 200, DATA_PAGES = 1, NAME = 0, SETTING = 16, SYSTEM = 0 };

#define PREFIX(ip, length) ((uint64_t)(ip) << 8 | (length))

static struct {
    struct piglet_module header;
    struct piglet_request request[REQUESTS_ROOM];
    uint8_t data[DATA_PAGES * PIGLET_PAGE]; /* moved to behind the requests that there are */
} image;

/* Adds a request, at a line that is its number; next: whether the one behind belongs to its chain. */
static void add(struct test_request from, bool next)
{
    struct piglet_request *request = &image.request[image.header.requests++];
    *request = (struct piglet_request){
        .opcode = from.opcode, .next = next, .cookie = image.header.requests};
    for (unsigned i = 0; i < 4; i++) {
        request->tag[i] = from.argument[i].tag;
        request->argument[i] = from.argument[i].value;
    }
}

#define ADD(next, ...) add((struct test_request)REQUEST(__VA_ARGS__), next)

static void begin(void)
{
    memset(&image, 0, sizeof image);
    image.header = (struct piglet_module){.magic = PIGLET_MODULE_MAGIC,
                                          .major = PIGLET_MODULE_MAJOR,
                                          .data_pages = DATA_PAGES,
                                          .source = "test.conf"};
    memcpy(image.data + NAME, "echo", 4);
    memcpy(image.data + SETTING, "port=4007", 9);
}

/* An address, a route over it, and echo with a port of its own: two chains. */
static void begin_good(void)
{
    begin();
    ADD(true, SERVICE_FIND, CAP(SYSTEM), OFF(NAME), NUM(4));
    ADD(true, SERVICE_CONFIGURE, CAP(SYSTEM), REF(1), OFF(SETTING), NUM(9));
    ADD(false, SERVICE_START, CAP(SYSTEM), REF(1));
    ADD(true, ADDRESS_ADD, CAP(SYSTEM), NUM(PREFIX(IP(10, 3, 0, 2), 24)), NUM(0));
    ADD(false, ROUTE_ADD, CAP(SYSTEM), NUM(PREFIX(IP(10, 9, 0, 0), 16)), NUM(IP(10, 3, 0, 9)));
}

/* The bytes as a file has them; to be freed. */
static uint8_t *finish(size_t *bytes)
{
    size_t requests = image.header.requests * sizeof image.request[0];
    image.header.data = (uint32_t)(sizeof image.header + requests);
    image.header.bytes = (uint32_t)(image.header.data + sizeof image.data);
    uint8_t *file = malloc(image.header.bytes);
    memcpy(file, &image.header, sizeof image.header);
    memcpy(file + sizeof image.header, image.request, requests);
    memcpy(file + image.header.data, image.data, sizeof image.data);
    *bytes = image.header.bytes;
    return file;
}

/* Starts a core with these bytes of a file; a copy, so that reading behind them is seen. */
static struct core *start(const uint8_t *file, size_t bytes, const char *words)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, file, bytes);
    struct core *core = sim_start_module(2, words, copy, bytes);
    free(copy);
    assert_non_null(core);
    assert_null(psr_nothing_left(core));
    return core;
}

static struct core *start_image(const char *words)
{
    size_t bytes;
    uint8_t *file = finish(&bytes);
    struct core *core = start(file, bytes, words);
    free(file);
    return core;
}

static bool said(const char *what)
{
    return strstr(sim_console(), what) != NULL;
}

/* What the good one does, all of it or nothing. */
static bool done(struct core *core)
{
    const struct service_self *echo = chain_find(core, "echo");
    char port[SETTING_TEXT_MAX];
    assert_int_equal(chain_setting_get(echo, "port", port, sizeof port), 0);
    bool all = echo->running && strcmp(port, "4007") == 0 &&
               address_find(&core->routes, IP(10, 3, 0, 2)) &&
               route_find(&core->routes, IP(10, 9, 0, 0), 16);
    bool nothing = !echo->running && strcmp(port, "7") == 0 &&
                   !address_find(&core->routes, IP(10, 3, 0, 2)) &&
                   !route_find(&core->routes, IP(10, 9, 0, 0), 16);
    assert_true(all || nothing);
    return all;
}

/* ---- good ones --------------------------------------------------------------------------------------- */

static void module_01_does_what_it_says(void **state)
{
    (void)state;
    begin_good();
    struct core *core = start_image("");
    assert_true(done(core));
    assert_true(said("module: test.conf: done, 5 requests in 2 chains"));
    test_stop(core);
}

/* It may what its clients may not. */
static void module_02_has_all_rights(void **state)
{
    (void)state;
    begin_good();
    struct core *core = start_image("window.rights=none");
    assert_true(done(core));
    assert_int_equal(core->window_rights, 0);
    test_stop(core);
}

/* More than one ATOMIC chain may cost, and than one undo list holds. */
static void module_03_long(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad <= 1; bad++) {
        begin_good();
        for (unsigned i = 0; i < 180; i++)
            ADD(i % 60 != 59, ROUTE_ADD, CAP(SYSTEM), NUM(PREFIX(IP(10, 100, i, 0), 24)),
                NUM(IP(10, 3, 0, 9)));
        if (bad)
            ADD(false, ROUTE_DELETE, CAP(SYSTEM), NUM(PREFIX(IP(10, 99, 0, 0), 16)));
        struct core *core = start_image("");
        assert_int_equal(done(core), !bad);
        for (unsigned i = 0; i < 180; i++)
            assert_int_equal(!route_find(&core->routes, IP(10, 100, i, 0), 24), bad);
        assert_int_equal(said("test.conf:186: Route_Delete: no such thing"), bad);
        test_stop(core);
    }
}

/* One behind the other, in one boot module: each stands for itself. */
static void module_04_several(void **state)
{
    (void)state;
    size_t bytes, more;
    begin();
    ADD(false, ROUTE_DELETE, CAP(SYSTEM), NUM(PREFIX(IP(10, 99, 0, 0), 16)));
    uint8_t *bad = finish(&bytes);
    begin_good();
    uint8_t *good = finish(&more), *both = malloc(bytes + more);
    memcpy(both, bad, bytes);
    memcpy(both + bytes, good, more);
    struct core *core = start(both, bytes + more, "");
    assert_true(done(core) && said("refused") && said("done, 5 requests"));
    test_stop(core);
    free(both);
    free(good);
    free(bad);
}

/* ---- bad ones ---------------------------------------------------------------------------------------- */

/* Whichever request fails, nothing is done, and its line is said. */
static void module_05_all_or_nothing(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad < 5; bad++) {
        char line[64];
        begin_good();
        image.request[bad].tag[1] = PIGLET_TAG_COUNT;
        struct core *core = start_image("log=error");
        assert_false(done(core));
        snprintf(line, sizeof line, "module: test.conf:%u: ", bad + 1);
        assert_true(said(line) && said("test.conf: refused, nothing of it is done"));
        assert_true(said("not the kind of argument") || said("argument"));
        test_stop(core);
    }
}

static void module_06_truncated_at_every_byte(void **state)
{
    size_t bytes;
    (void)state;
    begin_good();
    uint8_t *file = finish(&bytes);
    for (size_t length = 0; length < bytes; length += length < 512 ? 1 : 61) {
        struct core *core = start(file, length, "log=error");
        assert_false(done(core));
        assert_true(said(length < sizeof image.header ? "not a compiled" : "truncated"));
        test_stop(core);
    }
    free(file);
}

/* Each field of the header at its limits. */
static void module_07_headers(void **state)
{
    static const struct {
        size_t offset, width;
        uint64_t value;
        const char *why;
    } wrong[] = {
        {8, 2, PIGLET_MODULE_MAJOR + 1, "made for another version"},
        {8, 2, 0, "made for another version"},
        {12, 4, 0, "no requests, or too many"},
        {12, 4, PIGLET_MODULE_REQUESTS_MAX + 1, "no requests, or too many"},
        {12, 4, UINT32_MAX, "no requests, or too many"},
        {12, 4, 6, "do not fit"},
        {16, 4, 0, "do not fit"},
        {16, 4, UINT32_MAX, "do not fit"},
        {20, 4, DATA_PAGES + 1, "do not fit"},
        {20, 4, UINT32_MAX, "do not fit"},
        {24, 4, 0, "do not fit"},
        {24, 4, UINT32_MAX, "truncated"},
    };
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        size_t bytes;
        begin_good();
        uint8_t *file = finish(&bytes);
        memcpy(file + wrong[i].offset, &wrong[i].value, wrong[i].width);
        struct core *core = start(file, bytes, "log=error");
        assert_false(done(core));
        assert_true(said(wrong[i].why));
        test_stop(core);
        free(file);
    }
}

/* Any bit wrong: it is refused, or does what it now says; never half of it. */
static void module_08_flipped_bits(void **state)
{
    uint32_t random = 1;
    size_t bytes;
    (void)state;
    begin_good();
    uint8_t *file = finish(&bytes);
    size_t used = image.header.data + SETTING + 9;
    for (unsigned i = 0; i < used * 8; i += i < sizeof image.header * 8 ? 1 : random % 7 + 1) {
        random = random * 1664525 + 1013904223;
        file[i / 8] ^= (uint8_t)(1 << i % 8);
        struct core *core = start(file, bytes, "log=error");
        const struct service_self *echo = chain_find(core, "echo");
        if (said("refused"))
            assert_true(!echo->running && core->routes.address[0].ip == 0);
        sim_run(core);
        test_stop(core);
        file[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(file);
}

/* What a hostile client would do: all is freed, and the kernel goes on. */
static void module_09_hostile(void **state)
{
    (void)state;
    begin();
    ADD(true, ALLOC_MEM, FRESH, NUM(1));
    ADD(true, ALLOC_MEM, FRESH, NUM(2));
    ADD(true, ALLOC_MEM, FRESH, NUM(2));
    ADD(true, MAKE_FRAMESET, FRESH, REF(2), REF(3));
    ADD(true, BIND_PORT, REF(4), NUM(4000));
    ADD(true, FRAMESET_START, REF(4));
    ADD(true, TIMER_START, FRESH, NUM(1), NUM(100));
    ADD(false, CAP_DROP, CAP(SYSTEM));
    ADD(false, NOP);
    struct core *core = start_image("");
    assert_true(said("done, 9 requests"));
    sim_advance_us(core, 100000);
    assert_null(psr_nothing_left(core));
    test_stop(core);

    begin();
    for (unsigned i = 0; i <= PIGLET_CHAIN_MAX; i++)
        ADD(true, NOP);
    core = start_image("log=error");
    assert_true(said("too long") && said("refused"));
    test_stop(core);
}

/* No memory for it, or no place for its client, is said, and no more. */
static void module_10_no_room(void **state)
{
    size_t bytes;
    (void)state;
    begin_good();
    image.header.data_pages = 0;
    uint8_t *file = finish(&bytes);
    uint32_t pages = 1900, length = image.header.data + pages * PIGLET_PAGE;
    uint8_t *large = calloc(1, length);
    memcpy(large, file, bytes);
    memcpy(large + offsetof(struct piglet_module, data_pages), &pages, sizeof pages);
    memcpy(large + offsetof(struct piglet_module, bytes), &length, sizeof length);
    struct core *core =
        start(large, length, "log=error"); /* what the simulated machine has is less */
    assert_int_equal(done(core), !said("refused"));
    test_stop(core);
    free(large);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_01_does_what_it_says),
        cmocka_unit_test(module_02_has_all_rights),
        cmocka_unit_test(module_03_long),
        cmocka_unit_test(module_04_several),
        cmocka_unit_test(module_05_all_or_nothing),
        cmocka_unit_test(module_06_truncated_at_every_byte),
        cmocka_unit_test(module_07_headers),
        cmocka_unit_test(module_08_flipped_bits),
        cmocka_unit_test(module_09_hostile),
        cmocka_unit_test(module_10_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
