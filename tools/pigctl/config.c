/* Configurations: what a file says, what runs, and the changes from one to the other.
 *
 * To a configuration belong the addresses and routes that nobody else has put there (not the routes
 * that come with an address, not what dhcp was given), which services run, and their settings. What
 * a file does not mention is at its default: no address, no route, services on that are on by
 * default, settings at their initial values. */
#include "tools/pigctl/language.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct place nowhere;

/* ---- lists -------------------------------------------------------------------------------------------- */

void *config_list_add(void **list, unsigned *count, size_t size)
{
    if (*count % 64 == 0) {
        *list = realloc(*list, (*count + 64) * size);
        if (!*list)
            exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
    }
    void *place = (char *)*list + (*count)++ * size;
    memset(place, 0, size);
    return place;
}

static void *memory_copy(const void *from, size_t bytes)
{
    void *to = malloc(bytes + 1);
    if (!to)
        exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
    return memcpy(to, from, bytes);
}

static void list_remove(void *list, unsigned *count, size_t size, unsigned index)
{
    char *at = (char *)list + index * size;
    --*count;
    memmove(at, at + size, (*count - index) * size);
}

void config_free(struct config *config)
{
    free(config->address);
    free(config->route);
    free(config->setting);
    for (unsigned i = 0; i < config->tables; i++)
        free(config->table[i].text);
    free(config->table);
    memset(config, 0, sizeof *config);
}

static struct config_address *address_find(const struct config *config, uint32_t address)
{
    for (unsigned i = 0; i < config->addresses; i++)
        if (config->address[i].address == address)
            return &config->address[i];
    return NULL;
}

static struct config_route *route_find(const struct config *config, uint32_t prefix, uint8_t length)
{
    for (unsigned i = 0; i < config->routes; i++)
        if (config->route[i].prefix == prefix && config->route[i].length == length)
            return &config->route[i];
    return NULL;
}

static struct config_setting *setting_find(const struct config *config, const char *service,
                                           const char *key)
{
    for (unsigned i = 0; i < config->settings; i++)
        if (strcmp(config->setting[i].service, service) == 0 &&
            strcmp(config->setting[i].key, key) == 0)
            return &config->setting[i];
    return NULL;
}

/* ---- what a file says -------------------------------------------------------------------------------- */

static int twice(const struct change *change, struct place before)
{
    return complain_at(change->place, PIGCTL_USAGE, "%s: line %u has it already; leave one out",
                       change->text, before.line);
}

static int never(const struct change *change)
{
    return complain_at(change->place, PIGCTL_USAGE, "%s: no earlier line adds it; leave this out",
                       change->text);
}

static int address_take(struct config *config, const struct change *change)
{
    bool add = change->opcode == PIGLET_OP_ADDRESS_ADD;
    uint32_t ip = (uint32_t)(add ? change->value[0] >> 8 : change->value[0]);
    struct config_address *address = address_find(config, ip);
    if (add && address)
        return twice(change, address->place);
    if (!add && !address)
        return never(change);
    if (!add) {
        list_remove(config->address, &config->addresses, sizeof *address,
                    (unsigned)(address - config->address));
        return PIGCTL_DONE;
    }
    address = LIST_ADD(config->address, config->addresses);
    *address = (struct config_address){.address = ip,
                                       .length = (uint8_t)change->value[0],
                                       .nic = (uint32_t)change->value[1],
                                       .gateway = (uint32_t)change->value[2],
                                       .place = change->place};
    return PIGCTL_DONE;
}

static int route_take(struct config *config, const struct change *change)
{
    bool add = change->opcode == PIGLET_OP_ROUTE_ADD;
    uint32_t prefix = (uint32_t)(change->value[0] >> 8);
    uint8_t length = (uint8_t)change->value[0];
    struct config_route *route = route_find(config, prefix, length);
    if (add && route)
        return twice(change, route->place);
    if (!add && !route)
        return never(change);
    if (!add) {
        list_remove(config->route, &config->routes, sizeof *route,
                    (unsigned)(route - config->route));
        return PIGCTL_DONE;
    }
    route = LIST_ADD(config->route, config->routes);
    *route = (struct config_route){.prefix = prefix,
                                   .length = length,
                                   .gateway = (uint32_t)change->value[1],
                                   .nic = (uint32_t)change->value[2],
                                   .nic_given = change->given[2],
                                   .place = change->place};
    return PIGCTL_DONE;
}

/* The last word about a setting counts. */
static int setting_take(struct config *config, const struct change *change)
{
    char key[sizeof config->setting->key] = "";
    const char *value = change->opcode == PIGLET_OP_SERVICE_START ? "on" : "off";
    if (change->opcode == PIGLET_OP_SERVICE_CONFIGURE) {
        size_t length = strcspn(change->setting, "=");
        if (length >= sizeof key)
            return complain_at(change->place, PIGCTL_USAGE, "%s: no service has such a key",
                               change->text);
        memcpy(key, change->setting, length);
        value = change->setting + length + 1;
    }
    struct config_setting *setting = setting_find(config, change->service, key);
    if (!setting)
        setting = LIST_ADD(config->setting, config->settings);
    memcpy(setting->service, change->service, sizeof setting->service);
    memcpy(setting->key, key, sizeof key);
    snprintf(setting->value, sizeof setting->value, "%s", value);
    setting->place = change->place;
    return PIGCTL_DONE;
}

