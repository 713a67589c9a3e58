/* libpiglet against a fake kernel: attaching, chains, events, frames, tables, text. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/client/fake.h"

enum { SECOND_US = 1000000 };

static struct fake fake;
static struct piglet *piglet;

static int setup(void **state)
{
    int error;
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.features = PIGLET_FEATURE_HEARTBEAT;
    fake_start(&fake);
    piglet = piglet_open(fake.where, "te\nst", &error);
    return piglet && error == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    piglet_close(piglet);
    fake_stop(&fake);
    fake_remove(&fake);
    return 0;
}

static void hold(bool on)
{
    __atomic_store_n(&fake.hold, on, __ATOMIC_RELEASE);
}

static int64_t post_nops(unsigned count)
{
    struct piglet_chain chain;
    piglet_chain_begin(piglet, &chain, 0);
    for (unsigned i = 0; i < count; i++)
        piglet_chain_nop(&chain);
    return piglet_post(&chain);
}

/* ---- coming and going ------------------------------------------------------------------------- */

static void test_attach(void **state)
{
    int error;
    (void)state;
    assert_string_equal(fake.window->name, "te_st");
    assert_int_equal(fake.window->pid, getpid());
    assert_string_equal(piglet_where(piglet), fake.where);
    assert_true(piglet_alive(piglet));
    assert_null(piglet_open(fake.where, NULL, &error)); /* the window is taken */
    assert_int_equal(error, ERR_BUSY);
    assert_null(piglet_open("shm:/tmp/piglet-test-none", NULL, &error));
    assert_int_equal(error, ERR_NOT_FOUND);
    assert_int_equal(piglet_fd(piglet), ERR_UNSUPPORTED);
}

static void test_heartbeat(void **state)
{
    (void)state;
    uint32_t before = __atomic_load_n(&fake.window->client_heartbeat, __ATOMIC_RELAXED);
    usleep(5 * PIGLET_HEARTBEAT_MS * 1000);
    uint32_t beats = __atomic_load_n(&fake.window->client_heartbeat, __ATOMIC_RELAXED) - before;
    assert_in_range(beats, 2, 6);
}

static void test_restart(void **state)
{
    struct piglet_event event;
    (void)state;
    hold(true);
    int64_t number = post_nops(1);
    fake_stop(&fake);
    assert_true(piglet_alive(piglet)); /* it cannot know yet */
    fake_start(&fake);
    assert_false(piglet_alive(piglet));
    assert_int_equal(piglet_wait(piglet, number, PIGLET_FOREVER, &event), ERR_CANCELLED);
    assert_int_equal(event.type, 0);
    assert_int_equal(piglet_reopen(piglet), 0);
    assert_true(piglet_alive(piglet));
    assert_int_equal(piglet_wait(piglet, post_nops(3), SECOND_US, &event), 0);
    assert_int_equal(event.at, 3);
}

/* A header that says what cannot be is refused before anything is believed. */
static void test_layout(void **state)
{
    int error;
    struct piglet_window *window = fake.window;
    const struct {
        uint32_t *field, value;
    } lies[] = {
        {&window->post_offset, FAKE_BYTES},
        {&window->post_count, 1u << 31},
        {&window->post_count, 3},
        {&window->request_offset, PIGLET_PAGE + 8},
        {&window->request_count, 1u << 16},
        {&window->event_offset, 0},
        {&window->event_count, 0},
        {&window->data_pages, FAKE_BYTES / PIGLET_PAGE},
        {&window->data_offset, PIGLET_PAGE + 64},
        {&window->client, PIGLET_CLIENTS_MAX},
    };
    (void)state;
    piglet_close(piglet);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint32_t truth = *lies[i].field;
        *lies[i].field = lies[i].value;
        piglet = piglet_open(fake.where, NULL, &error);
        *lies[i].field = truth;
        assert_null(piglet);
        assert_int_equal(error, ERR_INVALID);
    }
    window->abi_major++;
    assert_null(piglet_open(fake.where, NULL, &error));
    assert_int_equal(error, ERR_UNSUPPORTED);
}

