/* Changes as chains of requests, with the data they speak of: the same for a running kernel and for a
 * boot module (piglet/module.h). */
#include "tools/pigctl/language.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "piglet/module.h"

enum {
    CHANGE_REQUESTS_MAX = 4, /* of one change: Find, Alloc, Load, Swap */
    CHAIN_COST_MAX = 256,    /* of an ATOMIC chain, in requests, as the kernel counts: */
    ROUTE_COST = 8,          /* addresses, routes, starts and stops; all else is 1 */
    NOTHING = 0,             /* no request: they are numbered from 1 */
};

/* A program while it is written. */
struct writer {
    struct program *program;
    const struct change *change; /* whose requests are written */
    struct bytes texts;
    unsigned begun, cost; /* the chain: its first request, and what it costs */
    unsigned room;        /* in program's arrays */
};

/* ---- requests ------------------------------------------------------------------------------------------ */

static unsigned chain_length(const struct writer *writer)
{
    return writer->program->requests - writer->begun;
}

/* Adds a request to the chain; returns its number in it. Behind the system's capability, which is 0
 * in a module, are the arguments of the change that are given. */
static unsigned request_add(struct writer *writer, unsigned opcode, unsigned cost,
                            struct piglet_request **request)
{
    struct program *program = writer->program;
    if (program->requests == writer->room) {
        writer->room = 2 * writer->room + 64;
        program->request = realloc(program->request, writer->room * sizeof *program->request);
        program->change = realloc(program->change, writer->room * sizeof *program->change);
        if (!program->request || !program->change)
            exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
    }
    if (chain_length(writer))
        program->request[program->requests - 1].next = 1;
    *request = &program->request[program->requests];
    **request = (struct piglet_request){.opcode = (uint8_t)opcode,
                                        .flags = chain_length(writer) ? 0 : PIGLET_ATOMIC,
                                        .tag = {PIGLET_TAG_CAPABILITY},
                                        .cookie = writer->change->place.line};
    program->change[program->requests++] = writer->change;
    writer->cost += cost;
    return chain_length(writer);
}

static void argument(struct piglet_request *request, unsigned index, unsigned tag, uint64_t value)
{
    request->tag[index] = (uint8_t)tag;
    request->argument[index] = value;
}

/* Text in the data; where is known when all of it is. */
static void argument_text(struct writer *writer, struct piglet_request *request, unsigned index,
                          const char *text)
{
    size_t bytes = strlen(text);
    argument(request, index, PIGLET_TAG_OFFSET, writer->texts.count);
    argument(request, index + 1, PIGLET_TAG_NUMBER, bytes);
    memcpy(bytes_add(&writer->texts, bytes), text, bytes);
}

/* The chain's request that finds the service. */
static unsigned service_number(struct writer *writer)
{
    const struct program *program = writer->program;
    struct piglet_request *request;
    for (unsigned i = writer->begun; i < program->requests; i++)
        if (program->request[i].opcode == PIGLET_OP_SERVICE_FIND &&
            strcmp(program->change[i]->service, writer->change->service) == 0)
            return i - writer->begun + 1;
    unsigned number = request_add(writer, PIGLET_OP_SERVICE_FIND, 1, &request);
    argument_text(writer, request, 1, writer->change->service);
    return number;
}

/* Memory with the change's table in it. */
static unsigned table_memory(struct writer *writer)
{
    struct program *program = writer->program;
    const struct change *change = writer->change;
    struct piglet_request *request;
    size_t bytes = change->table_bytes + change->text_bytes;
    size_t pages = (bytes + PIGLET_PAGE - 1) / PIGLET_PAGE;
    unsigned number = request_add(writer, PIGLET_OP_ALLOC_MEM, 1, &request);
    pages += pages == 0;
    argument(request, 0, PIGLET_TAG_NEW, 0);
    argument(request, 1, PIGLET_TAG_NUMBER, pages);
    uint8_t *to = bytes_add(&program->data, pages * PIGLET_PAGE);
    memcpy(to, change->table, bytes);
    program->memory_pages += (uint32_t)pages;
    return number;
}

static void change_swap(struct writer *writer, unsigned service)
{
    const struct change *change = writer->change;
    struct piglet_request *request;
    unsigned load = NOTHING;
    if (change->table) {
        unsigned memory = table_memory(writer);
        load = request_add(writer, PIGLET_OP_SERVICE_LOAD, 1, &request);
        argument(request, 1, PIGLET_TAG_REFERENCE, service);
        argument(request, 2, PIGLET_TAG_REFERENCE, memory);
        argument(request, 3, PIGLET_TAG_NUMBER,
                 (uint64_t)change->text_bytes << 32 | change->table_bytes);
    }
    request_add(writer, PIGLET_OP_SERVICE_SWAP, 1, &request);
    argument(request, 1, PIGLET_TAG_REFERENCE, service);
    argument(request, 2, load ? PIGLET_TAG_REFERENCE : PIGLET_TAG_NUMBER, load);
}

