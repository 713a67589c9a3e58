/* Opcodes that write tables into a client's memory, a page-full at a time. */
#include <string.h>

#include "kernel/chain.h"
#include "piglet/table.h"
#include "psr/client.h"

enum { PLACES_OF_COST = 32 }; /* for clients that were looked at, and free: as long as a request */

/* Where entries go. Written once each, from a copy of ours: the memory is the client's. */
struct table {
    uint8_t *at;
    unsigned room, written; /* in entries */
};

static int table_open(struct client *client, struct call *call, struct table *table,
                      size_t entry_bytes)
{
    const struct memory *memory = (const struct memory *)call->object[1];
    uint64_t bytes = (uint64_t)memory->pages * PIGLET_PAGE, offset = call->value[3];
    call->cost = TABLE_COST;
    if (memory->user)
        return ERR_BUSY; /* a frameset's ring is not to be written over */
    if (offset % sizeof(uint64_t) || offset >= bytes || bytes - offset < entry_bytes)
        return ERR_RANGE;
    uint64_t room = (bytes - offset) / entry_bytes;
    table->at = client->data + (size_t)memory->page * PIGLET_PAGE + offset;
    table->room = room < PIGLET_TABLE_ENTRIES ? (unsigned)room : PIGLET_TABLE_ENTRIES;
    table->written = 0;
    return 0;
}

static bool table_full(const struct table *table)
{
    return table->written == table->room;
}

static void table_put(struct table *table, const void *entry, size_t bytes)
{
    memcpy(table->at + bytes * table->written++, entry, bytes);
}

/* `to` is zeroed; what is too long is cut. */
static void text_put(char *to, size_t room, const char *from)
{
    size_t length = strlen(from);
    memcpy(to, from, length < room ? length : room - 1);
}

