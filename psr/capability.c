/* Capabilities: what a client calls its objects by. */
#include "psr/client.h"

enum {
    SLOT_MASK = (1 << PIGLET_CAPABILITY_SLOT_BITS) - 1,
    GENERATION_MASK = (1u << (32 - PIGLET_CAPABILITY_SLOT_BITS)) - 1,
};

_Static_assert(PIGLET_CAPABILITIES_MAX <= SLOT_MASK + 1, "every slot can be named");

static uint32_t capability_number(const struct client *client, const struct capability *entry)
{
    return entry->generation << PIGLET_CAPABILITY_SLOT_BITS |
           (uint32_t)(entry - client->capability);
}

/* The slot is free again, and what named it names nothing. */
static void capability_free(struct client *client, struct capability *entry)
{
    uint16_t slot = (uint16_t)(entry - client->capability);
    struct capability *parent =
        entry->parent == NO_PARENT ? NULL : &client->capability[entry->parent];
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX && entry->copies; i++) {
        struct capability *copy = &client->capability[i];
        if (copy->state == CAPABILITY_FREE || copy->parent != slot)
            continue;
        copy->parent = entry->parent; /* its copies are now its parent's */
        entry->copies--;
        if (parent)
            parent->copies++;
    }
    if (parent)
        parent->copies--;
    entry->state = CAPABILITY_FREE;
    entry->generation = (entry->generation + 1) & GENERATION_MASK;
    if (entry->generation == 0)
        entry->generation = 1;
    entry->object = NULL;
    client->capabilities--;
    client->capability_hint = slot;
}

static void capability_new_undo(struct client *client, struct undo *undo)
{
    struct capability *entry = undo->object;
    entry->object->names--;
    capability_free(client, entry);
}

int capability_new(struct client *client, struct object *object, unsigned rights, unsigned parent,
                   uint32_t *number)
{
    struct capability *entry = NULL;
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX && !entry; i++) {
        unsigned slot = (client->capability_hint + i) % PIGLET_CAPABILITIES_MAX;
        if (client->capability[slot].state == CAPABILITY_FREE)
            entry = &client->capability[slot];
    }
    if (!entry)
        return ERR_LIMIT;
    uint8_t depth = 0;
    if (parent != NO_PARENT)
        depth = (uint8_t)(client->capability[parent].depth + 1);
    if (depth > COPY_DEPTH_MAX)
        return ERR_LIMIT;
    if (parent != NO_PARENT)
        client->capability[parent].copies++;
    entry->object = object;
    entry->state = CAPABILITY_LIVE;
    entry->rights = (uint8_t)rights;
    entry->parent = (uint16_t)parent;
    entry->depth = depth;
    object->names++;
    client->capabilities++;
    client->capability_hint = (uint16_t)(entry - client->capability + 1);
    *number = capability_number(client, entry);
    struct undo *undo = undo_add(client);
    undo->undo = capability_new_undo;
    undo->object = entry;
    return 0;
}

static struct capability *capability_entry(struct client *client, uint64_t number)
{
    struct capability *entry = &client->capability[number & SLOT_MASK];
    if (number > UINT32_MAX || (number & SLOT_MASK) >= PIGLET_CAPABILITIES_MAX ||
        entry->state != CAPABILITY_LIVE ||
        entry->generation != number >> PIGLET_CAPABILITY_SLOT_BITS)
        return NULL;
    return entry;
}

int capability_find(struct client *client, uint64_t number, enum object_type type, unsigned rights,
                    struct object **object)
{
    if ((number & SLOT_MASK) >= PIGLET_CAPABILITIES_MAX)
        return ERR_CAPABILITY;
    struct capability *entry = capability_entry(client, number);
    if (!entry)
        return ERR_CAPABILITY;
    if (type != OBJECT_NONE && entry->object->type != type)
        return ERR_TYPE;
    if ((entry->rights & rights) != rights)
        return ERR_DENIED;
    *object = entry->object;
    return 0;
}

/* ---- ending names: at once for the chain, for good when it is certain ----------------------------- */

static void capability_mark(struct capability *entry, unsigned by)
{
    entry->state = CAPABILITY_ENDING;
    entry->ending = (uint16_t)by;
    entry->object->names--;
}

static unsigned undo_place(const struct client *client, const struct undo *undo)
{
    return (unsigned)(undo - client->core->clients->undo);
}

static void marks_undo(struct client *client, struct undo *undo)
{
    unsigned by = undo_place(client, undo);
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++) {
        struct capability *entry = &client->capability[i];
        if (entry->state != CAPABILITY_ENDING || entry->ending != by)
            continue;
        entry->state = CAPABILITY_LIVE;
        entry->object->names++;
    }
}

