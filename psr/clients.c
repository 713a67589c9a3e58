/* The clients' side of the loop: whose window to look at, when, and for how long. */
#include "psr/client.h"

#include <string.h>

#include "kernel/loop.h"
#include "kernel/chain.h"

/* ---- who is looked at in every turn ----------------------------------------------------------------- */

void client_activate(struct client *client)
{
    struct clients *clients = client->core->clients;
    client->worked_ns = client->core->now_ns;
    if (client->active)
        return;
    client->active = true;
    client->active_at = (uint16_t)clients->active_count;
    clients->active[clients->active_count++] = client->number;
    SHARED_STORE(client->header->polled, 1);
}

static void client_deactivate(struct client *client)
{
    struct clients *clients = client->core->clients;
    uint16_t last = clients->active[--clients->active_count];
    clients->active[client->active_at] = last;
    clients->client[last].active_at = client->active_at;
    client->active = false;
    SHARED_STORE(client->header->polled, 0);
}

static bool client_has_work(const struct client *client)
{
    return client->attached &&
           (client->chain.active || chain_posted(client) || framesets_posted(client));
}

/* No post is overlooked: the client stores its chain, then a full fence, then looks at `polled`; we
 * store `polled`, then a full fence, then look for a chain. One of the two sees the other. */
void client_rest(struct client *client)
{
    client_deactivate(client);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* One that waits for room rings when it has taken events, if it finds `polled` 0: likewise. */
    if (client_has_work(client) &&
        (!client->waiting || SHARED_LOAD(client->header->events_taken) != client->events_taken))
        client_activate(client);
}

/* ---- hints -------------------------------------------------------------------------------------------- */

/* Somebody says there is something in this window. */
static void client_look(struct client *client)
{
    if (!client->window)
        return;
    attachment_look(client);
    if (client_has_work(client))
        client_activate(client);
}

static void bell_look(struct clients *clients)
{
    uint64_t summary = __atomic_exchange_n(&clients->bell->summary, 0, __ATOMIC_ACQ_REL);
    for (; summary; summary &= summary - 1) {
        unsigned at = (unsigned)__builtin_ctzll(summary);
        uint64_t word = __atomic_exchange_n(&clients->bell->word[at], 0, __ATOMIC_ACQ_REL);
        for (; word; word &= word - 1) {
            unsigned number = at * 64 + (unsigned)__builtin_ctzll(word);
            if (number < clients->limit)
                client_look(&clients->client[number]);
        }
    }
}

/* Windows whose clients cannot reach the bell page have a bell of their own; there are few. */
static void bells_look(struct clients *clients)
{
    for (unsigned i = 0; i < clients->unbelled; i++) {
        struct client *client = &clients->client[clients->unbelled_number[i]];
        uint32_t bell = SHARED_LOAD_ACQUIRE(client->header->bell);
        if (bell == client->bell && !(client->attached && chain_posted(client)))
            continue;
        client->bell = bell;
        client_look(client);
    }
}

/* All windows, a few in each tick: a hint that was lost only delays. Also the place for what is
 * done now and then in each window. */
static void clients_sweep(struct clients *clients)
{
    struct core *core = clients->core;
    unsigned count = (clients->limit + SWEEP_TICKS - 1) / SWEEP_TICKS;
    clients->sweep_due_ns += SWEEP_TICK_US * 1000ull;
    if (clients->sweep_due_ns + PIGLET_SWEEP_MS * 1000000ull < core->now_ns)
        clients->sweep_due_ns = core->now_ns - PIGLET_SWEEP_MS * 1000000ull; /* once round is all */
    for (; count; count--) {
        struct client *client = &clients->client[clients->sweep_at];
        clients->sweep_at = clients->sweep_at + 1 == clients->limit ? 0 : clients->sweep_at + 1;
        if (!client->window)
            continue;
        client_look(client);
        attachment_beat(client);
    }
}

/* ---- waking clients -------------------------------------------------------------------------------------- */

void client_notify(struct client *client)
{
    struct clients *clients = client->core->clients;
    if (client->notified)
        return;
    if (clients->notify_count == BATCH_MAX)
        clients_notify(clients);
    client->notified = true;
    clients->notify[clients->notify_count++] = client->number;
}

