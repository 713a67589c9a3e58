/* What the Linux drivers share: addresses, a descriptor, frames to receive into, and Linux' answers
 * about an interface.
 *
 * Linux copies a frame while it is sent, so transmit frees at once and nothing is ever in flight.
 * There is no interrupt to arm: a readable descriptor ends arch_idle, and only arch_idle looks. */
#ifndef DRIVERS_LINUX_COMMON_H
#define DRIVERS_LINUX_COMMON_H

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "drivers/nic.h"

/* First member of every driver_state here. */
struct linux_nic {
    int fd;           /* receives; -1 once the interface is gone */
    const char *name; /* of the device, behind "kind:" */
    unsigned slots;
    struct frame *slot[BATCH_MAX]; /* FRAME_OF_RECEIVE_RING: what is read into */
    uint64_t *oversized;           /* counter */
};

/* sendmmsg for a batch: one system call, our doorbell. */
struct linux_sender {
    int fd;
    uint64_t *unsent; /* counter for what Linux refuses */
    bool refused;     /* the last frame was */
    struct mmsghdr *message;
    struct iovec *piece;
};

/* The part of "kind:NAME" behind the colon when the device is of that kind, else NULL. */
const char *linux_name(const struct arch_device *device, const char *kind);

/* A locally administered address that a name always gets. */
void linux_mac(const char *name, uint8_t mac[6]);

/* `length` bytes of a path and the suffix, as an address. False: no path, or too long for one. */
bool linux_address(struct sockaddr_un *address, const char *path, size_t length,
                   const char *suffix);

/* Removes a socket file that nobody answers on, and nothing else. */
void linux_remove_stale(const struct sockaddr_un *address, int type);

/* The kernel's error for an errno. */
int linux_error(int error_number);

/* Takes `bytes` for the driver's state, with no descriptor yet. NULL: no memory, logged. */
void *linux_state(struct nic *nic, size_t bytes, const char *name);

/* From here on the descriptor is watched and `slots` frames are there to read into.
 * On failure what was taken is given back; the descriptor stays the caller's. */
int linux_start(struct nic *nic, int fd, unsigned slots);

/* Closes and gives the slots' frames back. */
void linux_stop(struct nic *nic);

/* Also a whole driver's `interrupts`. */
void linux_interrupts(struct nic *nic, bool on);

/* A driver's `filter` where whatever is sent comes in already. */
int linux_filter(struct nic *nic, const struct nic_filter *filter);

/* The frame that `length` bytes were read into, now the loop's, and a fresh one in its slot; or
 * NULL when it was too long or the pool is empty, counted, and the slot keeps its frame. */
struct frame *linux_slot_take(struct nic *nic, unsigned slot, size_t length);

/* Gives a frame the shortest length the wire allows, zeros behind it, and returns that length. */
size_t linux_pad(struct frame *frame);

/* Every message goes to `to`; NULL: the socket is bound to where it sends. */
int linux_sender_start(struct linux_sender *sender, int fd, void *to, socklen_t to_bytes);

/* A driver's transmit. Short return: Linux has no room now. What it refuses is counted and freed.
 */
unsigned linux_send(struct nic *nic, struct linux_sender *sender, struct frame **frames,
                    unsigned count);

/* The link of a Linux interface, to the kernel. False: there is no interface of that name. */
bool linux_follow_link(struct nic *nic, const char *interface);

/* Takes the address of an Ethernet interface for ours; its index, or an error, logged. */
int linux_identify(struct nic *nic, const char *interface);

/* Fills in mtu, link_up and speed_mbps at probe. */
void linux_describe(struct nic *nic, const char *interface);

/* Says once that the interface is gone for good, and closes. */
void linux_lost(struct nic *nic);

#endif
