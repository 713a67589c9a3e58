/* Addresses and routes: one longest-prefix-match table answers what an IPv4 destination is to us.
 *
 * Our own addresses, broadcasts and multicast are routes too, so one lookup says "local",
 * "broadcast", "by this gateway" or "nowhere". The lookup is a trie of strides 16, 8, 8 whose
 * leaves are pushed down: one to three loads, about ten instructions, no branch on the prefix
 * length. Changing it writes at most one leaf range per level; the table is never rebuilt. */
#ifndef KERNEL_ROUTE_H
#define KERNEL_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ROUTES_MAX = 1024,      /* those of the addresses included */
    ROUTE_NODES_MAX = 1024, /* each serves the routes longer than /16 (or /24) below one prefix */
    ADDRESSES_MAX = 32,
    ROUTE_NONE = 0, /* index of the route that matches when nothing else does: ROUTE_UNREACHABLE */
    ROUTE_ROOT_ENTRIES = 1 << 16,
    ROUTE_NODE_ENTRIES = 1 << 8,
};

enum route_type {
    ROUTE_UNICAST,     /* by nic, to gateway, or on the link where gateway is 0 */
    ROUTE_UNREACHABLE, /* no route; the types up to here may be where a packet comes from */
    ROUTE_LOCAL,       /* one of our addresses */
    ROUTE_BROADCAST,   /* a subnet's broadcast, or 255.255.255.255 */
    ROUTE_MULTICAST,   /* 224.0.0.0/4 */
    ROUTE_MARTIAN, /* 0.0.0.0/8, 127.0.0.0/8, 240.0.0.0/4: never a source or destination on a wire
                    */
};

struct route {
    uint32_t prefix; /* host order */
    uint32_t gateway;
    uint8_t length;
    uint8_t type; /* enum route_type */
    uint8_t nic;
    bool used;
};

/* Leaf: a route's index. With ROUTE_IS_NODE: a node's index. */
typedef uint16_t route_entry_t;
#define ROUTE_IS_NODE 0x8000

enum address_state {
    ADDRESS_TENTATIVE, /* in use, while duplicate address detection looks (RFC 5227, optimistic) */
    ADDRESS_ACTIVE,
    ADDRESS_DUPLICATE, /* somebody else has it: not used, looked at again later */
};

struct address {
    uint32_t ip;      /* host order; 0: entry is free */
    uint32_t gateway; /* of the default route that came with it; 0: none */
    uint8_t length;
    uint8_t nic;
    uint8_t state;   /* enum address_state */
    uint8_t service; /* whose it is: index + 1; 0: the configuration's */
};

struct route_table {
    struct route *route; /* ROUTES_MAX; [ROUTE_NONE] always there */
    route_entry_t *root; /* ROUTE_ROOT_ENTRIES, by the first 16 bits */
    route_entry_t (*node)[ROUTE_NODE_ENTRIES];
    uint16_t node_free; /* a list through entry [0]; 0: empty. Node 0 is not used */
    uint16_t routes, nodes;
    uint64_t changes; /* counts them: whoever remembers a lookup compares this */
    struct address address[ADDRESSES_MAX];
};

/* Takes its memory and puts the routes that are always there. ERR_NO_MEMORY. */
int route_table_start(struct route_table *table);

/* Index of the best route for a destination; never fails. */
static inline uint16_t route_lookup(const struct route_table *table, uint32_t ip)
{
    route_entry_t entry = table->root[ip >> 16];
    if (entry & ROUTE_IS_NODE) {
        entry = table->node[entry & ~ROUTE_IS_NODE][ip >> 8 & 0xff];
        if (entry & ROUTE_IS_NODE)
            entry = table->node[entry & ~ROUTE_IS_NODE][ip & 0xff];
    }
    return entry;
}

/* Adds a route. ERR_INVALID: bits set behind the prefix, or length above 32. ERR_EXISTS: the same
 * prefix is there. ERR_FULL: nothing changed. Bounded: one stride's entries at each level. */
int route_add(struct route_table *table, const struct route *route);

/* ERR_NOT_FOUND: no route of exactly this prefix. */
int route_delete(struct route_table *table, uint32_t prefix, uint8_t length);

/* The route of exactly this prefix, or NULL. Linear. */
const struct route *route_find(const struct route_table *table, uint32_t prefix, uint8_t length);

/* Gives a nic an address, with its local, broadcast and on-link routes, and a default route where
 * gateway is not 0. ERR_INVALID: not a unicast address, length 0 or above 32, or the gateway not on
 * the link. ERR_EXISTS, ERR_FULL: nothing changed. */
int address_add(struct route_table *table, uint8_t nic, uint32_t ip, uint8_t length,
                uint32_t gateway);

/* ERR_NOT_FOUND. */
int address_delete(struct route_table *table, uint32_t ip);

/* The nic of the link that an address's subnet is on: another than the address's own where two nics
 * have addresses in one subnet. */
uint8_t address_link_nic(const struct route_table *table, const struct address *address);

/* Puts back what address_delete just took from entry `index`, as it was; link_nic is what
 * address_link_nic said. */
int address_restore(struct route_table *table, unsigned index, const struct address *address,
                    uint8_t link_nic);

/* Whether a route came with an address, as its link or by its gateway, and goes with it. */
bool address_has_route(const struct route_table *table, uint32_t prefix, uint8_t length);

/* Our address to speak from to `peer` by `nic`: one on the same subnet, else the nic's first
 * active, else 0. */
uint32_t address_source(const struct route_table *table, uint8_t nic, uint32_t peer);

/* The entry, or NULL. */
struct address *address_find(struct route_table *table, uint32_t ip);

/* Takes a duplicate out of use (it is no longer ROUTE_LOCAL, but kept in the list), or back into
 * it. */
void address_set_state(struct route_table *table, struct address *address,
                       enum address_state state);

#endif