/* The client stores `sleeping`, then a full fence, then looks for events and frames once more; our
 * stores of these lie before this fence. So either it sees them, or we see that it sleeps. */
void clients_notify(struct clients *clients)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < clients->notify_count; i++) {
        struct client *client = &clients->client[clients->notify[i]];
        client->notified = false;
        if (client->window && client->window->driver->wake && SHARED_LOAD(client->header->sleeping))
            client->window->driver->wake(client->window);
    }
    clients->notify_count = 0;
}

/* ---- the phase --------------------------------------------------------------------------------------------- */

static unsigned client_run(struct client *client, unsigned budget)
{
    struct core *core = client->core;
    unsigned spent = 0;
    if (client->chain.active || chain_posted(client))
        spent = chain_run_slice(client, budget < SLICE_REQUESTS ? budget : SLICE_REQUESTS);
    if (client->framesets_started)
        spent += framesets_send(client);
    if (spent) {
        uint64_t before_ns = core->account_ns;
        client->worked_ns = core->now_ns;
        core_account(core, core->time_ns[PHASE_REQUESTS]);
        client->time_ns += core->account_ns - before_ns;
    }
    return spent;
}

/* A slice for each, beginning behind where the last turn's budget ended. */
static bool clients_slices(struct clients *clients)
{
    struct core *core = clients->core;
    unsigned budget = TURN_REQUESTS, count = clients->active_count;
    bool worked = false;
    if (clients->active_first >= count)
        clients->active_first = 0;
    for (unsigned i = 0, at = clients->active_first; i < count && budget; i++) {
        struct client *client = &clients->client[clients->active[at]];
        unsigned spent = client_run(client, budget);
        budget -= spent < budget ? spent : budget;
        worked |= spent != 0;
        clients->active_first = at = at + 1 >= count ? 0 : at + 1;
    }
    /* From the end: resting moves the last one into the gap. */
    for (unsigned i = clients->active_count; i-- > 0;) {
        struct client *client = &clients->client[clients->active[i]];
        if (core->now_ns - client->worked_ns > ACTIVE_US * 1000ull)
            client_rest(client);
    }
    return worked;
}

bool clients_run(struct core *core)
{
    struct clients *clients = core->clients;
    bool worked = false;
    if (clients->bell && SHARED_LOAD(clients->bell->summary)) {
        bell_look(clients);
        worked = true;
    }
    if (clients->unbelled)
        bells_look(clients);
    if (core->now_ns >= clients->sweep_due_ns && clients->open) {
        clients_sweep(clients);
        worked |= core->now_ns >= clients->sweep_due_ns; /* behind: go on before sleeping */
    }
    if (clients->active_count) {
        core->running = "client requests";
        worked |= clients_slices(clients);
    }
    if (clients->notify_count)
        clients_notify(clients);
    return worked;
}

bool clients_active(const struct core *core)
{
    return core->clients->active_count != 0;
}

void clients_arm(struct core *core, bool on)
{
    struct clients *clients = core->clients;
    if (on)
        for (unsigned i = clients->active_count; i-- > 0;)
            client_rest(&clients->client[clients->active[i]]);
    if (!clients->bell)
        return;
    SHARED_STORE(clients->bell->asleep, on);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the loop looks once more, and sleeps */
}

uint64_t clients_sleep_max_ns(const struct core *core)
{
    const struct clients *clients = core->clients;
    uint64_t max_ns = clients->open ? PIGLET_SWEEP_MS * 1000000ull : UINT64_MAX;
    for (unsigned i = 0; i < clients->unbelled; i++)
        if (clients->client[clients->unbelled_number[i]].attached)
            max_ns = IDLE_BLIND_US * 1000ull;
    return max_ns;
}

void clients_attend(struct core *core)
{
    for (unsigned i = 0; window_drivers[i]; i++)
        if (window_drivers[i]->attend)
            window_drivers[i]->attend(core);
}

/* ---- start and stop ------------------------------------------------------------------------------------------ */

