/* Framesets on a nic's wire: stations with an address of their own, and captures of everything. */
#include <string.h>

#include "kernel/chain.h"
#include "kernel/classify.h"
#include "psr/frameset.h"

/* ---- joining and leaving -------------------------------------------------------------------------------- */

/* What the nic has to receive for all that have joined it. */
static int join_filter(struct clients *clients, unsigned nic)
{
    const struct joined *joined = &clients->joined[nic];
    struct nic_filter filter = {.promiscuous = false};
    for (unsigned i = 0; i < joined->count; i++) {
        const struct frameset *frameset = joined->frameset[i];
        if (frameset->station) {
            filter.all_multicast = true;
            memcpy(filter.station[filter.stations++], frameset->mac, 6);
        } else {
            filter.promiscuous = true;
        }
    }
    clients->core->nic[nic].joined = (uint8_t)joined->count;
    return nic_filter(&clients->core->nic[nic], &filter);
}

static void joined_remove(struct joined *joined, const struct frameset *frameset)
{
    for (unsigned i = 0; i < joined->count; i++)
        if (joined->frameset[i] == frameset)
            joined->frameset[i--] = joined->frameset[--joined->count];
}

static struct frameset *station_find(struct clients *clients, unsigned nic, const uint8_t mac[6])
{
    struct joined *joined = &clients->joined[nic];
    for (unsigned i = 0; i < joined->count; i++)
        if (joined->frameset[i]->station && eth_equal(joined->frameset[i]->mac, mac))
            return joined->frameset[i];
    return NULL;
}

int frameset_join(struct frameset *frameset, unsigned nic, bool station, const uint8_t mac[6])
{
    struct clients *clients = frameset->client->core->clients;
    struct joined *joined = &clients->joined[nic];
    if (station && (eth_is_group(mac) || eth_is_zero(mac)))
        return ERR_INVALID;
    if (station && (eth_equal(mac, clients->core->nic[nic].mac) || station_find(clients, nic, mac)))
        return ERR_EXISTS;
    if (joined->count == JOINED_MAX)
        return ERR_FULL;
    frameset->joined = true;
    frameset->station = station;
    frameset->nic = (uint8_t)nic;
    if (station)
        eth_copy(frameset->mac, mac);
    joined->frameset[joined->count++] = frameset;
    int error = join_filter(clients, nic);
    if (error < 0)
        frameset_leave(frameset);
    return error;
}

void frameset_leave(struct frameset *frameset)
{
    struct clients *clients = frameset->client->core->clients;
    if (!frameset->joined)
        return;
    joined_remove(&clients->joined[frameset->nic], frameset);
    join_filter(clients, frameset->nic); /* less than before: a nic that refuses receives more */
    frameset->joined = frameset->station = false;
}

/* ---- from the wire ---------------------------------------------------------------------------------------- */

/* Gives copies to whom the frame concerns; whether it was for a station, and so for nobody else. */
static bool join_copy(struct joined *joined, const struct frame *frame, uint16_t flags)
{
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    struct piglet_frame about = {.nic = frame->nic, .flags = flags};
    bool taken = false, group = eth_is_group(eth->to);
    if (group)
        about.flags |= PIGLET_FRAME_BROADCAST;
    for (unsigned i = 0; i < joined->count; i++) {
        struct frameset *frameset = joined->frameset[i];
        bool mine = frameset->station && eth_equal(eth->to, frameset->mac);
        taken |= mine;
        if (!frameset->started)
            continue;
        if (frameset->station && (!(mine || group) || eth_equal(eth->from, frameset->mac)))
            continue;
        frameset_deliver(frameset, frame->data, frame->length, &about);
    }
    return taken;
}

void clients_received(struct core *core, struct nic *nic, struct batch *batch)
{
    struct joined *joined = &core->clients->joined[nic->index];
    unsigned kept = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        struct frame *frame = batch->frame[i];
        if (frame->length >= ETH_HEADER_LENGTH && join_copy(joined, frame, 0)) {
            ++*nic->count.rx_frames;
            *nic->count.rx_bytes += frame->length;
            frame_free(&core->frames, frame);
            continue;
        }
        batch->frame[kept++] = frame;
    }
    batch->count = kept;
    framesets_publish(core->clients);
}

void clients_sent(struct core *core, struct nic *nic, const struct batch *batch)
{
    struct joined *joined = &core->clients->joined[nic->index];
    for (unsigned i = 0; i < batch->count; i++)
        join_copy(joined, batch->frame[i], PIGLET_FRAME_SENT);
    framesets_publish(core->clients);
}

/* ---- from a station ----------------------------------------------------------------------------------------- */

/* Frames to Piglet itself are as if received by the nic. */
void join_receive_local(struct clients *clients)
{
    struct core *core = clients->core;
    while (clients->local_count) {
        struct frame *store[BATCH_MAX];
        struct batch batch = {.frame = store};
        struct nic *nic = &core->nic[(unsigned)clients->local[0]->nic];
        unsigned kept = 0;
        for (unsigned i = 0; i < clients->local_count; i++) {
            struct frame *frame = clients->local[i];
            if (&core->nic[(unsigned)frame->nic] == nic)
                store[batch.count++] = frame;
            else
                clients->local[kept++] = frame;
        }
        clients->local_count = kept;
        classify(core, nic, &batch);
        chain_receive(core, &batch, 0);
        chain_flush(core);
    }
}

static void join_local(struct clients *clients, struct frame *frame)
{
    if (clients->local_count == BATCH_MAX)
        join_receive_local(clients);
    clients->local[clients->local_count++] = frame;
}

static bool station_may_send(const struct frameset *frameset, const struct frame *frame)
{
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    const struct nic *nic = &frameset->client->core->nic[(unsigned)frameset->nic];
    return frameset->station && frame->length >= ETH_HEADER_LENGTH &&
           frame->length <= nic->mtu + ETH_HEADER_LENGTH && eth_equal(eth->from, frameset->mac);
}

bool join_send(struct frameset *frameset, struct frame *frame)
{
    struct core *core = frameset->client->core;
    struct clients *clients = core->clients;
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    const struct nic *nic = &core->nic[(unsigned)frameset->nic];
    if (!station_may_send(frameset, frame))
        return false;
    frame->nic = frameset->nic;
    frame->kind = FRAME_READY;
    bool ours = eth_equal(eth->to, nic->mac);
    if (ours || station_find(clients, nic->index, eth->to)) {
        join_copy(&clients->joined[nic->index], frame, 0); /* captures see it, too */
        if (ours)
            join_local(clients, frame);
        else
            frame_free(&core->frames, frame);
    } else {
        struct frame *copy = eth_is_group(eth->to) ? frame_alloc(&core->frames) : NULL;
        if (copy) {
            memcpy(copy->data, frame->data, frame->length);
            copy->length = frame->length;
            copy->nic = frame->nic;
            copy->flags = 0;
            join_local(clients, copy);
        }
        core_send(core, frame);
    }
    return true;
}
