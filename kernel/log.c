/* The log: a ring of lines and the console. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "kernel/log.h"

#define NS_PER_SECOND 1000000000ull
#define LOG_LINE_NS   (NS_PER_SECOND / LOG_PER_SECOND) /* what one line costs of the credit */

const char *const log_level_name[LOG_LEVEL_COUNT] = {"error", "warning", "info", "debug"};

void log_start(struct log *log, enum log_level level)
{
    log->level = level;
}

/* Token bucket: credit_ns is the time up to which lines are paid for. */
static bool log_may_write(struct log *log, uint64_t now_ns)
{
    uint64_t oldest = now_ns > LOG_BURST * LOG_LINE_NS ? now_ns - LOG_BURST * LOG_LINE_NS : 0;
    if (log->credit_ns < oldest)
        log->credit_ns = oldest;
    /* The machine's first seconds have the whole burst too, though there is no time behind them. */
    if (log->credit_ns + LOG_LINE_NS > now_ns + (oldest ? 0 : LOG_BURST * LOG_LINE_NS))
        return false;
    log->credit_ns += LOG_LINE_NS;
    return true;
}

/* Foreign bytes may be in a line: what is not printable must not reach a terminal. */
static void log_clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
}

static void log_put(struct log *log, enum log_level level, uint64_t now_ns, const char *text)
{
    struct log_line *line = &log->line[log->written++ % LOG_LINES];
    line->at_ns = now_ns;
    line->level = (uint8_t)level;
    snprintf(line->text, sizeof line->text, "%s", text);
    if (level > log->level)
        return;
    char out[LOG_LINE_MAX + 24];
    unsigned long seconds = (unsigned long)(now_ns / NS_PER_SECOND);
    unsigned long micros = (unsigned long)(now_ns % NS_PER_SECOND / 1000);
    int bytes = snprintf(out, sizeof out, "[%5lu.%06lu] %s%s\n", seconds, micros,
                         level == LOG_ERROR ? "ERROR " : "", text);
    arch_console_write(out, (size_t)bytes < sizeof out ? (size_t)bytes : sizeof out - 1);
}

void log_write(struct log *log, enum log_level level, const char *who, const char *format, ...)
{
    if (level > log->level && level > LOG_INFO)
        return;
    uint64_t now_ns = arch_clock_ns();
    if (level != LOG_ERROR && !log_may_write(log, now_ns)) {
        log->held_back++;
        return;
    }
    char text[LOG_LINE_MAX];
    int used = snprintf(text, sizeof text, "%s: ", who);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    if (used + more >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    log_clean(text);
    if (log->held_back != log->held_said) {
        char held[64];
        snprintf(held, sizeof held, "log: %lu lines were held back",
                 (unsigned long)(log->held_back - log->held_said));
        log->held_said = log->held_back;
        log_put(log, LOG_WARNING, now_ns, held);
    }
    log_put(log, level, now_ns, text);
}

const struct log_line *log_line(const struct log *log, uint64_t number)
{
    if (number >= log->written || log->written - number > LOG_LINES)
        return NULL;
    return &log->line[number % LOG_LINES];
}
