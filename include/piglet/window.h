/* The window: memory shared between a Piglet kernel and one client. This header is its manual; with
 * opcode.h, frame.h, table.h and error.h it is all a client must know. C11 and C++11.
 *
 *   offset 0   +---------------------------+
 *              | header, 4,096 bytes       |  who, where, how much; struct piglet_window
 *   post       +---------------------------+
 *              | post ring                 |  64-byte requests: the first one of each chain
 *   request    +---------------------------+
 *              | requests                  |  64-byte requests: the others, linked by number
 *   event      +---------------------------+
 *              | event ring                |  32-byte events, written by the kernel
 *   data       +---------------------------+
 *              | pages for Alloc_Mem       |  frames, tables, text
 *   bytes      +---------------------------+
 *
 * Attaching. The client finds `magic`, compares the major version, and writes its name and then a
 * number that is not 0 and not the last one into `attach`. The kernel lays the window out anew and
 * answers with the same number in `attached` (or an error in `attach_error`). The client writes 0
 * to go; so ends, too, one that stops counting its heartbeat where the kernel asks for one, or
 * closes its socket. Then everything it held is freed. A kernel that started anew has another
 * `boot`, and its clients attach again.
 *
 * Posting. A chain is a request in the post ring and those it links to through `next`. The client
 * fills in all of them, and then stores the chain's sequence number in `post` of the first, with
 * release order: that store is the whole of posting. Chain number n (from 1) lies in slot
 * (n - 1) % post_count, which is free again when the event of chain n - post_count has come. Then,
 * after a full fence, if `polled` is 0 the client rings the bell, or the kernel notices only when
 * it looks round next (every PIGLET_SWEEP_MS).
 *
 * Running. Requests of a chain run in order; chains of a client start in order. Arguments may be
 * references to results of earlier requests of the chain, which need not have run when it is
 * posted. A request that fails cancels those that depend on it; with PIGLET_ATOMIC any failure
 * undoes the chain. Each chain ends in exactly one event of type CHAIN.
 *
 * Events. Event number n (from 1) lies in slot (n - 1) % event_count and is there when its `number`
 * is n (load with acquire order). The client counts what it has taken in `events_taken`. Room is
 * reserved beforehand: a full ring makes chains wait, and `waiting` says so; nothing is lost.
 *
 * Who writes what is said at each field, and nobody else writes there. The kernel believes nothing
 * it reads here: offsets are checked, each field is read once, and a wrong one gives an error.
 *
 * Version. The major number changes when an old client could misunderstand; the minor one with each
 * addition, which has a feature bit where a client must know. Fields are only ever added, in
 * reserved places; numbers are never reused. */
#ifndef PIGLET_WINDOW_H
#define PIGLET_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "piglet/error.h"
#include "piglet/opcode.h"

#ifdef __cplusplus
#define PIGLET_ASSERT(truth, text) static_assert(truth, text)
#else
#define PIGLET_ASSERT(truth, text) _Static_assert(truth, text)
#endif

#define PIGLET_MAGIC 0x574f444e49574750ull /* "PGWINDOW" */

enum {
    PIGLET_ABI_MAJOR = 1,
    PIGLET_ABI_MINOR = 0,
    PIGLET_PAGE = 4096,
    PIGLET_WINDOW_BYTES_MIN = 64 << 10,
    PIGLET_WINDOW_BYTES_MAX = 64 << 20,
    PIGLET_NAME_MAX = 32,            /* a client's name, with its closing NUL */
    PIGLET_CHAIN_MAX = 64,           /* requests of one chain */
    PIGLET_CAPABILITIES_MAX = 256,   /* of one client */
    PIGLET_SWEEP_MS = 50,            /* how late a post is noticed whose bell was lost */
    PIGLET_HEARTBEAT_MS = 100,       /* both sides count theirs this often, or oftener */
    PIGLET_HEARTBEAT_LOST_MS = 2000, /* a client whose heartbeat stands still this long is gone */
    PIGLET_CLIENTS_MAX = 4096,
};

/* ---- requests ----------------------------------------------------------------------------- */

enum piglet_tag {                        /* how an argument is meant */
                  PIGLET_TAG_NONE,       /* left out */
                  PIGLET_TAG_NUMBER,     /* an immediate number */
                  PIGLET_TAG_CAPABILITY, /* a capability of this client */
                  PIGLET_TAG_NEW,        /* Cap_Ref_New: put the result in a new capability */
                  PIGLET_TAG_REFERENCE, /* the result of the chain's request number n, counted from 1 */
                  PIGLET_TAG_OFFSET, /* bytes from the window's start, in its data */
                  PIGLET_TAG_COUNT
};

enum piglet_flag {
    PIGLET_EVENT = 1,  /* an event of type REQUEST when this one has ended */
    PIGLET_ATOMIC = 2, /* on a chain's first request: all or nothing */
};

