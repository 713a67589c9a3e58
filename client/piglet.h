/* libpiglet: what a client of a Piglet kernel needs, and nothing else. This header is its manual.
 *
 * A client never calls the kernel: it posts chains of requests into the window that it shares with
 * the kernel, and takes events out of it (piglet/window.h). The original example, in one chain:
 *
 *     struct piglet_chain chain;
 *     piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
 *     int tx = piglet_chain_alloc_mem(&chain, 12);
 *     int rx = piglet_chain_alloc_mem(&chain, 12);
 *     int fs = piglet_chain_make_frameset(&chain, piglet_reference(tx), piglet_reference(rx));
 *     piglet_chain_set_peer(&chain, piglet_reference(fs), PIGLET_IPV4(192, 168, 0, 1), 0, 0);
 *     int64_t number = piglet_post(&chain);
 *     int error = piglet_wait(piglet, number, 1000000, NULL);
 *
 * Errors are negative enum piglet_error (piglet/error.h), and stick: what is made wrong while a
 * chain is built makes piglet_post refuse it, and waiting for what was refused gives the refusal
 * again. So, as above, only the end need be looked at.
 *
 * One thread per struct piglet: the library takes no locks. A process may have several. Addresses
 * are numbers, as in the ABI: PIGLET_IPV4(192, 168, 0, 1) is 0xc0a80001. */
#ifndef PIGLET_H
#define PIGLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "piglet/error.h"
#include "piglet/frame.h"
#include "piglet/opcode.h"
#include "piglet/table.h"
#include "piglet/window.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define PIGLET_IPV4(a, b, c, d)                                                                    \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum { PIGLET_FOREVER = -1 }; /* as a timeout: it still ends when the kernel goes */

/* ---- coming and going ----------------------------------------------------------------------- */

struct piglet;

/* Finds a kernel and attaches to it under a name (for people; NULL: the program's). where is
 * "unix:PATH" or "shm:FILE"; NULL takes $PIGLET, else the first that answers of the sockets
 * $XDG_RUNTIME_DIR/piglet*.sock, /run/piglet*.sock, /tmp/piglet*.sock and the files
 * /dev/shm/piglet*. NULL when it failed; then, where error is not NULL:
 * ERR_NOT_FOUND    there is none
 * ERR_DENIED       it may not be opened
 * ERR_TIMEOUT      nobody behind it
 * ERR_BUSY         another client has this window
 * ERR_UNSUPPORTED  of another major version
 * ERR_INVALID      no window, or one whose parts do not fit
 * and what the kernel refuses with. Takes 5 seconds at most. */
struct piglet *piglet_open(const char *where, const char *name, int *error);

/* Detaches; the kernel frees all that the client held. NULL is allowed. */
void piglet_close(struct piglet *piglet);

/* Whether the kernel that was attached to is there: it has not restarted or closed the window, and
 * its heart has beaten in the last two seconds of looking. Does not wait. */
bool piglet_alive(struct piglet *piglet);

/* Attaches anew, to the kernel that is there now. Capabilities, framesets, chains and pointers from
 * before are gone, whether it succeeds or not; it may be tried again and again. */
int piglet_reopen(struct piglet *piglet);

/* The window, to read; NULL while piglet_reopen has not succeeded. */
const struct piglet_window *piglet_window(const struct piglet *piglet);

/* Where it was found: "unix:/tmp/piglet.sock". */
const char *piglet_where(const struct piglet *piglet);

/* The memory at an offset of the window's data, or NULL where it does not lie in it. The offset of
 * what Alloc_Mem gave is piglet_result_offset(result). */
void *piglet_memory(const struct piglet *piglet, uint64_t offset, size_t bytes);

/* ---- arguments ------------------------------------------------------------------------------ */

struct piglet_argument {
    uint64_t value;
    uint8_t tag; /* enum piglet_tag */
};

static inline struct piglet_argument piglet_argument(unsigned tag, uint64_t value)
{
    struct piglet_argument argument;

    argument.value = value;
    argument.tag = (uint8_t)tag;
    return argument;
}

/* Left out. */
static inline struct piglet_argument piglet_none(void)
{
    return piglet_argument(PIGLET_TAG_NONE, 0);
}

static inline struct piglet_argument piglet_number(uint64_t number)
{
    return piglet_argument(PIGLET_TAG_NUMBER, number);
}

static inline struct piglet_argument piglet_capability(uint32_t capability)
{
    return piglet_argument(PIGLET_TAG_CAPABILITY, capability);
}

/* Cap_Ref_New: the result goes into a new capability. */
static inline struct piglet_argument piglet_new(void)
{
    return piglet_argument(PIGLET_TAG_NEW, 0);
}