static int table_take(struct config *config, const struct change *change)
{
    for (unsigned i = 0; i < config->tables; i++)
        if (strcmp(config->table[i].service, change->service) == 0)
            return twice(change, config->table[i].change->place);
    struct config_table *table = LIST_ADD(config->table, config->tables);
    memcpy(table->service, change->service, sizeof table->service);
    table->text = memory_copy(change->table + change->table_bytes, change->text_bytes);
    table->text_bytes = change->text_bytes;
    table->change = change;
    return PIGCTL_DONE;
}

static int change_take(struct config *config, const struct change *change)
{
    switch (change->opcode) {
    case PIGLET_OP_ADDRESS_ADD:
    case PIGLET_OP_ADDRESS_DELETE:
        return address_take(config, change);
    case PIGLET_OP_ROUTE_ADD:
    case PIGLET_OP_ROUTE_DELETE:
        return route_take(config, change);
    case PIGLET_OP_SERVICE_SWAP:
        return table_take(config, change);
    default:
        return setting_take(config, change);
    }
}

int config_of_changes(const struct changes *changes, struct config *config)
{
    int code = PIGCTL_DONE;
    *config = (struct config){.addresses = 0};
    for (unsigned i = 0; i < changes->count; i++)
        if (change_take(config, &changes->change[i]) != PIGCTL_DONE)
            code = PIGCTL_USAGE;
    return code;
}

/* ---- the difference -------------------------------------------------------------------------------------- */

static struct change *difference_add(struct changes *changes, unsigned opcode, struct place place)
{
    struct change *change = changes_add(changes);
    change->opcode = opcode;
    change->place = place;
    return change;
}

static void give(struct change *change, unsigned index, uint64_t value)
{
    change->value[index] = value;
    change->given[index] = true;
}

/* Numbers are the same with zeros in front. */
static bool values_equal(const char *one, const char *other)
{
    uint64_t a, b;
    if (parse_number(one, UINT64_MAX, &a) && parse_number(other, UINT64_MAX, &b))
        return a == b;
    return strcmp(one, other) == 0;
}

static void setting_change(struct changes *changes, const struct config_setting *setting,
                           const char *value, struct place place)
{
    unsigned opcode = *setting->key              ? PIGLET_OP_SERVICE_CONFIGURE
                      : strcmp(value, "on") == 0 ? PIGLET_OP_SERVICE_START
                                                 : PIGLET_OP_SERVICE_STOP;
    struct change *change = difference_add(changes, opcode, place);
    memcpy(change->service, setting->service, sizeof change->service);
    if (*setting->key)
        snprintf(change->setting, sizeof change->setting, "%s=%s", setting->key, value);
}

static void settings_difference(const struct config *from, const struct config *to,
                                struct changes *changes,
                                bool (*which)(const char *key, const char *value))
{
    for (unsigned i = 0; i < from->settings; i++) {
        const struct config_setting *is = &from->setting[i];
        const struct config_setting *wanted = setting_find(to, is->service, is->key);
        const char *value = wanted ? wanted->value : is->initial;
        if (which(is->key, value) && !values_equal(is->value, value))
            setting_change(changes, is, value, wanted ? wanted->place : nowhere);
    }
    /* What is not there is asked for all the same: the kernel says what it lacks. */
    for (unsigned i = 0; i < to->settings; i++) {
        const struct config_setting *wanted = &to->setting[i];
        if (which(wanted->key, wanted->value) && !setting_find(from, wanted->service, wanted->key))
            setting_change(changes, wanted, wanted->value, wanted->place);
    }
}

static bool is_setting(const char *key, const char *value)
{
    (void)value;
    return *key;
}

static bool is_stop(const char *key, const char *value)
{
    return !*key && strcmp(value, "on") != 0;
}

static bool is_start(const char *key, const char *value)
{
    return !*key && strcmp(value, "on") == 0;
}

uint32_t mask_of(unsigned length)
{
    return (uint32_t)(UINT32_MAX * (1ull << 32 >> length));
}

/* By which nic a gateway is reached: the longest link it is on. False: by none of these. */
static bool gateway_nic(const struct config *config, uint32_t gateway, uint32_t *nic)
{
    unsigned longest = 0;
    for (unsigned i = 0; i < config->addresses; i++) {
        const struct config_address *address = &config->address[i];
        if (address->length > longest && address->length < 32 &&
            ((address->address ^ gateway) & mask_of(address->length)) == 0) {
            longest = address->length;
            *nic = address->nic;
        }
    }
    return longest > 0;
}

