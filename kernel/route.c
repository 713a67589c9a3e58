/* The route table: a trie of strides 16, 8, 8 with its leaves pushed down.
 *
 * Every entry names the longest route that covers it, or a node that says it in more detail. So to
 * add a route is to write it over all entries below its prefix that name a shorter one; to delete
 * it, to write the next longest that covers it over those that name it. */
#include "kernel/route.h"

#include <string.h>

#include "arch/arch.h"

enum {
    ROUTE_LENGTH_MAX = 32,
    ROUTE_ROOT_BITS = 16,
    ROUTE_NODE_BITS = 8,
    ROUTE_ALIGN = 64,
};

static uint32_t route_mask(uint8_t length)
{
    return length ? ~0u << (ROUTE_LENGTH_MAX - length) : 0;
}

static uint16_t route_node_take(struct route_table *table, route_entry_t fill)
{
    uint16_t node = table->node_free;
    if (!node)
        return 0;
    table->node_free = table->node[node][0];
    table->nodes++;
    for (unsigned i = 0; i < ROUTE_NODE_ENTRIES; i++)
        table->node[node][i] = fill;
    return node;
}

static void route_node_give(struct route_table *table, uint16_t node)
{
    table->node[node][0] = table->node_free;
    table->node_free = node;
    table->nodes--;
}

/* The entries of one level: those of the root, or of a node. */
struct route_level {
    route_entry_t *entry;
    unsigned bits_above; /* of the prefix, decided by the levels above */
    unsigned bits;       /* that this level looks at */
};

static struct route_level route_root(struct route_table *table)
{
    return (struct route_level){table->root, 0, ROUTE_ROOT_BITS};
}

static struct route_level route_below(struct route_table *table, struct route_level level,
                                      route_entry_t entry)
{
    return (struct route_level){table->node[entry & ~ROUTE_IS_NODE], level.bits_above + level.bits,
                                ROUTE_NODE_BITS};
}

static unsigned route_slot(struct route_level level, uint32_t prefix)
{
    return prefix >> (ROUTE_LENGTH_MAX - level.bits_above - level.bits) & ((1u << level.bits) - 1);
}

/* At and below a range of entries, writes `now` where `old` stands; or, `old` being ROUTE_NONE,
 * where a route no longer than it stands. */
static void route_paint(struct route_table *table, struct route_level level, unsigned first,
                        unsigned count, uint16_t old, uint16_t now)
{
    uint8_t length = table->route[now].length;
    for (unsigned i = first; i < first + count; i++) {
        route_entry_t entry = level.entry[i];
        if (entry & ROUTE_IS_NODE)
            route_paint(table, route_below(table, level, entry), 0, ROUTE_NODE_ENTRIES, old, now);
        else if (old ? entry == old : table->route[entry].length <= length)
            level.entry[i] = now;
    }
}

/* A node all of whose entries name the same route is that route. Returns what the entry should be.
 */
static route_entry_t route_tidy(struct route_table *table, struct route_level level,
                                uint32_t prefix, unsigned depth_bits)
{
    unsigned slot = route_slot(level, prefix);
    route_entry_t entry = level.entry[slot];
    if (!(entry & ROUTE_IS_NODE) || level.bits_above + level.bits >= depth_bits)
        return entry;
    struct route_level below = route_below(table, level, entry);
    unsigned inner = route_slot(below, prefix);
    below.entry[inner] = route_tidy(table, below, prefix, depth_bits);
    for (unsigned i = 0; i < ROUTE_NODE_ENTRIES; i++)
        if (below.entry[i] != below.entry[0] || below.entry[i] & ROUTE_IS_NODE)
            return entry;
    route_entry_t same = below.entry[0];
    route_node_give(table, entry & (uint16_t)~ROUTE_IS_NODE);
    return same;
}

static void route_tidy_path(struct route_table *table, uint32_t prefix, uint8_t length)
{
    struct route_level root = route_root(table);
    root.entry[route_slot(root, prefix)] = route_tidy(table, root, prefix, length);
}

/* The level on which a prefix of this length ends, with the nodes on the way made. False: no node
 * left. */
static bool route_descend(struct route_table *table, uint32_t prefix, uint8_t length,
                          struct route_level *level)
{
    *level = route_root(table);
    while (length > level->bits_above + level->bits) {
        route_entry_t *entry = &level->entry[route_slot(*level, prefix)];
        if (!(*entry & ROUTE_IS_NODE)) {
            uint16_t node = route_node_take(table, *entry);
            if (!node)
                return false;
            *entry = (route_entry_t)(node | ROUTE_IS_NODE);
        }
        *level = route_below(table, *level, *entry);
    }
    return true;
}

