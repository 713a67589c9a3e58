/* Our addresses: each is a few routes. */
#include <stddef.h>

#include "arch/arch.h"
#include "kernel/route.h"

enum {
    ADDRESS_HOST_BITS_FOR_BROADCAST = 2, /* a /31 and a /32 have none (RFC 3021) */
};

static uint32_t address_mask(uint8_t length)
{
    return length ? ~0u << (32 - length) : 0;
}

static bool address_has_broadcast(uint8_t length)
{
    return length + ADDRESS_HOST_BITS_FOR_BROADCAST <= 32;
}

static bool address_on_link(uint32_t ip, uint8_t length, uint32_t other)
{
    return ((ip ^ other) & address_mask(length)) == 0;
}

static bool address_valid(const struct route_table *table, uint32_t ip, uint8_t length)
{
    if (length == 0 || length > 32)
        return false;
    uint32_t host = ip & ~address_mask(length);
    if (address_has_broadcast(length) && (host == 0 || host == ~address_mask(length)))
        return false;
    uint8_t type = table->route[route_lookup(table, ip)].type;
    return type == ROUTE_UNREACHABLE || type == ROUTE_UNICAST || type == ROUTE_LOCAL;
}

/* Whether another address than this one has the same subnet, and so the same routes for it. */
static bool address_shares_subnet(const struct route_table *table, const struct address *address)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *other = &table->address[i];
        if (other != address && other->ip && other->length == address->length &&
            address_on_link(address->ip, address->length, other->ip))
            return true;
    }
    return false;
}

static struct route address_route_local(const struct address *address)
{
    return (struct route){
        .prefix = address->ip, .length = 32, .type = ROUTE_LOCAL, .nic = address->nic};
}

static struct route address_route_broadcast(const struct address *address)
{
    return (struct route){.prefix = address->ip | ~address_mask(address->length),
                          .length = 32,
                          .type = ROUTE_BROADCAST,
                          .nic = address->nic};
}

static struct route address_route_link(const struct address *address)
{
    return (struct route){.prefix = address->ip & address_mask(address->length),
                          .length = address->length,
                          .type = ROUTE_UNICAST,
                          .nic = address->nic};
}

static struct route address_route_default(const struct address *address)
{
    return (struct route){.type = ROUTE_UNICAST, .nic = address->nic, .gateway = address->gateway};
}

/* The subnet's own routes: the link, and its broadcast. */
static int address_link_add(struct route_table *table, const struct address *address, uint8_t nic)
{
    if (address->length == 32 || address_shares_subnet(table, address))
        return 0;
    struct route link = address_route_link(address), broadcast = address_route_broadcast(address);
    link.nic = broadcast.nic = nic;
    int error = route_add(table, &link);
    if (error < 0)
        return error;
    if (address_has_broadcast(address->length))
        error = route_add(table, &broadcast);
    if (error < 0)
        route_delete(table, link.prefix, link.length);
    return error;
}

static void address_link_delete(struct route_table *table, const struct address *address)
{
    if (address->length == 32 || address_shares_subnet(table, address))
        return;
    struct route link = address_route_link(address), broadcast = address_route_broadcast(address);
    route_delete(table, link.prefix, link.length);
    if (address_has_broadcast(address->length))
        route_delete(table, broadcast.prefix, 32);
}

/* Puts a checked address into a free entry, with its routes. */
static int address_put(struct route_table *table, struct address *address,
                       const struct address *from, uint8_t link_nic)
{
    *address = *from;
    struct route local = address_route_local(address);
    struct route by_gateway = address_route_default(address);
    int error = address->state == ADDRESS_DUPLICATE ? 0 : route_add(table, &local);
    if (error < 0)
        goto no_local;
    error = address_link_add(table, address, link_nic);
    if (error < 0)
        goto no_link;
    if (address->gateway)
        error = route_add(table, &by_gateway);
    if (error < 0)
        goto no_default;
    return 0;

no_default:
    address_link_delete(table, address);
no_link:
    if (address->state != ADDRESS_DUPLICATE)
        route_delete(table, address->ip, 32);
no_local:
    address->ip = 0;
    return error;
}

int address_add(struct route_table *table, uint8_t nic, uint32_t ip, uint8_t length,
                uint32_t gateway)
{
    if (!address_valid(table, ip, length))
        return ERR_INVALID;
    if (gateway && (gateway == ip || length == 32 || !address_valid(table, gateway, length) ||
                    !address_on_link(ip, length, gateway)))
        return ERR_INVALID;
    if (address_find(table, ip))
        return ERR_EXISTS;
    struct address from = {
        .ip = ip, .gateway = gateway, .length = length, .nic = nic, .state = ADDRESS_TENTATIVE};
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        if (!table->address[i].ip)
            return address_put(table, &table->address[i], &from, nic);
    return ERR_FULL;
}

uint8_t address_link_nic(const struct route_table *table, const struct address *address)
{
    struct route wanted = address_route_link(address);
    const struct route *link = route_find(table, wanted.prefix, wanted.length);
    return link ? link->nic : address->nic;
}

int address_restore(struct route_table *table, unsigned index, const struct address *address,
                    uint8_t link_nic)
{
    return address_put(table, &table->address[index], address, link_nic);
}

bool address_has_route(const struct route_table *table, uint32_t prefix, uint8_t length)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = &table->address[i];
        if (!address->ip)
            continue;
        struct route link = address_route_link(address);
        if ((length == 0 && address->gateway) || (length == link.length && prefix == link.prefix))
            return true;
    }
    return false;
}

int address_delete(struct route_table *table, uint32_t ip)
{
    struct address *address = address_find(table, ip);
    if (!address)
        return ERR_NOT_FOUND;
    if (address->gateway)
        route_delete(table, 0, 0);
    address_link_delete(table, address);
    if (address->state != ADDRESS_DUPLICATE)
        route_delete(table, ip, 32);
    address->ip = 0;
    return 0;
}

uint32_t address_source(const struct route_table *table, uint8_t nic, uint32_t peer)
{
    uint32_t first = 0;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = &table->address[i];
        if (!address->ip || address->nic != nic || address->state == ADDRESS_DUPLICATE)
            continue;
        if (address_on_link(address->ip, address->length, peer))
            return address->ip;
        if (!first)
            first = address->ip;
    }
    return first;
}

struct address *address_find(struct route_table *table, uint32_t ip)
{
    for (unsigned i = 0; ip && i < ADDRESSES_MAX; i++)
        if (table->address[i].ip == ip)
            return &table->address[i];
    return NULL;
}

void address_set_state(struct route_table *table, struct address *address, enum address_state state)
{
    if (address->state == ADDRESS_DUPLICATE && state != ADDRESS_DUPLICATE) {
        struct route local = address_route_local(address);
        if (route_add(table, &local) < 0)
            return; /* no room for it now: it stays out of use */
    } else if (address->state != ADDRESS_DUPLICATE && state == ADDRESS_DUPLICATE) {
        route_delete(table, address->ip, 32);
    }
    address->state = (uint8_t)state;
}
