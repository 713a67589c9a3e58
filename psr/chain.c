/* Chains of requests: taking them, running them in slices, undoing them, and their end. */
#include "psr/client.h"

#include <string.h>

#include "kernel/core.h"

struct opcode_row {
    uint8_t want[4]; /* enum piglet_want */
    uint8_t right;
};

static const struct opcode_row opcode_rows[PIGLET_OP_COUNT] = {
#define OPCODE_ROW(name, number, text, result, wants, names, right, undo, cost, errors, help)      \
    [number] = {PIGLET_OPCODE_WANTS wants, PIGLET_RIGHT_##right},
    PIGLET_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
};

/* ---- arguments --------------------------------------------------------------------------------- */

static enum object_type wanted_type(unsigned want)
{
    switch (want) {
    case PIGLET_WANT_MEMORY:
        return OBJECT_MEMORY;
    case PIGLET_WANT_FRAMESET:
        return OBJECT_FRAMESET;
    case PIGLET_WANT_TIMER:
        return OBJECT_TIMER;
    case PIGLET_WANT_SYSTEM:
        return OBJECT_SYSTEM;
    default:
        return OBJECT_NONE;
    }
}

/* Whether the request depends on one that did not succeed; 0, or the number of the failure at the
 * root. References to what is not before it are left to the checks. */
static unsigned chain_root(const struct chain_run *chain, const struct piglet_request *request)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t to = request->argument[i];
        if (request->tag[i] != PIGLET_TAG_REFERENCE || to == 0 || to >= chain->length)
            continue;
        const struct outcome *outcome = &chain->outcome[to - 1];
        if (outcome->state != PIGLET_STATE_DONE)
            return outcome->root;
    }
    return 0;
}

/* An argument of the tag it has, as a number; what it refers to is looked up. */
static int argument_value(const struct chain_run *chain, const struct piglet_request *request,
                          unsigned index, unsigned want, uint64_t *value)
{
    uint64_t argument = request->argument[index];
    unsigned tag = request->tag[index];
    *value = argument;
    if (tag == PIGLET_TAG_REFERENCE) {
        if (argument == 0 || argument >= chain->length)
            return ERR_ARGUMENT; /* itself, or none before it */
        *value = chain->outcome[argument - 1].result;
        if (want == PIGLET_WANT_OFFSET)
            *value = piglet_result_offset(*value);
        else if (want >= PIGLET_WANT_ANY)
            *value = piglet_result_capability(*value);
        return 0;
    }
    switch (want) {
    case PIGLET_WANT_NUMBER:
    case PIGLET_WANT_OPTION:
        return tag == PIGLET_TAG_NUMBER ? 0 : ERR_ARGUMENT;
    case PIGLET_WANT_OFFSET:
        return tag == PIGLET_TAG_OFFSET ? 0 : ERR_ARGUMENT;
    case PIGLET_WANT_VALUE:
        return tag == PIGLET_TAG_NONE || tag == PIGLET_TAG_NEW ? ERR_ARGUMENT : 0;
    default:
        return tag == PIGLET_TAG_CAPABILITY ? 0 : ERR_ARGUMENT;
    }
}

static int argument_check(struct client *client, struct call *call, unsigned index,
                          const struct opcode_row *row)
{
    unsigned want = row->want[index], tag = call->request->tag[index];
    if (tag >= PIGLET_TAG_COUNT)
        return ERR_ARGUMENT;
    if (want == PIGLET_WANT_NONE)
        return tag == PIGLET_TAG_NONE ? 0 : ERR_ARGUMENT;
    if (want == PIGLET_WANT_NEW)
        return tag == PIGLET_TAG_NEW ? 0 : ERR_ARGUMENT;
    if (want == PIGLET_WANT_OPTION && tag == PIGLET_TAG_NONE)
        return 0;
    int error = argument_value(&client->chain, call->request, index, want, &call->value[index]);
    if (error < 0)
        return error;
    call->given[index] = true;
    if (want < PIGLET_WANT_ANY)
        return 0;
    unsigned right = call->named ? (unsigned)PIGLET_RIGHT_USE : row->right;
    call->named = true;
    return capability_find(client, call->value[index], wanted_type(want), right,
                           &call->object[index]);
}

