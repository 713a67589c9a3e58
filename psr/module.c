/* Boot modules: configurations compiled to chains, run at the start as a client's would be.
 *
 * The window is memory of the kernel's own; nothing else is special. So whatever is wrong with a
 * module is found by the checks that clients go through, and is said with the line it came from. */
#include "piglet/module.h"

#include <string.h>

#include "kernel/core.h"
#include "psr/client.h"

enum { WINDOW_PARTS_BYTES = 256 << 10 }; /* header, rings and requests, at least */

static const struct window_driver module_window = {.name = "module"};

static bool module_is(const void *data, size_t bytes)
{
    uint64_t magic;
    if (bytes < sizeof(struct piglet_module))
        return false;
    memcpy(&magic, data, sizeof magic);
    return magic == PIGLET_MODULE_MAGIC;
}

static const char *module_check(const struct piglet_module *module, size_t bytes)
{
    uint64_t end = sizeof *module + (uint64_t)module->requests * sizeof(struct piglet_request);
    if (module->major != PIGLET_MODULE_MAJOR)
        return "made for another version; compile it again";
    if (module->requests == 0 || module->requests > PIGLET_MODULE_REQUESTS_MAX)
        return "no requests, or too many";
    if (module->bytes > bytes || module->bytes > PIGLET_MODULE_BYTES_MAX)
        return "truncated, or too long";
    if (module->data < end || module->data > module->bytes ||
        (uint64_t)module->data_pages * PIGLET_PAGE > module->bytes - module->data)
        return "its parts do not fit each other";
    return NULL;
}

static void module_say(struct core *core, const struct piglet_module *module, uint64_t line,
                       const char *what, const char *why)
{
    char source[sizeof module->source + 1] = "";
    memcpy(source, module->source, sizeof module->source);
    log_write(&core->log, LOG_ERROR, "module", "%.32s:%lu: %s: %s", source, (unsigned long)line,
              what, why);
}

/* Copies a chain's requests into the window; how many, 0 when they are too many. */
static unsigned module_place(struct client *client, const struct piglet_request *requests,
                             unsigned left)
{
    unsigned count = 0;
    do {
        if (count == PIGLET_CHAIN_MAX)
            return 0;
        struct piglet_request *to =
            count == 0 ? &client->post[(client->next_chain - 1) & client->post_mask]
                       : &client->request[count - 1];
        struct piglet_request request;
        memcpy(&request, &requests[count], sizeof request);
        bool more = request.next == 1 && count + 1 < left;
        request.post = count == 0 ? client->next_chain : 0;
        request.next = more ? (uint16_t)count : PIGLET_NEXT_NONE;
        for (unsigned i = 0; i < 4; i++)
            if (request.tag[i] == PIGLET_TAG_OFFSET)
                request.argument[i] += (uint64_t)(client->data - client->window->memory);
        *to = request;
        count++;
        if (!more)
            break;
    } while (count < left);
    return count;
}

static const char *const opcode_name[PIGLET_OP_COUNT] = {
#define OPCODE_NAME(name, number, text, ...) [number] = text,
    PIGLET_OPCODES(OPCODE_NAME)
#undef OPCODE_NAME
};

/* Runs one chain to its end, and says what failed. Returns whether nothing did. */
static bool module_chain(struct client *client, const struct piglet_module *module,
                         const struct piglet_request *requests, unsigned count)
{
    struct chain_run *chain = &client->chain;
    uint32_t number = client->next_chain;
    while (client->next_chain == number && chain_run_slice(client, SLICE_REQUESTS))
        ;
    SHARED_STORE(client->header->events_taken, client->events_written);
    if (client->next_chain == number) {
        module_say(client->core, module, requests[0].cookie, "chain", "it does not end");
        return false;
    }
    for (unsigned i = 0; i < count && i < chain->length; i++) {
        const struct outcome *outcome = &chain->outcome[i];
        if (outcome->state != PIGLET_STATE_FAILED)
            continue;
        unsigned opcode = requests[i].opcode;
        module_say(client->core, module, requests[i].cookie,
                   opcode < PIGLET_OP_COUNT ? opcode_name[opcode] : "request",
                   piglet_error_text(outcome->error));
    }
    return chain->error == 0;
}

static void module_run(struct client *client, const struct piglet_module *module,
                       const uint8_t *data)
{
    const struct piglet_request *requests =
        (const struct piglet_request *)(const void *)(data + sizeof *module);
    unsigned chains = 0, failed = 0;
    memcpy(client->data, data + module->data, (size_t)module->data_pages * PIGLET_PAGE);
    for (unsigned at = 0, count; at < module->requests; at += count) {
        count = module_place(client, requests + at, module->requests - at);
        if (count == 0) {
            module_say(client->core, module, requests[at].cookie, "chain", "too long");
            failed++;
            break;
        }
        chains++;
        failed += !module_chain(client, module, requests + at, count);
    }
    log_write(&client->core->log, failed ? LOG_ERROR : LOG_INFO, "module",
              "%.31s: %u chains, %u failed", module->source, chains, failed);
}

static void module_apply(struct core *core, const void *data, size_t bytes)
{
    struct piglet_module module;
    memcpy(&module, data, sizeof module);
    module.source[sizeof module.source - 1] = 0;
    const char *wrong = module_check(&module, bytes);
    if (wrong) {
        module_say(core, &module, 0, "refused", wrong);
        return;
    }
    struct window window = {.driver = &module_window,
                            .bytes = WINDOW_PARTS_BYTES + (size_t)module.data_pages * PIGLET_PAGE};
    window.memory = arch_memory_take(window.bytes, PIGLET_PAGE);
    if (!window.memory || window_open(core, &window) < 0) {
        module_say(core, &module, 0, "refused", "no memory, or no client, for it");
        return;
    }
    struct client *client = window.client;
    SHARED_STORE(client->header->attach, 1);
    memcpy(client->header->name, "module", sizeof "module");
    attachment_look(client);
    module_run(client, &module, data);
    window_close(core, &window);
}

void clients_modules(struct core *core, const struct arch_boot *boot)
{
    for (unsigned i = 0; i < boot->module_count; i++) {
        if (module_is(boot->module[i].data, boot->module[i].bytes))
            module_apply(core, boot->module[i].data, boot->module[i].bytes);
        else
            log_write(&core->log, LOG_WARNING, "module", "%s %u: not a compiled configuration",
                      boot->module[i].name, i);
    }
}
