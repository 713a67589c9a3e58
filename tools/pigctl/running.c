/* What runs, read from a kernel as a configuration. */
#include "tools/pigctl/language.h"

#include <stdlib.h>
#include <string.h>

/* What is read of a kernel: services' addresses too, whose routes must be told from the others. */
struct reading {
    struct config *config;
    struct config_address *address;
    unsigned addresses;
};

static int address_row(const void *entry, void *context)
{
    const struct piglet_address_entry *row = entry;
    struct reading *reading = context;
    const struct config_address address = {.address = row->address,
                                           .length = (uint8_t)row->length,
                                           .nic = row->nic,
                                           .gateway = row->gateway};
    struct config_address *any = LIST_ADD(reading->address, reading->addresses);
    *any = address;
    if (row->service)
        return 0;
    any = LIST_ADD(reading->config->address, reading->config->addresses);
    *any = address;
    return 0;
}

/* Whether it came with an address and goes with it. */
static bool route_of_address(const struct reading *reading, const struct piglet_route_entry *row)
{
    for (unsigned i = 0; i < reading->addresses; i++) {
        const struct config_address *address = &reading->address[i];
        if ((row->length == 0 && address->gateway) ||
            (row->length == address->length && row->gateway == 0 &&
             row->prefix == (address->address & mask_of(address->length))))
            return true;
    }
    return false;
}

static int route_row(const void *entry, void *context)
{
    enum { UNICAST = 0 };
    const struct piglet_route_entry *row = entry;
    struct reading *reading = context;
    if (row->type != UNICAST || route_of_address(reading, row))
        return 0;
    struct config_route *route = LIST_ADD(reading->config->route, reading->config->routes);
    *route = (struct config_route){.prefix = row->prefix,
                                   .length = (uint8_t)row->length,
                                   .gateway = row->gateway,
                                   .nic = row->nic,
                                   .nic_given = row->gateway == 0};
    return 0;
}

static int setting_row(const void *entry, void *context)
{
    const struct piglet_setting_entry *row = entry;
    struct config *config = ((struct reading *)context)->config;
    struct config_setting *setting = LIST_ADD(config->setting, config->settings);
    snprintf(setting->service, sizeof setting->service, "%.*s", (int)sizeof row->service - 1,
             row->service);
    snprintf(setting->key, sizeof setting->key, "%.*s", (int)sizeof row->key - 1, row->key);
    snprintf(setting->value, sizeof setting->value, "%.*s", (int)sizeof row->value - 1, row->value);
    snprintf(setting->initial, sizeof setting->initial, "%.*s", (int)sizeof row->initial - 1,
             row->initial);
    return 0;
}

/* The texts of the services' tables. A service that takes none has none. */
int config_tables_read(struct piglet *piglet, struct config *config)
{
    enum { PAGES = 16 };
    void *entries = NULL;
    uint64_t memory = 0, got = 0;
    int count = piglet_load_table(piglet, PIGLET_OP_SERVICE_LIST, 0, &entries);
    const struct piglet_service_entry *service = entries;
    int error = count < 0
                    ? count
                    : piglet_call(piglet, PIGLET_OP_ALLOC_MEM, piglet_new(), piglet_number(PAGES),
                                  piglet_none(), piglet_none(), &memory);
    for (int i = 0; i < count && error == 0; i++) {
        struct bytes text = {.data = NULL};
        do {
            error = piglet_call(piglet, PIGLET_OP_TABLE_READ,
                                piglet_capability(piglet_window(piglet)->system),
                                piglet_capability(piglet_result_capability(memory)),
                                piglet_number(service[i].number), piglet_number(text.count), &got);
            const void *from =
                piglet_memory(piglet, piglet_result_offset(memory), PAGES * PIGLET_PAGE);
            if (error == 0 && got && from)
                memcpy(bytes_add(&text, got), from, got);
        } while (error == 0 && got == PAGES * PIGLET_PAGE);
        if (error == ERR_UNSUPPORTED)
            error = 0;
        if (!text.count)
            continue;
        struct config_table *table = LIST_ADD(config->table, config->tables);
        snprintf(table->service, sizeof table->service, "%.*s", (int)sizeof service[i].name - 1,
                 service[i].name);
        table->text = (char *)text.data;
        table->text_bytes = text.count;
    }
    if (memory)
        piglet_call(piglet, PIGLET_OP_FREE_MEM, piglet_capability(piglet_result_capability(memory)),
                    piglet_none(), piglet_none(), piglet_none(), NULL);
    free(entries);
    return error;
}

/* Whoever loaded it may have written anything there. */
void config_print_tables(const struct config *config)
{
    for (unsigned i = 0; i < config->tables; i++) {
        const struct config_table *table = &config->table[i];
        printf("%s {\n", table->service);
        for (size_t j = table_text_beginning(table->text, table->text_bytes); j < table->text_bytes;
             j++) {
            unsigned char byte = (unsigned char)table->text[j];
            putchar(byte == '\n' || (byte >= ' ' && byte != 0x7f) ? byte : '?');
        }
        puts("}");
    }
}

/* Where a route lies in the kernel's table says nothing. */
static int route_order(const void *left, const void *right)
{
    const struct config_route *a = left, *b = right;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return (int)a->length - (int)b->length;
}

int config_of_kernel(struct piglet *piglet, struct config *config)
{
    struct reading reading = {.config = config};
    *config = (struct config){.addresses = 0};
    int error = piglet_read_table(piglet, PIGLET_OP_ADDRESS_LIST, 0, address_row, &reading);
    if (error == 0)
        error = piglet_read_table(piglet, PIGLET_OP_ROUTE_LIST, 0, route_row, &reading);
    if (error == 0)
        error = piglet_read_table(piglet, PIGLET_OP_SETTING_LIST, 0, setting_row, &reading);
    if (error == 0)
        error = config_tables_read(piglet, config);
    free(reading.address);
    if (config->routes)
        qsort(config->route, config->routes, sizeof *config->route, route_order);
    if (error == 0)
        return PIGCTL_DONE;
    config_free(config);
    return complain_error("reading what runs", error);
}