/* ---- undo -------------------------------------------------------------------------------------- */

struct undo *undo_add(struct client *client)
{
    struct clients *clients = client->core->clients;
    if (clients->undo_count == clients->undo_room)
        arch_panic("a chain did more than its undo list holds");
    struct undo *undo = &clients->undo[clients->undo_count++];
    *undo = (struct undo){.undo = NULL};
    return undo;
}

static void undo_back(struct client *client, unsigned to)
{
    struct clients *clients = client->core->clients;
    while (clients->undo_count > to) {
        struct undo *undo = &clients->undo[--clients->undo_count];
        if (undo->undo)
            undo->undo(client, undo);
    }
}

static void undo_commit(struct client *client)
{
    struct clients *clients = client->core->clients;
    for (unsigned i = 0; i < clients->undo_count; i++)
        if (clients->undo[i].commit)
            clients->undo[i].commit(client, &clients->undo[i]);
    clients->undo_count = 0;
}

int chains_hold(struct client *client, unsigned requests)
{
    struct clients *clients = client->core->clients;
    if (UNDO_PER_REQUEST * requests > clients->undo_room) {
        struct undo *room =
            arch_memory_take(UNDO_PER_REQUEST * requests * sizeof *room, FRAME_METADATA);
        if (!room)
            return ERR_NO_MEMORY;
        clients->undo = room;
        clients->undo_room = UNDO_PER_REQUEST * requests;
    }
    clients->held = true;
    return 0;
}

void chains_release(struct client *client, bool keep)
{
    client->core->clients->held = false;
    if (keep)
        undo_commit(client);
    else
        undo_back(client, 0);
}

/* ---- one request --------------------------------------------------------------------------------- */

static void outcome_show(struct client *client, const struct outcome *outcome, bool first)
{
    struct piglet_request *shared =
        first ? &client->post[outcome->slot] : &client->request[outcome->slot];
    uint32_t word;
    struct piglet_status status = {.state = outcome->state,
                                   .error = outcome->error,
                                   .root = outcome->root,
                                   .sequence = (uint8_t)client->next_chain};
    memcpy(&word, &status, sizeof word);
    SHARED_STORE(shared->result, outcome->result);
    __atomic_store_n((uint32_t *)(void *)&shared->status, word, __ATOMIC_RELAXED);
}

/* The kernel's own copy: each word is read once, and is what it was then from now on. */
static void request_copy(struct piglet_request *copy, const struct piglet_request *shared)
{
    const uint64_t *from = (const uint64_t *)(const void *)shared;
    uint64_t word[sizeof *copy / sizeof *from];
    for (unsigned i = 0; i < sizeof word / sizeof word[0]; i++)
        word[i] = SHARED_LOAD(from[i]);
    memcpy(copy, word, sizeof *copy); /* cppcheck-suppress uninitvar; the loop fills all of it */
}

/* Checks and runs it; an error leaves no effect. */
static int request_run(struct client *client, const struct piglet_request *request,
                       uint64_t *result, unsigned *cost)
{
    if (request->opcode >= PIGLET_OP_COUNT)
        return ERR_UNSUPPORTED;
    const struct opcode_row *row = &opcode_rows[request->opcode];
    struct call call = {.request = request, .chain = client->next_chain, .cost = 1};
    uint32_t tags, wants;
    memcpy(&tags, request->tag, sizeof tags);
    memcpy(&wants, row->want, sizeof wants);
    if (tags | wants)
        for (unsigned i = 0; i < 4; i++) {
            int error = argument_check(client, &call, i, row);
            if (error < 0)
                return error;
        }
    unsigned undo_mark = client->core->clients->undo_count;
    int error = opcode_runs[request->opcode](client, &call);
    *cost = call.cost;
    if (error < 0) {
        undo_back(client, undo_mark);
        return error;
    }
    *result = call.result;
    return 0;
}

static void chain_failure(struct chain_run *chain, int error, unsigned root)
{
    if (chain->error)
        return;
    chain->error = (int8_t)error;
    chain->root = (uint8_t)root;
}

