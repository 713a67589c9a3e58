/* A client as the kernel keeps it: nothing here is ever read back from its window.
 *
 * Everything a client may hold lies inside its struct, so no client can take what another needs,
 * limits need no accounting, and freeing it all is one bounded walk. About 15 KiB each. */
#ifndef PSR_CLIENT_H
#define PSR_CLIENT_H

#include "kernel/clients.h"
#include "kernel/window.h"
#include "piglet/frame.h"
#include "piglet/window.h"

enum {
    MEMORIES_MAX = 64, /* pieces of Alloc_Mem of one client */
    FRAMESETS_MAX = 8,
    TIMERS_MAX = 16,
    COPY_DEPTH_MAX = 8, /* copies of copies: bounds the walk of Cap_Revoke */
    DATA_PAGES_MAX = PIGLET_WINDOW_BYTES_MAX / PIGLET_PAGE,
    UNDO_PER_REQUEST = 2,
    UNDO_MAX = UNDO_PER_REQUEST * PIGLET_CHAIN_MAX,
    SLICE_REQUESTS = 64, /* of one client before the next has its turn */
    TURN_REQUESTS = 256, /* of all clients before frames have theirs; heavy ones count as several */
    SLICE_FRAMES = BATCH_MAX,
    ATOMIC_COST_MAX = 320, /* of one ATOMIC chain, in requests: nothing else runs inside it */
    MARKS_COST = 4,        /* a walk over all of a client's capabilities, in requests */
    TABLE_COST = 8,        /* filling in a page of a table */
    ACTIVE_US = 200,       /* how long a window is polled in every turn after its last work */
    SWEEP_TICK_US = 1000,
    SWEEP_TICKS = PIGLET_SWEEP_MS * 1000 / SWEEP_TICK_US,
    PORT_EPHEMERAL = 49152, /* RFC 6335 6: the first dynamic port */
    PORT_TRIES = 64,
    LISTED_MAX =
        32, /* framesets by peer alone, of all clients: each received frame may look at all */
    JOINED_MAX = NIC_STATIONS_MAX,
    CLIENTS_OF_SOCKET = 64, /* without `clients=` */
};

/* ---- objects and their names ------------------------------------------------------------------- */

enum object_type { OBJECT_NONE, OBJECT_MEMORY, OBJECT_FRAMESET, OBJECT_TIMER, OBJECT_SYSTEM };

struct object {
    uint8_t type;   /* OBJECT_NONE: this place is free */
    uint16_t names; /* live capabilities; the object ends with the last */
};

struct frameset;

struct memory {
    struct object object;
    uint32_t page, pages;  /* in the window's data */
    struct frameset *user; /* whose ring it is; NULL: nobody's */
};

struct peer {
    uint32_t address;
    uint16_t port;
    uint16_t protocol; /* 0: any IPv4; below 256: that; else an EtherType */
    bool set;
};

struct ring {
    struct memory *memory;
    struct piglet_ring *shared;
    uint8_t *slots;
    uint32_t count;    /* of slots */
    uint32_t slot;     /* where the next frame goes to or comes from */
    uint32_t produced; /* as we know it: ours in receive, checked in transmit */
    uint32_t consumed; /* ours in transmit, checked in receive */
};

struct frameset {
    struct object object;
    struct client *client;
    struct ring transmit, receive;
    struct peer peer;
    uint16_t port; /* bound; 0: none */
    bool started;
    bool dirty;   /* received frames are not published yet */
    bool joined;  /* as a station or a capture */
    bool station; /* mac is meant */
    uint8_t nic;  /* of join, or of a peer by EtherType */
    uint8_t mac[6];
    uint64_t tx_frames, rx_frames, dropped, refused;
};

struct client_timer {
    struct object object;
    struct timer timer;
    struct client *client;
    uint32_t capability, chain;
    uint64_t cookie, period_us;
    uint64_t due_ns; /* when it fires next */
    uint32_t due;    /* times since the last event */
    bool reserved;   /* there is room for its event */
};