static void test_memory(void **state)
{
    uint64_t first = fake.window->data_offset, end = FAKE_BYTES;
    (void)state;
    assert_ptr_equal((const uint8_t *)piglet_memory(piglet, first, end - first),
                     (const uint8_t *)piglet_window(piglet) + first);
    assert_null(piglet_memory(piglet, first - 1, 1));
    assert_null(piglet_memory(piglet, first, end - first + 1));
    assert_null(piglet_memory(piglet, end, 1));
    assert_null(piglet_memory(piglet, end + PIGLET_PAGE, 0));
    assert_null(piglet_memory(piglet, first + 1, SIZE_MAX));
    assert_null(piglet_memory(piglet, UINT64_MAX, SIZE_MAX));
}

/* ---- chains ----------------------------------------------------------------------------------- */

static void test_results(void **state)
{
    struct piglet_chain chain;
    struct piglet_event event;
    struct piglet_status status;
    uint64_t result;
    (void)state;
    assert_int_equal(piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC), 0);
    assert_int_equal(piglet_chain_echo(&chain, piglet_number(77)), 1);
    assert_int_equal(piglet_chain_cookie(&chain, 1234), 0);
    assert_int_equal(piglet_chain_echo(&chain, piglet_reference(1)), 2);
    assert_int_equal(piglet_chain_barrier(&chain), 3);
    int64_t number = piglet_post(&chain);
    assert_int_equal(number, 1);
    assert_int_equal(piglet_wait(piglet, number, SECOND_US, &event), ERR_DENIED);
    assert_int_equal(event.root, 3);
    assert_int_equal(event.cookie, 1234);
    assert_int_equal(piglet_result(piglet, number, 2, &result, &status), 0);
    assert_int_equal(result, 77);
    assert_int_equal(status.state, PIGLET_STATE_DONE);
    assert_int_equal(piglet_result(piglet, number, 3, NULL, &status), 0);
    assert_int_equal(status.error, ERR_DENIED);
    assert_int_equal(piglet_result(piglet, number, 4, NULL, NULL), ERR_NOT_FOUND);
    assert_int_equal(piglet_result(piglet, number, 0, NULL, NULL), ERR_NOT_FOUND);
    assert_int_equal(piglet_wait(piglet, number, SECOND_US, NULL), ERR_NOT_FOUND); /* taken */
    assert_int_equal(piglet_call(piglet, PIGLET_OP_ECHO, piglet_number(5), piglet_none(),
                                 piglet_none(), piglet_none(), &result),
                     0);
    assert_int_equal(result, 5);
}

static void test_mistakes_stick(void **state)
{
    struct piglet_chain chain, other;
    (void)state;
    piglet_chain_begin(piglet, &chain, 0);
    assert_int_equal(piglet_post(&chain), ERR_ARGUMENT); /* empty */
    piglet_chain_begin(piglet, &chain, 0);
    assert_int_equal(piglet_chain_echo(&chain, piglet_reference(1)), ERR_ARGUMENT); /* itself */
    assert_int_equal(piglet_chain_nop(&chain), ERR_ARGUMENT);
    assert_int_equal(piglet_wait(piglet, piglet_post(&chain), SECOND_US, NULL), ERR_ARGUMENT);
    piglet_chain_begin(piglet, &chain, 0);
    assert_int_equal(piglet_chain_echo(&chain, piglet_reference(ERR_FULL)), ERR_ARGUMENT);
    piglet_chain_begin(piglet, &chain, 0);
    assert_int_equal(piglet_chain_echo(&chain, piglet_argument(PIGLET_TAG_COUNT, 0)), ERR_ARGUMENT);
    piglet_chain_begin(piglet, &chain, 0);
    for (int i = 1; i <= PIGLET_CHAIN_MAX; i++)
        assert_int_equal(piglet_chain_nop(&chain), i);
    assert_int_equal(piglet_chain_nop(&chain), ERR_LIMIT);
    piglet_chain_begin(piglet, &chain, 0);
    piglet_chain_nop(&chain);
    piglet_chain_begin(piglet, &other, 0);
    piglet_chain_nop(&other);
    assert_int_equal(piglet_post(&chain), ERR_BUSY); /* ended by the other */
    assert_int_equal(piglet_post(&other), 1);
    assert_int_equal(piglet_post(&other), ERR_BUSY); /* posted already */
    assert_int_equal(piglet_wait(piglet, 2, 0, NULL), ERR_NOT_FOUND);
    assert_int_equal(piglet_wait(piglet, 1, SECOND_US, NULL), 0);
}