/* What becomes of the request, and why. */
static void request_judge(struct client *client, const struct piglet_request *request,
                          struct outcome *outcome, unsigned *cost)
{
    struct chain_run *chain = &client->chain;
    unsigned root = chain_root(chain, request);
    if (chain->cancelled || chain->broken ||
        (request->opcode == PIGLET_OP_BARRIER && chain->error)) {
        outcome->state = PIGLET_STATE_CANCELLED;
        outcome->error = chain->cancelled ? ERR_CANCELLED : chain->error;
        outcome->root = chain->cancelled ? 0 : chain->root;
        chain->broken = true;
        return;
    }
    if (root) {
        outcome->state = PIGLET_STATE_CANCELLED;
        outcome->error = chain->outcome[root - 1].error;
        outcome->root = (uint8_t)root;
        return;
    }
    int error = request_run(client, request, &outcome->result, cost);
    if (error < 0) {
        outcome->state = PIGLET_STATE_FAILED;
        outcome->error = (int8_t)error;
        outcome->root = chain->length;
        outcome->result = 0;
        chain_failure(chain, error, chain->length);
        return;
    }
    outcome->state = PIGLET_STATE_DONE;
    chain->done++;
}

static void request_event(struct client *client, unsigned at)
{
    const struct outcome *outcome = &client->chain.outcome[at - 1];
    struct piglet_event event = {.type = PIGLET_EVENT_REQUEST,
                                 .error = outcome->error,
                                 .root = outcome->root,
                                 .at = (uint8_t)at,
                                 .cookie = outcome->cookie,
                                 .result = outcome->result,
                                 .chain = client->next_chain};
    event_write(client, &event);
}

/* ---- the chain ------------------------------------------------------------------------------------ */

/* Reserves an event if there is room for `count`; if not, the chain waits where it is, and shows
 * that. */
static bool chain_room(struct client *client, uint32_t count)
{
    bool room = event_room(client, count) && event_reserve(client);
    if (room == client->waiting) {
        client->waiting = !room;
        SHARED_STORE(client->header->waiting, room ? 0 : client->next_chain);
    }
    return room;
}

static bool chain_take(struct client *client)
{
    struct chain_run *chain = &client->chain;
    if (!chain_room(client, chain->room))
        return false;
    chain->active = true;
    chain->room = 1;
    chain->atomic = chain->cancelled = chain->broken = false;
    chain->length = chain->done = chain->root = 0;
    chain->cost = 0;
    chain->error = 0;
    chain->next = PIGLET_NEXT_NONE;
    return true;
}

/* A number is meant once, for chains that can be posted now: it must not strike again when the count
 * has gone round, nor the 0 of a client that never cancels. */
static void chain_look_for_cancel(struct client *client)
{
    uint32_t cancel = SHARED_LOAD(client->header->cancel);
    bool reached = cancel - client->next_chain <= client->post_mask;
    client->cancelling = reached && (client->cancelling || cancel != client->cancel);
    client->cancel = cancel;
    if (client->cancelling) {
        client->chain.cancelled = true;
        chain_failure(&client->chain, ERR_CANCELLED, 0);
    }
}

static void chain_undo(struct client *client)
{
    struct chain_run *chain = &client->chain;
    undo_back(client, 0);
    for (unsigned i = 0; i < chain->length; i++) {
        struct outcome *outcome = &chain->outcome[i];
        if (outcome->state != PIGLET_STATE_DONE)
            continue;
        outcome->state = PIGLET_STATE_UNDONE;
        outcome->error = chain->error;
        outcome->root = chain->root;
        outcome->result = 0;
        outcome_show(client, outcome, i == 0);
    }
    chain->done = 0;
    client->undone++;
    ++*client->core->clients->undone;
}

static void chain_end(struct client *client)
{
    struct chain_run *chain = &client->chain;
    struct clients *clients = client->core->clients;
    if (chain->atomic && chain->error)
        chain_undo(client);
    else if (!clients->held)
        undo_commit(client);
    for (unsigned i = 1; chain->atomic && i <= chain->length; i++)
        if (chain->outcome[i - 1].flags & PIGLET_EVENT)
            request_event(client, i);
    struct piglet_event event = {.type = PIGLET_EVENT_CHAIN,
                                 .error = chain->error,
                                 .root = chain->root,
                                 .at = chain->length,
                                 .cookie = chain->cookie,
                                 .result = chain->outcome[chain->length - 1].result,
                                 .chain = client->next_chain,
                                 .count = chain->done};
    chain->active = false;
    client->next_chain++;
    client->chains++;
    ++*clients->chains;
    *clients->requests += chain->length;
    *clients->cancelled += chain->cancelled;
    if (chain->error) {
        client->failed++;
        ++*clients->failed;
    }
    event_write(client, &event);
}