enum { NO_PARENT = 0xffff };

enum capability_state { CAPABILITY_FREE, CAPABILITY_LIVE, CAPABILITY_ENDING };

struct capability {
    struct object *object;
    uint32_t generation; /* PIGLET_CAPABILITY_SLOT_BITS less than 32 of them; never 0 */
    uint16_t parent;     /* slot it was copied from, or NO_PARENT */
    uint16_t copies;     /* slots that have this one as their parent */
    uint8_t depth;
    uint8_t rights;
    uint8_t state;
    uint16_t ending; /* which entry of the undo list made it CAPABILITY_ENDING */
};

/* ---- chains ------------------------------------------------------------------------------------ */

struct outcome {
    uint64_t result;
    uint64_t cookie;
    uint16_t slot; /* in the requests; of the first: in the post ring */
    uint8_t state; /* enum piglet_request_state */
    int8_t error;
    uint8_t root;
    uint8_t flags;
};

/* The chain that a client is in; between slices it rests here. */
struct chain_run {
    bool active;
    bool atomic;
    bool cancelled; /* by the client: what is left does not run */
    bool broken;    /* behind a barrier that was cancelled: likewise */
    uint8_t length; /* requests taken */
    uint8_t done;
    uint8_t root; /* first failure */
    int8_t error;
    unsigned cost; /* so far, in requests */
    uint16_t next; /* request to take next; PIGLET_NEXT_NONE: the chain is at its end */
    uint32_t room; /* events that must fit before an ATOMIC chain that was short of it begins */
    uint64_t cookie;
    struct outcome outcome[PIGLET_CHAIN_MAX];
};

struct client {
    struct core *core;
    struct window *window; /* NULL: this place is free */
    struct piglet_window *header;
    struct piglet_request *post, *request;
    struct piglet_event *event;
    uint8_t *data;
    uint32_t post_mask, request_count, event_mask, data_pages;

    uint16_t number;
    uint16_t active_at; /* place in clients->active; meant when active */
    bool active;
    bool waiting;        /* a chain waits for event room */
    bool notified;       /* in clients->notify */
    uint64_t boot;       /* as told to clients */
    uint32_t attached;   /* 0: no */
    uint32_t lost;       /* the attachment whose heartbeat stood still: it is over */
    uint32_t heartbeat;  /* ours */
    uint32_t next_chain; /* number of the next chain to be posted */
    uint32_t cancel;     /* as last seen: chains up to this number are cancelled, */
    bool cancelling;     /* if this says so */
    uint32_t bell;       /* as last seen */
    uint32_t beat;       /* client_heartbeat as last seen, */
    uint64_t beat_ns;    /* and when it changed */
    uint64_t worked_ns;

    uint32_t events_written, events_taken, events_reserved;
    uint64_t requests, chains, failed, undone, lies;
    uint64_t time_ns;

    struct chain_run chain;
    struct object system;
    uint16_t capability_hint; /* where to look for a free one */
    uint16_t capabilities, pages;
    uint8_t framesets_started;
    uint8_t frameset_first; /* which to send from first */
    struct capability capability[PIGLET_CAPABILITIES_MAX];
    struct memory memory[MEMORIES_MAX];
    struct frameset frameset[FRAMESETS_MAX];
    struct client_timer timer[TIMERS_MAX];
    uint64_t page_used[DATA_PAGES_MAX / 64];
    char name[PIGLET_NAME_MAX];
    uint32_t pid;
};

/* ---- undoing ----------------------------------------------------------------------------------- */

/* What a request did, until it is certain: run backwards when it, or its ATOMIC chain, fails; or
 * committed, which does what cannot be undone. */
struct undo {
    void (*undo)(struct client *client, struct undo *undo);   /* may be NULL */
    void (*commit)(struct client *client, struct undo *undo); /* may be NULL */
    void *object;
    uint64_t value[4];
};