/* Many chains of all lengths: places in the window are used over and over. */
static void test_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        struct piglet_chain chain;
        uint64_t result;
        int last = 0, count = 1 + (int)(i * 7 % PIGLET_CHAIN_MAX);
        piglet_chain_begin(piglet, &chain, 0);
        for (int at = 1; at <= count; at++)
            last = piglet_chain_echo(&chain, at == 1 ? piglet_number(i) : piglet_reference(last));
        int64_t number = piglet_post(&chain);
        assert_int_equal(number, i + 1);
        assert_int_equal(piglet_wait(piglet, number, SECOND_US, NULL), 0);
        assert_int_equal(piglet_result(piglet, number, last, &result, NULL), 0);
        assert_int_equal(result, i);
    }
    assert_int_equal(piglet_result(piglet, 292, 1, NULL, NULL), ERR_NOT_FOUND); /* used again */
}

/* As many chains as go, then no more; what is not waited for in order is not lost. */
static void test_full(void **state)
{
    struct piglet_chain chain;
    struct piglet_event event;
    (void)state;
    hold(true);
    for (int64_t i = 1; i <= FAKE_POSTS; i++)
        assert_int_equal(post_nops(2), i);
    assert_int_equal(piglet_chain_begin(piglet, &chain, 0), ERR_FULL);
    assert_int_equal(piglet_wait(piglet, 1, 0, NULL), ERR_TIMEOUT);
    assert_int_equal(piglet_result(piglet, 1, 1, NULL, NULL), ERR_BUSY);
    assert_int_equal(piglet_wait(piglet, 1, 3000, &event), ERR_TIMEOUT);
    hold(false);
    assert_int_equal(piglet_wait(piglet, FAKE_POSTS, SECOND_US, NULL), 0);
    assert_int_equal(piglet_wait(piglet, 3, 0, &event), 0);
    assert_int_equal(event.chain, 3);
    for (uint32_t i = 1; i < FAKE_POSTS; i++) {
        if (i == 3)
            continue;
        assert_int_equal(piglet_next_event(piglet, 0, &event), 0);
        assert_int_equal(event.chain, i);
    }
    assert_int_equal(piglet_next_event(piglet, 0, &event), ERR_TIMEOUT);
}

/* The window's request area: a chain that finds no room says so, and the others are whole. */
static void test_requests_full(void **state)
{
    struct piglet_chain chain;
    (void)state;
    hold(true);
    assert_int_equal(post_nops(PIGLET_CHAIN_MAX), 1);
    assert_int_equal(post_nops(PIGLET_CHAIN_MAX), 2);
    piglet_chain_begin(piglet, &chain, 0);
    for (int i = 1; i <= 3; i++) /* 63 + 63 + 2 = 128 */
        assert_int_equal(piglet_chain_nop(&chain), i);
    assert_int_equal(piglet_chain_nop(&chain), ERR_FULL);
    hold(false);
    assert_int_equal(piglet_wait(piglet, 2, SECOND_US, NULL), 0);
    assert_int_equal(post_nops(PIGLET_CHAIN_MAX), 3);
    assert_int_equal(piglet_wait(piglet, 3, SECOND_US, NULL), 0);
    /* 3 * 63 are used, so the first 61 of them twice. */
    assert_int_equal(piglet_result(piglet, 1, 1 + 61, NULL, NULL), ERR_NOT_FOUND);
    assert_int_equal(piglet_result(piglet, 1, 1 + 62, NULL, NULL), 0);
}

