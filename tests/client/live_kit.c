/* Chains from rows, and the kernel's tables as text. */
#include "tests/client/live.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t live_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint32_t live_number(struct piglet *piglet)
{
    return piglet_window(piglet)->client;
}

void live_error(int error, int expected, const char *what)
{
    CHECK(error == expected, "%s: %s, not %s", what, piglet_error_text(error),
          piglet_error_text(expected));
}

/* ---- chains ------------------------------------------------------------------------------------ */

static struct piglet_argument resolve(struct piglet *piglet, struct piglet_argument argument)
{
    if (argument.tag == PIGLET_TAG_CAPABILITY && argument.value == LIVE_SYSTEM)
        argument.value = piglet_window(piglet)->system;
    if (argument.tag == PIGLET_TAG_CAPABILITY && argument.value == LIVE_TABLE)
        argument.value = live.table;
    if (argument.tag == PIGLET_TAG_OFFSET && argument.value < PIGLET_PAGE)
        argument.value += live.text;
    if (argument.tag == PIGLET_TAG_NUMBER && argument.value == LIVE_ECHO)
        argument.value = live.echo;
    if (argument.tag == PIGLET_TAG_NUMBER && argument.value == LIVE_SHAPER)
        argument.value = live.shaper;
    return argument;
}

int64_t live_post(struct piglet *piglet, const struct live_row *rows, unsigned count,
                  unsigned flags)
{
    struct piglet_chain chain;
    piglet_chain_begin(piglet, &chain, flags);
    for (unsigned i = 0; i < count; i++) {
        const struct live_row *row = &rows[i];
        piglet_chain_add(&chain, row->opcode, resolve(piglet, row->argument[0]),
                         resolve(piglet, row->argument[1]), resolve(piglet, row->argument[2]),
                         resolve(piglet, row->argument[3]));
        piglet_chain_cookie(&chain, row->cookie);
        if (row->flags & PIGLET_EVENT)
            piglet_chain_event(&chain);
    }
    int64_t number = piglet_post(&chain);
    CHECK(number > 0, "a chain of %u is not posted: %s", count, piglet_error_text((int)number));
    return number;
}

struct live_ran live_ended(struct piglet *piglet, int64_t number, unsigned count)
{
    struct live_ran ran = {.number = number, .count = count};
    int error = piglet_wait(piglet, number, LIVE_WAIT_US, &ran.event);
    CHECK(ran.event.type == PIGLET_EVENT_CHAIN, "chain %" PRId64 " has not ended: %s", number,
          piglet_error_text(error));
    for (unsigned i = 0; i < count; i++) {
        error = piglet_result(piglet, number, (int)i + 1, &ran.result[i], &ran.status[i]);
        live_error(error, 0, "looking at a request");
    }
    return ran;
}

struct live_ran live_run(struct piglet *piglet, const struct live_row *rows, unsigned count,
                         unsigned flags)
{
    return live_ended(piglet, live_post(piglet, rows, count, flags), count);
}

int live_call(struct piglet *piglet, struct live_row row, uint64_t *result)
{
    struct live_ran ran = live_run(piglet, &row, 1, 0);
    if (result)
        *result = ran.result[0];
    return ran.event.error;
}

uint64_t live_must(struct piglet *piglet, struct live_row row)
{
    uint64_t result;
    live_error(live_call(piglet, row, &result), 0, piglet_opcode(row.opcode)->name);
    return result;
}

/* Framesets before the memory in them; what the chain itself has ended already fails, and may. */
void live_clear(const struct live_row *rows, const struct live_ran *ran)
{
    static const struct live_row usual[] = {
        ROW(ADDRESS_DELETE, SYS, NUM(LIVE_ADDRESS)),
        ROW(ROUTE_DELETE, SYS, NUM(PREFIX(LIVE_ROUTE, 16))),
        ROW(SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(TEXT_USUAL), NUM(TEXT_USUAL_BYTES)),
        ROW(SERVICE_START, SYS, NUM(LIVE_ECHO)),
    };
    struct live_row drop[PIGLET_CHAIN_MAX];
    unsigned count = 0;
    for (unsigned i = ran->count; i-- > 0;)
        if (ran->status[i].state == PIGLET_STATE_DONE && rows[i].argument[0].tag == PIGLET_TAG_NEW)
            drop[count++] =
                (struct live_row)ROW(CAP_DROP, CAP(piglet_result_capability(ran->result[i])));
    for (unsigned i = 0; i < COUNT_OF(usual) && count < PIGLET_CHAIN_MAX; i++)
        drop[count++] = usual[i];
    live_run(live.one, drop, count, 0);
}

/* ---- tables ------------------------------------------------------------------------------------ */

