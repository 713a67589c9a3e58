/* Windows: opening and closing them, and the attachments of clients to them. */
#include <string.h>

#include "kernel/core.h"
#include "psr/client.h"

enum {
    POSTS = 64,         /* chains that may be outstanding */
    EVENTS_SMALL = 128, /* in windows below 1 MiB, */
    REQUESTS_SMALL = 256,
    EVENTS = 512, /* and in others */
    REQUESTS = 2048,
    WINDOW_SMALL = 1 << 20,
};

/* ---- opening ------------------------------------------------------------------------------------------ */

/* Where the parts of a window of so many bytes lie. */
static void window_divide(struct client *client, size_t bytes)
{
    struct piglet_window *header = client->header;
    bool small = bytes < WINDOW_SMALL;
    uint32_t post = PIGLET_PAGE, request = post + POSTS * sizeof(struct piglet_request);
    uint32_t requests = small ? REQUESTS_SMALL : REQUESTS, events = small ? EVENTS_SMALL : EVENTS;
    uint32_t event = request + requests * (uint32_t)sizeof(struct piglet_request);
    uint32_t data = event + events * (uint32_t)sizeof(struct piglet_event);
    data = (data + PIGLET_PAGE - 1) & ~(uint32_t)(PIGLET_PAGE - 1);
    client->post = (struct piglet_request *)(void *)(client->window->memory + post);
    client->request = (struct piglet_request *)(void *)(client->window->memory + request);
    client->event = (struct piglet_event *)(void *)(client->window->memory + event);
    client->data = client->window->memory + data;
    client->post_mask = POSTS - 1;
    client->request_count = requests;
    client->event_mask = events - 1;
    client->data_pages = (uint32_t)((bytes - data) / PIGLET_PAGE);
    header->post_offset = post;
    header->post_count = POSTS;
    header->request_offset = request;
    header->request_count = requests;
    header->event_offset = event;
    header->event_count = events;
    header->data_offset = data;
    header->data_pages = client->data_pages;
}

static uint32_t window_features(const struct client *client)
{
    const struct window *window = client->window;
    return (window->belled ? PIGLET_FEATURE_BELL : 0) |
           (window->heartbeat ? PIGLET_FEATURE_HEARTBEAT : 0) |
           (window->driver->wake ? PIGLET_FEATURE_WAKE : 0);
}

/* What is the kernel's to say about the window. Said again when clients come and go: the last one may
 * have written anything over it. */
static void window_describe(struct client *client)
{
    const struct window *window = client->window;
    struct piglet_window *header = client->header;
    size_t bytes =
        window->bytes < PIGLET_WINDOW_BYTES_MAX ? window->bytes : PIGLET_WINDOW_BYTES_MAX;
    header->abi_major = PIGLET_ABI_MAJOR;
    header->abi_minor = PIGLET_ABI_MINOR;
    header->features = window_features(client);
    header->boot = client->boot;
    header->bytes = bytes;
    header->client = client->number;
    window_divide(client, bytes);
    SHARED_PUBLISH(header->magic, PIGLET_MAGIC);
}

int window_open(struct core *core, struct window *window)
{
    struct clients *clients = core->clients;
    struct client *client = NULL;
    if (window->bytes < PIGLET_WINDOW_BYTES_MIN)
        return ERR_RANGE;
    for (unsigned i = 0; i < clients->limit && !client; i++)
        if (!clients->client[(clients->open_hint + i) % clients->limit].window)
            client = &clients->client[(clients->open_hint + i) % clients->limit];
    if (!client)
        return ERR_FULL;
    clients->open_hint = client->number + 1u;
    client->window = window;
    client->header = (struct piglet_window *)(void *)window->memory;
    client->attached = client->lost = client->bell = client->beat = 0;
    client->chain.active = false;
    window->client = client;
    clients->open++;
    if (!window->belled)
        clients->unbelled_number[clients->unbelled++] = client->number;

    struct piglet_window *header = client->header;
    client->boot = SHARED_LOAD(header->boot) + 1; /* of whoever had this memory last */
    SHARED_STORE(header->magic, 0);
    memset(header, 0, PIGLET_PAGE);
    window_describe(client);
    return 0;
}

void window_close(struct core *core, struct window *window)
{
    struct clients *clients = core->clients;
    struct client *client = window->client;
    if (!client)
        return;
    if (client->attached)
        client_detach(client);
    SHARED_STORE(client->header->magic, 0);
    for (unsigned i = 0; i < clients->unbelled; i++)
        if (clients->unbelled_number[i] == client->number)
            clients->unbelled_number[i--] = clients->unbelled_number[--clients->unbelled];
    clients->open_hint = client->number;
    clients->open--;
    client->window = NULL;
    client->header = NULL;
    window->client = NULL;
}