enum piglet_request_state {
    PIGLET_STATE_NONE,
    PIGLET_STATE_DONE,
    PIGLET_STATE_FAILED,    /* error says why */
    PIGLET_STATE_CANCELLED, /* it depended on the one that `root` names, or the client cancelled */
    PIGLET_STATE_UNDONE,    /* it had succeeded, and the ATOMIC chain failed because of `root` */
};

enum { PIGLET_NEXT_NONE = 0xffff };

struct piglet_status {
    uint8_t state;    /* enum piglet_request_state */
    int8_t error;     /* enum piglet_error, of the root where it is cancelled or undone */
    uint8_t root;     /* number in the chain (from 1) of the request that failed first; 0: none */
    uint8_t sequence; /* lowest bits of the chain's number */
};

/* One request. Client: all but status and result. */
struct piglet_request {
    uint32_t post;  /* 0: first of a chain: its number, stored last. Others: not looked at */
    uint8_t opcode; /* 4: enum piglet_opcode */
    uint8_t flags;  /* 5: enum piglet_flag */
    uint16_t next;  /* 6: which of the requests follows, or PIGLET_NEXT_NONE */
    uint8_t tag[4]; /* 8: enum piglet_tag */
    struct piglet_status status; /* 12: kernel */
    uint64_t argument[4];        /* 16 */
    uint64_t cookie;             /* 48: comes back in events */
    uint64_t result;             /* 56: kernel; 0 unless DONE */
};

/* ---- events --------------------------------------------------------------------------------- */

enum piglet_event_type {
    PIGLET_EVENT_CHAIN = 1,   /* a chain ended; error and root: its first failure; result: that of
                                 its last request */
    PIGLET_EVENT_REQUEST = 2, /* a request with PIGLET_EVENT ended; `root` as in its status */
    PIGLET_EVENT_TIMER = 3,   /* a timer is due; result: its capability; count: how many times */
};

/* One event. Kernel: all of it. */
struct piglet_event {
    uint32_t number; /* 0: stored last */
    uint8_t type;    /* 4: enum piglet_event_type */
    int8_t error;    /* 5: 0 or enum piglet_error */
    uint8_t root;    /* 6: number in the chain of the request that failed first; 0: none */
    uint8_t at;      /* 7: REQUEST: its number in the chain. CHAIN: how many requests it had */
    uint64_t cookie; /* 8: of the request; CHAIN: of the chain's first */
    uint64_t result; /* 16 */
    uint32_t chain;  /* 24: the chain's number */
    uint32_t count;  /* 28: CHAIN: requests done; TIMER: times due since its last event */
};

/* ---- capabilities --------------------------------------------------------------------------- */

/* A capability is a number: slot in the lower 10 bits, generation above, 0 is none. It is good only
 * in the window it was given in; a slot used again has another generation. */
enum { PIGLET_CAPABILITY_SLOT_BITS = 10 };

enum piglet_right {
    PIGLET_RIGHT_NONE = 0,
    PIGLET_RIGHT_USE = 1,     /* memory in a frameset; start and stop a frameset or timer */
    PIGLET_RIGHT_COPY = 2,    /* copy the capability */
    PIGLET_RIGHT_FREE = 4,    /* give the memory back */
    PIGLET_RIGHT_BIND = 8,    /* frameset: peers and ports */
    PIGLET_RIGHT_READ = 16,   /* system: its tables */
    PIGLET_RIGHT_CONFIG = 32, /* system: addresses, routes, services */
    PIGLET_RIGHT_JOIN = 64,   /* system: all frames of a nic */
    PIGLET_RIGHT_ALL = 127,
};

/* Results of requests that make something: the capability below, above it, for memory, the page of
 * the window it begins at. */
static inline uint32_t piglet_result_capability(uint64_t result)
{
    return (uint32_t)result;
}

static inline uint64_t piglet_result_offset(uint64_t result)
{
    return (result >> 32) * PIGLET_PAGE;
}

/* ---- the header ----------------------------------------------------------------------------- */

enum piglet_feature {
    PIGLET_FEATURE_BELL = 1,      /* there is a bell page shared by all clients: ring there */
    PIGLET_FEATURE_HEARTBEAT = 2, /* the kernel wants the client's heartbeat */
    PIGLET_FEATURE_WAKE = 4,      /* the kernel wakes a client that sleeps (event descriptor) */
};

struct piglet_window {
    /* Kernel, once at its start; the sizes again with each attachment. */
    uint64_t magic;     /* 0: PIGLET_MAGIC, stored last */
    uint16_t abi_major; /* 8 */
    uint16_t abi_minor; /* 10 */
    uint32_t features;  /* 12: enum piglet_feature */
    uint64_t boot;      /* 16: another one each time a kernel starts */
    uint64_t bytes;     /* 24: of the window */
    uint32_t client;    /* 32: this client's number, and its bit in the bell */
    uint32_t system;    /* 36: the system's capability, which every client has */
    uint32_t rights;    /* 40: that it carries; enum piglet_right */
    uint32_t reserved0[5];
    uint32_t post_offset;    /* 64: where the parts lie, in bytes from the window's start, */
    uint32_t post_count;     /* 68: and how many requests or events they hold: powers of two */
    uint32_t request_offset; /* 72 */
    uint32_t request_count;  /* 76 */
    uint32_t event_offset;   /* 80 */
    uint32_t event_count;    /* 84 */
    uint32_t data_offset;    /* 88 */
    uint32_t data_pages;     /* 92 */
    uint32_t reserved1[8];

