/* The shaper's table: what a compiler of classes makes and the shaper service loads.
 *
 *   +--------+--------------------------+---------------------------+
 *   | header | classes, class_count of  | matches, match_count of   |
 *   | 32     | 72 bytes each            | 32 bytes each             |
 *   +--------+--------------------------+---------------------------+
 *   0        32                         32 + 72 * class_count       `bytes`
 *
 * Host byte order, no holes, no pointers. A table is refused whole unless every field is as said
 * here; what is reserved is 0. The version changes when the meaning of a byte does.
 *
 * Meaning. Classes form trees, one or more for a nic. A frame that leaves by a nic is of the first
 * match that fits it, else of the nic's default class, else it is not shaped. Frames are queued in
 * classes that are no other's parent.
 *
 * A class has two buckets of burst_bytes: one fills at its rate, one at its ceiling. A frame goes
 * when the ceiling's buckets of its class and of all classes above hold enough for any frame
 * (PIGLET_SHAPER_FRAME_MAX); so in no window of time does a class send more than the bucket and
 * what flows into it meanwhile. First go those whose own rate allows it, then those to which the
 * class above lends of its rate, and so upwards; among these the smaller priority; among these they
 * take turns of `quantum` bytes.
 *
 * In a class, flows take turns by FQ-CoDel (RFC 8290). What is over a limit is dropped from the
 * head of the longest flow. Bytes are those of a frame from its Ethernet header on, without FCS. */
#ifndef PIGLET_SHAPER_H
#define PIGLET_SHAPER_H

#include <stdint.h>

#define PIGLET_SHAPER_MAGIC 0x70685370u /* "pShp" */

enum {
    PIGLET_SHAPER_VERSION = 1,
    PIGLET_SHAPER_CLASSES_MAX = 256,
    PIGLET_SHAPER_MATCHES_MAX = 256,
    PIGLET_SHAPER_CHILDREN_MAX = 64, /* of one class; and as many trees */
    PIGLET_SHAPER_DEPTH_MAX = 4,     /* classes above each other, the lowest included */
    PIGLET_SHAPER_PRIORITIES = 8,
    PIGLET_SHAPER_NAME_MAX = 16, /* with its closing NUL */
    PIGLET_SHAPER_NO_PARENT = 0xffff,
    PIGLET_SHAPER_FRAME_MAX = 2048,       /* bytes: a frame's buffer */
    PIGLET_SHAPER_RATE_MIN = 8000,        /* bit/s */
    PIGLET_SHAPER_BURST_MAX = 1 << 26,    /* bytes; nor more than a minute of the rate */
    PIGLET_SHAPER_BURST_MIN_US = 10,      /* of the ceiling, over FRAME_MAX: how late a timer is */
    PIGLET_SHAPER_BURST_MAX_S = 60,       /* of the rate */
    PIGLET_SHAPER_INTERVAL_MAX = 4000000, /* us */
    PIGLET_SHAPER_QUANTUM_MIN = 256,
    PIGLET_SHAPER_QUANTUM_MAX = 1 << 16,
    PIGLET_SHAPER_LIMIT_BYTES_MAX = 1 << 30,
    PIGLET_SHAPER_LIMIT_FRAMES_MAX = 1 << 16,
};

#define PIGLET_SHAPER_RATE_MAX 100000000000ull /* bit/s */

struct piglet_shaper_table {
    uint32_t magic;       /* 0 */
    uint32_t version;     /* 4 */
    uint32_t bytes;       /* 8: of the whole table */
    uint32_t class_count; /* 12 */
    uint32_t match_count; /* 16 */
    uint32_t reserved[3];
};

enum piglet_shaper_class_flag {
    PIGLET_SHAPER_DEFAULT = 1 << 0, /* takes the nic's frames that no match fits; one of a nic */
};

struct piglet_shaper_class {
    char name[PIGLET_SHAPER_NAME_MAX]; /* 0: printable, no two the same, closed and filled by NUL.
                                          What one table and the next both name goes on: queue,
                                          tokens, numbers */
    uint64_t rate_bps;                 /* 16: RATE_MIN to RATE_MAX */
    uint64_t ceiling_bps;  /* 24: at least the rate; without a parent, who could lend, the rate */
    uint16_t parent;       /* 32: an earlier class, of the same nic, or NO_PARENT */
    uint8_t nic;           /* 34: index */
    uint8_t priority;      /* 35: 0 (first) to 7; of classes with queues */
    uint32_t flags;        /* 36 */
    uint32_t burst_bytes;  /* 40: at least FRAME_MAX, 1, and BURST_MIN_US of the ceiling */
    uint32_t target_us;    /* 44: CoDel's; 0: no CoDel */
    uint32_t interval_us;  /* 48: CoDel's; at least the target */
    uint32_t quantum;      /* 52: bytes of a flow's turn; and of the class's, at least FRAME_MAX */
    uint32_t limit_bytes;  /* 56: of frames queued, at least FRAME_MAX */
    uint32_t limit_frames; /* 60: at least 1 */
    uint32_t line;         /* 64: of the class in its source, for people; 0: none */
    uint32_t reserved;
};

/* Which fields of a match are meant. Addresses and ports always are: prefixes of length 0 and
 * ports 0 to 65535 fit all. What is no IPv4 fits a match that says nothing of IPv4. */
enum piglet_shaper_match_flag {
    PIGLET_SHAPER_MATCH_IPV4 = 1 << 0, /* nothing but IPv4 */
    PIGLET_SHAPER_MATCH_PROTOCOL = 1 << 1,
    PIGLET_SHAPER_MATCH_DSCP = 1 << 2,
};

/* Fits frames that leave by the nic of its class. A port range that is not 0 to 65535 fits TCP and
 * UDP, and no fragments: their ports are not there to be seen. */
struct piglet_shaper_match {
    uint32_t from, to;                        /* 0, 4: IPv4 prefixes, as numbers; 0 behind them */
    uint8_t from_length, to_length;           /* 8, 9 */
    uint8_t protocol;                         /* 10 */
    uint8_t dscp;                             /* 11: 0 to 63 */
    uint16_t from_port_first, from_port_last; /* 12, 14 */
    uint16_t to_port_first, to_port_last;     /* 16, 18 */
    uint16_t class_index;                     /* 20: a class that is no parent */
    uint16_t flags;                           /* 22 */
    uint32_t line;                            /* 24: of the match in its source; 0: none */
    uint32_t reserved;
};

#ifndef __cplusplus
_Static_assert(sizeof(struct piglet_shaper_table) == 32, "ABI");
_Static_assert(sizeof(struct piglet_shaper_class) == 72, "ABI");
_Static_assert(sizeof(struct piglet_shaper_match) == 32, "ABI");
#endif

#endif
