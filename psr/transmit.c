/* From framesets' transmit rings to the nics: each frame is copied once, and checked in the copy. */
#include <string.h>

#include "kernel/chain.h"
#include "psr/frameset.h"

/* What the client said about a frame, read once. */
struct said {
    uint32_t length, address, to;
    uint16_t port;
};

/* How many frames lie in the ring. More than it has slots cannot be: then none. */
static uint32_t ring_posted(struct client *client, struct ring *ring)
{
    uint32_t produced = SHARED_LOAD_ACQUIRE(ring->shared->produced);
    if (produced == ring->produced)
        return ring->produced - ring->consumed;
    if (produced - ring->consumed > ring->count) {
        client_lied(client);
        return 0;
    }
    ring->produced = produced;
    return produced - ring->consumed;
}

bool framesets_posted(const struct client *client)
{
    unsigned left = client->framesets_started;
    for (unsigned i = 0; left && i < FRAMESETS_MAX; i++) {
        const struct frameset *frameset = &client->frameset[i];
        if (!frameset->started)
            continue;
        left--;
        if (SHARED_LOAD(frameset->transmit.shared->produced) != frameset->transmit.consumed)
            return true;
    }
    return false;
}

/* ---- IPv4 ----------------------------------------------------------------------------------------------- */

/* Where to, and from which of our addresses; fills in the frame's way. */
static bool route_frame(struct core *core, struct frame *frame, uint32_t to, uint32_t *from)
{
    const struct route *route = &core->routes.route[route_lookup(&core->routes, to)];
    if (route->type != ROUTE_UNICAST)
        return false;
    frame->nic = route->nic;
    frame->next_hop = route->gateway ? route->gateway : to;
    frame->kind = FRAME_RESOLVE;
    if (*from == 0)
        *from = address_source(&core->routes, route->nic, to);
    const struct address *address = address_find(&core->routes, *from);
    return address && address->state != ADDRESS_DUPLICATE;
}

static bool peer_agrees(const struct frameset *frameset, uint32_t *address, uint16_t *port)
{
    const struct peer *peer = &frameset->peer;
    if (*address == 0)
        *address = peer->address;
    if (*port == 0)
        *port = peer->port;
    return *address && (peer->address == 0 || peer->address == *address) &&
           (peer->port == 0 || peer->port == *port);
}

static void eth_header_set(const struct core *core, struct frame *frame)
{
    struct eth_header *eth = (struct eth_header *)frame->data;
    eth_copy(eth->from, core->nic[frame->nic].mac); /* arp fills in the rest */
    eth->type = be16(ETH_TYPE_IPV4);
}

static void ip_header_set(struct core *core, struct frame *frame, uint8_t protocol, uint32_t from,
                          uint32_t to)
{
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    *ip = (struct ipv4_header){
        .version_length = 4 << 4 | IPV4_HEADER_MIN / 4,
        .total_length = be16((uint16_t)(frame->length - ETH_HEADER_LENGTH)),
        .id = be16(core->ip_id++),
        .ttl = IPV4_TTL_DEFAULT,
        .protocol = protocol,
        .from = be32(from),
        .to = be32(to),
    };
    ipv4_checksum_set(ip);
    eth_header_set(core, frame);
}

static void udp_header_set(struct frame *frame, uint16_t from, uint16_t to, uint16_t length)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    struct udp_header *udp =
        (struct udp_header *)(frame->data + ETH_HEADER_LENGTH + IPV4_HEADER_MIN);
    *udp = (struct udp_header){.from = be16(from), .to = be16(to), .length = be16(length)};
    udp->checksum = checksum_finish(checksum_add(checksum_pseudo(ip, length), udp, length));
    if (udp->checksum.raw == 0)
        udp->checksum.raw = 0xffff; /* RFC 768: 0 means none */
}

/* The payload lies where it belongs; the headers come in front. */
static bool datagram_finish(struct core *core, const struct frameset *frameset, struct frame *frame,
                            struct said *said, uint8_t protocol)
{
    uint32_t from = said->to;
    if (!peer_agrees(frameset, &said->address, &said->port) ||
        !route_frame(core, frame, said->address, &from) ||
        frame->length - ETH_HEADER_LENGTH > core->nic[frame->nic].mtu)
        return false;
    ip_header_set(core, frame, protocol, from, said->address);
    if (protocol == IPV4_UDP) {
        if (said->port == 0)
            return false;
        udp_header_set(frame, frameset->port, said->port,
                       (uint16_t)(said->length + UDP_HEADER_LENGTH));
    }
    return true;
}

/* A whole packet of the client's: it must be from us, to the peer, and as long as it says. */
static bool packet_finish(struct core *core, const struct frameset *frameset, struct frame *frame,
                          struct said *said)
{
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    unsigned room = frame->length - ETH_HEADER_LENGTH;
    uint16_t port = 0;
    if (room < IPV4_HEADER_MIN || ip->version_length >> 4 != 4 ||
        ipv4_header_length(ip) < IPV4_HEADER_MIN || ipv4_header_length(ip) > room ||
        be16_get(ip->total_length) != room)
        return false;
    uint32_t from = be32_get(ip->from), to = be32_get(ip->to);
    said->address = to;
    if (from == 0 || !peer_agrees(frameset, &said->address, &port) ||
        !route_frame(core, frame, to, &from) || room > core->nic[frame->nic].mtu)
        return false;
    ipv4_checksum_set(ip);
    eth_header_set(core, frame);
    return true;
}

