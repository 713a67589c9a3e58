/* What the files of `live` share: cases that two clients run at once against a kernel that is there. */
#ifndef TESTS_CLIENT_LIVE_H
#define TESTS_CLIENT_LIVE_H

#include <piglet/piglet.h>

enum {
    LIVE_WAIT_US = 10000000, /* longer than any answer takes, on a busy computer too */
    LIVE_PORT = 7000,        /* UDP, of client one; two has the next */
    LIVE_HOST_PORT = 7100,   /* where the host on the wire echoes */
};

/* Addresses that cases add and delete, on the wire of nic 0, and hosts on it. */
#define LIVE_ADDRESS PIGLET_IPV4(10, 77, 0, 2)
#define LIVE_ROUTE   PIGLET_IPV4(10, 78, 0, 0)
#define LIVE_HOST    PIGLET_IPV4(10, 0, 0, 1)

/* ---- requests as rows -------------------------------------------------------------------------- */

struct live_row {
    uint8_t opcode, flags;
    uint64_t cookie;
    struct piglet_argument argument[4];
};

#define ROW(name, ...)                                                                             \
    {                                                                                              \
        .opcode = PIGLET_OP_##name, .argument = { __VA_ARGS__ }                                    \
    }
#define ARGUMENT(kind, number)                                                                     \
    {                                                                                              \
        .value = (number), .tag = PIGLET_TAG_##kind                                                \
    }
#define NUM(n)             ARGUMENT(NUMBER, n)
#define CAP(n)             ARGUMENT(CAPABILITY, n)
#define REF(n)             ARGUMENT(REFERENCE, n)
#define FRESH              ARGUMENT(NEW, 0)
#define NIL                ARGUMENT(NONE, 0)
#define SYS                ARGUMENT(CAPABILITY, LIVE_SYSTEM) /* the client's own */
#define OFF(n)             ARGUMENT(OFFSET, n) /* below a page: in client one's text */
#define PREFIX(ip, length) ((uint64_t)(ip) << 8 | (length))
#define COUNT_OF(array)    (sizeof(array) / sizeof *(array))

#define LIVE_SYSTEM UINT64_MAX       /* stands for the capability, */
#define LIVE_ECHO   (UINT64_MAX - 2) /* and these for the services' numbers */
#define LIVE_SHAPER (UINT64_MAX - 3)
#define LIVE_TABLE  (UINT64_MAX - 4) /* a capability: memory with an empty table for shaper */

/* What became of a chain. */
struct live_ran {
    int64_t number;
    unsigned count;
    struct piglet_event event;
    struct piglet_status status[PIGLET_CHAIN_MAX];
    uint64_t result[PIGLET_CHAIN_MAX];
};

/* Posts rows as one chain. */
int64_t live_post(struct piglet *piglet, const struct live_row *rows, unsigned count,
                  unsigned flags);

/* Waits for it and looks at each of its requests. */
struct live_ran live_ended(struct piglet *piglet, int64_t number, unsigned count);

/* Both. */
struct live_ran live_run(struct piglet *piglet, const struct live_row *rows, unsigned count,
                         unsigned flags);

/* Ends what a chain of client one has made, the configuration that cases change included. */
void live_clear(const struct live_row *rows, const struct live_ran *ran);

/* One request: its error. */
int live_call(struct piglet *piglet, struct live_row row, uint64_t *result);

/* One that must succeed; its result. */
uint64_t live_must(struct piglet *piglet, struct live_row row);
#define CALL(piglet, ...) live_call(piglet, (struct live_row)ROW(__VA_ARGS__), NULL)
#define MUST(piglet, ...) live_must(piglet, (struct live_row)ROW(__VA_ARGS__))
#define MADE(piglet, ...) piglet_result_capability(MUST(piglet, __VA_ARGS__))

/* ---- what the kernel shows ----------------------------------------------------------------------- */

/* Addresses, routes, services, their settings, and what each client holds, as text. */
struct live_tables {
    char text[16384];
};

void live_tables(struct live_tables *tables);
void live_same(const struct live_tables *before, const char *where);

/* A client in Client_List; false: it is not there. */
bool live_client(struct piglet *by, uint32_t number, struct piglet_client_entry *entry);

/* A service's number by its name; a counter's value. */
uint32_t live_service(const char *name);
uint64_t live_counter(const char *name);

uint32_t live_number(struct piglet *piglet);
uint64_t live_now_us(void);

/* ---- failing ----------------------------------------------------------------------------------- */

/* Ends the case. */
_Noreturn void live_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(truth, ...)                                                                          \
    do {                                                                                           \
        if (!(truth))                                                                              \
            live_fail(__VA_ARGS__);                                                                \
    } while (0)

/* An error as expected; `what` says of what. */
void live_error(int error, int expected, const char *what);

/* ---- cases ------------------------------------------------------------------------------------- */

/* Both clients are attached; client one has nothing but its text. */
struct live {
    const char *where[2];
    struct piglet *one, *two;
    uint64_t text; /* offset of a page of client one's: the texts below */
    uint32_t table;
    uint32_t echo, shaper;
};

enum {
    TEXT_OTHER = 0,
    TEXT_OTHER_BYTES = 7,
    TEXT_USUAL = 16,
    TEXT_USUAL_BYTES = 6,
    TEXT_ECHO = 32,
    TEXT_ECHO_BYTES = 4,
};

extern struct live live;

struct live_case {
    const char *name;
    void (*run)(void);
    bool driven; /* it tells that it is ready, and needs somebody who then does his part */
};

/* Tells whoever drives. */
void live_ready(void);

extern const struct live_case live_chain_cases[], live_order_cases[], live_event_cases[],
    live_capability_cases[], live_life_cases[], live_hostile_cases[], live_frame_cases[];

/* The case of an opcode; it fails for one that has none. */
void live_opcode_run(unsigned opcode);

#endif
