/* A digest of everything that requests can change, so that a test can say: nothing is left of it.
 *
 * Left out is what has no meaning by itself: generations of free slots, the places where the next
 * search begins, counters, and what lies in a client's own memory. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/psr/client.h"

static const char *const part_name[PART_COUNT] = {
    [PART_CAPABILITIES] = "capabilities",
    [PART_MEMORIES] = "memories",
    [PART_PAGES] = "pages",
    [PART_FRAMESETS] = "framesets",
    [PART_TIMERS] = "timers",
    [PART_EVENTS] = "events reserved",
    [PART_PORTS] = "ports",
    [PART_LISTED] = "listed framesets",
    [PART_JOINED] = "joined framesets",
    [PART_FILTERS] = "filters",
    [PART_ADDRESSES] = "addresses",
    [PART_ROUTES] = "routes",
    [PART_LOOKUPS] = "lookups",
    [PART_SERVICES] = "services",
    [PART_SETTINGS] = "settings",
    [PART_STOP] = "what becomes of the machine",
};

/* FNV-1a, a word at a time. */
static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x100000001b3ull;
    *hash ^= *hash >> 29;
}

static void mix_text(uint64_t *hash, const char *text)
{
    for (; *text; text++)
        mix(hash, (uint8_t)*text);
    mix(hash, 0x100);
}

/* ---- of a client ------------------------------------------------------------------------------- */

/* Which of the client's objects it is. */
static uint64_t object_name(const struct client *client, const struct object *object)
{
    switch (object->type) {
    case OBJECT_MEMORY:
        return 0x100u + (uint64_t)((const struct memory *)object - client->memory);
    case OBJECT_FRAMESET:
        return 0x200u + (uint64_t)((const struct frameset *)object - client->frameset);
    case OBJECT_TIMER:
        return 0x300u + (uint64_t)((const struct client_timer *)object - client->timer);
    default:
        return 0x400u + (object == &client->system);
    }
}

static void digest_capabilities(uint64_t *hash, const struct client *client)
{
    mix(hash, client->capabilities);
    mix(hash, client->system.names);
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++) {
        const struct capability *entry = &client->capability[i];
        if (entry->state == CAPABILITY_FREE)
            continue;
        mix(hash, i);
        mix(hash, entry->state);
        mix(hash, entry->generation);
        mix(hash, entry->parent);
        mix(hash, entry->copies);
        mix(hash, entry->depth);
        mix(hash, entry->rights);
        mix(hash, object_name(client, entry->object));
    }
}

static void digest_memories(struct test_digest *digest, const struct client *client)
{
    uint64_t *hash = &digest->part[PART_MEMORIES];
    for (unsigned i = 0; i < MEMORIES_MAX; i++) {
        const struct memory *memory = &client->memory[i];
        if (!memory->object.type)
            continue;
        mix(hash, i);
        mix(hash, memory->object.names);
        mix(hash, memory->page);
        mix(hash, memory->pages);
        mix(hash, memory->user ? 1 + (uint64_t)(memory->user - client->frameset) : 0);
    }
    mix(&digest->part[PART_PAGES], client->pages);
    for (unsigned i = 0; i < DATA_PAGES_MAX / 64; i++)
        mix(&digest->part[PART_PAGES], client->page_used[i]);
}

static void digest_ring(uint64_t *hash, const struct client *client, const struct ring *ring)
{
    mix(hash, (uint64_t)(ring->memory - client->memory));
    mix(hash, ring->count);
    mix(hash, ring->slot);
    mix(hash, ring->produced);
    mix(hash, ring->consumed);
}

static void digest_frameset(uint64_t *hash, const struct client *client,
                            const struct frameset *frameset)
{
    mix(hash, frameset->object.names);
    digest_ring(hash, client, &frameset->transmit);
    digest_ring(hash, client, &frameset->receive);
    mix(hash, frameset->peer.set);
    mix(hash, frameset->peer.address);
    mix(hash, frameset->peer.port);
    mix(hash, frameset->peer.protocol);
    mix(hash, frameset->port);
    mix(hash, frameset->started);
    mix(hash, frameset->joined);
    mix(hash, frameset->station);
    if (frameset->joined || (frameset->peer.set && frameset->peer.protocol > UINT8_MAX))
        mix(hash, frameset->nic);
    for (unsigned i = 0; frameset->station && i < 6; i++)
        mix(hash, frameset->mac[i]);
}

static void digest_timer(uint64_t *hash, const struct client_timer *timer)
{
    mix(hash, timer->object.names);
    mix(hash, timer_armed(&timer->timer));
    mix(hash, timer_armed(&timer->timer) ? timer->timer.tick : 0);
    mix(hash, timer->capability);
    mix(hash, timer->cookie);
    mix(hash, timer->period_us);
    mix(hash, timer->due);
    mix(hash, timer->reserved);
}

static void digest_client(struct test_digest *digest, const struct client *client)
{
    digest_capabilities(&digest->part[PART_CAPABILITIES], client);
    digest_memories(digest, client);
    mix(&digest->part[PART_FRAMESETS], client->framesets_started);
    for (unsigned i = 0; i < FRAMESETS_MAX; i++) {
        mix(&digest->part[PART_FRAMESETS], client->frameset[i].object.type);
        if (client->frameset[i].object.type)
            digest_frameset(&digest->part[PART_FRAMESETS], client, &client->frameset[i]);
    }
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        mix(&digest->part[PART_TIMERS], client->timer[i].object.type);
        if (client->timer[i].object.type)
            digest_timer(&digest->part[PART_TIMERS], &client->timer[i]);
    }
    mix(&digest->part[PART_EVENTS], client->events_reserved);
}