    /* Kernel, while it runs. */
    uint32_t attached;    /* 128: the attachment in force: what the client wrote; 0: none */
    int32_t attach_error; /* 132: why not, where attached does not follow */
    uint32_t polled;      /* 136: the kernel looks at this window in every turn: no bell needed */
    uint32_t waiting;     /* 140: number of the chain that waits for room in the event ring; or 0 */
    uint32_t heartbeat;   /* 144: counts up every PIGLET_HEARTBEAT_MS or oftener */
    uint32_t reserved2[11];
    uint64_t requests; /* 192: this attachment's account: requests run, */
    uint64_t chains;   /* 200: chains ended, */
    uint64_t failed;   /* 208: of them with a failure, */
    uint64_t undone;   /* 216: of them undone, */
    uint64_t events;   /* 224: events written, */
    uint64_t lies;     /* 232: fields that could not be meant, */
    uint64_t reserved3[2];

    /* Client. */
    uint32_t attach;            /* 256: a number that is not 0 to attach, 0 to detach */
    uint32_t pid;               /* 260: for people */
    char name[PIGLET_NAME_MAX]; /* 264: for people; printable, closed by NUL */
    uint32_t reserved4[6];
    uint32_t
        events_taken; /* 320: number of the last event taken; often written: a line of its own */
    uint32_t reserved5[15];
    uint32_t bell;             /* 384: without a bell page: made another value to ring */
    uint32_t sleeping;         /* 388: 1: wake me when there is an event or a frame */
    uint32_t client_heartbeat; /* 392: made another value every PIGLET_HEARTBEAT_MS */
    uint32_t cancel;           /* 396: chains up to this number are to end now, cancelled */
    uint32_t reserved6[12];
};

/* ---- the bell ------------------------------------------------------------------------------- */

/* A page that all clients of a kernel share where there can be many (hosted): a hint which windows
 * to look at. To ring: set bit client % 64 of word[client / 64], then bit client / 64 of summary
 * (atomically), then, if `asleep` is not 0, write to the kernel's event descriptor. A bell that is
 * forged or lost only costs a look or a delay. */
struct piglet_bell {
    uint32_t asleep; /* 0: kernel: it sleeps, or is about to */
    uint32_t reserved0[15];
    uint64_t summary; /* 64: clients set, kernel clears */
    uint64_t reserved1[7];
    uint64_t word[PIGLET_CLIENTS_MAX / 64]; /* 128: likewise */
};

/* ---- the socket ----------------------------------------------------------------------------- */

/* Hosted: whoever connects to the kernel's socket (unix, SOCK_SEQPACKET) gets this one message, and
 * with it four descriptors: the window, the bell page, an event descriptor that wakes the kernel,
 * and one that wakes the client. Closing the socket detaches. A refusal has an error and no
 * descriptors. */
struct piglet_hello {
    uint64_t magic; /* PIGLET_MAGIC */
    uint16_t abi_major;
    uint16_t abi_minor;
    int32_t error;
    uint64_t bytes; /* of the window */
};

enum { PIGLET_HELLO_DESCRIPTORS = 4 };

/* ---- what both compilers must agree on --------------------------------------------------------- */

PIGLET_ASSERT(sizeof(struct piglet_request) == 64, "a request is one cache line");
PIGLET_ASSERT(offsetof(struct piglet_request, status) == 12, "request.status");
PIGLET_ASSERT(offsetof(struct piglet_request, argument) == 16, "request.argument");
PIGLET_ASSERT(offsetof(struct piglet_request, cookie) == 48, "request.cookie");
PIGLET_ASSERT(offsetof(struct piglet_request, result) == 56, "request.result");
PIGLET_ASSERT(sizeof(struct piglet_event) == 32, "two events in a cache line");
PIGLET_ASSERT(offsetof(struct piglet_event, chain) == 24, "event.chain");
PIGLET_ASSERT(offsetof(struct piglet_window, post_offset) == 64, "window.post_offset");
PIGLET_ASSERT(offsetof(struct piglet_window, attached) == 128, "window.attached");
PIGLET_ASSERT(offsetof(struct piglet_window, requests) == 192, "window.requests");
PIGLET_ASSERT(offsetof(struct piglet_window, attach) == 256, "window.attach");
PIGLET_ASSERT(offsetof(struct piglet_window, events_taken) == 320, "window.events_taken");
PIGLET_ASSERT(offsetof(struct piglet_window, bell) == 384, "window.bell");
PIGLET_ASSERT(sizeof(struct piglet_window) == 448, "the window's header");
PIGLET_ASSERT(offsetof(struct piglet_bell, word) == 128, "bell.word");
PIGLET_ASSERT(sizeof(struct piglet_hello) == 24, "the hello");

#endif
