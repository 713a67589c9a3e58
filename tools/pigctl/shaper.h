/* The shaper block: its lines (shaper_line.c), and the table that they become (shaper.c). */
#ifndef PIGCTL_SHAPER_H
#define PIGCTL_SHAPER_H

#include "piglet/shaper.h"
#include "tools/pigctl/list.h"

/* What a class line may say once each. */
enum shaper_option {
    SHAPER_RATE,
    SHAPER_CEILING,
    SHAPER_PRIORITY,
    SHAPER_BURST,
    SHAPER_TARGET,
    SHAPER_INTERVAL,
    SHAPER_QUANTUM,
    SHAPER_LIMIT_FRAMES,
    SHAPER_LIMIT_BYTES,
    SHAPER_OPTIONS,
};

/* Values are in bit/s, bytes and us. */
struct shaper_options {
    uint64_t value[SHAPER_OPTIONS];
    struct place said[SHAPER_OPTIONS]; /* line 0: it is not */
};

/* A line of a match: as many as its lists have combinations. */
struct shaper_match_line {
    struct piglet_shaper_match match; /* but for the lists */
    struct list list[LISTS];
    struct place said[LISTS]; /* line 0: it is not */
};

struct shaper_reader {
    const struct words *words;
    unsigned at; /* next word */
};

/* All that read return an exit code, having complained. */

/* ---- shaper.c ------------------------------------------------------------------------------------ */

/* The block's table; of no lines one without classes. */
int shaper_compile(const struct block_lines *lines, struct bytes *table);

/* ---- shaper_line.c ------------------------------------------------------------------------------- */

const struct word *shaper_peek(const struct shaper_reader *reader); /* NULL: none is left */
bool shaper_take_if(struct shaper_reader *reader, const char *text);

/* Complains of the next word, or that there is none. */
int shaper_wrong(const struct shaper_reader *reader, const char *expected);

/* "rate 1mbit ceiling 5mbit ...", to the line's end. */
int shaper_options_read(struct shaper_reader *reader, struct shaper_options *options);

/* "udp dscp 46 destination port 80-443 ...", to the line's end. */
int shaper_match_read(struct shaper_reader *reader, struct shaper_match_line *line);

#endif