/* ---- of all clients ------------------------------------------------------------------------------ */

static void digest_filter(uint64_t *hash, const struct nic_filter *filter)
{
    mix(hash, filter->promiscuous);
    mix(hash, filter->all_multicast);
    mix(hash, filter->stations);
    for (unsigned i = 0; i < filter->stations; i++)
        for (unsigned j = 0; j < 6; j++)
            mix(hash, filter->station[i][j]);
}

static void digest_clients(struct test_digest *digest, const struct core *core)
{
    const struct clients *clients = core->clients;
    for (unsigned i = 0; i <= UINT16_MAX; i++)
        if (clients->port[i])
            mix(&digest->part[PART_PORTS], (uint64_t)i << 16 | clients->port[i]);
    /* Their order says who gets a frame that two would take. */
    mix(&digest->part[PART_LISTED], clients->framesets);
    for (unsigned i = 0; i < clients->listed_count; i++)
        mix(&digest->part[PART_LISTED], frameset_name(clients->listed[i]));
    for (unsigned i = 0; i < core->nic_count; i++) {
        const struct joined *joined = &clients->joined[i];
        mix(&digest->part[PART_JOINED], core->nic[i].joined);
        for (unsigned j = 0; j < joined->count; j++)
            mix(&digest->part[PART_JOINED], i << 16 | frameset_name(joined->frameset[j]));
        digest_filter(&digest->part[PART_FILTERS], sim_filter(core, i));
    }
    for (unsigned i = 0; i < clients->limit; i++)
        digest_client(digest, &clients->client[i]);
}

/* ---- of the configuration ------------------------------------------------------------------------ */

static uint64_t route_hash(const struct route *route)
{
    uint64_t hash = 0;
    mix(&hash, route->prefix);
    mix(&hash, route->length);
    mix(&hash, route->gateway);
    mix(&hash, route->type);
    mix(&hash, route->nic);
    return hash;
}

/* What every destination below an entry leads to, wherever its route and nodes happen to lie. */
static void digest_entry(uint64_t *hash, const struct route_table *table, route_entry_t entry)
{
    if (!(entry & ROUTE_IS_NODE)) {
        mix(hash, route_hash(&table->route[entry]));
        return;
    }
    mix(hash, ROUTE_IS_NODE);
    for (unsigned i = 0; i < ROUTE_NODE_ENTRIES; i++)
        digest_entry(hash, table, table->node[entry & ~ROUTE_IS_NODE][i]);
}

static void digest_routes(struct test_digest *digest, const struct route_table *table)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = &table->address[i];
        if (!address->ip)
            continue;
        mix(&digest->part[PART_ADDRESSES], i);
        mix(&digest->part[PART_ADDRESSES], address->ip);
        mix(&digest->part[PART_ADDRESSES], address->gateway);
        mix(&digest->part[PART_ADDRESSES], address->length);
        mix(&digest->part[PART_ADDRESSES], address->nic);
        mix(&digest->part[PART_ADDRESSES], address->state);
    }
    uint64_t sum = 0; /* in whichever order they lie */
    for (unsigned i = 0; i < ROUTES_MAX; i++)
        if (table->route[i].used)
            sum += route_hash(&table->route[i]);
    digest->part[PART_ROUTES] = sum;
    mix(&digest->part[PART_ROUTES], table->routes);
    mix(&digest->part[PART_ROUTES], table->nodes);
    for (unsigned i = 0; i < ROUTE_ROOT_ENTRIES; i++)
        digest_entry(&digest->part[PART_LOOKUPS], table, table->root[i]);
}

static void digest_services(struct test_digest *digest, const struct core *core)
{
    char text[SETTING_TEXT_MAX];
    for (unsigned i = 0; i < core->service_count; i++) {
        const struct service_self *self = &core->service[i];
        mix(&digest->part[PART_SERVICES], self->running);
        mix(&digest->part[PART_SERVICES], core->receive_kinds[i]);
        mix(&digest->part[PART_SERVICES], core->transmit_kinds[i]);
        const struct service_setting *setting = self->service->settings;
        for (; setting && setting->name; setting++) {
            assert_int_equal(chain_setting_get(self, setting->name, text, sizeof text), 0);
            mix_text(&digest->part[PART_SETTINGS], text);
        }
    }
}

struct test_digest test_digest(const struct core *core)
{
    struct test_digest digest = {{0}};
    digest_clients(&digest, core);
    digest_routes(&digest, &core->routes);
    digest_services(&digest, core);
    mix(&digest.part[PART_STOP], core->stop);
    assert_int_equal(core->clients->undo_count, 0);
    return digest;
}

bool test_digest_equal(const struct test_digest *before, const struct test_digest *after)
{
    return memcmp(before, after, sizeof *before) == 0;
}

void test_digest_same(const struct test_digest *before, const struct test_digest *after,
                      const char *where)
{
    for (unsigned i = 0; i < PART_COUNT; i++)
        if (before->part[i] != after->part[i])
            print_error("%s: the %s differ\n", where, part_name[i]);
    if (!test_digest_equal(before, after))
        fail_msg("%s: something is left", where);
}
