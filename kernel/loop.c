/* The loop: everything the kernel does, in the order it does it. */
#include "kernel/loop.h"

#include "kernel/chain.h"
#include "kernel/classify.h"
#include "kernel/clients.h"
#include "kernel/report.h"

const char *const phase_name[PHASE_COUNT] = {
    [PHASE_EVENTS] = "events",
    [PHASE_RECEIVE] = "receive",
    [PHASE_TIMERS] = "timers",
    [PHASE_REQUESTS] = "requests",
    [PHASE_YIELDED] = "yielded",
    [PHASE_TRANSMIT] = "transmit",
    [PHASE_HOUSEKEEPING] = "housekeeping",
    [PHASE_POLLING] = "polling",
    [PHASE_IDLE] = "idle",
};

static bool loop_events(struct core *core)
{
    if (!events_pending(&core->events))
        return false;
    events_run(&core->events, &core->running);
    core_account(core, core->time_ns[PHASE_EVENTS]);
    return true;
}

/* One batch of each nic, run to completion: through the receive chain, and what that sent through
 * the transmit chain into the rings, before the next nic's is taken. */
static bool loop_receive(struct core *core)
{
    bool worked = false;
    struct frame *store[BATCH_MAX];
    for (unsigned i = 0; i < core->nic_count; i++) {
        struct nic *nic = &core->nic[i];
        struct batch batch = {.frame = store};
        batch.count = nic->driver->receive(nic, store, BATCH_MAX);
        if (batch.count == 0)
            continue;
        core->running = nic->name;
        if (__builtin_expect(nic->joined, 0))
            clients_received(core, nic, &batch);
        classify(core, nic, &batch);
        if (__builtin_expect(core->recorder.all, 0))
            recorder_note_all(&core->recorder, &batch, nic->name, core->now_ns);
        core_account(core, core->time_ns[PHASE_RECEIVE]);
        chain_receive(core, &batch, 0);
        chain_flush(core);
        worked = true;
    }
    return worked;
}

static bool loop_timers(struct core *core)
{
    if (core->now_ns < core->timers_due_ns)
        return false;
    unsigned spent = timer_wheel_run(&core->timers, core->now_ns, TIMER_BUDGET);
    core->timers_due_ns = timer_wheel_next_ns(&core->timers);
    core_account(core, core->time_ns[PHASE_TIMERS]);
    return spent != 0;
}

static bool loop_requests(struct core *core)
{
    return core->clients && clients_run(core);
}

static bool loop_yielded(struct core *core)
{
    if (core->yielded.count == 0)
        return false;
    chain_yielded(core);
    core_account(core, core->time_ns[PHASE_YIELDED]);
    return true;
}

/* What timers, events and clients sent. */
static bool loop_flush(struct core *core)
{
    if (!core->unflushed)
        return false;
    chain_flush(core);
    return true;
}

static bool loop_housekeeping(struct core *core)
{
    if (core->now_ns < core->housekeeping_due_ns)
        return false;
    core->running = "housekeeping";
    core->housekeeping_due_ns = core->now_ns + HOUSEKEEPING_MS * 1000000ull;
    for (unsigned i = 0; i < core->nic_count; i++)
        core->nic[i].driver->attend(&core->nic[i]);
    if (core->clients)
        clients_attend(core);
    if (report_run(core))
        core->housekeeping_due_ns = core->now_ns; /* more lines to come: next turn */
    core_account(core, core->time_ns[PHASE_HOUSEKEEPING]);
    return true;
}

bool loop_turn(struct core *core)
{
    /* What went by since anything was charged was looking for work in vain: one reading of the clock
     * serves both. */
    core->now_ns = arch_clock_ns();
    *core->time_ns[PHASE_POLLING] += core->now_ns - core->account_ns;
    core->account_ns = core->now_ns;
    bool worked = loop_events(core);
    worked |= loop_receive(core);
    worked |= loop_timers(core);
    worked |= loop_requests(core);
    worked |= loop_yielded(core);
    worked |= loop_flush(core);
    worked |= loop_housekeeping(core);
    return worked;
}

static void loop_arm(struct core *core, bool on)
{
    core->armed = on;
    for (unsigned i = 0; i < core->nic_count; i++)
        core->nic[i].driver->interrupts(&core->nic[i], on);
    if (core->clients)
        clients_arm(core, on);
}

/* How long the core may sleep on its nics: those that cannot wake it must be polled, and those
 * whose link changes in silence looked at. */
static uint64_t loop_sleep_max_ns(const struct core *core)
{
    uint64_t max_ns = IDLE_SLEEP_MAX_MS * 1000000ull;
    for (unsigned i = 0; i < core->nic_count; i++) {
        const struct nic *nic = &core->nic[i];
        uint64_t most_ns = max_ns;
        if (nic_present(nic) && !nic->interrupts_work)
            most_ns = IDLE_BLIND_US * 1000ull;
        else if (nic_present(nic) && !nic->link_interrupts)
            most_ns = NIC_ATTEND_MS * 1000000ull;
        if (most_ns < max_ns)
            max_ns = most_ns;
    }
    if (core->clients && clients_sleep_max_ns(core) < max_ns)
        max_ns = clients_sleep_max_ns(core);
    return max_ns;
}

static uint64_t loop_wake_ns(const struct core *core)
{
    uint64_t wake_ns = core->now_ns + loop_sleep_max_ns(core);
    if (core->timers_due_ns < wake_ns)
        wake_ns = core->timers_due_ns;
    uint64_t report_ns = report_due_ns(core);
    return report_ns < wake_ns ? report_ns : wake_ns;
}

/* No lost wake-up, in two empty turns. The first lets the nics interrupt; the second has looked at
 * every ring, event and timer after that, and found nothing. A frame that arrives later than that
 * look raises an interrupt, which stays pending (interrupts are off) until arch_idle takes it and
 * so ends at once. A frame that arrived before the look was found by it. */
void loop_nothing(struct core *core)
{
    if (!core->clients || !clients_active(core))
        arch_pause();
    if (core->idle_mode == IDLE_POLL)
        return;
    if (!core->armed) {
        if (core->idle_mode == IDLE_HALT ||
            core->now_ns - core->worked_ns >= IDLE_SPIN_US * 1000ull)
            loop_arm(core, true);
        return;
    }
    core->running = "idle";
    arch_idle(loop_wake_ns(core));
    ++*core->sleeps;
    if (core->clients)
        clients_attend(core); /* somebody at the door may be what ended the sleep */
    core_account(core, core->time_ns[PHASE_IDLE]);
}

void loop_run(struct core *core)
{
    while (!core->stop && !arch_stop_wanted()) {
        ++*core->turns;
        if (!loop_turn(core)) {
            loop_nothing(core);
            continue;
        }
        ++*core->turns_worked;
        core->worked_ns = core->now_ns;
        if (core->armed)
            loop_arm(core, false);
    }
}
