/* The tests' client: what a client library does, in the open, over a window in ordinary memory. */
#include "tests/psr/client.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the window -------------------------------------------------------------------------------- */

static bool window_match(const struct arch_device *device)
{
    (void)device;
    return false;
}

static void window_wake(struct window *window)
{
    ((struct test_client *)((char *)window - offsetof(struct test_client, window)))->woken++;
}

static const struct window_driver test_window_driver = {
    .name = "test",
    .match = window_match,
    .wake = window_wake,
};

void test_client_open(struct test_client *client, struct core *core, size_t bytes)
{
    *client = (struct test_client){.core = core, .bell = client->bell};
    client->memory = aligned_alloc(PIGLET_PAGE, bytes);
    assert_non_null(client->memory);
    memset(client->memory, 0xee, bytes);
    client->window = (struct window){.driver = &test_window_driver,
                                     .memory = client->memory,
                                     .bytes = bytes,
                                     .belled = client->bell != NULL};
    assert_int_equal(window_open(core, &client->window), 0);
    client->header = (struct piglet_window *)(void *)client->memory;
    client->kernel = client->window.client;
    assert_true(client->header->magic == PIGLET_MAGIC);
    assert_int_equal(client->header->bytes, bytes);
}

void test_client_close(struct test_client *client)
{
    window_close(client->core, &client->window);
    assert_true(client->header->magic == 0);
    client->kernel = NULL;
}

void test_client_free(struct test_client *client)
{
    free(client->memory);
    *client = (struct test_client){.memory = NULL};
}

void test_client_ring(struct test_client *client)
{
    unsigned number = client->header->client;
    if (!client->bell) {
        client->header->bell++;
        return;
    }
    __atomic_fetch_or(&client->bell->word[number / 64], 1ull << number % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&client->bell->summary, 1ull << number / 64, __ATOMIC_SEQ_CST);
}

void test_client_attach(struct test_client *client)
{
    client->header->attach = ++client->attachment;
    snprintf(client->header->name, sizeof client->header->name, "test %u", client->header->client);
    test_client_ring(client);
    sim_run(client->core);
    assert_int_equal(client->header->attached, client->attachment);
    assert_int_equal(client->header->attach_error, 0);
    client->next_chain = 1;
    client->ended = client->events_taken = 0;
    client->next_request = client->seen_count = 0;
}

void test_client_detach(struct test_client *client)
{
    client->header->attach = 0;
    test_client_ring(client);
    sim_run(client->core);
    assert_int_equal(client->header->attached, 0);
}

void test_client_start(struct test_client *client, struct core *core)
{
    test_client_open(client, core, TEST_WINDOW_BYTES);
    test_client_attach(client);
}

void *test_client_at(struct test_client *client, uint64_t result)
{
    return client->memory + piglet_result_offset(result);
}

/* ---- posting ----------------------------------------------------------------------------------- */

static struct piglet_request *post_slot(struct test_client *client, uint32_t chain)
{
    struct piglet_request *post =
        (struct piglet_request *)(void *)(client->memory + client->header->post_offset);
    return &post[(chain - 1) % client->header->post_count];
}

struct piglet_request *test_client_request(struct test_client *client, uint32_t chain, unsigned at)
{
    struct piglet_request *request =
        (struct piglet_request *)(void *)(client->memory + client->header->request_offset);
    if (at == 1)
        return post_slot(client, chain);
    return &request[client->chain[(chain - 1) % TEST_POSTS_MAX].slot[at - 1]];
}

static void request_write(struct piglet_request *to, const struct test_request *from)
{
    uint32_t post = to->post;
    *to = (struct piglet_request){.post = post,
                                  .opcode = from->opcode,
                                  .flags = from->flags,
                                  .next = PIGLET_NEXT_NONE,
                                  .cookie = from->cookie,
                                  .result = 0xeeeeeeee}; /* the kernel's to write */
    for (unsigned i = 0; i < 4; i++) {
        to->tag[i] = from->argument[i].tag;
        to->argument[i] = from->argument[i].value;
    }
}

void test_client_write(struct test_client *client, const struct test_request *request,
                       unsigned count, unsigned flags)
{
    uint32_t number = client->next_chain;
    unsigned place = (number - 1) % TEST_POSTS_MAX;
    assert_in_range(count, 1, PIGLET_CHAIN_MAX + 1);
    client->chain[place].length = count;
    for (unsigned i = 0; i < count; i++) {
        if (i)
            client->chain[place].slot[i] =
                (uint16_t)(client->next_request++ % client->header->request_count);
        request_write(test_client_request(client, number, i + 1), &request[i]);
        if (i)
            test_client_request(client, number, i)->next = client->chain[place].slot[i];
    }
    post_slot(client, number)->flags |= (uint8_t)flags;
}