int op_service_list(struct client *client, struct call *call)
{
    struct core *core = client->core;
    struct table table;
    struct piglet_service_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (uint64_t i = call->value[2]; i < core->service_count && !table_full(&table); i++) {
        const struct service_self *self = &core->service[i];
        entry = (struct piglet_service_entry){.number = (uint32_t)i,
                                              .running = self->running,
                                              .frames = *self->count.frames,
                                              .passed = *self->count.passed,
                                              .dropped = *self->count.dropped,
                                              .time_ns = *self->count.time_ns,
                                              .load_error_at = self->load_error_at,
                                              .load_error_line = self->load_error_line,
                                              .table_since = self->source[0].since,
                                              .next = (uint32_t)i + 1};
        text_put(entry.name, sizeof entry.name, self->service->name);
        text_put(entry.help, sizeof entry.help, self->service->help);
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

/* Row 0 is the service itself. False: it has no such row. */
static bool setting_entry(struct piglet_setting_entry *entry, const struct service_self *self,
                          unsigned row)
{
    const struct service *service = self->service;
    const struct service_setting *setting = service->settings;
    *entry = (struct piglet_setting_entry){.kind = SETTING_SWITCH, .max = 1};
    text_put(entry->service, sizeof entry->service, service->name);
    if (row == 0) {
        text_put(entry->value, sizeof entry->value, self->running ? "on" : "off");
        text_put(entry->initial, sizeof entry->initial, service->on_by_default ? "on" : "off");
        text_put(entry->help, sizeof entry->help, service->help);
        return true;
    }
    for (unsigned i = 1; setting && setting->name && i < row; i++)
        setting++;
    if (!setting || !setting->name)
        return false;
    entry->kind = setting->kind;
    entry->min = setting->min;
    entry->max = setting->max;
    text_put(entry->key, sizeof entry->key, setting->name);
    text_put(entry->help, sizeof entry->help, setting->help);
    chain_setting_get(self, setting->name, entry->value, sizeof entry->value);
    chain_setting_text(setting, setting->initial, entry->initial, sizeof entry->initial);
    return true;
}

int op_setting_list(struct client *client, struct call *call)
{
    const struct core *core = client->core;
    struct table table;
    struct piglet_setting_entry entry;
    unsigned next = 0;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (unsigned i = 0; i < core->service_count; i++)
        for (unsigned row = 0; setting_entry(&entry, &core->service[i], row); row++) {
            if (table_full(&table))
                break;
            entry.next = ++next;
            if (next > call->value[2])
                table_put(&table, &entry, sizeof entry);
        }
    call->result = table.written;
    return 0;
}

int op_service_show(struct client *client, struct call *call)
{
    struct core *core = client->core;
    struct table table;
    struct piglet_text_entry entry;
    uint64_t number = call->value[2] >> 32;
    unsigned next = (unsigned)call->value[2];
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    if (number >= core->service_count)
        return ERR_NOT_FOUND;
    struct service_self *self = &core->service[number];
    if (!self->service->show)
        return ERR_UNSUPPORTED;
    while (self->running && !table_full(&table)) {
        memset(&entry, 0, sizeof entry);
        if (!self->service->show(self, &next, entry.text, SERVICE_LINE_MAX))
            break;
        entry.next = next;
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

int op_counter_read(struct client *client, struct call *call)
{
    const struct counter_registry *registry = &client->core->counters;
    struct table table;
    struct piglet_counter_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (uint64_t i = call->value[2]; i < registry->count && !table_full(&table); i++) {
        entry = (struct piglet_counter_entry){.value = registry->value[i], .next = (uint32_t)i + 1};
        text_put(entry.name, sizeof entry.name, registry->counter[i].name);
        text_put(entry.help, sizeof entry.help, registry->counter[i].help);
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

int op_log_read(struct client *client, struct call *call)
{
    const struct log *log = &client->core->log;
    struct table table;
    struct piglet_log_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    uint64_t oldest = log->written > LOG_LINES ? log->written - LOG_LINES : 0;
    uint64_t i = call->value[2] > oldest ? call->value[2] : oldest;
    for (; i < log->written && !table_full(&table); i++) {
        const struct log_line *line = log_line(log, i);
        entry = (struct piglet_log_entry){
            .number = i, .time_ns = line->at_ns, .level = line->level, .next = (uint32_t)i + 1};
        text_put(entry.text, sizeof entry.text, line->text);
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

static void record_entry(struct piglet_record_entry *entry, const struct record *record,
                         uint64_t number)
{
    *entry = (struct piglet_record_entry){.number = number,
                                          .time_ns = record->time_ns,
                                          .length = record->length,
                                          .line = record->line,
                                          .swaps = record->swaps,
                                          .nic = record->nic,
                                          .outgoing = record->outgoing,
                                          .kept = record->kept,
                                          .next = (uint32_t)number + 1};
    text_put(entry->who, sizeof entry->who, record->who);
    text_put(entry->reason, sizeof entry->reason, drop_text[record->reason].name);
    text_put(entry->sentence, sizeof entry->sentence, drop_text[record->reason].sentence);
    memcpy(entry->bytes, record->bytes, sizeof entry->bytes);
}

int op_record_read(struct client *client, struct call *call)
{
    const struct recorder *recorder = &client->core->recorder;
    struct table table;
    struct piglet_record_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    uint64_t oldest = recorder->written > RECORDS ? recorder->written - RECORDS : 0;
    uint64_t i = call->value[2] > oldest ? call->value[2] : oldest;
    for (; i < recorder->written && !table_full(&table); i++) {
        const struct record *record = recorder_find(recorder, i);
        if (!record)
            break;
        record_entry(&entry, record, i);
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

static void nic_entry(struct piglet_nic_entry *entry, const struct nic *nic)
{
    *entry = (struct piglet_nic_entry){
        .link_up = nic->link_up,
        .present = nic_present(nic),
        .speed_mbps = nic->speed_mbps,
        .mtu = nic->mtu,
        .rx_frames = *nic->count.rx_frames,
        .rx_bytes = *nic->count.rx_bytes,
        .rx_batches = *nic->count.rx_batches,
        .rx_errors = *nic->count.rx_errors,
        .rx_missed = *nic->count.rx_missed,
        .tx_frames = *nic->count.tx_frames,
        .tx_bytes = *nic->count.tx_bytes,
        .tx_batches = *nic->count.tx_batches,
        .tx_errors = *nic->count.tx_errors,
        .next = nic->index + 1u,
    };
    memcpy(entry->mac, nic->mac, sizeof entry->mac);
    text_put(entry->name, sizeof entry->name, nic->name);
    text_put(entry->driver, sizeof entry->driver, nic->driver->name);
    text_put(entry->device, sizeof entry->device, nic->device->name);
}

/* The readable register number `at` of the driver's; false: there is none. */
static bool register_find(struct piglet_register_entry *entry, const struct nic_driver *driver,
                          uint32_t at)
{
    uint32_t left = at;
    for (unsigned i = 0; i < driver->register_count; i++) {
        const struct nic_register *row = &driver->registers[i];
        unsigned count = row->readable ? row->count : 0;
        if (left < count) {
            *entry = (struct piglet_register_entry){.offset = row->offset + left * row->stride,
                                                    .index = left,
                                                    .count = count,
                                                    .next = at + 1};
            text_put(entry->name, sizeof entry->name, row->name);
            return true;
        }
        left -= count;
    }
    return false;
}

/* A read of a device takes about 1 us. */
int op_register_read(struct client *client, struct call *call)
{
    struct core *core = client->core;
    struct table table;
    struct piglet_register_entry entry;
    uint64_t number = call->value[2] >> 32;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    if (number >= core->nic_count || !nic_present(&core->nic[number]))
        return ERR_NOT_FOUND;
    struct nic *nic = &core->nic[number];
    for (uint32_t at = (uint32_t)call->value[2]; !table_full(&table); at++) {
        if (!register_find(&entry, nic->driver, at))
            break;
        if ((error = nic->driver->register_read(nic, entry.offset, &entry.value)) < 0)
            return error;
        table_put(&table, &entry, sizeof entry);
    }
    call->cost += table.written;
    call->result = table.written;
    return 0;
}

int op_nic_list(struct client *client, struct call *call)
{
    const struct core *core = client->core;
    struct table table;
    struct piglet_nic_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (uint64_t i = call->value[2]; i < core->nic_count && !table_full(&table); i++) {
        nic_entry(&entry, &core->nic[i]);
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

int op_address_list(struct client *client, struct call *call)
{
    const struct route_table *routes = &client->core->routes;
    struct table table;
    struct piglet_address_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (uint64_t i = call->value[2]; i < ADDRESSES_MAX && !table_full(&table); i++) {
        const struct address *address = &routes->address[i];
        if (!address->ip)
            continue;
        entry = (struct piglet_address_entry){.address = address->ip,
                                              .gateway = address->gateway,
                                              .length = address->length,
                                              .nic = address->nic,
                                              .state = address->state,
                                              .service = address->service,
                                              .next = (uint32_t)i + 1};
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

int op_route_list(struct client *client, struct call *call)
{
    const struct route_table *routes = &client->core->routes;
    struct table table;
    struct piglet_route_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (uint64_t i = call->value[2]; i < ROUTES_MAX && !table_full(&table); i++) {
        const struct route *route = &routes->route[i];
        if (!route->used)
            continue;
        entry = (struct piglet_route_entry){.prefix = route->prefix,
                                            .length = route->length,
                                            .gateway = route->gateway,
                                            .nic = route->nic,
                                            .type = route->type,
                                            .next = (uint32_t)i + 1};
        table_put(&table, &entry, sizeof entry);
    }
    call->result = table.written;
    return 0;
}

static void client_entry(struct piglet_client_entry *entry, const struct client *client)
{
    *entry = (struct piglet_client_entry){
        .client = client->number,
        .pid = client->pid,
        .capabilities = client->capabilities,
        .pages = client->pages,
        .pages_total = client->data_pages,
        .requests = client->requests,
        .chains = client->chains,
        .failed = client->failed,
        .undone = client->undone,
        .events = client->events_written,
        .lies = client->lies,
        .time_ns = client->time_ns,
        .next = client->number + 1u,
        .waiting = client->waiting,
    };
    memcpy(entry->name, client->name, sizeof entry->name);
    for (unsigned i = 0; i < FRAMESETS_MAX; i++) {
        const struct frameset *frameset = &client->frameset[i];
        entry->framesets += frameset->object.type != OBJECT_NONE;
        entry->rx_frames += frameset->rx_frames;
        entry->tx_frames += frameset->tx_frames;
        entry->dropped += frameset->dropped;
        entry->refused += frameset->refused;
    }
}

int op_client_list(struct client *client, struct call *call)
{
    const struct clients *clients = client->core->clients;
    struct table table;
    struct piglet_client_entry entry;
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    unsigned looked = 0;
    for (uint64_t i = call->value[2]; i < clients->limit && !table_full(&table); i++) {
        looked++;
        if (!clients->client[i].attached)
            continue;
        client_entry(&entry, &clients->client[i]);
        table_put(&table, &entry, sizeof entry);
    }
    call->cost += looked + clients->limit / PLACES_OF_COST;
    call->result = table.written;
    return 0;
}

static void status_phases(struct piglet_status_entry *entry, const struct core *core)
{
    entry->phases = PHASE_COUNT;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        text_put(entry->phase[i].name, sizeof entry->phase[i].name, phase_name[i]);
        entry->phase[i].time_ns = *core->time_ns[i];
    }
}

int op_status_read(struct client *client, struct call *call)
{
    const struct core *core = client->core;
    struct table table;
    _Static_assert((int)PHASE_COUNT <= (int)PIGLET_PHASES_MAX, "the ABI has room for every phase");
    struct piglet_status_entry entry = {
        .now_ns = core->now_ns,
        .boot = client->boot,
        .nics = core->nic_count,
        .services = core->service_count,
        .clients = core->clients->attached,
        .frames = core->frames.total,
        .frames_free = core->frames.free_count,
        .turns = *core->turns,
        .turns_worked = *core->turns_worked,
        .sleeps = *core->sleeps,
    };
    int error = table_open(client, call, &table, sizeof entry);
    if (error < 0)
        return error;
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++)
        entry.drops += core->drop[i];
    text_put(entry.version, sizeof entry.version, PIGLET_VERSION);
    text_put(entry.machine, sizeof entry.machine, core->machine);
    status_phases(&entry, core);
    table_put(&table, &entry, sizeof entry);
    call->result = table.written;
    return 0;
}
