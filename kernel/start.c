/* From a machine to a running core, and back; kernel_main. */
#include "kernel/start.h"

#include <stdio.h>
#include <string.h>

#include "kernel/chain.h"
#include "kernel/clients.h"
#include "kernel/config.h"
#include "kernel/loop.h"
#include "kernel/report.h"
#include "piglet/window.h"

enum { WINDOW_BYTES = 1 << 20 }; /* without `window=` */

#ifndef PIGLET_VERSION
#define PIGLET_VERSION "0"
#endif

static struct core *core_refuse(const char *why)
{
    char line[96];
    int bytes = snprintf(line, sizeof line, "piglet: cannot start: %s\n", why);
    arch_console_write(line, (size_t)bytes);
    return NULL;
}

static void core_count_start(struct core *core)
{
    /* The first counters of an empty registry lie one behind the other: drop[reason] finds its own.
     */
    core->drop = counter_new(&core->counters, "drop", drop_text[0].name, drop_text[0].sentence);
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++)
        counter_new(&core->counters, "drop", drop_text[i].name, drop_text[i].sentence);
    core->frames.exhausted = &core->drop[DROP_NO_FRAME];
    for (unsigned i = 0; i < PHASE_COUNT; i++)
        core->time_ns[i] = counter_new(&core->counters, "time_ns", phase_name[i],
                                       "time spent in this phase of the loop");
    core->turns = counter_new(&core->counters, "loop", "turns", "turns of the loop");
    core->turns_worked = counter_new(&core->counters, "loop", "turns_worked", "turns with work");
    core->sleeps = counter_new(&core->counters, "loop", "sleeps", "times the loop slept");
}

/* Half of what memory is left: the other half is for the nics' rings, services and windows. */
static int core_frames_start(struct core *core)
{
    size_t count = arch_memory_left() / 2 / FRAME_STRIDE;
    if (count > FRAMES_MAX)
        count = FRAMES_MAX;
    if (count < FRAMES_MIN)
        return ERR_NO_MEMORY;
    return frame_pool_start(&core->frames, (unsigned)count);
}

static void core_services_start(struct core *core)
{
    for (unsigned i = 0; i < core->service_count; i++)
        if (core->service[i].wanted)
            chain_service_start(core, &core->service[i]);
}

static void core_self_test(struct core *core)
{
    char list[96] = "";
    size_t used = 0;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = &core->routes.address[i];
        if (!address->ip)
            continue;
        log_write(&core->log, LOG_INFO, core->nic[address->nic].name, "address %s/%u%s%s",
                  ip_text(address->ip).text, address->length, address->gateway ? " gateway " : "",
                  address->gateway ? ip_text(address->gateway).text : "");
    }
    for (unsigned i = 0; i < core->service_count; i++)
        if (core->service[i].running && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, " %s",
                                     core->service[i].service->name);
    log_write(&core->log, LOG_INFO, "piglet", "ready: %u nics, %u frames, services:%s",
              core->nic_count, core->frames.total, list);
}

struct core *core_start(const struct arch_boot *boot)
{
    struct core *core = arch_memory_take(sizeof *core, FRAME_METADATA);
    if (!core)
        return core_refuse("no memory for the core");
    core->running = "start";
    arch_watch(&core->running);
    core->now_ns = core->account_ns = core->worked_ns = arch_clock_ns();
    log_start(&core->log, LOG_INFO);
    config_early(core, boot->command_line);
    log_write(&core->log, LOG_INFO, "piglet", "%s on %s", PIGLET_VERSION, boot->machine);
    if (boot->processor)
        log_write(&core->log, LOG_INFO, "processor", "%s", boot->processor);
    core->machine = boot->machine;
    core->window_bytes = WINDOW_BYTES;
    core->window_rights = PIGLET_RIGHT_ALL;

    timer_wheel_start(&core->timers, core->now_ns);
    core->timers_due_ns = UINT64_MAX;
    if (counter_registry_start(&core->counters) < 0)
        return core_refuse("no memory for counters");
    core_count_start(core);
    if (route_table_start(&core->routes) < 0)
        return core_refuse("no memory for routes");
    if (chain_start(core) < 0)
        return core_refuse("no memory for services");
    if (core_frames_start(core) < 0)
        return core_refuse("no memory for frames");
    recorder_start(&core->recorder);
    nics_start(core);
    config_apply(core, boot->command_line);
    core_services_start(core);
    if (clients_start(core, boot->module_count) < 0)
        log_write(&core->log, LOG_ERROR, "clients", "no memory for them: there will be none");
    else if (core->clients)
        clients_modules(core, boot);
    core_self_test(core);
    return core;
}

unsigned core_stop(struct core *core)
{
    if (core->clients)
        clients_stop(core);
    for (unsigned i = 0; i < core->service_count; i++)
        chain_service_stop(core, &core->service[i]);
    while (core->yielded.count) {
        core_drop(core, core->yielded.frame[core->yielded.first], DROP_SERVICE_STOPPED);
        core->yielded.first = (core->yielded.first + 1) % YIELDED_MAX;
        core->yielded.count--;
    }
    chain_flush(core);
    nics_stop(core);
    return core->frames.total - core->frames.free_count;
}

int kernel_main(const struct arch_boot *boot)
{
    struct core *core = core_start(boot);
    if (!core)
        return 1;
    loop_run(core);
    log_write(&core->log, LOG_INFO, "piglet", "stopping");
    report_counters(core);
    unsigned lost = core_stop(core);
    if (lost)
        log_write(&core->log, LOG_ERROR, "piglet", "%u frames were lost", lost);
    if (core->stop == CORE_STOP_REBOOT)
        arch_reboot();
    return lost ? 1 : 0;
}