/* A request as its opcode's function sees it: copied, checked, resolved. */
struct call {
    const struct piglet_request *request;
    uint32_t chain;
    uint64_t value[4];        /* numbers; of capabilities: the capability */
    bool given[4];            /* false: an option left out */
    struct object *object[4]; /* of capabilities */
    bool named; /* the first capability was looked up: the opcode's right is for that one */
    uint64_t result;
    unsigned cost; /* in requests; set beforehand to 1 */
};

/* ---- all of them --------------------------------------------------------------------------------- */

struct clients {
    struct core *core;
    unsigned limit, open, attached, open_hint;
    struct client *client;    /* limit of them */
    struct piglet_bell *bell; /* NULL: none */
    void *driver_state[WINDOW_DRIVERS_MAX];
    struct service_self *service; /* the receive handler's instance */
    uint64_t sweep_due_ns;
    unsigned sweep_at;
    unsigned active_count, active_first;
    uint16_t *active;  /* numbers of windows polled in every turn */
    unsigned unbelled; /* windows whose own bell is looked at in every turn */
    uint16_t *unbelled_number;
    unsigned notify_count;
    uint16_t notify[BATCH_MAX]; /* clients to be woken when they sleep */
    unsigned dirty_count;
    struct frameset *dirty[BATCH_MAX];
    struct joined {
        unsigned count;
        struct frameset *frameset[JOINED_MAX];
    } joined[NICS_MAX]; /* stations and captures, by nic */
    unsigned local_count;
    struct frame *local[BATCH_MAX]; /* from stations to Piglet itself */
    uint16_t *port;                 /* by UDP port: frameset_name of who has it; 0: nobody */
    unsigned framesets;             /* started ones */
    unsigned listed_count;          /* and those of them that received frames are matched with */
    struct frameset *listed[LISTED_MAX];
    uint16_t port_next;
    uint8_t *table; /* a service's table while it is checked; NULL until the first one comes */
    size_t table_room;
    uint32_t load_error_line; /* of the last Service_Load: struct service_self's */
    bool held; /* a module runs: its chains are certain only when all have succeeded */
    unsigned undo_count, undo_room;
    struct undo *undo, undo_own[UNDO_MAX];
    uint64_t *requests, *chains, *failed, *undone, *cancelled, *lies, *rx_frames, *tx_frames,
        *dropped, *refused, *attachments, *heartbeats_lost; /* counters */
};

/* ---- the window: the one translator ------------------------------------------------------------- */

#define SHARED_LOAD(place)           __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define SHARED_LOAD_ACQUIRE(place)   __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define SHARED_STORE(place, value)   __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#define SHARED_PUBLISH(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)

/* Bytes of the client's data, or NULL when they do not all lie in it. */
void *client_data(const struct client *client, uint64_t offset, uint64_t bytes);

/* A field that cannot be meant: counted, for the client and for all. */
void client_lied(struct client *client);

/* From now on polled in every turn, for a while. */
void client_activate(struct client *client);

/* No longer polled in every turn, unless it has work: from now on it must ring. */
void client_rest(struct client *client);

/* Wakes the client at the end of the turn when it sleeps. */
void client_notify(struct client *client);

/* Wakes those that sleep, now. */
void clients_notify(struct clients *clients);

/* Frees all it holds. */
void client_detach(struct client *client);

/* Whether the client wants to come or to go; does it. */
void attachment_look(struct client *client);

/* Ours counted, the client's looked at, its account shown. */
void attachment_beat(struct client *client);

/* ---- events -------------------------------------------------------------------------------------- */

/* How many there is room for, as far as is known. */
uint32_t event_free(const struct client *client);

/* Whether there is room for so many; looks what the client has taken meanwhile. */
bool event_room(struct client *client, uint32_t count);

/* Reserves room for one event; false: the ring is full of events not taken. */
bool event_reserve(struct client *client);

/* Writes an event into reserved room; `number` is filled in. */
void event_write(struct client *client, struct piglet_event *event);

/* ---- chains -------------------------------------------------------------------------------------- */

