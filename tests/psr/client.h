/* A client for tests: a window in ordinary memory of the simulated machine, chains written as arrays of
 * requests, and a digest of everything that requests can change. */
#ifndef TESTS_PSR_CLIENT_H
#define TESTS_PSR_CLIENT_H

#include "piglet/frame.h"
#include "psr/client.h"
#include "tests/unit/test.h"

enum {
    TEST_WINDOW_BYTES = 512 << 10,
    TEST_SEEN_MAX = 256,
    TEST_POSTS_MAX = 64,
    TEST_TABLE_MAX = 3000, /* bytes of a table of test_loader */
};

/* Clients that no device has a window for. */
#define TEST_CLIENTS "clients=4 log=error "

/* ---- requests ---------------------------------------------------------------------------------- */

struct test_argument {
    uint8_t tag; /* enum piglet_tag */
    uint64_t value;
};

struct test_request {
    uint8_t opcode;
    uint8_t flags; /* enum piglet_flag */
    uint64_t cookie;
    struct test_argument argument[4];
};

#define NUM(n)                                                                                     \
    {                                                                                              \
        PIGLET_TAG_NUMBER, (n)                                                                     \
    }
#define CAP(n)                                                                                     \
    {                                                                                              \
        PIGLET_TAG_CAPABILITY, (n)                                                                 \
    }
#define REF(n)                                                                                     \
    {                                                                                              \
        PIGLET_TAG_REFERENCE, (n)                                                                  \
    }
#define OFF(n)                                                                                     \
    {                                                                                              \
        PIGLET_TAG_OFFSET, (n)                                                                     \
    }
#define FRESH                                                                                      \
    {                                                                                              \
        PIGLET_TAG_NEW, 0                                                                          \
    }
#define NIL                                                                                        \
    {                                                                                              \
        PIGLET_TAG_NONE, 0                                                                         \
    }

/* REQUEST(ALLOC_MEM, FRESH, NUM(12)); a row of an array, or behind (struct test_request). */
#define REQUEST(name, ...)                                                                         \
    {                                                                                              \
        .opcode = PIGLET_OP_##name, .argument = { __VA_ARGS__ }                                    \
    }

/* The same with flags and a cookie. */
#define REQUEST_WITH(name, flag, mark, ...)                                                        \
    {                                                                                              \
        .opcode = PIGLET_OP_##name, .flags = (flag), .cookie = (mark), .argument = { __VA_ARGS__ } \
    }

/* ---- the client -------------------------------------------------------------------------------- */

struct test_client {
    struct core *core;
    struct window window;
    uint8_t *memory;
    struct piglet_window *header;
    struct client *kernel; /* the kernel's side */
    struct piglet_bell
        *bell; /* set before test_client_open: the page to ring in; NULL: in the window */
    uint32_t attachment;
    uint32_t next_chain; /* number the next chain gets */
    uint32_t ended;      /* number of the last chain whose event was taken */
    uint32_t events_taken;
    unsigned next_request; /* which of the requests the next chain takes first */
    unsigned woken;        /* times the kernel woke us */
    unsigned seen_count;   /* events taken since test_client_forget, */
    struct piglet_event seen[TEST_SEEN_MAX];
    struct { /* of the chains posted last, by number: where their requests lie */
        unsigned length;
        uint16_t slot[PIGLET_CHAIN_MAX + 1];
    } chain[TEST_POSTS_MAX];
};

/* Opens a window of so many bytes; the client must outlive the core or be closed. Not attached. */
void test_client_open(struct test_client *client, struct core *core, size_t bytes);

/* Closes the window as when its client's process ends. */
void test_client_close(struct test_client *client);

/* Frees the memory, after the core has stopped or the window was closed. */
void test_client_free(struct test_client *client);

void test_client_attach(struct test_client *client);
void test_client_detach(struct test_client *client);

/* Opens and attaches. */
void test_client_start(struct test_client *client, struct core *core);

/* Writes the chain into the window (up to one more than PIGLET_CHAIN_MAX requests) and posts it, with
 * `flags` added to its first request; its number. Does not turn the loop. */
uint32_t test_client_post(struct test_client *client, const struct test_request *request,
                          unsigned count, unsigned flags);

/* The two steps of it, for tests that change what was written. */
void test_client_write(struct test_client *client, const struct test_request *request,
                       unsigned count, unsigned flags);
uint32_t test_client_publish(struct test_client *client);

/* Request `at` (from 1) of a chain posted lately. */
struct piglet_request *test_client_request(struct test_client *client, uint32_t chain, unsigned at);

/* Rings. */
void test_client_ring(struct test_client *client);

/* Takes the next event, or returns false. Fails the test when its number is not the next one, or when
 * chains do not end once each and in order. Without _tell, the kernel does not hear of it. */
bool test_client_take(struct test_client *client, struct piglet_event *event);
bool test_client_take_no_tell(struct test_client *client, struct piglet_event *event);

/* Takes all there are into `seen`; how many. */
unsigned test_client_take_all(struct test_client *client);
void test_client_forget(struct test_client *client);

/* How many of `seen` are of a type. */
unsigned test_client_seen(const struct test_client *client, unsigned type);

/* Posts, turns the loop until it is idle, takes all events; the chain's own. Fails the test when it did
 * not end. */
struct piglet_event test_client_run(struct test_client *client, const struct test_request *request,
                                    unsigned count, unsigned flags);

/* One request as a chain: its error; its result in *result when not NULL. */
int test_client_do(struct test_client *client, struct test_request request, uint64_t *result);

/* The same for one that must succeed: its result. */
uint64_t test_client_must(struct test_client *client, struct test_request request);

/* Of request `at` (from 1) of the chain posted last. */
unsigned test_client_state(struct test_client *client, unsigned at);
int test_client_error(struct test_client *client, unsigned at);
unsigned test_client_root(struct test_client *client, unsigned at);
uint64_t test_client_result(struct test_client *client, unsigned at);

/* What a result's capability, or offset, is. */
void *test_client_at(struct test_client *client, uint64_t result);

/* A service to chain_add: tables are bytes that are not 0; its setting `table` is the sum of those in
 * force. */
extern const struct service test_loader;

/* ---- everything that requests can change ------------------------------------------------------- */

enum test_part {
    PART_CAPABILITIES,
    PART_MEMORIES,
    PART_PAGES,
    PART_FRAMESETS,
    PART_TIMERS,
    PART_EVENTS, /* room reserved */
    PART_PORTS,
    PART_LISTED,
    PART_JOINED,
    PART_FILTERS,
    PART_ADDRESSES,
    PART_ROUTES,
    PART_LOOKUPS,
    PART_SERVICES,
    PART_SETTINGS,
    PART_STOP,
    PART_COUNT,
};

struct test_digest {
    uint64_t part[PART_COUNT];
};

struct test_digest test_digest(const struct core *core);

/* Fails the test and says which parts differ. `where` is for people. */
void test_digest_same(const struct test_digest *before, const struct test_digest *after,
                      const char *where);
bool test_digest_equal(const struct test_digest *before, const struct test_digest *after);

#endif