/* Takes the chain's next request and deals with it. False: it waits for room for an event. */
static bool chain_step(struct client *client, unsigned *cost)
{
    struct chain_run *chain = &client->chain;
    bool first = chain->length == 0;
    unsigned slot = first ? (client->next_chain - 1) & client->post_mask : chain->next;
    struct piglet_request request;
    request_copy(&request, first ? &client->post[slot] : &client->request[slot]);
    if (first) {
        chain->atomic = request.flags & PIGLET_ATOMIC;
        chain->cookie = request.cookie;
    }
    if (request.flags & PIGLET_EVENT && !chain_room(client, 1))
        return false;
    struct outcome *outcome = &chain->outcome[chain->length++];
    *outcome =
        (struct outcome){.cookie = request.cookie, .slot = (uint16_t)slot, .flags = request.flags};
    request_judge(client, &request, outcome, cost);
    outcome_show(client, outcome, first);
    if (!chain->atomic) {
        undo_commit(client);
        if (request.flags & PIGLET_EVENT)
            request_event(client, chain->length);
    }
    chain->next = request.next;
    if (chain->next == PIGLET_NEXT_NONE)
        return true;
    if (chain->next >= client->request_count || chain->length == PIGLET_CHAIN_MAX) {
        chain_failure(chain, chain->length == PIGLET_CHAIN_MAX ? ERR_LIMIT : ERR_RANGE,
                      chain->length);
        chain->next = PIGLET_NEXT_NONE;
    }
    return true;
}

/* An ATOMIC chain that finds no room for its events has not begun: it is tried again when there is
 * more than there was. */
static void chain_withdraw(struct client *client)
{
    struct chain_run *chain = &client->chain;
    undo_back(client, 0);
    for (unsigned i = 0; i < chain->length; i++) {
        struct outcome *outcome = &chain->outcome[i];
        client->events_reserved -= (outcome->flags & PIGLET_EVENT) != 0;
        *outcome = (struct outcome){.slot = outcome->slot};
        outcome_show(client, outcome, i == 0);
    }
    client->events_reserved--; /* the chain's own */
    client->requests -= chain->length;
    chain->active = false;
    chain->room = event_free(client) + 1;
}

unsigned chain_run_slice(struct client *client, unsigned budget)
{
    struct chain_run *chain = &client->chain;
    unsigned spent = 0;
    while (spent < budget) {
        if (!chain->active && (!chain_posted(client) || !chain_take(client)))
            break;
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* `post` was seen: so are the fields */
        chain_look_for_cancel(client);
        /* Nothing else runs inside an ATOMIC chain: that is what lets it be undone exactly. */
        do {
            unsigned cost = 1;
            if (!chain_step(client, &cost)) {
                if (chain->atomic)
                    chain_withdraw(client);
                return spent;
            }
            spent += cost;
            client->requests++;
            chain->cost += cost;
            if (chain->atomic && chain->cost > ATOMIC_COST_MAX && !client->core->clients->held) {
                chain_failure(chain, ERR_LIMIT, chain->length);
                chain->next = PIGLET_NEXT_NONE;
            }
        } while (chain->next != PIGLET_NEXT_NONE && (chain->atomic || spent < budget));
        if (chain->next == PIGLET_NEXT_NONE)
            chain_end(client);
    }
    return spent;
}

int op_nop(struct client *client, struct call *call)
{
    (void)client, (void)call;
    return 0;
}

int op_echo(struct client *client, struct call *call)
{
    (void)client;
    call->result = call->value[0];
    return 0;
}

/* A chain in which something failed never gets here: request_judge cancels it. */
int op_barrier(struct client *client, struct call *call)
{
    (void)client, (void)call;
    return 0;
}
