/* Opcodes that change the kernel's configuration: addresses, routes, services. */
#include <string.h>

#include "kernel/chain.h"
#include "psr/frameset.h"

enum {
    TEXT_MAX = 96,          /* "key=value" */
    SERVICE_NAME_MAX = 23,  /* as in struct piglet_service_entry */
    SOURCE_MAX = 512 << 10, /* bytes of text that a table was made from */
    ROUTE_ROOT_BITS = 16,
    ROUTE_ENTRIES_OF_COST = 8192, /* of the route table written over, for each request in cost */
};

/* A change looks through the table, and writes it over below the prefix: all of it, and all nodes, for
 * a default route (with 900 nodes, 0.9 ms). */
static unsigned route_cost(const struct route_table *table, uint64_t length)
{
    if (length >= ROUTE_ROOT_BITS)
        return TABLE_COST;
    unsigned entries = ROUTE_ROOT_ENTRIES >> length;
    return TABLE_COST + (entries + table->nodes * ROUTE_NODE_ENTRIES) / ROUTE_ENTRIES_OF_COST;
}

static bool nic_valid(const struct core *core, uint64_t nic)
{
    return nic < core->nic_count && nic_present(&core->nic[nic]);
}

/* A service may have taken the place meanwhile: arp gives an address back the route that it had
 * taken from it, when the chain changes arp's settings. */
static void undo_failed(struct client *client, uint32_t ip, unsigned length, int error)
{
    log_write(&client->core->log, LOG_ERROR, "clients", "client %u: %s/%u is not put back: %s",
              client->number, ip_text(ip).text, length, piglet_error_text(error));
}

/* ---- addresses ------------------------------------------------------------------------------------------ */

/* Services hear of a change when it is certain. */
static void address_added_commit(struct client *client, struct undo *undo)
{
    chain_notice(client->core, SERVICE_ADDRESS_ADDED, (uint32_t)undo->value[0]);
}

static void address_added_undo(struct client *client, struct undo *undo)
{
    address_delete(&client->core->routes, (uint32_t)undo->value[0]);
}

int op_address_add(struct client *client, struct call *call)
{
    struct core *core = client->core;
    uint64_t ip = call->value[1] >> 8, length = call->value[1] & 0xff, gateway = call->value[3];
    call->cost = route_cost(&core->routes, gateway ? 0 : length);
    if (ip > UINT32_MAX || gateway > UINT32_MAX)
        return ERR_RANGE;
    if (!nic_valid(core, call->value[2]))
        return ERR_NOT_FOUND;
    int error = address_add(&core->routes, (uint8_t)call->value[2], (uint32_t)ip, (uint8_t)length,
                            (uint32_t)gateway);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    *undo =
        (struct undo){.undo = address_added_undo, .commit = address_added_commit, .value = {ip}};
    return 0;
}

static void address_deleted_commit(struct client *client, struct undo *undo)
{
    chain_notice(client->core, SERVICE_ADDRESS_REMOVED, (uint32_t)undo->value[0]);
}

static void address_deleted_undo(struct client *client, struct undo *undo)
{
    struct address address = {.ip = (uint32_t)undo->value[0],
                              .gateway = (uint32_t)undo->value[1],
                              .length = (uint8_t)undo->value[2],
                              .nic = (uint8_t)(undo->value[2] >> 8),
                              .state = (uint8_t)(undo->value[2] >> 16),
                              .service = (uint8_t)(undo->value[2] >> 32)};
    int error = address_restore(&client->core->routes, (unsigned)undo->value[3], &address,
                                (uint8_t)(undo->value[2] >> 24));
    if (error < 0)
        undo_failed(client, address.ip, address.length, error);
}

