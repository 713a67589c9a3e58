/* Events: the ring the kernel writes, with room reserved beforehand. */
#include "psr/client.h"

#include <string.h>

uint32_t event_free(const struct client *client)
{
    return client->event_mask + 1 - (client->events_written - client->events_taken) -
           client->events_reserved;
}

bool event_room(struct client *client, uint32_t count)
{
    if (event_free(client) >= count)
        return true;
    uint32_t taken = SHARED_LOAD_ACQUIRE(client->header->events_taken);
    uint32_t outstanding = client->events_written - client->events_taken;
    /* It can only have moved on, and not beyond what was written. */
    if (taken - client->events_taken > outstanding)
        client_lied(client);
    else
        client->events_taken = taken;
    return event_free(client) >= count;
}

bool event_reserve(struct client *client)
{
    if (!event_room(client, 1))
        return false;
    client->events_reserved++;
    return true;
}

void event_write(struct client *client, struct piglet_event *event)
{
    struct piglet_event *shared = &client->event[client->events_written & client->event_mask];
    uint64_t word[sizeof *event / sizeof(uint64_t)], *to = (uint64_t *)(void *)shared;
    client->events_reserved--;
    event->number = ++client->events_written;
    memcpy(word, event, sizeof word);
    /* The first word has the number in it, and makes the others visible. */
    for (unsigned i = sizeof word / sizeof word[0] - 1; i > 0; i--)
        SHARED_STORE(to[i], word[i]);
    SHARED_PUBLISH(to[0], word[0]);
    client_notify(client);
}
