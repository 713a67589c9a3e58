/* The log: a ring of lines and the console, rate-limited. Never called per frame.
 *
 * A line says who first: "nic0: link up 1000 Mb/s". Lines beyond LOG_BURST are held to
 * LOG_PER_SECOND; what was held back is counted and said. Errors are never held back by others. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };

enum {
    LOG_LINES = 256,    /* kept in the ring: a boot and its trouble */
    LOG_LINE_MAX = 160, /* bytes of a line with its NUL; longer ones are cut and end in "..." */
    LOG_BURST = 100,    /* lines at once: a boot with every nic failing */
    LOG_PER_SECOND = 10,
};

struct log_line {
    uint64_t at_ns;
    uint8_t level;
    char text[LOG_LINE_MAX];
};

struct log {
    enum log_level level; /* what goes to the console; the ring takes LOG_INFO and above always */
    uint64_t written;     /* lines ever; the ring holds the last LOG_LINES */
    uint64_t held_back;   /* lines ever not written for the rate limit */
    uint64_t held_said;   /* of those, already said */
    uint64_t credit_ns;   /* time of the token bucket */
    struct log_line line[LOG_LINES];
};

extern const char *const log_level_name[LOG_LEVEL_COUNT];

void log_start(struct log *log, enum log_level level);

void log_write(struct log *log, enum log_level level, const char *who, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Line number `number` (0 is the first ever), or NULL when the ring has let it go or it is not
 * written yet. */
const struct log_line *log_line(const struct log *log, uint64_t number);

#endif