int op_address_delete(struct client *client, struct call *call)
{
    struct route_table *routes = &client->core->routes;
    if (call->value[1] > UINT32_MAX)
        return ERR_RANGE;
    const struct address *address = address_find(routes, (uint32_t)call->value[1]);
    if (!address)
        return ERR_NOT_FOUND;
    call->cost = route_cost(routes, address->gateway ? 0 : address->length);
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = address_deleted_undo,
                          .commit = address_deleted_commit,
                          .value = {address->ip, address->gateway,
                                    address->length | (uint64_t)address->nic << 8 |
                                        (uint64_t)address->state << 16 |
                                        (uint64_t)address_link_nic(routes, address) << 24 |
                                        (uint64_t)address->service << 32,
                                    (uint64_t)(address - routes->address)}};
    return address_delete(routes, address->ip);
}

/* ---- routes --------------------------------------------------------------------------------------------- */

static void route_added_undo(struct client *client, struct undo *undo)
{
    route_delete(&client->core->routes, (uint32_t)undo->value[0], (uint8_t)undo->value[1]);
}

/* By which nic: the one whose link the gateway is on, or the one named. */
static int route_nic(const struct core *core, const struct call *call, struct route *route)
{
    if (route->gateway) {
        const struct route *link = &core->routes.route[route_lookup(&core->routes, route->gateway)];
        if (link->type != ROUTE_UNICAST || link->gateway ||
            (call->given[3] && call->value[3] != link->nic))
            return ERR_RANGE;
        route->nic = link->nic;
        return 0;
    }
    if (!call->given[3])
        return ERR_ARGUMENT;
    if (!nic_valid(core, call->value[3]))
        return ERR_NOT_FOUND;
    route->nic = (uint8_t)call->value[3];
    return 0;
}

int op_route_add(struct client *client, struct call *call)
{
    struct core *core = client->core;
    call->cost = route_cost(&core->routes, call->value[1] & 0xff);
    if (call->value[1] >> 40 || call->value[2] > UINT32_MAX)
        return ERR_RANGE;
    struct route route = {.type = ROUTE_UNICAST,
                          .prefix = (uint32_t)(call->value[1] >> 8),
                          .length = (uint8_t)call->value[1],
                          .gateway = (uint32_t)call->value[2]};
    int error = route_nic(core, call, &route);
    if (error == 0)
        error = route_add(&core->routes, &route);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = route_added_undo, .value = {route.prefix, route.length}};
    return 0;
}

static void route_deleted_undo(struct client *client, struct undo *undo)
{
    struct route route = {.type = ROUTE_UNICAST,
                          .prefix = (uint32_t)undo->value[0],
                          .length = (uint8_t)undo->value[1],
                          .gateway = (uint32_t)undo->value[2],
                          .nic = (uint8_t)undo->value[3]};
    int error = route_add(&client->core->routes, &route);
    if (error < 0)
        undo_failed(client, route.prefix, route.length, error);
}

int op_route_delete(struct client *client, struct call *call)
{
    struct route_table *routes = &client->core->routes;
    if (call->value[1] >> 40)
        return ERR_RANGE;
    uint32_t prefix = (uint32_t)(call->value[1] >> 8);
    uint8_t length = (uint8_t)call->value[1];
    const struct route *route = length > 32 ? NULL : route_find(routes, prefix, length);
    call->cost = route_cost(routes, length);
    if (!route)
        return ERR_NOT_FOUND;
    if (route->type != ROUTE_UNICAST)
        return ERR_DENIED;
    if (address_has_route(routes, prefix, length))
        return ERR_BUSY;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = route_deleted_undo,
                          .value = {prefix, length, route->gateway, route->nic}};
    return route_delete(routes, prefix, length);
}

/* ---- services -------------------------------------------------------------------------------------------- */

static struct service_self *service_numbered(struct core *core, uint64_t number)
{
    return number < core->service_count ? &core->service[number] : NULL;
}

/* That of the clients is called only while there are framesets. */
static int service_start(struct client *client, struct service_self *self)
{
    int error = chain_service_start(client->core, self);
    deliver_changed(client->core->clients);
    return error;
}

