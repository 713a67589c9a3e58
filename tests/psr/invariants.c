/* Checks all that the clients' side keeps against itself. */
#include "tests/psr/invariants.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char wrong[160];

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong, sizeof wrong, format, arguments);
    va_end(arguments);
    return wrong;
}

#define CHECK(truth, ...)                                                                          \
    do {                                                                                           \
        if (!(truth))                                                                              \
            return say(__VA_ARGS__);                                                               \
    } while (0)

#define CHECK_ALL(call)                                                                            \
    do {                                                                                           \
        const char *said = (call);                                                                 \
        if (said)                                                                                  \
            return said;                                                                           \
    } while (0)

/* ---- capabilities and what they name ------------------------------------------------------------ */

enum { PLACES = MEMORIES_MAX + FRAMESETS_MAX + TIMERS_MAX + 1 };

/* The client's places for objects, by number. */
static const struct object *object_at(const struct client *client, unsigned place)
{
    if (place < MEMORIES_MAX)
        return &client->memory[place].object;
    place -= MEMORIES_MAX;
    if (place < FRAMESETS_MAX)
        return &client->frameset[place].object;
    place -= FRAMESETS_MAX;
    return place < TIMERS_MAX ? &client->timer[place].object : &client->system;
}

static enum object_type type_at(unsigned place)
{
    if (place < MEMORIES_MAX)
        return OBJECT_MEMORY;
    if (place < MEMORIES_MAX + FRAMESETS_MAX)
        return OBJECT_FRAMESET;
    return place < PLACES - 1 ? OBJECT_TIMER : OBJECT_SYSTEM;
}

/* Which place; PLACES: none. */
static unsigned object_place(const struct client *client, const struct object *object)
{
    unsigned place = 0;
    while (place < PLACES && object_at(client, place) != object)
        place++;
    return place;
}

static const char *capability_wrong(const struct client *client, unsigned slot)
{
    const struct capability *entry = &client->capability[slot];
    CHECK(entry->state == CAPABILITY_LIVE, "client %u: slot %u is in state %u between chains",
          client->number, slot, entry->state);
    CHECK(entry->generation != 0, "client %u: slot %u has generation 0", client->number, slot);
    CHECK(entry->depth <= COPY_DEPTH_MAX, "client %u: slot %u is a copy of depth %u",
          client->number, slot, entry->depth);
    if (entry->parent == NO_PARENT)
        return NULL;
    const struct capability *parent = &client->capability[entry->parent];
    CHECK(parent->state == CAPABILITY_LIVE && parent->object == entry->object &&
              (entry->rights & ~parent->rights) == 0,
          "client %u: slot %u is no copy of slot %u", client->number, slot, entry->parent);
    return NULL;
}

static const char *capabilities_wrong(const struct client *client, unsigned names[PLACES])
{
    unsigned copies[PIGLET_CAPABILITIES_MAX] = {0}, count = 0;
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++) {
        const struct capability *entry = &client->capability[i];
        if (entry->state == CAPABILITY_FREE)
            continue;
        CHECK_ALL(capability_wrong(client, i));
        unsigned place = object_place(client, entry->object);
        CHECK(place < PLACES && entry->object->type == type_at(place),
              "client %u: slot %u names an object that has ended", client->number, i);
        names[place]++;
        count++;
        if (entry->parent != NO_PARENT)
            copies[entry->parent]++;
    }
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++)
        CHECK(client->capability[i].state == CAPABILITY_FREE ||
                  copies[i] == client->capability[i].copies,
              "client %u: slot %u has %u copies and counts %u", client->number, i, copies[i],
              client->capability[i].copies);
    CHECK(count == client->capabilities, "client %u: %u capabilities, counted %u", client->number,
          count, client->capabilities);
    return NULL;
}

static const char *objects_wrong(const struct client *client)
{
    unsigned names[PLACES] = {0};
    CHECK_ALL(capabilities_wrong(client, names));
    for (unsigned i = 0; i < PLACES; i++) {
        const struct object *object = object_at(client, i);
        CHECK(names[i] == object->names, "client %u: object %u of type %u has %u names, counts %u",
              client->number, i, object->type, names[i], object->names);
        CHECK(names[i] || object->type == OBJECT_NONE || object->type == OBJECT_SYSTEM,
              "client %u: object %u of type %u lives without a name", client->number, i,
              object->type);
    }
    return NULL;
}

/* ---- memory --------------------------------------------------------------------------------------- */

