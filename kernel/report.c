/* Reports on the console. */
#include "kernel/report.h"

#include <stdio.h>

#include "kernel/chain.h"

enum { REPORT_LINE_MAX = 256 };

static void report_line(const char *line, int bytes)
{
    if (bytes < 0)
        return;
    arch_console_write(line, bytes < REPORT_LINE_MAX ? (size_t)bytes : REPORT_LINE_MAX - 1);
}

/* " eth-too-short=3 ip-ttl=1": where drops went, as far as the line is long. */
static int report_drops(const struct core *core, char *line, int room)
{
    int used = 0;
    for (unsigned i = 1; i < DROP_REASON_COUNT && used < room; i++)
        if (core->drop[i])
            used += snprintf(line + used, (size_t)(room - used), " %s=%llu", drop_text[i].name,
                             (unsigned long long)core->drop[i]);
    return used < room ? used : room - 1;
}

void report_status(struct core *core)
{
    char line[REPORT_LINE_MAX];
    unsigned long long rx = 0, tx = 0, drops = 0;
    for (unsigned i = 0; i < core->nic_count; i++) {
        rx += *core->nic[i].count.rx_frames;
        tx += *core->nic[i].count.tx_frames;
    }
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++)
        drops += core->drop[i];
    uint64_t idle_ns = *core->time_ns[PHASE_POLLING] + *core->time_ns[PHASE_IDLE];
    uint64_t busy_ns = core->account_ns - idle_ns;
    uint64_t span_ns = core->account_ns - core->report.last_ns;
    unsigned permille =
        span_ns ? (unsigned)((busy_ns - core->report.last_busy_ns) * 1000 / span_ns) : 0;
    core->report.last_ns = core->account_ns;
    core->report.last_busy_ns = busy_ns;

    int used = snprintf(
        line, sizeof line, "status: up %lu s, rx %llu, tx %llu, load %u.%u %%, drops %llu",
        (unsigned long)(core->now_ns / 1000000000), rx, tx, permille / 10, permille % 10, drops);
    if (used < REPORT_LINE_MAX - 2)
        used += report_drops(core, line + used, REPORT_LINE_MAX - 1 - used);
    line[used++] = '\n';
    report_line(line, used);
}

/* Prints up to `lines` non-zero counters from number *next on; false when that was all of them. */
static bool report_some(struct core *core, unsigned *next, unsigned lines)
{
    const struct counter_registry *registry = &core->counters;
    char line[REPORT_LINE_MAX];
    while (*next < registry->count && lines) {
        unsigned i = (*next)++;
        if (!registry->value[i])
            continue;
        report_line(line,
                    snprintf(line, sizeof line, "counter %s %llu\n", registry->counter[i].name,
                             (unsigned long long)registry->value[i]));
        lines--;
    }
    if (*next < registry->count)
        return true;
    report_line(line, snprintf(line, sizeof line, "counter end\n"));
    return false;
}

void report_counters(struct core *core)
{
    unsigned next = 0;
    while (report_some(core, &next, COUNTERS_MAX))
        ;
}

uint64_t report_due_ns(const struct core *core)
{
    const struct report *report = &core->report;
    uint64_t due_ns = report->dumping ? core->now_ns : UINT64_MAX;
    if (report->status_every_ns && report->status_due_ns < due_ns)
        due_ns = report->status_due_ns;
    if (report->dump_every_ns && report->dump_due_ns < due_ns)
        due_ns = report->dump_due_ns;
    return due_ns;
}

bool report_run(struct core *core)
{
    struct report *report = &core->report;
    if (report->status_every_ns && core->now_ns >= report->status_due_ns) {
        report->status_due_ns = core->now_ns + report->status_every_ns;
        report_status(core);
    }
    if (!report->dumping && report->dump_every_ns && core->now_ns >= report->dump_due_ns) {
        report->dump_due_ns = core->now_ns + report->dump_every_ns;
        report->dumping = true;
        report->dump_next = 0;
    }
    if (report->dumping)
        report->dumping = report_some(core, &report->dump_next, REPORT_LINES_PER_TURN);
    return report->dumping;
}
