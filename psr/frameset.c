/* Framesets: their making, their peers and ports, and receiving into them. */
#include "psr/frameset.h"

#include <string.h>

#include "kernel/core.h"

/* ---- rings -------------------------------------------------------------------------------------------- */

static void ring_start(struct client *client, struct ring *ring, struct memory *memory,
                       struct frameset *user)
{
    uint8_t *base = client->data + (size_t)memory->page * PIGLET_PAGE;
    memory->user = user;
    *ring = (struct ring){.memory = memory,
                          .shared = (struct piglet_ring *)(void *)base,
                          .slots = base + PIGLET_PAGE,
                          .count = piglet_ring_slots(memory->pages)};
    memset(ring->shared, 0, sizeof *ring->shared);
    SHARED_STORE(ring->shared->slots, ring->count);
}

bool frameset_deliver(struct frameset *frameset, const void *data, size_t length,
                      const struct piglet_frame *about)
{
    struct ring *ring = &frameset->receive;
    struct clients *clients = frameset->client->core->clients;
    if (ring->produced - ring->consumed == ring->count) {
        uint32_t consumed = SHARED_LOAD_ACQUIRE(ring->shared->consumed);
        if (consumed - ring->consumed > ring->count)
            client_lied(frameset->client); /* more than there was */
        else
            ring->consumed = consumed;
    }
    /* Longer ones than we asked for come from nics that do not tell, and would fill two slots. */
    if (ring->produced - ring->consumed == ring->count || length > PIGLET_FRAME_MAX) {
        SHARED_STORE(ring->shared->dropped, ++frameset->dropped);
        ++*clients->dropped;
        return false;
    }
    uint8_t *slot = ring->slots + (size_t)ring->slot * PIGLET_SLOT_BYTES;
    struct piglet_frame *header = (struct piglet_frame *)(void *)slot;
    *header = *about;
    header->length = (uint32_t)length;
    header->time_ns = clients->core->now_ns;
    memcpy(slot + PIGLET_FRAME_DATA, data, length);
    ring->slot = ring->slot + 1 == ring->count ? 0 : ring->slot + 1;
    ring->produced++;
    frameset->rx_frames++;
    ++*clients->rx_frames;
    if (!frameset->dirty) {
        if (clients->dirty_count == BATCH_MAX)
            framesets_publish(clients);
        frameset->dirty = true;
        clients->dirty[clients->dirty_count++] = frameset;
    }
    return true;
}

void framesets_publish(struct clients *clients)
{
    for (unsigned i = 0; i < clients->dirty_count; i++) {
        struct frameset *frameset = clients->dirty[i];
        frameset->dirty = false;
        SHARED_PUBLISH(frameset->receive.shared->produced, frameset->receive.produced);
        client_notify(frameset->client);
    }
    clients->dirty_count = 0;
}

/* ---- starting and stopping -------------------------------------------------------------------------------- */

static bool frameset_is_udp(const struct frameset *frameset)
{
    return frameset->port != 0;
}

/* Whether received frames are found by looking through the list of those with peers. */
static bool frameset_is_listed(const struct frameset *frameset)
{
    return !frameset->joined && !frameset_is_udp(frameset);
}

static void frameset_unlist(struct clients *clients, struct frameset *frameset)
{
    for (unsigned i = 0; i < clients->listed_count; i++)
        if (clients->listed[i] == frameset)
            clients->listed[i--] = clients->listed[--clients->listed_count];
}

static int frameset_start(struct frameset *frameset)
{
    struct clients *clients = frameset->client->core->clients;
    if (frameset_is_listed(frameset)) {
        if (clients->listed_count == LISTED_MAX)
            return ERR_FULL;
        clients->listed[clients->listed_count++] = frameset;
    }
    frameset->started = true;
    frameset->client->framesets_started++;
    clients->framesets++;
    deliver_changed(clients);
    return 0;
}