/* More events than the library keeps: it says so, and loses none. */
static void test_events_kept(void **state)
{
    struct piglet_chain chain;
    struct piglet_event event;
    (void)state;
    piglet_chain_begin(piglet, &chain, 0);
    for (uint64_t i = 0; i < PIGLET_CHAIN_MAX; i++) {
        piglet_chain_nop(&chain);
        piglet_chain_cookie(&chain, i);
        piglet_chain_event(&chain);
    }
    int64_t number = piglet_post(&chain);
    assert_int_equal(piglet_wait(piglet, number, SECOND_US, NULL), ERR_FULL);
    for (uint64_t i = 0; i < PIGLET_CHAIN_MAX; i++) {
        assert_int_equal(piglet_next_event(piglet, SECOND_US, &event), 0);
        assert_int_equal(event.type, PIGLET_EVENT_REQUEST);
        assert_int_equal(event.cookie, i);
    }
    assert_int_equal(piglet_wait(piglet, number, SECOND_US, &event), 0);
    assert_int_equal(event.count, PIGLET_CHAIN_MAX);
}

/* ---- frames ----------------------------------------------------------------------------------- */

static void send_some(struct piglet_frameset *frameset, unsigned count, uint32_t from)
{
    struct piglet_view views[8];
    assert_in_range(piglet_send_slots(frameset, views, count), count, count);
    for (unsigned i = 0; i < count; i++) {
        views[i].frame.length = sizeof from;
        views[i].frame.port = (uint16_t)(from + i);
        memcpy(views[i].data, &(uint32_t){from + i}, sizeof from);
    }
    assert_int_equal(piglet_send(frameset, views, count), 0);
}

static void test_frames(void **state)
{
    struct piglet_frameset frameset;
    struct piglet_view views[8];
    uint32_t expected = 0, payload;
    (void)state;
    assert_int_equal(piglet_frameset_open(piglet, 4, 4, &frameset), 0);
    assert_int_equal(piglet_receive_wait(&frameset, 3000), ERR_TIMEOUT);
    while (expected < 50) {
        send_some(&frameset, 1 + expected % 3, expected);
        for (uint32_t want = expected + 1 + expected % 3; expected < want;) {
            assert_int_equal(piglet_receive_wait(&frameset, SECOND_US), 0);
            unsigned count = piglet_receive(&frameset, views, 8);
            for (unsigned i = 0; i < count; i++, expected++) {
                memcpy(&payload, views[i].data, sizeof payload);
                assert_int_equal(payload, expected);
                assert_int_equal(views[i].frame.port, expected);
            }
            assert_int_equal(piglet_receive(&frameset, views, 8), 0); /* shown once */
            piglet_receive_done(&frameset);
        }
    }
    assert_int_equal(piglet_frameset_close(&frameset), ERR_UNSUPPORTED);
}

static void test_frames_refused(void **state)
{
    struct piglet_frameset frameset;
    struct piglet_view views[8];
    (void)state;
    assert_int_equal(piglet_frameset_open(piglet, 4, 4, &frameset), 0);
    assert_int_equal(piglet_send_slots(&frameset, views, 8), 3);
    views[1].frame.length = PIGLET_FRAME_MAX + 1;
    assert_int_equal(piglet_send(&frameset, views, 2), ERR_RANGE);
    assert_int_equal(piglet_send(&frameset, views + 1, 1), ERR_ARGUMENT);
    assert_int_equal(frameset.tx->produced, 0);
    send_some(&frameset, 1, 9);
    assert_int_equal(piglet_receive_wait(&frameset, SECOND_US), 0);
    struct piglet_frame *slot = (void *)((uint8_t *)frameset.rx + PIGLET_PAGE);
    slot->length = UINT32_MAX;
    assert_int_equal(piglet_receive(&frameset, views, 8), 1);
    assert_int_equal(views[0].frame.length, PIGLET_SLOT_BYTES - PIGLET_FRAME_DATA);
    frameset.rx->produced += 100; /* cannot be */
    assert_int_equal(piglet_receive(&frameset, views, 8), 0);
    frameset.rx->slots = 1000;
    uint64_t page = (uint64_t)((uint8_t *)frameset.rx - fake.memory) / PIGLET_PAGE;
    assert_int_equal(piglet_frameset_use(piglet, page << 32, page << 32, 1, &frameset),
                     ERR_INVALID);
}

/* ---- tables and text -------------------------------------------------------------------------- */

static int sum(const void *entry, void *context)
{
    *(uint64_t *)context += ((const struct piglet_counter_entry *)entry)->value;
    return 0;
}

static int stop_at_once(const void *entry, void *context)
{
    (void)entry;
    ++*(int *)context;
    return 42;
}