static const char *pages_wrong(const struct client *client)
{
    static uint64_t used[DATA_PAGES_MAX / 64];
    unsigned pages = 0;
    memset(used, 0, sizeof used);
    for (unsigned i = 0; i < MEMORIES_MAX; i++) {
        const struct memory *memory = &client->memory[i];
        if (memory->object.type == OBJECT_NONE)
            continue;
        CHECK(memory->pages && memory->pages <= client->data_pages &&
                  memory->page <= client->data_pages - memory->pages,
              "client %u: memory %u lies outside the window's data", client->number, i);
        for (unsigned page = memory->page; page < memory->page + memory->pages; page++) {
            CHECK(!(used[page / 64] >> page % 64 & 1), "client %u: page %u belongs to two memories",
                  client->number, page);
            used[page / 64] |= 1ull << page % 64;
        }
        pages += memory->pages;
        const struct frameset *user = memory->user;
        CHECK(!user || (user->object.type == OBJECT_FRAMESET && user->client == client &&
                        (user->transmit.memory == memory || user->receive.memory == memory)),
              "client %u: memory %u has a user that does not use it", client->number, i);
    }
    CHECK(memcmp(used, client->page_used, sizeof used) == 0,
          "client %u: the map of pages is not that of the memories", client->number);
    CHECK(pages == client->pages, "client %u: %u pages, counted %u", client->number, pages,
          client->pages);
    return NULL;
}

/* ---- framesets ------------------------------------------------------------------------------------ */

static const char *ring_wrong(const struct client *client, const struct frameset *frameset,
                              const struct ring *ring)
{
    const struct memory *memory = ring->memory;
    unsigned at = (unsigned)(frameset - client->frameset);
    CHECK(memory >= client->memory && memory < client->memory + MEMORIES_MAX &&
              memory->object.type == OBJECT_MEMORY && memory->user == frameset,
          "client %u: a ring of frameset %u has lost its memory", client->number, at);
    const uint8_t *base = client->data + (size_t)memory->page * PIGLET_PAGE;
    CHECK((const uint8_t *)ring->shared == base && ring->slots == base + PIGLET_PAGE &&
              ring->count == piglet_ring_slots(memory->pages) && ring->slot < ring->count,
          "client %u: a ring of frameset %u is not where its memory is", client->number, at);
    CHECK(ring->produced - ring->consumed <= ring->count,
          "client %u: a ring of frameset %u holds %u of %u frames", client->number, at,
          ring->produced - ring->consumed, ring->count);
    return NULL;
}

static unsigned times_listed(const struct clients *clients, const struct frameset *frameset)
{
    unsigned times = 0;
    for (unsigned i = 0; i < clients->listed_count; i++)
        times += clients->listed[i] == frameset;
    return times;
}

static unsigned times_joined(const struct clients *clients, const struct frameset *frameset)
{
    unsigned times = 0;
    for (unsigned nic = 0; nic < NICS_MAX; nic++)
        for (unsigned i = 0; i < clients->joined[nic].count; i++)
            times += clients->joined[nic].frameset[i] == frameset && frameset->nic == nic;
    return times;
}

static const char *frameset_wrong(const struct client *client, const struct frameset *frameset)
{
    const struct clients *clients = client->core->clients;
    unsigned at = (unsigned)(frameset - client->frameset);
    bool listed = frameset->started && !frameset->joined && !frameset->port;
    CHECK(times_listed(clients, frameset) == listed, "client %u: frameset %u is listed %u times",
          client->number, at, times_listed(clients, frameset));
    CHECK(times_joined(clients, frameset) == frameset->joined,
          "client %u: frameset %u has joined %u times", client->number, at,
          times_joined(clients, frameset));
    CHECK(!frameset->dirty, "client %u: frameset %u is left dirty", client->number, at);
    if (frameset->object.type == OBJECT_NONE) {
        CHECK(!frameset->started && !frameset->joined && !frameset->port,
              "client %u: frameset %u has ended and goes on", client->number, at);
        return NULL;
    }
    CHECK(frameset->client == client, "client %u: frameset %u is another's", client->number, at);
    CHECK(!frameset->port || clients->port[frameset->port] == frameset_name(frameset),
          "client %u: port %u of frameset %u is another's", client->number, frameset->port, at);
    CHECK(!(frameset->joined && (frameset->port || frameset->peer.set)),
          "client %u: frameset %u is a station with a peer", client->number, at);
    CHECK_ALL(ring_wrong(client, frameset, &frameset->transmit));
    return ring_wrong(client, frameset, &frameset->receive);
}

static const char *framesets_wrong(const struct client *client, unsigned *started, unsigned *ports)
{
    unsigned mine = 0;
    for (unsigned i = 0; i < FRAMESETS_MAX; i++) {
        const struct frameset *frameset = &client->frameset[i];
        CHECK_ALL(frameset_wrong(client, frameset));
        mine += frameset->started;
        *ports += frameset->port != 0;
    }
    CHECK(mine == client->framesets_started, "client %u: %u framesets started, counted %u",
          client->number, mine, client->framesets_started);
    *started += mine;
    return NULL;
}

/* ---- events ------------------------------------------------------------------------------------------ */