static void marks_commit(struct client *client, struct undo *undo)
{
    unsigned by = undo_place(client, undo);
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++) {
        struct capability *entry = &client->capability[i];
        if (entry->state != CAPABILITY_ENDING || entry->ending != by)
            continue;
        struct object *object = entry->object;
        capability_free(client, entry);
        if (object->names == 0 && object->type != OBJECT_NONE)
            object_end(client, object);
    }
}

static unsigned marks_begin(struct client *client)
{
    struct undo *undo = undo_add(client);
    undo->undo = marks_undo;
    undo->commit = marks_commit;
    return undo_place(client, undo);
}

int object_end_names(struct client *client, struct object *object)
{
    unsigned by = marks_begin(client);
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++)
        if (client->capability[i].state == CAPABILITY_LIVE &&
            client->capability[i].object == object)
            capability_mark(&client->capability[i], by);
    return 0;
}

/* Memory in a ring must not go: its pages would be given to something else. */
static bool object_in_use(const struct object *object)
{
    return object->type == OBJECT_MEMORY && ((const struct memory *)object)->user;
}

void object_end(struct client *client, struct object *object)
{
    switch (object->type) {
    case OBJECT_MEMORY:
        memory_end(client, (struct memory *)object);
        break;
    case OBJECT_FRAMESET:
        frameset_end(client, (struct frameset *)object);
        break;
    case OBJECT_TIMER:
        client_timer_end(client, (struct client_timer *)object);
        break;
    default: /* the system stays, though this client can no longer name it */
        break;
    }
}

/* ---- the opcodes ---------------------------------------------------------------------------------- */

int op_cap_copy(struct client *client, struct call *call)
{
    const struct capability *original = capability_entry(client, call->value[1]);
    uint64_t rights = call->value[2];
    uint32_t number = 0;
    if (rights > PIGLET_RIGHT_ALL)
        return ERR_RANGE;
    if (rights & ~(uint64_t)original->rights)
        return ERR_DENIED;
    int error = capability_new(client, call->object[1], (unsigned)rights,
                               (unsigned)(original - client->capability), &number);
    call->result = number;
    return error;
}

int op_cap_drop(struct client *client, struct call *call)
{
    struct capability *entry = capability_entry(client, call->value[0]);
    call->cost = MARKS_COST;
    if (entry->object->names == 1 && object_in_use(entry->object))
        return ERR_BUSY;
    capability_mark(entry, marks_begin(client));
    return 0;
}

static bool capability_descends(const struct client *client, const struct capability *entry,
                                unsigned from)
{
    for (unsigned depth = 0; depth <= COPY_DEPTH_MAX && entry->parent != NO_PARENT; depth++) {
        if (entry->parent == from)
            return true;
        entry = &client->capability[entry->parent];
    }
    return false;
}

int op_cap_revoke(struct client *client, struct call *call)
{
    const struct capability *root = capability_entry(client, call->value[0]);
    unsigned by = marks_begin(client), from = (unsigned)(root - client->capability);
    call->cost = MARKS_COST;
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++) {
        struct capability *entry = &client->capability[i];
        if (entry->state != CAPABILITY_LIVE || !capability_descends(client, entry, from))
            continue;
        capability_mark(entry, by);
        call->result++;
    }
    return 0;
}

/* ---- an attachment's beginning and end -------------------------------------------------------------- */

void capabilities_start(struct client *client, unsigned rights)
{
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++)
        if (client->capability[i].generation == 0)
            client->capability[i].generation = 1;
    client->capability_hint = 0;
    client->system.type = OBJECT_SYSTEM;
    uint32_t number;
    if (capability_new(client, &client->system, rights, NO_PARENT, &number) < 0)
        arch_panic("a new client has no room for a capability");
    client->core->clients->undo_count = 0; /* nobody takes this back */
    SHARED_STORE(client->header->system, number);
}

void capabilities_stop(struct client *client)
{
    /* Framesets before the memory in them. */
    for (unsigned i = 0; i < FRAMESETS_MAX; i++)
        if (client->frameset[i].object.type)
            frameset_end(client, &client->frameset[i]);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        if (client->timer[i].object.type)
            client_timer_end(client, &client->timer[i]);
    for (unsigned i = 0; i < MEMORIES_MAX; i++)
        if (client->memory[i].object.type)
            memory_end(client, &client->memory[i]);
    for (unsigned i = 0; i < PIGLET_CAPABILITIES_MAX; i++)
        if (client->capability[i].state != CAPABILITY_FREE) {
            client->capability[i].parent = NO_PARENT;
            client->capability[i].copies = 0;
            client->capability[i].object->names = 0;
            capability_free(client, &client->capability[i]);
        }
}