static void frameset_stop(struct frameset *frameset)
{
    struct clients *clients = frameset->client->core->clients;
    if (!frameset->started)
        return;
    frameset_unlist(clients, frameset);
    frameset->started = false;
    frameset->client->framesets_started--;
    clients->framesets--;
    deliver_changed(clients);
}

void frameset_end(struct client *client, struct frameset *frameset)
{
    struct clients *clients = client->core->clients;
    framesets_publish(clients);
    frameset_stop(frameset);
    frameset_leave(frameset);
    if (frameset->port)
        clients->port[frameset->port] = 0;
    frameset->transmit.memory->user = frameset->receive.memory->user = NULL;
    *frameset = (struct frameset){.object.type = OBJECT_NONE};
}

/* ---- opcodes ------------------------------------------------------------------------------------------------ */

static void make_undo(struct client *client, struct undo *undo)
{
    frameset_end(client, undo->object);
}

int op_make_frameset(struct client *client, struct call *call)
{
    struct frameset *frameset = NULL;
    struct memory *transmit = (struct memory *)call->object[1];
    struct memory *receive = (struct memory *)call->object[2];
    uint32_t number;
    if (transmit == receive)
        return ERR_ARGUMENT;
    if (transmit->pages < PIGLET_RING_PAGES_MIN || receive->pages < PIGLET_RING_PAGES_MIN)
        return ERR_RANGE;
    if (transmit->user || receive->user)
        return ERR_BUSY;
    for (unsigned i = 0; i < FRAMESETS_MAX && !frameset; i++)
        if (!client->frameset[i].object.type)
            frameset = &client->frameset[i];
    if (!frameset)
        return ERR_LIMIT;
    *frameset = (struct frameset){.object.type = OBJECT_FRAMESET, .client = client};
    ring_start(client, &frameset->transmit, transmit, frameset);
    ring_start(client, &frameset->receive, receive, frameset);
    struct undo *undo = undo_add(client);
    undo->undo = make_undo;
    undo->object = frameset;
    int error = capability_new(client, &frameset->object,
                               PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY |
                                   (client->core->window_rights & PIGLET_RIGHT_BIND),
                               NO_PARENT, &number);
    call->result = number;
    return error;
}

static void peer_undo(struct client *client, struct undo *undo)
{
    struct frameset *frameset = undo->object;
    (void)client;
    frameset->peer = (struct peer){.address = (uint32_t)undo->value[0],
                                   .port = (uint16_t)undo->value[1],
                                   .protocol = (uint16_t)undo->value[2],
                                   .set = undo->value[3] & 1};
    frameset->nic = (uint8_t)(undo->value[3] >> 8);
}

int op_set_peer(struct client *client, struct call *call)
{
    struct frameset *frameset = (struct frameset *)call->object[0];
    const struct core *core = client->core;
    uint64_t address = call->value[1], port = call->value[2], protocol = call->value[3];
    bool raw = protocol > UINT8_MAX;
    if (address > UINT32_MAX || port > UINT16_MAX || protocol > UINT16_MAX ||
        (raw && (address || protocol < PIGLET_ETHERTYPE_MIN)))
        return ERR_RANGE;
    if (frameset->joined || (frameset->port && protocol != IPV4_UDP))
        return ERR_INVALID;
    if (raw && (port >= core->nic_count || !nic_present(&core->nic[port])))
        return ERR_NOT_FOUND;
    if (!raw && protocol != IPV4_UDP && port)
        return ERR_RANGE;
    if (frameset->started && protocol == IPV4_UDP && !frameset->port)
        return ERR_INVALID;
    /* What the kernel itself speaks it does not share in the raw. */
    if (protocol == ETH_TYPE_IPV4 || protocol == ETH_TYPE_ARP)
        return ERR_DENIED;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = peer_undo,
                          .object = frameset,
                          .value = {frameset->peer.address, frameset->peer.port,
                                    frameset->peer.protocol,
                                    frameset->peer.set | (uint64_t)frameset->nic << 8}};
    frameset->peer = (struct peer){.address = (uint32_t)address,
                                   .port = raw ? 0 : (uint16_t)port,
                                   .protocol = (uint16_t)protocol,
                                   .set = true};
    if (raw)
        frameset->nic = (uint8_t)port;
    return 0;
}