static void service_start_again(struct client *client, struct undo *undo)
{
    service_start(client, undo->object);
}

static void service_stop_again(struct client *client, struct undo *undo)
{
    chain_service_stop(client->core, undo->object);
}

int op_service_start(struct client *client, struct call *call)
{
    struct service_self *self = service_numbered(client->core, call->value[1]);
    if (!self)
        return ERR_NOT_FOUND;
    call->cost = TABLE_COST;
    call->result = self->running;
    if (self->running)
        return 0;
    int error = service_start(client, self);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = service_stop_again, .object = self};
    return 0;
}

int op_service_stop(struct client *client, struct call *call)
{
    struct service_self *self = service_numbered(client->core, call->value[1]);
    if (!self)
        return ERR_NOT_FOUND;
    call->cost = TABLE_COST;
    call->result = !self->running;
    if (!self->running)
        return 0;
    chain_service_stop(client->core, self);
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = service_start_again, .object = self};
    return 0;
}

/* The key's place in its table stays good; the former value is a number's text. */
static void service_configure_undo(struct client *client, struct undo *undo)
{
    char text[sizeof undo->value];
    struct service_self *self = undo->object;
    const struct service_setting *setting = &self->service->settings[undo->value[0]];
    (void)client;
    memset(text, 0, sizeof text);
    memcpy(text, &undo->value[1], sizeof undo->value - sizeof undo->value[0]);
    chain_setting_set(self, setting->name, text);
}

static int setting_find(const struct service_self *self, const char *key, unsigned *index)
{
    const struct service_setting *settings = self->service->settings;
    for (*index = 0; settings && settings[*index].name; ++*index)
        if (strcmp(settings[*index].name, key) == 0)
            return 0;
    return ERR_NOT_FOUND;
}

int op_service_configure(struct client *client, struct call *call)
{
    struct service_self *self = service_numbered(client->core, call->value[1]);
    char text[TEXT_MAX + 1];
    uint64_t bytes = call->value[3];
    if (!self)
        return ERR_NOT_FOUND;
    if (bytes == 0 || bytes > TEXT_MAX)
        return ERR_RANGE;
    const char *shared = client_data(client, call->value[2], bytes);
    if (!shared)
        return ERR_RANGE;
    for (unsigned i = 0; i < bytes; i++)
        text[i] = SHARED_LOAD(shared[i]);
    text[bytes] = 0;
    char *value = strchr(text, '=');
    if (!value)
        return ERR_INVALID;
    *value++ = 0;
    unsigned index;
    char former[SETTING_TEXT_MAX];
    int error = setting_find(self, text, &index);
    if (error == 0)
        error = chain_setting_get(self, text, former, sizeof former);
    if (error == 0)
        error = chain_setting_set(self, text, value);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = service_configure_undo, .object = self, .value = {index}};
    _Static_assert(SETTING_TEXT_MAX <= 3 * sizeof(uint64_t), "a setting's text fits an undo");
    memcpy(&undo->value[1], former, strlen(former));
    return 0;
}

int op_service_find(struct client *client, struct call *call)
{
    char name[SERVICE_NAME_MAX + 1] = "";
    uint64_t bytes = call->value[2];
    const char *shared = client_data(client, call->value[1], bytes);
    if (bytes == 0 || bytes > SERVICE_NAME_MAX || !shared)
        return ERR_RANGE;
    for (unsigned i = 0; i < bytes; i++)
        name[i] = SHARED_LOAD(shared[i]);
    const struct service_self *self = chain_find(client->core, name);
    if (!self)
        return ERR_NOT_FOUND;
    call->result = self->index;
    return 0;
}

/* Room for a copy of the longest table, the first time one comes. */
static uint8_t *table_copy(struct clients *clients, size_t bytes)
{
    if (!clients->table) {
        size_t room = 0;
        for (unsigned i = 0; i < clients->core->service_count; i++)
            if (clients->core->service[i].service->table_max > room)
                room = clients->core->service[i].service->table_max;
        clients->table = arch_memory_take(room, FRAME_METADATA);
        clients->table_room = clients->table ? room : 0;
    }
    return bytes <= clients->table_room ? clients->table : NULL;
}