uint32_t test_client_publish(struct test_client *client)
{
    uint32_t number = client->next_chain++;
    __atomic_store_n(&post_slot(client, number)->post, number, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!client->header->polled)
        test_client_ring(client);
    return number;
}

uint32_t test_client_post(struct test_client *client, const struct test_request *request,
                          unsigned count, unsigned flags)
{
    test_client_write(client, request, count, flags);
    return test_client_publish(client);
}

/* ---- events ------------------------------------------------------------------------------------ */

bool test_client_take_no_tell(struct test_client *client, struct piglet_event *event)
{
    const struct piglet_event *ring =
        (const struct piglet_event *)(const void *)(client->memory + client->header->event_offset);
    const struct piglet_event *slot = &ring[client->events_taken % client->header->event_count];
    if (__atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) != client->events_taken + 1)
        return false;
    *event = *slot;
    client->events_taken++;
    if (event->type == PIGLET_EVENT_CHAIN) {
        assert_int_equal(event->chain, client->ended + 1); /* in order, and once */
        client->ended++;
    } else if (event->type == PIGLET_EVENT_REQUEST) {
        assert_int_equal(event->chain, client->ended + 1); /* before its chain's end */
    } else {
        assert_int_equal(event->type, PIGLET_EVENT_TIMER);
    }
    return true;
}

bool test_client_take(struct test_client *client, struct piglet_event *event)
{
    if (!test_client_take_no_tell(client, event))
        return false;
    __atomic_store_n(&client->header->events_taken, client->events_taken, __ATOMIC_RELEASE);
    return true;
}

unsigned test_client_take_all(struct test_client *client)
{
    unsigned count = 0;
    struct piglet_event event;
    for (; test_client_take(client, &event); count++)
        client->seen[client->seen_count++ % TEST_SEEN_MAX] = event;
    return count;
}

void test_client_forget(struct test_client *client)
{
    client->seen_count = 0;
}

unsigned test_client_seen(const struct test_client *client, unsigned type)
{
    unsigned count = 0;
    assert_true(client->seen_count <= TEST_SEEN_MAX);
    for (unsigned i = 0; i < client->seen_count; i++)
        count += client->seen[i].type == type;
    return count;
}

struct piglet_event test_client_run(struct test_client *client, const struct test_request *request,
                                    unsigned count, unsigned flags)
{
    test_client_take_all(client);
    test_client_forget(client);
    uint32_t number = test_client_post(client, request, count, flags);
    sim_run(client->core);
    test_client_take_all(client);
    assert_int_equal(client->ended, number);
    for (unsigned i = 0; i < client->seen_count; i++)
        if (client->seen[i].type == PIGLET_EVENT_CHAIN)
            return client->seen[i];
    fail_msg("chain %u has no event", number);
    return client->seen[0];
}

int test_client_do(struct test_client *client, struct test_request request, uint64_t *result)
{
    struct piglet_event event = test_client_run(client, &request, 1, 0);
    if (result)
        *result = event.result;
    return event.error;
}

uint64_t test_client_must(struct test_client *client, struct test_request request)
{
    uint64_t result;
    assert_int_equal(test_client_do(client, request, &result), 0);
    return result;
}

/* ---- what became of the chain posted last ------------------------------------------------------- */

static const struct piglet_request *latest(struct test_client *client, unsigned at)
{
    uint32_t number = client->next_chain - 1;
    const struct piglet_request *request = test_client_request(client, number, at);
    if (request->status.state != PIGLET_STATE_NONE)
        assert_int_equal(request->status.sequence, (uint8_t)number);
    if (request->status.state != PIGLET_STATE_DONE)
        assert_true(request->result == 0 || request->status.state == PIGLET_STATE_NONE);
    return request;
}

unsigned test_client_state(struct test_client *client, unsigned at)
{
    return latest(client, at)->status.state;
}

int test_client_error(struct test_client *client, unsigned at)
{
    return latest(client, at)->status.error;
}

unsigned test_client_root(struct test_client *client, unsigned at)
{
    return latest(client, at)->status.root;
}

uint64_t test_client_result(struct test_client *client, unsigned at)
{
    return latest(client, at)->result;
}