static int route_index(const struct route_table *table, uint32_t prefix, uint8_t length)
{
    for (unsigned i = ROUTE_NONE + 1; i < ROUTES_MAX; i++) {
        const struct route *route = &table->route[i];
        if (route->used && route->prefix == prefix && route->length == length)
            return (int)i;
    }
    return ERR_NOT_FOUND;
}

/* The longest route, but for `index` itself, that covers it. */
static uint16_t route_covering(const struct route_table *table, unsigned index)
{
    const struct route *inner = &table->route[index];
    uint16_t best = ROUTE_NONE;
    bool found = false;
    for (unsigned i = ROUTE_NONE + 1; i < ROUTES_MAX; i++) {
        const struct route *route = &table->route[i];
        if (!route->used || i == index || route->length >= inner->length ||
            (inner->prefix & route_mask(route->length)) != route->prefix)
            continue;
        if (!found || route->length > table->route[best].length)
            best = (uint16_t)i;
        found = true;
    }
    return best;
}

static void route_range(struct route_level level, uint32_t prefix, uint8_t length, unsigned *first,
                        unsigned *count)
{
    *first = route_slot(level, prefix);
    *count = 1u << (level.bits_above + level.bits - length);
}

int route_add(struct route_table *table, const struct route *route)
{
    if (route->length > ROUTE_LENGTH_MAX || route->prefix & ~route_mask(route->length))
        return ERR_INVALID;
    if (route_index(table, route->prefix, route->length) >= 0)
        return ERR_EXISTS;
    unsigned index = ROUTE_NONE + 1;
    while (index < ROUTES_MAX && table->route[index].used)
        index++;
    if (index == ROUTES_MAX)
        return ERR_FULL;
    struct route_level level;
    if (!route_descend(table, route->prefix, route->length, &level)) {
        route_tidy_path(table, route->prefix, route->length);
        return ERR_FULL;
    }
    table->route[index] = *route;
    table->route[index].used = true;
    table->routes++;
    table->changes++;
    unsigned first, count;
    route_range(level, route->prefix, route->length, &first, &count);
    route_paint(table, level, first, count, ROUTE_NONE, (uint16_t)index);
    return 0;
}

int route_delete(struct route_table *table, uint32_t prefix, uint8_t length)
{
    int index = route_index(table, prefix, length);
    if (index < 0)
        return index;
    uint16_t covering = route_covering(table, (unsigned)index);
    struct route_level level;
    route_descend(table, prefix, length, &level); /* the nodes are there: the route is */
    unsigned first, count;
    route_range(level, prefix, length, &first, &count);
    route_paint(table, level, first, count, (uint16_t)index, covering);
    table->route[index].used = false;
    table->routes--;
    table->changes++;
    route_tidy_path(table, prefix, length);
    return 0;
}

const struct route *route_find(const struct route_table *table, uint32_t prefix, uint8_t length)
{
    int index = route_index(table, prefix, length);
    return index < 0 ? NULL : &table->route[index];
}

int route_table_start(struct route_table *table)
{
    static const struct route always[] = {
        {.prefix = 0x00000000, .length = 8, .type = ROUTE_MARTIAN},    /* RFC 1122 3.2.1.3 (a) */
        {.prefix = 0x7f000000, .length = 8, .type = ROUTE_MARTIAN},    /* RFC 1122 3.2.1.3 (g) */
        {.prefix = 0xe0000000, .length = 4, .type = ROUTE_MULTICAST},  /* RFC 1112 4 */
        {.prefix = 0xf0000000, .length = 4, .type = ROUTE_MARTIAN},    /* RFC 1112 4: reserved */
        {.prefix = 0xffffffff, .length = 32, .type = ROUTE_BROADCAST}, /* RFC 919 7 */
    };
    table->route = arch_memory_take(ROUTES_MAX * sizeof(struct route), ROUTE_ALIGN);
    table->root = arch_memory_take(ROUTE_ROOT_ENTRIES * sizeof(route_entry_t), ROUTE_ALIGN);
    table->node = arch_memory_take(ROUTE_NODES_MAX * sizeof table->node[0], ROUTE_ALIGN);
    if (!table->route || !table->root || !table->node)
        return ERR_NO_MEMORY;
    table->route[ROUTE_NONE] = (struct route){.type = ROUTE_UNREACHABLE, .used = true};
    for (unsigned i = 1; i < ROUTE_NODES_MAX; i++)
        table->node[i][0] = (route_entry_t)(i + 1 < ROUTE_NODES_MAX ? i + 1 : 0);
    table->node_free = 1;
    for (unsigned i = 0; i < sizeof always / sizeof always[0]; i++)
        route_add(table, &always[i]);
    return 0;
}
