/* Reading the kernel's tables, piece by piece, through one page of the window. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct table {
    uint8_t opcode;
    uint16_t bytes; /* of an entry */
    uint16_t next;  /* where it says what to ask for next; 0: there is one entry */
};

#define TABLE(opcode, entry)                                                                       \
    {                                                                                              \
        opcode, sizeof(struct entry), offsetof(struct entry, next)                                 \
    }

static const struct table tables[] = {
    TABLE(PIGLET_OP_SERVICE_LIST, piglet_service_entry),
    TABLE(PIGLET_OP_SERVICE_SHOW, piglet_text_entry),
    TABLE(PIGLET_OP_SETTING_LIST, piglet_setting_entry),
    TABLE(PIGLET_OP_COUNTER_READ, piglet_counter_entry),
    TABLE(PIGLET_OP_LOG_READ, piglet_log_entry),
    TABLE(PIGLET_OP_RECORD_READ, piglet_record_entry),
    TABLE(PIGLET_OP_NIC_LIST, piglet_nic_entry),
    TABLE(PIGLET_OP_REGISTER_READ, piglet_register_entry),
    TABLE(PIGLET_OP_ADDRESS_LIST, piglet_address_entry),
    TABLE(PIGLET_OP_ROUTE_LIST, piglet_route_entry),
    TABLE(PIGLET_OP_CLIENT_LIST, piglet_client_entry),
    {PIGLET_OP_STATUS_READ, sizeof(struct piglet_status_entry), 0},
};

static const struct table *table_find(unsigned opcode)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (tables[i].opcode == opcode)
            return &tables[i];
    return NULL;
}

/* The page all tables go through, allocated at the first one. */
static const uint8_t *table_memory(struct piglet *piglet, int *error)
{
    uint64_t result;
    *error = 0;
    if (!piglet->table_memory) {
        *error = piglet_call(piglet, PIGLET_OP_ALLOC_MEM, piglet_new(), piglet_number(1),
                             piglet_none(), piglet_none(), &result);
        if (*error)
            return NULL;
        piglet->table_memory = piglet_result_capability(result);
        piglet->table_offset = piglet_result_offset(result);
    }
    const uint8_t *memory =
        (const uint8_t *)piglet_memory(piglet, piglet->table_offset, PIGLET_PAGE);
    if (!memory)
        *error = ERR_INVALID;
    return memory;
}

/* Reads a piece into `page`; returns how many entries. */
static int table_piece(struct piglet *piglet, unsigned opcode, uint64_t first, uint8_t *page)
{
    uint64_t count;
    int error;
    const uint8_t *memory = table_memory(piglet, &error);
    if (!memory)
        return error;
    error = piglet_call(piglet, opcode, piglet_capability(piglet->window->system),
                        piglet_capability(piglet->table_memory), piglet_number(first),
                        piglet_none(), &count);
    if (error)
        return error;
    memcpy(page, memory, PIGLET_PAGE);
    return count <= PIGLET_TABLE_ENTRIES ? (int)count : ERR_INVALID;
}

int piglet_read_table(struct piglet *piglet, unsigned opcode, uint64_t first,
                      piglet_entry_function *function, void *context)
{
    _Alignas(8) uint8_t page[PIGLET_PAGE]; /* a copy, so that the function may read tables too */
    const struct table *table = table_find(opcode);
    if (!table)
        return ERR_ARGUMENT;
    int fit = PIGLET_PAGE / table->bytes;
    if (fit > PIGLET_TABLE_ENTRIES)
        fit = PIGLET_TABLE_ENTRIES;
    for (;;) {
        int count = table_piece(piglet, opcode, first, page);
        if (count < 0 || count > fit)
            return count < 0 ? count : ERR_INVALID;
        for (int i = 0; i < count; i++) {
            int done = function(page + i * table->bytes, context);
            if (done)
                return done;
        }
        if (count < fit || !table->next)
            return 0;
        uint32_t next;
        memcpy(&next, page + (count - 1) * table->bytes + table->next, sizeof next);
        if (next <= (uint32_t)first)
            return ERR_INVALID; /* it would never end */
        first = (first & ~(uint64_t)UINT32_MAX) | next;
    }
}

/* ---- as an array ----------------------------------------------------------------------------- */

struct growing {
    uint8_t *entries;
    size_t bytes, count, room;
};

static int growing_add(const void *entry, void *context)
{
    struct growing *growing = (struct growing *)context;
    if (growing->count == growing->room) {
        size_t room = growing->room ? 2 * growing->room : PIGLET_TABLE_ENTRIES;
        uint8_t *entries = (uint8_t *)realloc(growing->entries, room * growing->bytes);
        if (!entries)
            return ERR_NO_MEMORY;
        growing->entries = entries;
        growing->room = room;
    }
    memcpy(growing->entries + growing->count++ * growing->bytes, entry, growing->bytes);
    return 0;
}

int piglet_load_table(struct piglet *piglet, unsigned opcode, uint64_t first, void **entries)
{
    const struct table *table = table_find(opcode);
    *entries = NULL;
    if (!table)
        return ERR_ARGUMENT;
    struct growing growing = {.bytes = table->bytes};
    int error = piglet_read_table(piglet, opcode, first, growing_add, &growing);
    if (error) {
        free(growing.entries);
        return error;
    }
    *entries = growing.entries;
    return (int)growing.count;
}