/* Room for the text of the spare table; it is there for good, once there was a text. */
static int source_room(struct service_self *self)
{
    for (unsigned i = 0; i < 2; i++)
        if (!self->source[i].text)
            self->source[i].text = arch_memory_take(SOURCE_MAX, FRAME_METADATA);
    return self->source[0].text && self->source[1].text ? 0 : ERR_NO_MEMORY;
}

static void swap_undo(struct client *client, struct undo *undo)
{
    (void)client;
    chain_service_swap_back(undo->object);
}

/* An ATOMIC chain may swap and be undone, which needs the former table where it was: so nothing is
 * loaded behind a swap in one. */
static bool load_would_overwrite(const struct clients *clients, const struct service_self *self)
{
    for (unsigned i = 0; i < clients->undo_count; i++)
        if (clients->undo[i].undo == swap_undo && clients->undo[i].object == self)
            return true;
    return false;
}

int op_service_load(struct client *client, struct call *call)
{
    struct clients *clients = client->core->clients;
    struct service_self *self = service_numbered(client->core, call->value[1]);
    const struct memory *memory = (const struct memory *)call->object[2];
    uint64_t bytes = call->value[3] & UINT32_MAX, text_bytes = call->value[3] >> 32;
    if (!self)
        return ERR_NOT_FOUND;
    if (!self->service->load)
        return ERR_UNSUPPORTED;
    if (bytes + text_bytes > (uint64_t)memory->pages * PIGLET_PAGE ||
        bytes > self->service->table_max || text_bytes > SOURCE_MAX)
        return ERR_RANGE;
    if (memory->user || load_would_overwrite(clients, self))
        return ERR_BUSY;
    call->cost += (unsigned)((bytes + text_bytes) >> 10);
    uint8_t *copy = table_copy(clients, bytes);
    if (!copy || (text_bytes && source_room(self) < 0))
        return ERR_NO_MEMORY;
    const uint8_t *from = client->data + (size_t)memory->page * PIGLET_PAGE;
    memcpy(copy, from, bytes);
    int load = chain_service_load(self, copy, bytes);
    clients->load_error_line = load < 0 ? self->load_error_line : 0;
    if (load < 0)
        return load;
    if (text_bytes)
        memcpy(self->source[1].text, from + bytes, text_bytes);
    self->source[1].bytes = text_bytes;
    call->result = (uint64_t)load;
    return 0;
}

int op_table_read(struct client *client, struct call *call)
{
    const struct service_self *self = service_numbered(client->core, call->value[2]);
    const struct memory *memory = (const struct memory *)call->object[1];
    uint64_t room = (uint64_t)memory->pages * PIGLET_PAGE, from = call->value[3];
    if (!self)
        return ERR_NOT_FOUND;
    if (!self->service->load)
        return ERR_UNSUPPORTED;
    if (memory->user)
        return ERR_BUSY; /* a frameset's ring is not to be written over */
    uint64_t bytes = from < self->source[0].bytes ? self->source[0].bytes - from : 0;
    call->result = bytes < room ? bytes : room;
    call->cost += (unsigned)(call->result >> 10);
    if (call->result)
        memcpy(client->data + (size_t)memory->page * PIGLET_PAGE, self->source[0].text + from,
               call->result);
    return 0;
}

int op_service_swap(struct client *client, struct call *call)
{
    struct service_self *self = service_numbered(client->core, call->value[1]);
    if (!self)
        return ERR_NOT_FOUND;
    int error = chain_service_swap(self, call->value[2]);
    if (error < 0)
        return error;
    struct undo *undo = undo_add(client);
    *undo = (struct undo){.undo = swap_undo, .object = self};
    return 0;
}