static void start_undo(struct client *client, struct undo *undo)
{
    (void)client;
    frameset_stop(undo->object);
}

int op_frameset_start(struct client *client, struct call *call)
{
    struct frameset *frameset = (struct frameset *)call->object[0];
    if (frameset->started)
        return 0;
    bool udp = frameset->peer.set && frameset->peer.protocol == IPV4_UDP;
    if ((!frameset->peer.set && !frameset->port && !frameset->joined) || (udp && !frameset->port))
        return ERR_INVALID;
    int error = frameset_start(frameset);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    undo->undo = start_undo;
    undo->object = frameset;
    return 0;
}

/* Its place in the list was free a moment ago. Their order says who gets what two would take, so the
 * one that had moved up into it goes back to the end. */
static void stop_undo(struct client *client, struct undo *undo)
{
    struct clients *clients = client->core->clients;
    uint64_t place = undo->value[0];
    frameset_start(undo->object);
    if (place >= clients->listed_count)
        return; /* it was in no list */
    clients->listed[clients->listed_count - 1] = clients->listed[place];
    clients->listed[place] = undo->object;
}

int op_frameset_stop(struct client *client, struct call *call)
{
    struct frameset *frameset = (struct frameset *)call->object[0];
    const struct clients *clients = client->core->clients;
    unsigned place = 0;
    if (!frameset->started)
        return 0;
    while (place < clients->listed_count && clients->listed[place] != frameset)
        place++;
    bool listed = place < clients->listed_count;
    frameset_stop(frameset);
    struct undo *undo = undo_add(client);
    undo->undo = stop_undo;
    undo->object = frameset;
    undo->value[0] = listed ? place : LISTED_MAX;
    return 0;
}

static void bind_undo(struct client *client, struct undo *undo)
{
    struct frameset *frameset = undo->object;
    client->core->clients->port[frameset->port] = 0;
    frameset->port = 0;
}

/* A free port, after the last one that was given: one given back rests for long. */
static uint16_t port_choose(struct clients *clients)
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint16_t port = clients->port_next;
        clients->port_next = port == UINT16_MAX ? PORT_EPHEMERAL : (uint16_t)(port + 1);
        if (!clients->port[port])
            return port;
    }
    return 0;
}

int op_bind_port(struct client *client, struct call *call)
{
    struct frameset *frameset = (struct frameset *)call->object[0];
    struct clients *clients = client->core->clients;
    uint64_t port = call->value[1];
    if (port > UINT16_MAX)
        return ERR_RANGE;
    if (frameset->port || frameset->joined || frameset->started ||
        (frameset->peer.set && frameset->peer.protocol != IPV4_UDP))
        return ERR_INVALID;
    if (port == 0)
        port = port_choose(clients);
    if (port == 0)
        return ERR_FULL;
    if (clients->port[port])
        return ERR_EXISTS;
    clients->port[port] = frameset_name(frameset);
    frameset->port = (uint16_t)port;
    struct undo *undo = undo_add(client);
    undo->undo = bind_undo;
    undo->object = frameset;
    call->result = port;
    return 0;
}

static void join_undo(struct client *client, struct undo *undo)
{
    (void)client;
    frameset_leave(undo->object);
}

int op_join(struct client *client, struct call *call)
{
    struct frameset *frameset = (struct frameset *)call->object[1];
    uint8_t mac[6];
    uint64_t nic = call->value[2];
    if (nic >= client->core->nic_count || !nic_present(&client->core->nic[nic]))
        return ERR_NOT_FOUND;
    if (frameset->joined || frameset->peer.set || frameset->port || frameset->started)
        return ERR_INVALID;
    if (call->value[3] >> 48)
        return ERR_RANGE;
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)(call->value[3] >> (8 * (5 - i)));
    int error = frameset_join(frameset, (unsigned)nic, call->given[3], mac);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    undo->undo = join_undo;
    undo->object = frameset;
    return 0;
}