/* Whether there is something to run. One load when there is nothing. */
static inline bool chain_posted(const struct client *client)
{
    return SHARED_LOAD(client->post[(client->next_chain - 1) & client->post_mask].post) ==
           client->next_chain;
}

/* Runs up to `budget` requests; returns what it spent. */
unsigned chain_run_slice(struct client *client, unsigned budget);

/* ---- undo ---------------------------------------------------------------------------------------- */

/* Room for an entry, zeroed. Never NULL: UNDO_MAX covers the longest chain. */
struct undo *undo_add(struct client *client);

/* From now on chains are kept undoable, up to so many requests, and may cost what they like: for the
 * start, when there is no traffic to be held up. ERR_NO_MEMORY. */
int chains_hold(struct client *client, unsigned requests);

/* Ends that: what they did is certain, or undone. */
void chains_release(struct client *client, bool keep);

/* ---- capabilities -------------------------------------------------------------------------------- */

/* A new name for the object. ERR_LIMIT: none is free. Undone by itself. */
int capability_new(struct client *client, struct object *object, unsigned rights, unsigned parent,
                   uint32_t *capability);

/* What it names, if it carries `rights`. ERR_CAPABILITY, ERR_TYPE, ERR_DENIED. OBJECT_NONE: any. */
int capability_find(struct client *client, uint64_t capability, enum object_type type,
                    unsigned rights, struct object **object);

/* Ends all names of an object when the request is certain, and the object with them. */
int object_end_names(struct client *client, struct object *object);

/* The object's last name has ended. */
void object_end(struct client *client, struct object *object);

void memory_end(struct client *client, struct memory *memory);
void client_timer_end(struct client *client, struct client_timer *timer);

void capabilities_start(struct client *client, unsigned rights);
void capabilities_stop(struct client *client);

/* ---- framesets ----------------------------------------------------------------------------------- */

/* Sends up to SLICE_FRAMES of the client's started framesets; how many. */
unsigned framesets_send(struct client *client);

/* Whether a started frameset has frames to send. */
bool framesets_posted(const struct client *client);

void frameset_end(struct client *client, struct frameset *frameset);

/* Copies a frame or datagram into the receive ring; false: no room, counted. `about` is filled in
 * but for length. */
bool frameset_deliver(struct frameset *frameset, const void *data, size_t length,
                      const struct piglet_frame *about);

/* Makes delivered frames visible, one store a frameset. */
void framesets_publish(struct clients *clients);

static inline uint16_t frameset_name(const struct frameset *frameset)
{
    const struct client *client = frameset->client;
    return (uint16_t)(client->number * FRAMESETS_MAX + (unsigned)(frameset - client->frameset) + 1);
}

static inline struct frameset *frameset_named(struct clients *clients, unsigned name)
{
    return &clients->client[(name - 1) / FRAMESETS_MAX].frameset[(name - 1) % FRAMESETS_MAX];
}

/* ---- opcodes ------------------------------------------------------------------------------------- */

typedef int opcode_run(struct client *client, struct call *call);

extern opcode_run *const opcode_runs[PIGLET_OP_COUNT];

opcode_run op_nop, op_echo, op_barrier;             /* chain.c */
opcode_run op_alloc_mem, op_free_mem;               /* memory.c */
opcode_run op_cap_copy, op_cap_drop, op_cap_revoke; /* capability.c */
opcode_run op_make_frameset, op_set_peer, op_frameset_start, op_frameset_stop, op_bind_port,
    op_join; /* frameset.c */
opcode_run op_address_add, op_address_delete, op_route_add, op_route_delete, op_service_start,
    op_service_stop, op_system_stop, op_service_configure, op_service_load, op_service_swap,
    op_service_find, op_table_read; /* configure.c */
opcode_run op_record_read, op_register_read, op_service_list, op_service_show, op_setting_list,
    op_counter_read, op_log_read, op_nic_list, op_address_list, op_route_list, op_client_list,
    op_status_read;                       /* table.c */
opcode_run op_timer_start, op_timer_stop; /* client_timer.c */

#endif