static void change_write(struct writer *writer)
{
    const struct change *change = writer->change;
    struct piglet_request *request;
    unsigned service = *change->service ? service_number(writer) : NOTHING;
    if (change->opcode == PIGLET_OP_SERVICE_SWAP) {
        change_swap(writer, service);
        return;
    }
    bool setting = change->opcode == PIGLET_OP_SERVICE_CONFIGURE;
    request_add(writer, change->opcode, setting ? 1 : ROUTE_COST, &request);
    if (service)
        argument(request, 1, PIGLET_TAG_REFERENCE, service);
    if (setting)
        argument_text(writer, request, 2, change->setting);
    for (unsigned i = 0; i < 3; i++)
        if (change->given[i])
            argument(request, i + 1, PIGLET_TAG_NUMBER, change->value[i]);
}

/* ---- programs ------------------------------------------------------------------------------------------- */

/* Texts go behind the tables, and fill whole pages. */
static void texts_place(struct writer *writer)
{
    struct program *program = writer->program;
    size_t base = program->data.count, bytes = writer->texts.count;
    if (bytes)
        memcpy(bytes_add(&program->data, (bytes + PIGLET_PAGE - 1) / PIGLET_PAGE * PIGLET_PAGE),
               writer->texts.data, bytes);
    for (unsigned i = 0; i < program->requests; i++)
        for (unsigned j = 0; j < 4; j++)
            if (program->request[i].tag[j] == PIGLET_TAG_OFFSET)
                program->request[i].argument[j] += base;
    free(writer->texts.data);
}

int program_compile(const struct changes *changes, struct program *program)
{
    *program = (struct program){.requests = 0};
    struct writer writer = {.program = program};
    for (unsigned i = 0; i < changes->count; i++) {
        writer.change = &changes->change[i];
        if (chain_length(&writer) + CHANGE_REQUESTS_MAX > PIGLET_CHAIN_MAX ||
            writer.cost + ROUTE_COST + 1 > CHAIN_COST_MAX) {
            writer.begun = program->requests;
            writer.cost = 0;
        }
        program->chains += chain_length(&writer) == 0;
        change_write(&writer);
    }
    texts_place(&writer);
    if (program->requests <= PIGLET_MODULE_REQUESTS_MAX)
        return PIGCTL_DONE;
    program_free(program);
    return complain(PIGCTL_USAGE, "%u requests are more than %d; leave something out",
                    program->requests, PIGLET_MODULE_REQUESTS_MAX);
}

void program_free(struct program *program)
{
    free(program->request);
    free(program->change);
    free(program->data.data);
    program->request = NULL;
    program->change = NULL;
    program->data.data = NULL;
}

int program_write(const struct program *program, const char *source, const char *path)
{
    size_t requests = program->requests * sizeof *program->request, data = program->data.count;
    const char *name = strrchr(source, '/') ? strrchr(source, '/') + 1 : source;
    struct piglet_module module = {.magic = PIGLET_MODULE_MAGIC,
                                   .major = PIGLET_MODULE_MAJOR,
                                   .minor = PIGLET_MODULE_MINOR,
                                   .requests = program->requests,
                                   .data = (uint32_t)(sizeof module + requests),
                                   .data_pages = (uint32_t)(data / PIGLET_PAGE),
                                   .bytes = (uint32_t)(sizeof module + requests + data)};
    if (sizeof module + requests + data > PIGLET_MODULE_BYTES_MAX)
        return complain(PIGCTL_USAGE, "%s: it would be longer than %d bytes; leave something out",
                        path, PIGLET_MODULE_BYTES_MAX);
    snprintf(module.source, sizeof module.source, "%s", name);
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(&module, sizeof module, 1, file) == 1 &&
                   fwrite(program->request, 1, requests, file) == requests &&
                   (!data || fwrite(program->data.data, 1, data, file) == data);
    int error = errno;
    if (file && fclose(file) != 0) {
        written = false;
        error = errno;
    }
    if (written)
        return PIGCTL_DONE;
    return complain(PIGCTL_REFUSED, "%s: %s; name a file that can be written", path,
                    strerror(error));
}