/* The result of an earlier request of the chain, which piglet_chain_add numbered. */
static inline struct piglet_argument piglet_reference(int request)
{
    return piglet_argument(PIGLET_TAG_REFERENCE, (uint64_t)(int64_t)request);
}

static inline struct piglet_argument piglet_offset(uint64_t offset)
{
    return piglet_argument(PIGLET_TAG_OFFSET, offset);
}

/* ---- chains --------------------------------------------------------------------------------- */

/* A chain that is being built, in the caller's hands; its fields are the library's. The requests
 * are written straight into the window, so one chain is built at a time: beginning another, or
 * any call that posts one itself, ends it unposted (adding to it gives ERR_BUSY). A chain that is
 * not to be posted is simply left. */
struct piglet_chain {
    struct piglet *piglet;
    struct piglet_request *last;
    uint32_t turn;
    uint32_t system;
    unsigned count;
    unsigned flags;
    int error;
};

/* Begins a chain; flags: 0 or PIGLET_ATOMIC. ERR_FULL: too many chains are under way; take an
 * event. */
int piglet_chain_begin(struct piglet *piglet, struct piglet_chain *chain, unsigned flags);

/* Adds a request; returns its number in the chain, from 1, for piglet_reference.
 * ERR_LIMIT     the chain has PIGLET_CHAIN_MAX requests
 * ERR_FULL      no request is free in the window; take events
 * ERR_ARGUMENT  a reference to no earlier request, or an unknown tag
 * ERR_BUSY      another chain was begun since, or this one is posted */
int piglet_chain_add(struct piglet_chain *chain, unsigned opcode, struct piglet_argument a1,
                     struct piglet_argument a2, struct piglet_argument a3,
                     struct piglet_argument a4);

/* The cookie of the request added last; that of the first one is the chain's. */
int piglet_chain_cookie(struct piglet_chain *chain, uint64_t cookie);

/* The request added last gets an event of its own. */
int piglet_chain_event(struct piglet_chain *chain);

/* Posts it: one store. Returns the chain's number, or the first error made in building it. */
int64_t piglet_post(struct piglet_chain *chain);

/* Chains up to this number that have not ended are to end now, cancelled; each has its event. */
void piglet_cancel(struct piglet *piglet, uint32_t up_to);

/* ---- events --------------------------------------------------------------------------------- */

/* Waits until a chain has ended, takes its event, and returns that event's error: 0, the chain has
 * succeeded. Other events that come meanwhile are kept for piglet_next_event. Each chain is waited
 * for once. A number below 0 is returned as it is. The event (NULL: not wanted) has type 0 when
 * none came:
 * ERR_TIMEOUT    the chain is still under way; 0 us only looks
 * ERR_NOT_FOUND  no such chain, or its event was taken
 * ERR_FULL       the library keeps all the events it can: take some with piglet_next_event
 * ERR_CANCELLED  the kernel has gone: piglet_reopen */
int piglet_wait(struct piglet *piglet, int64_t number, int64_t timeout_us,
                struct piglet_event *event);

/* Takes the next event, of any kind. ERR_TIMEOUT, ERR_CANCELLED: as above. */
int piglet_next_event(struct piglet *piglet, int64_t timeout_us, struct piglet_event *event);

/* The status of a request of a chain that has ended, and its result (NULL: not wanted): its state
 * as in enum piglet_request_state. Both stay until their place is used again, so look before posting much.
 * ERR_BUSY: the chain has not ended; ERR_NOT_FOUND: no such request, or no longer. */
int piglet_result(const struct piglet *piglet, int64_t number, int request, uint64_t *result,
                  struct piglet_status *status);

/* A copy of such a request as a whole, for piglet_request_text. Errors: likewise. */
int piglet_request(const struct piglet *piglet, int64_t number, int request,
                   struct piglet_request *copy);

/* Posts one request and waits for it, 5 seconds at most. Returns its error. */
int piglet_call(struct piglet *piglet, unsigned opcode, struct piglet_argument a1,
                struct piglet_argument a2, struct piglet_argument a3, struct piglet_argument a4,
                uint64_t *result);

/* For loops of one's own: a descriptor to poll for POLLIN, or ERR_UNSUPPORTED where the kernel cannot
 * wake its clients (PIGLET_FEATURE_WAKE); then look every millisecond or so.
 *
 *     piglet_sleep_begin(piglet);
 *     if (nothing from piglet_next_event(piglet, 0, ...) and piglet_receive(...))
 *         poll(...);
 *     piglet_sleep_end(piglet);
 *
 * Looking after sleep_begin, not before, is what makes a lost wake-up impossible. The descriptor
 * also becomes readable or hung up when a kernel on this machine goes: look at piglet_alive. */