static void test_tables(void **state)
{
    uint64_t total = 0;
    int calls = 0;
    void *entries;
    (void)state;
    assert_int_equal(piglet_read_table(piglet, PIGLET_OP_COUNTER_READ, 0, sum, &total), 0);
    assert_int_equal(total, 3 * FAKE_COUNTERS * (FAKE_COUNTERS - 1) / 2);
    assert_int_equal(piglet_read_table(piglet, PIGLET_OP_COUNTER_READ, 0, stop_at_once, &calls),
                     42);
    assert_int_equal(calls, 1);
    assert_int_equal(piglet_load_table(piglet, PIGLET_OP_COUNTER_READ, 60, &entries), 10);
    assert_int_equal(((struct piglet_counter_entry *)entries)[9].value, 69 * 3);
    free(entries);
    assert_int_equal(piglet_load_table(piglet, PIGLET_OP_NOP, 0, &entries), ERR_ARGUMENT);
    assert_null(entries);
    assert_int_equal(piglet_load_table(piglet, PIGLET_OP_NIC_LIST, 0, &entries), ERR_UNSUPPORTED);
    assert_int_equal(piglet_load_table(piglet, PIGLET_OP_ADDRESS_LIST, 0, &entries), ERR_INVALID);
}

static void check_text(const struct piglet_request *request, const char *expected)
{
    char text[160], small[8];
    assert_int_equal(piglet_request_text(request, text, sizeof text), strlen(expected));
    assert_string_equal(text, expected);
    assert_int_equal(piglet_request_text(request, small, sizeof small), strlen(expected));
    assert_memory_equal(small, expected, sizeof small - 1);
    assert_int_equal(small[sizeof small - 1], 0);
    assert_int_equal(piglet_request_text(request, NULL, 0), strlen(expected));
}

static void test_text(void **state)
{
    struct piglet_request request = {.opcode = PIGLET_OP_MAKE_FRAMESET};
    (void)state;
    request.tag[0] = PIGLET_TAG_NEW;
    request.tag[1] = request.tag[2] = PIGLET_TAG_REFERENCE;
    request.argument[1] = 1;
    request.argument[2] = 2;
    check_text(&request, "Make_Frameset Cap_Ref_New, <Reference 1>, <Reference 2>  waiting");
    request.status = (struct piglet_status){PIGLET_STATE_CANCELLED, ERR_NO_MEMORY, 2, 0};
    check_text(&request, "Make_Frameset Cap_Ref_New, <Reference 1>, <Reference 2>  "
                         "cancelled because of 2: out of memory");
    request = (struct piglet_request){
        .opcode = PIGLET_OP_ADDRESS_ADD,
        .tag = {PIGLET_TAG_CAPABILITY, PIGLET_TAG_NUMBER, PIGLET_TAG_NUMBER, PIGLET_TAG_NUMBER},
        .argument = {1025, 0xc0a8000118ull, 0, 0xc0a800fe}};
    request.status.state = PIGLET_STATE_DONE;
    check_text(&request, "Address_Add <Capability 1025>, 192.168.0.1/24, 0, 192.168.0.254  done");
    memset(&request, 0xff, sizeof request);
    check_text(&request,
               "<Opcode 255> <Tag 255 18446744073709551615>, <Tag 255 18446744073709551615>, "
               "<Tag 255 18446744073709551615>, <Tag 255 18446744073709551615>  <State 255>");
    assert_int_equal(piglet_opcode_number("bind_PORT"), PIGLET_OP_BIND_PORT);
    assert_int_equal(piglet_opcode_number("Bind"), ERR_NOT_FOUND);
    assert_string_equal(piglet_opcode(PIGLET_OP_JOIN)->argument[3], "mac");
    assert_null(piglet_opcode(PIGLET_OP_COUNT));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attach),         TEST(test_heartbeat),   TEST(test_restart),
        TEST(test_layout),         TEST(test_memory),      TEST(test_results),
        TEST(test_mistakes_stick), TEST(test_many),        TEST(test_full),
        TEST(test_requests_full),  TEST(test_events_kept), TEST(test_frames),
        TEST(test_frames_refused), TEST(test_tables),      TEST(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