/* Room is reserved for the chain that runs and its requests that were counted, and for timers. */
static const char *events_wrong(const struct client *client)
{
    const struct chain_run *chain = &client->chain;
    unsigned reserved = chain->active;
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        const struct client_timer *timer = &client->timer[i];
        bool lives = timer->object.type == OBJECT_TIMER;
        CHECK(lives || (!timer_armed(&timer->timer) && !timer->reserved),
              "client %u: timer %u has ended and goes on", client->number, i);
        reserved += timer->reserved;
    }
    CHECK(!client->attached || reserved == client->events_reserved,
          "client %u: room for %u events, counted %u", client->number, reserved,
          client->events_reserved);
    uint32_t outstanding = client->events_written - client->events_taken;
    CHECK(!client->attached || outstanding + reserved <= client->event_mask + 1,
          "client %u: %u events and %u reserved are more than the ring holds", client->number,
          outstanding, reserved);
    CHECK(!chain->active || !chain->atomic, "client %u: an atomic chain rests", client->number);
    CHECK(chain->length <= PIGLET_CHAIN_MAX && chain->done <= chain->length,
          "client %u: a chain of %u requests, %u done", client->number, chain->length, chain->done);
    return NULL;
}

/* ---- all clients --------------------------------------------------------------------------------------- */

static const char *client_wrong(const struct client *client, unsigned *started, unsigned *ports)
{
    const struct clients *clients = client->core->clients;
    CHECK(!client->attached || client->window, "client %u is attached without a window",
          client->number);
    CHECK(!client->attached || client->header == (void *)client->window->memory,
          "client %u: the header is not its window's", client->number);
    CHECK(!client->active || (client->active_at < clients->active_count &&
                              clients->active[client->active_at] == client->number),
          "client %u is active and not in the list", client->number);
    CHECK(client->attached || (client->capabilities == 0 && client->pages == 0),
          "client %u has gone and holds %u capabilities, %u pages", client->number,
          client->capabilities, client->pages);
    CHECK_ALL(objects_wrong(client));
    CHECK_ALL(pages_wrong(client));
    CHECK_ALL(events_wrong(client));
    return framesets_wrong(client, started, ports);
}

/* Four at a time, as nearly all are free. */
static unsigned ports_taken(const struct clients *clients)
{
    unsigned taken = 0;
    for (unsigned i = 0; i <= UINT16_MAX; i += 4) {
        uint64_t four;
        memcpy(&four, &clients->port[i], sizeof four);
        for (unsigned j = 0; four && j < 4; j++)
            taken += clients->port[i + j] != 0;
    }
    return taken;
}

static const char *counts_wrong(const struct clients *clients, unsigned started, unsigned ports)
{
    unsigned taken = ports_taken(clients);
    CHECK(taken == ports, "%u ports are taken, framesets have %u", taken, ports);
    CHECK(started == clients->framesets, "%u framesets started, counted %u", started,
          clients->framesets);
    CHECK(clients->listed_count <= LISTED_MAX, "%u framesets listed", clients->listed_count);
    CHECK(clients->dirty_count == 0 && clients->local_count == 0 && clients->undo_count == 0,
          "left over: %u dirty, %u local, %u to undo", clients->dirty_count, clients->local_count,
          clients->undo_count);
    for (unsigned i = 0; i < NICS_MAX; i++)
        CHECK(clients->joined[i].count <= JOINED_MAX &&
                  clients->joined[i].count == clients->core->nic[i].joined,
              "nic %u: %u joined, counted %u", i, clients->joined[i].count,
              clients->core->nic[i].joined);
    return NULL;
}

static const char *frames_wrong(const struct core *core, unsigned held)
{
    unsigned queued = core->yielded.count + held;
    for (unsigned i = 0; i < core->nic_count; i++)
        queued += nic_out_count(&core->nic[i]);
    CHECK(core->frames.free_count + queued <= core->frames.total,
          "%u frames free and %u in use are more than %u", core->frames.free_count, queued,
          core->frames.total);
    for (unsigned i = 0; i < core->frames.free_count; i++)
        CHECK(core->frames.free[i]->owner == FRAME_OF_POOL, "a free frame has owner %u",
              core->frames.free[i]->owner);
    return NULL;
}

const char *psr_invariants(const struct core *core, unsigned held)
{
    const struct clients *clients = core->clients;
    unsigned open = 0, attached = 0, active = 0, started = 0, ports = 0;
    for (unsigned i = 0; i < clients->limit; i++) {
        const struct client *client = &clients->client[i];
        open += client->window != NULL;
        attached += client->attached != 0;
        active += client->active;
        CHECK_ALL(client_wrong(client, &started, &ports));
    }
    CHECK(open == clients->open && attached == clients->attached && active == clients->active_count,
          "%u open, %u attached, %u active; counted %u, %u, %u", open, attached, active,
          clients->open, clients->attached, clients->active_count);
    CHECK_ALL(counts_wrong(clients, started, ports));
    return frames_wrong(core, held);
}

const char *psr_nothing_left(const struct core *core)
{
    const struct clients *clients = core->clients;
    CHECK_ALL(psr_invariants(core, 0));
    CHECK(clients->attached == 0, "%u clients are attached", clients->attached);
    CHECK(clients->framesets == 0 && clients->listed_count == 0, "framesets are left");
    for (unsigned i = 0; i < NICS_MAX; i++)
        CHECK(clients->joined[i].count == 0, "nic %u: framesets have joined", i);
    CHECK(ports_taken(clients) == 0, "%u ports are taken", ports_taken(clients));
    return NULL;
}
