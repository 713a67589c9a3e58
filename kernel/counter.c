/* The counter registry. */
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "kernel/counter.h"

enum { COUNTER_PAGE = 4096 };

int counter_registry_start(struct counter_registry *registry)
{
    registry->value = arch_memory_take(COUNTERS_MAX * sizeof(uint64_t), COUNTER_PAGE);
    registry->counter = arch_memory_take(COUNTERS_MAX * sizeof(struct counter), sizeof(void *));
    return registry->value && registry->counter ? 0 : ERR_NO_MEMORY;
}

static int counter_index(const struct counter_registry *registry, const char *name)
{
    for (unsigned i = 0; i < registry->count; i++)
        if (strcmp(registry->counter[i].name, name) == 0)
            return (int)i;
    return -1;
}

uint64_t *counter_new(struct counter_registry *registry, const char *who, const char *what,
                      const char *help)
{
    char name[COUNTER_NAME_MAX];
    snprintf(name, sizeof name, "%s.%s", who, what);
    int index = counter_index(registry, name);
    if (index >= 0)
        return &registry->value[index];
    if (registry->count == COUNTERS_MAX)
        return &registry->overflow;
    struct counter *counter = &registry->counter[registry->count];
    memcpy(counter->name, name, sizeof name);
    counter->help = help;
    return &registry->value[registry->count++];
}

const uint64_t *counter_find(const struct counter_registry *registry, const char *name)
{
    int index = counter_index(registry, name);
    return index < 0 ? NULL : &registry->value[index];
}
