/* Memory: pages of a window's data, given out in pieces. */
#include "psr/client.h"

void *client_data(const struct client *client, uint64_t offset, uint64_t bytes)
{
    uint64_t start = (uint64_t)(client->data - client->window->memory);
    uint64_t room = (uint64_t)client->data_pages * PIGLET_PAGE;
    if (offset < start || offset - start > room || bytes > room - (offset - start))
        return NULL;
    return client->window->memory + offset;
}

static bool page_is_used(const struct client *client, uint32_t page)
{
    return client->page_used[page / 64] >> page % 64 & 1;
}

static void pages_mark(struct client *client, uint32_t page, uint32_t pages, bool used)
{
    for (uint32_t i = page; i < page + pages; i++) {
        if (used)
            client->page_used[i / 64] |= 1ull << i % 64;
        else
            client->page_used[i / 64] &= ~(1ull << i % 64);
    }
    client->pages = (uint16_t)(used ? client->pages + pages : client->pages - pages);
}

/* The first run of free pages that is long enough; full words of the map are passed at once. */
static bool pages_find(const struct client *client, uint32_t pages, uint32_t *page)
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < client->data_pages; i++) {
        if (i % 64 == 0 && client->page_used[i / 64] == UINT64_MAX) {
            run = 0;
            i += 63;
            continue;
        }
        run = page_is_used(client, i) ? 0 : run + 1;
        if (run == pages) {
            *page = i + 1 - pages;
            return true;
        }
    }
    return false;
}

void memory_end(struct client *client, struct memory *memory)
{
    pages_mark(client, memory->page, memory->pages, false);
    *memory = (struct memory){.page = 0};
}

static void alloc_undo(struct client *client, struct undo *undo)
{
    memory_end(client, undo->object);
}

int op_alloc_mem(struct client *client, struct call *call)
{
    struct memory *memory = NULL;
    uint64_t pages = call->value[1];
    uint32_t page, number;
    if (pages == 0 || pages > client->data_pages)
        return ERR_RANGE;
    for (unsigned i = 0; i < MEMORIES_MAX && !memory; i++)
        if (!client->memory[i].object.type)
            memory = &client->memory[i];
    if (!memory)
        return ERR_LIMIT;
    call->cost += client->data_pages / 1024; /* a large window takes longer to look through */
    if (!pages_find(client, (uint32_t)pages, &page))
        return ERR_NO_MEMORY;
    *memory = (struct memory){.object.type = OBJECT_MEMORY, .page = page, .pages = (uint32_t)pages};
    pages_mark(client, page, (uint32_t)pages, true);
    struct undo *undo = undo_add(client);
    undo->undo = alloc_undo;
    undo->object = memory;
    int error = capability_new(client, &memory->object,
                               PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY | PIGLET_RIGHT_FREE, NO_PARENT,
                               &number);
    uint64_t in_window = (uint64_t)(client->data - client->window->memory) / PIGLET_PAGE + page;
    call->result = in_window << 32 | number;
    return error;
}

int op_free_mem(struct client *client, struct call *call)
{
    struct memory *memory = (struct memory *)call->object[0];
    if (memory->user)
        return ERR_BUSY;
    call->cost = MARKS_COST;
    return object_end_names(client, &memory->object);
}