static bool ethertype_finish(struct core *core, const struct frameset *frameset,
                             struct frame *frame)
{
    struct eth_header *eth = (struct eth_header *)frame->data;
    if (frame->length < ETH_HEADER_LENGTH || !be16_is(eth->type, frameset->peer.protocol) ||
        frame->length > core->nic[frameset->nic].mtu + ETH_HEADER_LENGTH)
        return false;
    eth_copy(eth->from, core->nic[frameset->nic].mac);
    frame->nic = frameset->nic;
    frame->kind = FRAME_READY;
    return true;
}

/* ---- any frame ---------------------------------------------------------------------------------------------- */

/* How many bytes the kernel puts in front of what a client gives. */
static unsigned frameset_headers(const struct frameset *frameset)
{
    if (frameset->joined || frameset->peer.protocol > UINT8_MAX)
        return 0;
    if (frameset->port)
        return ETH_HEADER_LENGTH + IPV4_HEADER_MIN + UDP_HEADER_LENGTH;
    if (frameset->peer.protocol)
        return ETH_HEADER_LENGTH + IPV4_HEADER_MIN;
    return ETH_HEADER_LENGTH;
}

static bool frame_finish(struct core *core, const struct frameset *frameset, struct frame *frame,
                         struct said *said)
{
    if (frameset->port)
        return datagram_finish(core, frameset, frame, said, IPV4_UDP);
    if (frameset->peer.protocol > UINT8_MAX)
        return ethertype_finish(core, frameset, frame);
    if (frameset->peer.protocol)
        return datagram_finish(core, frameset, frame, said, (uint8_t)frameset->peer.protocol);
    return packet_finish(core, frameset, frame, said);
}

static void frame_refuse(struct frameset *frameset, struct frame *frame)
{
    struct core *core = frameset->client->core;
    SHARED_STORE(frameset->transmit.shared->refused, ++frameset->refused);
    ++*core->clients->refused;
    frame_free(&core->frames, frame);
}

static void frame_send(struct frameset *frameset, const uint8_t *slot, struct frame *frame)
{
    struct core *core = frameset->client->core;
    const struct piglet_frame *header = (const struct piglet_frame *)(const void *)slot;
    struct said said = {.length = SHARED_LOAD(header->length),
                        .address = SHARED_LOAD(header->address),
                        .port = SHARED_LOAD(header->port),
                        .to = SHARED_LOAD(header->to)};
    unsigned headers = frameset_headers(frameset);
    if (said.length == 0 || said.length > FRAME_LENGTH_MAX - headers) {
        frame_refuse(frameset, frame);
        return;
    }
    memcpy(frame->data + headers, slot + PIGLET_FRAME_DATA, said.length);
    frame->length = (uint16_t)(headers + said.length);
    frame->flags = 0;
    if (frameset->joined ? !join_send(frameset, frame)
                         : !frame_finish(core, frameset, frame, &said)) {
        frame_refuse(frameset, frame);
        return;
    }
    frameset->tx_frames++;
    ++*core->clients->tx_frames;
    if (!frameset->joined)
        core_send(core, frame);
}

/* While frames of others fill a nic's backlog, clients' frames wait in their rings. (A full ring of the
 * nic itself drops them, as it does anybody's: nic-ring-full.) */
static bool frames_may_go(const struct core *core)
{
    for (unsigned i = 0; i < core->nic_count; i++)
        if (nic_out_count(&core->nic[i]) >= NIC_OUT_MAX - 2 * BATCH_MAX)
            return false;
    return true;
}

static unsigned frameset_send(struct frameset *frameset, unsigned budget)
{
    struct ring *ring = &frameset->transmit;
    struct core *core = frameset->client->core;
    uint32_t count = ring_posted(frameset->client, ring);
    if (count > budget)
        count = budget;
    unsigned sent = 0;
    for (; sent < count; sent++) {
        struct frame *frame = frame_alloc(&core->frames);
        if (!frame)
            break;
        frame_send(frameset, ring->slots + (size_t)ring->slot * PIGLET_SLOT_BYTES, frame);
        ring->slot = ring->slot + 1 == ring->count ? 0 : ring->slot + 1;
        ring->consumed++;
    }
    if (sent) {
        SHARED_PUBLISH(ring->shared->consumed, ring->consumed);
        client_notify(frameset->client);
    }
    return sent;
}

unsigned framesets_send(struct client *client)
{
    unsigned sent = 0;
    if (!framesets_posted(client) || !frames_may_go(client->core))
        return 0;
    for (unsigned i = 0; i < FRAMESETS_MAX && sent < SLICE_FRAMES; i++) {
        /* Where the last slice ended, the next begins. */
        struct frameset *frameset = &client->frameset[(client->frameset_first + i) % FRAMESETS_MAX];
        if (frameset->started)
            sent += frameset_send(frameset, SLICE_FRAMES - sent);
    }
    client->frameset_first++;
    if (client->core->clients->dirty_count)
        framesets_publish(client->core->clients);
    if (client->core->clients->local_count)
        join_receive_local(client->core->clients);
    if (client->core->unflushed)
        chain_flush(client->core);
    return sent;
}
