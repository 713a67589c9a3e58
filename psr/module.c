/* Boot modules: configurations compiled to chains, run at the start as a client's would be.
 *
 * The window is memory of the kernel's own; else only this is special: all the chains of a module
 * succeed, or none has an effect. So whatever is wrong with it is found by the checks that clients
 * go through, and is said with the line it came from. */
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
        request.flags |= PIGLET_ATOMIC;
        request.next = more ? (uint16_t)count : PIGLET_NEXT_NONE;
        for (unsigned i = 0; i < 4; i++) {
            if (request.tag[i] == PIGLET_TAG_OFFSET)
                request.argument[i] += (uint64_t)(client->data - client->window->memory);
            if (request.tag[i] == PIGLET_TAG_CAPABILITY && request.argument[i] == 0)
                request.argument[i] = SHARED_LOAD(client->header->system);
        }
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

/* Says which request failed first, and so why nothing is done. */
static void module_chain_say(const struct client *client, const struct piglet_module *module,
                             const struct piglet_request *requests, unsigned count)
{
    const struct chain_run *chain = &client->chain;
    unsigned at = chain->root && chain->root <= count ? chain->root - 1u : 0;
    struct piglet_request request;
    memcpy(&request, &requests[at], sizeof request);
    uint64_t line = request.cookie;
    if (request.opcode == PIGLET_OP_SERVICE_LOAD && client->core->clients->load_error_line)
        line = client->core->clients->load_error_line;
    module_say(client->core, module, line,
               request.opcode < PIGLET_OP_COUNT ? opcode_name[request.opcode] : "request",
               chain->error ? piglet_error_text(chain->error) : "its chain does not end");
}

/* Runs one chain to its end. Returns whether nothing in it failed. */
static bool module_chain(struct client *client)
{
    uint32_t number = client->next_chain;
    while (client->next_chain == number && chain_run_slice(client, SLICE_REQUESTS))
        ;
    SHARED_STORE(client->header->events_taken, client->events_written);
    return client->next_chain != number && client->chain.error == 0;
}

static void module_run(struct client *client, const struct piglet_module *module,
                       const uint8_t *data)
{
    const struct piglet_request *requests =
        (const struct piglet_request *)(const void *)(data + sizeof *module);
    unsigned chains = 0, at = 0;
    bool good = true;
    memcpy(client->data, data + module->data, (size_t)module->data_pages * PIGLET_PAGE);
    while (at < module->requests && good) {
        unsigned count = module_place(client, requests + at, module->requests - at);
        good = count && module_chain(client);
        if (count == 0)
            module_say(client->core, module, 0, "chain", "too long");
        else if (!good)
            module_chain_say(client, module, requests + at, count);
        at += count;
        chains++;
    }
    chains_release(client, good);
    if (good)
        log_write(&client->core->log, LOG_INFO, "module", "%.31s: done, %u requests in %u chains",
                  module->source, module->requests, chains);
    else
        log_write(&client->core->log, LOG_ERROR, "module", "%.31s: refused, nothing of it is done",
                  module->source);
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
    unsigned rights = core->window_rights; /* those of clients */
    core->window_rights = PIGLET_RIGHT_ALL;
    SHARED_STORE(client->header->attach, 1);
    memcpy(client->header->name, "module", sizeof "module");
    attachment_look(client);
    core->window_rights = rights;
    if (chains_hold(client, module.requests) < 0)
        module_say(core, &module, 0, "refused", "no memory for it");
    else
        module_run(client, &module, data);
    window_close(core, &window);
}

/* One boot module may be several, one behind the other: QEMU has but one -initrd. */
static void modules_apply(struct core *core, const uint8_t *data, size_t bytes)
{
    while (module_is(data, bytes)) {
        struct piglet_module module;
        memcpy(&module, data, sizeof module);
        module_apply(core, data, bytes);
        if (module.bytes < sizeof module || module.bytes >= bytes)
            break;
        data += module.bytes;
        bytes -= module.bytes;
    }
}

void clients_modules(struct core *core, const struct arch_boot *boot)
{
    for (unsigned i = 0; i < boot->module_count; i++) {
        if (module_is(boot->module[i].data, boot->module[i].bytes))
            modules_apply(core, boot->module[i].data, boot->module[i].bytes);
        else
            log_write(&core->log, LOG_ERROR, "module", "%s %u: not a compiled configuration",
                      boot->module[i].name, i);
    }
}