void **window_state(struct core *core, const struct window_driver *driver)
{
    unsigned i = 0;
    while (window_drivers[i] != driver)
        i++;
    return &core->clients->driver_state[i];
}

unsigned window_number(const struct window *window)
{
    return window->client->number;
}

void window_bell(struct core *core, void *bell)
{
    core->clients->bell = bell;
}

void client_lied(struct client *client)
{
    client->lies++;
    ++*client->core->clients->lies;
}

/* ---- attaching ------------------------------------------------------------------------------------------ */

/* A name is for people and terminals: what is not printable is not shown. */
static void attachment_name(struct client *client)
{
    for (unsigned i = 0; i < PIGLET_NAME_MAX - 1; i++) {
        char byte = SHARED_LOAD(client->header->name[i]);
        client->name[i] = byte;
        if (byte == 0)
            break;
        if (byte < ' ' || byte > '~')
            client->name[i] = '?';
    }
    client->name[PIGLET_NAME_MAX - 1] = 0;
    client->pid = SHARED_LOAD(client->header->pid);
}

static void attachment_begin(struct client *client, uint32_t attach)
{
    struct clients *clients = client->core->clients;
    struct piglet_window *header = client->header;
    client->attached = attach;
    client->next_chain = 1;
    client->cancel = 0;
    client->waiting = client->cancelling = false;
    client->events_written = client->events_taken = client->events_reserved = 0;
    client->requests = client->chains = client->failed = client->undone = client->lies = 0;
    client->time_ns = 0;
    client->beat = SHARED_LOAD(header->client_heartbeat);
    client->beat_ns = client->core->now_ns;
    client->chain.active = false;
    window_describe(client);
    attachment_name(client);
    memset(client->post, 0, (client->post_mask + 1) * sizeof *client->post);
    memset(client->event, 0, (client->event_mask + 1) * sizeof *client->event);
    SHARED_STORE(header->events_taken, 0);
    SHARED_STORE(header->waiting, 0);
    SHARED_STORE(header->cancel, 0);
    SHARED_STORE(header->rights, client->core->window_rights);
    capabilities_start(client, client->core->window_rights);
    clients->attached++;
    ++*clients->attachments;
    SHARED_STORE(header->attach_error, 0);
    SHARED_PUBLISH(header->attached, attach);
}

void client_detach(struct client *client)
{
    struct clients *clients = client->core->clients;
    client->attached = 0;
    if (client->active)
        client_rest(client);
    client->chain.active = false;
    capabilities_stop(client);
    clients->attached--;
    window_describe(client);
    SHARED_STORE(client->header->polled, 0);
    SHARED_PUBLISH(client->header->attached, 0);
}

void attachment_look(struct client *client)
{
    uint32_t attach = SHARED_LOAD_ACQUIRE(client->header->attach);
    if (attach == client->attached || (attach && attach == client->lost))
        return;
    if (client->attached)
        client_detach(client);
    client->lost = 0;
    if (attach)
        attachment_begin(client, attach);
    client_notify(client);
}

/* What tools see of a client without asking the kernel. */
static void attachment_show(const struct client *client)
{
    struct piglet_window *header = client->header;
    SHARED_STORE(header->requests, client->requests);
    SHARED_STORE(header->chains, client->chains);
    SHARED_STORE(header->failed, client->failed);
    SHARED_STORE(header->undone, client->undone);
    SHARED_STORE(header->events, client->events_written);
    SHARED_STORE(header->lies, client->lies);
}

void attachment_beat(struct client *client)
{
    struct core *core = client->core;
    SHARED_STORE(client->header->heartbeat, ++client->heartbeat);
    if (!client->attached)
        return;
    attachment_show(client);
    uint32_t beat = SHARED_LOAD(client->header->client_heartbeat);
    if (beat != client->beat) {
        client->beat = beat;
        client->beat_ns = core->now_ns;
    } else if (client->window->heartbeat &&
               core->now_ns - client->beat_ns > PIGLET_HEARTBEAT_LOST_MS * 1000000ull) {
        log_write(&core->log, LOG_WARNING, "clients", "client %u (%s) is gone: no heartbeat",
                  client->number, client->name);
        ++*core->clients->heartbeats_lost;
        client->lost = client->attached; /* not attached anew by what it once wrote */
        client_detach(client);
    }
}