static bool route_same(const struct config_route *is, const struct config_route *wanted,
                       const struct config *to)
{
    uint32_t nic = is->nic;
    if (wanted->nic_given)
        nic = wanted->nic;
    else
        gateway_nic(to, wanted->gateway, &nic);
    return is->gateway == wanted->gateway && is->nic == nic;
}

static bool address_same(const struct config_address *one, const struct config_address *other)
{
    return one && other && one->length == other->length && one->nic == other->nic &&
           one->gateway == other->gateway;
}

static void deletes(const struct config *from, const struct config *to, struct changes *changes)
{
    for (unsigned i = 0; i < from->routes; i++) {
        const struct config_route *is = &from->route[i];
        const struct config_route *wanted = route_find(to, is->prefix, is->length);
        if (!wanted || !route_same(is, wanted, to))
            give(difference_add(changes, PIGLET_OP_ROUTE_DELETE, wanted ? wanted->place : nowhere),
                 0, (uint64_t)is->prefix << 8 | is->length);
    }
    for (unsigned i = 0; i < from->addresses; i++) {
        const struct config_address *is = &from->address[i];
        const struct config_address *wanted = address_find(to, is->address);
        if (!address_same(is, wanted))
            give(
                difference_add(changes, PIGLET_OP_ADDRESS_DELETE, wanted ? wanted->place : nowhere),
                0, is->address);
    }
}

static void adds(const struct config *from, const struct config *to, struct changes *changes)
{
    for (unsigned i = 0; i < to->addresses; i++) {
        const struct config_address *wanted = &to->address[i];
        if (address_same(address_find(from, wanted->address), wanted))
            continue;
        struct change *change = difference_add(changes, PIGLET_OP_ADDRESS_ADD, wanted->place);
        give(change, 0, (uint64_t)wanted->address << 8 | wanted->length);
        give(change, 1, wanted->nic);
        if (wanted->gateway)
            give(change, 2, wanted->gateway);
    }
    for (unsigned i = 0; i < to->routes; i++) {
        const struct config_route *wanted = &to->route[i];
        const struct config_route *is = route_find(from, wanted->prefix, wanted->length);
        if (is && route_same(is, wanted, to))
            continue;
        struct change *change = difference_add(changes, PIGLET_OP_ROUTE_ADD, wanted->place);
        give(change, 0, (uint64_t)wanted->prefix << 8 | wanted->length);
        give(change, 1, wanted->gateway);
        if (wanted->nic_given)
            give(change, 2, wanted->nic);
    }
}

static const struct config_table *table_find(const struct config *config, const char *service)
{
    for (unsigned i = 0; i < config->tables; i++)
        if (strcmp(config->table[i].service, service) == 0)
            return &config->table[i];
    return NULL;
}

/* Whether two texts say the same; where it stood does not count. */
static bool texts_equal(const struct config_table *one, const struct config_table *other)
{
    size_t from = table_text_beginning(one->text, one->text_bytes);
    size_t to = table_text_beginning(other->text, other->text_bytes);
    return one->text_bytes - from == other->text_bytes - to &&
           memcmp(one->text + from, other->text + to, one->text_bytes - from) == 0;
}

/* A block that a file does not have is one without lines. */
static void tables_difference(const struct config *from, const struct config *to,
                              struct changes *changes)
{
    for (unsigned i = 0; i < to->tables; i++) {
        const struct config_table *wanted = &to->table[i], *is = table_find(from, wanted->service);
        if (is && texts_equal(is, wanted))
            continue;
        const struct change *with = wanted->change;
        struct change *change = difference_add(changes, PIGLET_OP_SERVICE_SWAP, with->place);
        memcpy(change->service, with->service, sizeof change->service);
        change->table_bytes = with->table_bytes;
        change->text_bytes = with->text_bytes;
        change->table = memory_copy(with->table, with->table_bytes + with->text_bytes);
    }
    for (unsigned i = 0; i < from->tables; i++) {
        const struct block *block = block_find(from->table[i].service);
        const struct block_lines none = {.count = 0};
        if (block && from->table[i].text_bytes && !table_find(to, block->noun))
            block_compile(block, &none, nowhere, changes);
    }
}

/* Routes go before addresses and come after them: a route's gateway must be on a link, and what is
 * deleted may stand where something is added. Services have their settings and tables before they
 * start. */
void config_difference(const struct config *from, const struct config *to, struct changes *changes)
{
    static const struct config nothing;
    unsigned first = changes->count;
    from = from ? from : &nothing;
    settings_difference(from, to, changes, is_setting);
    tables_difference(from, to, changes);
    settings_difference(from, to, changes, is_stop);
    settings_difference(from, to, changes, is_start);
    deletes(from, to, changes);
    adds(from, to, changes);
    for (unsigned i = first; i < changes->count; i++)
        change_say(&changes->change[i]);
}
