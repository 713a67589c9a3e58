/* What a nic driver implements, and who owns a frame when.
 *
 * A driver is a table row (drivers/drivers.c): how to recognise a device, how to bring it up, and a
 * few calls for the loop. It never knows which machine it runs on, allocates at probe only, and
 * does not wait, log or touch a device register for reading on the paths called per batch. */
#ifndef DRIVERS_NIC_H
#define DRIVERS_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "kernel/event.h"
#include "kernel/frame.h"
#include "kernel/log.h"

enum {
    NICS_MAX = 8,
    NIC_NOWHERE = NICS_MAX, /* what a packet without a route leaves by: a nic that is never up */
    NIC_QUEUES_MAX = 8,     /* receive queues; 2,048 frames of the pool wait in as many */
    NIC_NAME_MAX = 8,
    NIC_OUT_MAX =
        4 * BATCH_MAX,    /* what one batch may send: itself, errors, frames that waited for ARP */
    NIC_STATIONS_MAX = 8, /* beside the nic's own address; the 8254x and 82574 hold 15 */
};

struct nic;
struct core;

/* What a nic receives beside frames to its own address and broadcasts. All zero: nothing. */
struct nic_filter {
    bool promiscuous;   /* everything */
    bool all_multicast; /* to any group */
    unsigned stations;  /* and to these unicast addresses */
    uint8_t station[NIC_STATIONS_MAX][6];
};

/* A register, or `count` of them `stride` bytes apart, as the driver's table has it. */
struct nic_register {
    const char *name; /* the datasheet's */
    uint32_t offset;
    uint16_t count, stride;
    bool readable; /* reading has no side effect: anyone may look */
};

struct nic_driver {
    const char *name; /* "e1000" */

    /* Whether this driver is for the device; looks at ids only. */
    bool (*match)(const struct arch_device *device);

    /* Brings the device up, polled, receiving into frames from nic->pool, and fills in mac,
     * speed_mbps, link_up and driver_state. On failure says why by nic_log, undoes what it did,
     * frees the frames it took, and returns a negative error; the boot goes on without the nic. */
    int (*probe)(struct nic *nic, const struct arch_device *device);

    /* Takes up to `max` received frames off the device. Each returned frame is the caller's (owner
     * FRAME_OF_LOOP), with data, length, nic and flags set. For each one the ring gets a fresh
     * frame from the pool; when the pool is empty the received frame goes back to the ring and is
     * counted dropped (DROP_NO_FRAME: frame_alloc does that). 0 means that nothing is left on the
     * device: the loop may sleep on it. Errored frames are recycled and left to the device's
     * counters. */
    unsigned (*receive)(struct nic *nic, struct frame **frames, unsigned max);

    /* Hands over frames in order, adds their lengths to *count.tx_bytes (it has each in hand, and the
     * kernel would have to look again) and rings the doorbell once. Returns how many were taken, from the
     * front: those are the driver's (FRAME_OF_TRANSMIT_RING) until it frees them to nic->pool; the
     * others stay the caller's. Reclaims finished frames when room is short. Frames shorter than
     * FRAME_LENGTH_MIN are padded by the device or the driver. */
    unsigned (*transmit)(struct nic *nic, struct frame **frames, unsigned count);

    /* From the loop, when an interrupt was posted and every NIC_ATTEND_MS besides: read causes,
     * follow the link (nic_link), refresh error counters, free finished transmit frames. */
    void (*attend)(struct nic *nic);

    /* Let the device interrupt (when `on`), before the loop looks once more and sleeps; or stop it.
     */
    void (*interrupts)(struct nic *nic, bool on);

    /* Receives what `filter`, which nic_filter has checked, says, instead of what the last one did;
     * at first nothing extra. A device that tells less apart receives more. Frames wanted before
     * and after are not lost meanwhile, but for those a device loses to a change of `promiscuous`.
     * On failure the last filter stays. NULL: the nic cannot; nic_filter then says so. */
    int (*filter)(struct nic *nic, const struct nic_filter *filter);

    /* Stops DMA and gives every frame in the rings back to nic->pool. */
    void (*stop)(struct nic *nic);

    /* For people to look at, by request: what registers there are (NULL: none), and a read of one
     * that is readable. ERR_DEVICE: the device is gone. */
    const struct nic_register *registers;
    unsigned register_count;
    int (*register_read)(struct nic *nic, uint32_t offset, uint32_t *value);
};

enum { NIC_ATTEND_MS = 100 }; /* how late a link change may be noticed when no interrupt tells */

struct nic {
    const struct nic_driver *driver;
    void *driver_state;
    struct frame_pool *pool;
    uint8_t index;
    uint8_t joined; /* stations and captures of clients */
    bool link_up;
    bool interrupts_work; /* arch_interrupt_attach or arch_idle_watch took the device */
    bool link_interrupts; /* and a link change interrupts too: an idle core may sleep for long */
    uint8_t mac[6];
    uint16_t mtu;     /* bytes of IPv4 packet */
    uint16_t carries; /* likewise, and 0 while the link is down; kernel/nic.c keeps it */
    uint32_t speed_mbps;
    char name[NIC_NAME_MAX];
    struct core *core;
    struct event *event; /* post this on an interrupt */
    const struct arch_device *device;

    struct { /* frames sent, not yet through the transmit chain: from first up to end */
        struct frame **end, **limit; /* the next one's place, and one past the last place */
        struct frame **first;
        unsigned kinds; /* or of theirs */
        uint32_t bit;   /* of this nic in core->unflushed */
        struct frame *frame[NIC_OUT_MAX];
    } out;

    struct {
        uint64_t *rx_frames, *rx_bytes, *tx_frames; /* counted by the kernel */
        uint64_t *rx_batches, *tx_batches;
        uint64_t *tx_bytes;                                         /* by the driver, in transmit */
        uint64_t *rx_errors, *rx_missed, *tx_errors, *link_changes; /* by the driver, in attend */
    } count;
};

/* For drivers; kernel/nic.c. */
void nic_log(struct nic *nic, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* No frame waits to be sent. */
static inline void nic_out_start(struct nic *nic)
{
    nic->out.first = nic->out.end = nic->out.frame;
    nic->out.limit = nic->out.frame + NIC_OUT_MAX;
    nic->out.bit = 1u << nic->index;
    nic->out.kinds = 0;
}

/* How many frames wait to be sent. */
static inline unsigned nic_out_count(const struct nic *nic)
{
    return (unsigned)(nic->out.end - nic->out.frame);
}

/* Tells the kernel about the link; logs and notifies services when it changed. */
void nic_link(struct nic *nic, bool up, uint32_t speed_mbps);

/* A counter of the driver's own, named "nic0.what". Never NULL. */
uint64_t *nic_counter(struct nic *nic, const char *what, const char *help);

/* For the kernel: probes every device in order; whatever fails is reported and left out, but keeps
 * its name, so that the others keep theirs. */
void nics_start(struct core *core);
void nics_stop(struct core *core);

/* Sets what the nic receives, from anyone's words. ERR_RANGE: too many stations. ERR_INVALID:
 * a station is a group address. ERR_UNSUPPORTED: this nic has no filter to set, or is not there.
 * On failure, which is logged, the last filter stays. */
int nic_filter(struct nic *nic, const struct nic_filter *filter);

/* Whether the nic was found and works; one that failed its probe has a place and a name, and no
 * more. */
bool nic_present(const struct nic *nic);

/* Rows of drivers/drivers.c (bare metal and hosted list their own), ended by NULL. */
extern const struct nic_driver *const nic_drivers[];

#endif
