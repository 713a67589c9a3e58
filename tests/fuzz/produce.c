/* Frames in transmit rings. */
#include "tests/fuzz/produce.h"

#include <string.h>

#include "tests/fuzz/sample.h"

enum form {
    FORM_PAYLOAD = 1, /* without an Ethernet header */
    FORM_SAID = 2,    /* with a length, address and port that may not fit */
    FORM_STATION = 4, /* from the frameset's own MAC address */
    FORM_GROUP = 8,   /* and to all */
    FORM_BACK = 16,   /* from Piglet to where it came from */
    FORM_LIE = 128,   /* more than the ring has room for */
};

/* One of those there are, or NULL. */
static struct frameset *some_frameset(struct client *client, unsigned which)
{
    struct frameset *found = NULL;
    for (unsigned i = 0; i < FRAMESETS_MAX; i++)
        if (client->frameset[i].object.type && (!found || i <= which % FRAMESETS_MAX))
            found = &client->frameset[i];
    return found;
}

static void frame_put(const struct frameset *frameset, uint8_t *slot, const struct packet *packet,
                      const uint8_t *byte)
{
    struct piglet_frame *about = (struct piglet_frame *)(void *)slot;
    unsigned form = byte[2], skip = form & FORM_PAYLOAD ? ETH_HEADER_LENGTH : 0;
    uint8_t *data = slot + PIGLET_FRAME_DATA;
    *about = (struct piglet_frame){.length = packet->length - skip};
    if (form & FORM_SAID)
        *about = (struct piglet_frame){.length = (uint32_t)byte[5] << byte[4] % 24,
                                       .address = IP(10, 0, 0, 1),
                                       .port = byte[5]};
    memcpy(data, packet->data + skip, PIGLET_SLOT_BYTES - PIGLET_FRAME_DATA - skip);
    if (form & FORM_STATION)
        eth_copy(data + 6, frameset->mac);
    if (form & FORM_GROUP)
        eth_copy(data, BROADCAST);
}

void frames_produce(struct client *client, const uint8_t byte[PRODUCE_BYTES])
{
    struct frameset *frameset = some_frameset(client, byte[0]);
    struct packet packet = sample(byte[3], byte[4]);
    if (!frameset)
        return;
    if (byte[2] & FORM_BACK) {
        struct ipv4_header *ip = packet_ip(&packet), was = *ip;
        ip->from = was.to;
        ip->to = was.from;
    }
    struct ring *out = &frameset->transmit;
    uint32_t produced = SHARED_LOAD(out->shared->produced), under_way = produced - out->consumed;
    uint32_t room = under_way < out->count ? out->count - under_way : 0, count = byte[1];
    if (count > room && !(byte[2] & FORM_LIE))
        count = room;
    for (uint32_t i = 0; i < count; i++)
        frame_put(frameset,
                  out->slots + (out->slot + under_way + i) % out->count * PIGLET_SLOT_BYTES,
                  &packet, byte);
    SHARED_PUBLISH(out->shared->produced, produced + count);
    struct piglet_ring *in = frameset->receive.shared;
    SHARED_STORE(in->consumed, SHARED_LOAD(in->produced));
}