static void add(struct live_tables *tables, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct live_tables *tables, const char *format, ...)
{
    size_t length = strlen(tables->text);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(tables->text + length, sizeof tables->text - length, format, arguments);
    va_end(arguments);
    CHECK(more >= 0 && length + (size_t)more < sizeof tables->text, "the tables are too long");
}

static int add_address(const void *entry, void *context)
{
    const struct piglet_address_entry *address = entry;
    add(context,
        "address %08" PRIx32 "/%" PRIu32 " by %08" PRIx32 " nic%" PRIu32 " state %" PRIu32 "\n",
        address->address, address->length, address->gateway, address->nic, address->state);
    return 0;
}

static int add_route(const void *entry, void *context)
{
    const struct piglet_route_entry *route = entry;
    add(context,
        "route %08" PRIx32 "/%" PRIu32 " by %08" PRIx32 " nic%" PRIu32 " type %" PRIu32 "\n",
        route->prefix, route->length, route->gateway, route->nic, route->type);
    return 0;
}

static int add_service(const void *entry, void *context)
{
    const struct piglet_service_entry *service = entry;
    add(context, "service %s %s\n", service->name, service->running ? "runs" : "stands");
    return 0;
}

static int add_setting(const void *entry, void *context)
{
    const struct piglet_setting_entry *setting = entry;
    add(context, "setting %s.%s=%s\n", setting->service, setting->key, setting->value);
    return 0;
}

static int add_client(const void *entry, void *context)
{
    const struct piglet_client_entry *client = entry;
    add(context,
        "client %" PRIu32 " %s: %" PRIu32 " capabilities, %" PRIu32 " framesets, %" PRIu32
        " of %" PRIu32 " pages\n",
        client->client, client->name, client->capabilities, client->framesets, client->pages,
        client->pages_total);
    return 0;
}

/* Client two looks, which changes nothing of client one's. The first look may allocate its page. */
void live_tables(struct live_tables *tables)
{
    static const struct {
        uint8_t opcode;
        piglet_entry_function *add;
    } all[] = {{PIGLET_OP_ADDRESS_LIST, add_address},
               {PIGLET_OP_ROUTE_LIST, add_route},
               {PIGLET_OP_SERVICE_LIST, add_service},
               {PIGLET_OP_SETTING_LIST, add_setting},
               {PIGLET_OP_CLIENT_LIST, add_client}};
    tables->text[0] = 0;
    for (unsigned i = 0; i < COUNT_OF(all); i++)
        live_error(piglet_read_table(live.two, all[i].opcode, 0, all[i].add, tables), 0,
                   "reading a table");
}

/* The first line that differs. */
void live_same(const struct live_tables *before, const char *where)
{
    struct live_tables after;
    live_tables(&after);
    const char *was = before->text, *is = after.text;
    while (*was || *is) {
        size_t was_length = strcspn(was, "\n"), is_length = strcspn(is, "\n");
        if (was_length != is_length || memcmp(was, is, was_length))
            live_fail("%s: was `%.*s`, is `%.*s`", where, (int)was_length, was, (int)is_length, is);
        was += was_length + (was[was_length] == '\n');
        is += is_length + (is[is_length] == '\n');
    }
}

struct search {
    const char *name;
    uint64_t value;
    uint32_t client;
    struct piglet_client_entry *entry;
};

static int search_client(const void *entry, void *context)
{
    struct search *search = context;
    memcpy(search->entry, entry, sizeof *search->entry);
    return search->entry->client == search->client;
}

bool live_client(struct piglet *by, uint32_t number, struct piglet_client_entry *entry)
{
    struct search search = {.client = number, .entry = entry};
    int found = piglet_read_table(by, PIGLET_OP_CLIENT_LIST, 0, search_client, &search);
    CHECK(found >= 0, "Client_List: %s", piglet_error_text(found));
    return found;
}

static int search_service(const void *entry, void *context)
{
    const struct piglet_service_entry *service = entry;
    struct search *search = context;
    search->value = service->number;
    return strcmp(service->name, search->name) == 0;
}

uint32_t live_service(const char *name)
{
    struct search search = {.name = name};
    int found = piglet_read_table(live.two, PIGLET_OP_SERVICE_LIST, 0, search_service, &search);
    CHECK(found == 1, "there is no service %s", name);
    return (uint32_t)search.value;
}

static int search_counter(const void *entry, void *context)
{
    const struct piglet_counter_entry *counter = entry;
    struct search *search = context;
    search->value = counter->value;
    return strcmp(counter->name, search->name) == 0;
}

uint64_t live_counter(const char *name)
{
    struct search search = {.name = name};
    int found = piglet_read_table(live.two, PIGLET_OP_COUNTER_READ, 0, search_counter, &search);
    CHECK(found == 1, "there is no counter %s", name);
    return search.value;
}
