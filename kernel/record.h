/* The flight recorder: why the last frames were dropped, always on.
 *
 * A ring of records, one for each drop: when, where, why, by whom, and the frame's first bytes. A drop
 * costs one copy of at most RECORD_BYTES. What passes costs nothing, unless the service `recorder` runs:
 * then it is recorded as it comes and as it leaves, for DROP_NONE. Read by pigctl why, through
 * Record_Read. */
#ifndef KERNEL_RECORD_H
#define KERNEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/frame.h"

enum {
    RECORDS = 2048,    /* a power of two; 256 KiB */
    RECORD_BYTES = 96, /* of a frame: Ethernet, IPv4 and TCP with some options */
};

struct record {
    uint64_t time_ns;
    const char *who; /* nic, phase or service that was running: static, or the core's */
    uint32_t line;   /* of the table's source: the rule's or class's that decided; 0: none */
    uint32_t swaps;  /* tables put in force before */
    uint16_t length;
    uint8_t nic;
    uint8_t reason;   /* enum drop_reason */
    uint8_t outgoing; /* 1: it was on its way out by nic, else received by it */
    uint8_t kept;     /* how many bytes */
    uint8_t bytes[RECORD_BYTES];
};
_Static_assert(sizeof(struct record) <= 128, "two cache lines");

struct recorder {
    uint64_t written;      /* records ever; the ring holds the last RECORDS */
    uint32_t swaps;        /* tables put in force ever, of any service */
    bool all;              /* what passes, too; set by the service `recorder` */
    struct record *record; /* NULL: no memory was left for it, nothing is recorded */
};

/* Takes its memory, if there is some. */
void recorder_start(struct recorder *recorder);

/* Notes a frame that is about to be dropped; DROP_NONE: one that is not. */
void recorder_note(struct recorder *recorder, const struct frame *frame, unsigned reason,
                   const char *who, uint64_t now_ns);

/* Notes a batch as it comes from a nic, classified, or goes to one. */
void recorder_note_all(struct recorder *recorder, const struct batch *batch, const char *who,
                       uint64_t now_ns);

/* Record `number` (0 is the first ever), or NULL when it is gone or not there yet. */
const struct record *recorder_find(const struct recorder *recorder, uint64_t number);

#endif