static void clients_count_start(struct clients *clients)
{
    struct counter_registry *registry = &clients->core->counters;
    static const struct {
        size_t place;
        const char *what, *help;
    } row[] = {
        {offsetof(struct clients, requests), "requests", "requests run"},
        {offsetof(struct clients, chains), "chains", "chains ended"},
        {offsetof(struct clients, failed), "failed", "chains with a failure"},
        {offsetof(struct clients, undone), "undone", "atomic chains undone"},
        {offsetof(struct clients, cancelled), "cancelled", "chains their clients cancelled"},
        {offsetof(struct clients, lies), "lies", "fields in windows that could not be meant"},
        {offsetof(struct clients, rx_frames), "rx_frames", "frames given to clients"},
        {offsetof(struct clients, tx_frames), "tx_frames", "frames sent for clients"},
        {offsetof(struct clients, dropped), "dropped", "frames that clients had no room for"},
        {offsetof(struct clients, refused), "refused", "frames of clients that may not be sent"},
        {offsetof(struct clients, attachments), "attachments", "times a client attached"},
        {offsetof(struct clients, heartbeats_lost), "heartbeats_lost",
         "clients detached because their heartbeat stood still"},
    };
    for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++)
        *(uint64_t **)((char *)clients + row[i].place) =
            counter_new(registry, "clients", row[i].what, row[i].help);
}

static bool windows_probe_device(struct core *core, const struct arch_device *device)
{
    for (unsigned i = 0; window_drivers[i]; i++) {
        if (!window_drivers[i]->match(device))
            continue;
        int error = window_drivers[i]->probe(core, device);
        if (error < 0)
            log_write(&core->log, LOG_ERROR, "clients", "%s left out: %s", device->name,
                      piglet_error_text(error));
        return true;
    }
    return false;
}

bool clients_know(const struct arch_device *device)
{
    for (unsigned i = 0; window_drivers[i]; i++)
        if (window_drivers[i]->match(device))
            return true;
    return false;
}

/* Without anything that could give windows, no memory is spent on clients. */
static unsigned clients_limit(const struct core *core, unsigned modules)
{
    unsigned limit = modules ? 1 : 0; /* one is gone before the next one comes */
    if (core->client_limit)
        return core->client_limit;
    for (unsigned i = 0; i < core->device_count; i++)
        if (clients_know(&core->device[i]))
            limit += core->device[i].bus == ARCH_BUS_HOST ? CLIENTS_OF_SOCKET : 1;
    return limit < PIGLET_CLIENTS_MAX ? limit : PIGLET_CLIENTS_MAX;
}

int clients_start(struct core *core, unsigned modules)
{
    unsigned limit = core->client_limit = clients_limit(core, modules);
    struct service_self *service = chain_find(core, "clients");
    if (service)
        core->receive_kinds[service->index] = 0; /* until there is a frameset */
    if (limit == 0)
        return 0;
    struct clients *clients = arch_memory_take(sizeof *clients, FRAME_METADATA);
    if (!clients)
        return ERR_NO_MEMORY;
    clients->core = core;
    clients->limit = limit;
    clients->undo = clients->undo_own;
    clients->undo_room = UNDO_MAX;
    clients->client = arch_memory_take(limit * sizeof(struct client), FRAME_METADATA);
    clients->active = arch_memory_take(limit * sizeof(uint16_t), FRAME_METADATA);
    clients->unbelled_number = arch_memory_take(limit * sizeof(uint16_t), FRAME_METADATA);
    clients->port = arch_memory_take((UINT16_MAX + 1) * sizeof(uint16_t), FRAME_METADATA);
    if (!clients->client || !clients->active || !clients->unbelled_number || !clients->port)
        return ERR_NO_MEMORY;
    clients->service = service;
    clients->port_next = PORT_EPHEMERAL;
    clients->sweep_due_ns = core->now_ns;
    for (unsigned i = 0; i < limit; i++) {
        clients->client[i].core = core;
        clients->client[i].number = (uint16_t)i;
    }
    clients_count_start(clients);
    core->clients = clients;
    for (unsigned i = 0; i < core->device_count; i++)
        windows_probe_device(core, &core->device[i]);
    return 0;
}

void clients_stop(struct core *core)
{
    struct clients *clients = core->clients;
    for (unsigned i = 0; window_drivers[i]; i++)
        if (window_drivers[i]->stop)
            window_drivers[i]->stop(core);
    for (unsigned i = 0; i < clients->limit; i++)
        if (clients->client[i].window)
            window_close(core, clients->client[i].window);
}