int piglet_fd(const struct piglet *piglet);
void piglet_sleep_begin(struct piglet *piglet);
void piglet_sleep_end(struct piglet *piglet);

/* ---- framesets ------------------------------------------------------------------------------ */

/* The client's end of a frameset (piglet/frame.h); its fields but the capabilities are the
 * library's. */
struct piglet_frameset {
    struct piglet *piglet;
    uint32_t capability, transmit, receive; /* of the frameset and its two memories */
    struct piglet_ring *tx, *rx;
    uint32_t tx_slots, rx_slots;
    uint32_t tx_next, rx_next; /* numbers of the next frame to send, to receive */
    uint32_t tx_slot, rx_slot; /* and where they lie */
};

/* One frame: where its bytes are in the window, and a copy of what is said about it. */
struct piglet_view {
    uint8_t *data;
    struct piglet_frame frame; /* length is at most what the slot holds */
};

/* Allocates two memories and makes a frameset of them. Peer or port, and the start, are up to the
 * caller: piglet_chain_set_peer, piglet_chain_bind_port, piglet_chain_frameset_start. */
int piglet_frameset_open(struct piglet *piglet, uint32_t tx_pages, uint32_t rx_pages,
                         struct piglet_frameset *frameset);

/* The same for a frameset that a chain of the caller's made: the results of its Alloc_Mem (transmit,
 * receive) and Make_Frameset. Before the first frame moves. ERR_INVALID: they do not fit. */
int piglet_frameset_use(struct piglet *piglet, uint64_t transmit, uint64_t receive, uint64_t made,
                        struct piglet_frameset *frameset);

/* Stops it, and frees its memories. One that piglet_frameset_open refused is closed already. */
int piglet_frameset_close(struct piglet_frameset *frameset);

/* Up to max frames that have come, in order; they stay ours until piglet_receive_done, which gives
 * back all that piglet_receive has shown. Neither waits. */
unsigned piglet_receive(struct piglet_frameset *frameset, struct piglet_view *views, unsigned max);
void piglet_receive_done(struct piglet_frameset *frameset);

/* Waits until a frame is there to receive. ERR_TIMEOUT, ERR_CANCELLED as in piglet_wait. */
int piglet_receive_wait(struct piglet_frameset *frameset, int64_t timeout_us);

/* Up to max free places for frames to send. Fill `data`, `frame.length` (up to PIGLET_FRAME_MAX) and,
 * where the frameset has no one peer, `frame.address` and `frame.port`; all else is zero. Then send
 * the first `count` of them; the others are still free. ERR_RANGE: a length; ERR_ARGUMENT: not the
 * views that piglet_send_slots gave last. Then none is sent. */
unsigned piglet_send_slots(struct piglet_frameset *frameset, struct piglet_view *views,
                           unsigned max);
int piglet_send(struct piglet_frameset *frameset, const struct piglet_view *views, unsigned count);

/* ---- tables --------------------------------------------------------------------------------- */

/* Gets an entry (a copy; of the type that piglet/table.h has for the opcode). Anything but 0 ends
 * the reading, which returns it. It may call the library. */
typedef int piglet_entry_function(const void *entry, void *context);

/* Reads a whole table, by Service_List, Service_Show, Counter_Read, Log_Read, Nic_List,
 * Address_List, Route_List, Client_List or Status_Read. first: from which number on, 0 for all;
 * Service_Show: service << 32. */
int piglet_read_table(struct piglet *piglet, unsigned opcode, uint64_t first,
                      piglet_entry_function *function, void *context);

/* The same as an array, to be given to free(). Returns how many entries; NULL where none. */
int piglet_load_table(struct piglet *piglet, unsigned opcode, uint64_t first, void **entries);

/* ---- text ----------------------------------------------------------------------------------- */

/* What is known of an opcode, or NULL. */
const struct piglet_opcode_info *piglet_opcode(unsigned number);

/* An opcode's number by its name, in capitals or not; ERR_NOT_FOUND. */
int piglet_opcode_number(const char *name);

/* "Set_Peer <Reference 3>, 192.168.0.1  done". Cut to room, always closed by NUL; returns the length
 * it would have. The request may be nonsense: it may come from anywhere. */
size_t piglet_request_text(const struct piglet_request *request, char *text, size_t room);

/* "192.168.0.1"; room of 16 is enough. */
size_t piglet_address_text(uint32_t address, char *text, size_t room);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#include "requests.h"

#endif
