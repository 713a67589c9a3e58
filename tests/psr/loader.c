/* A service that takes a table: what it says of one, and which is in force, is plain to see. */
#include "kernel/service.h"
#include "tests/psr/client.h"

struct loader {
    uint32_t in_force, spare; /* sums of the tables' bytes */
};

/* A byte of 0 is wrong. */
static int loader_load(struct service_self *self, const uint8_t *table, size_t bytes)
{
    struct loader *loader = self->state;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        self->load_error_at = (uint32_t)i;
        if (table[i] == 0)
            return ERR_INVALID;
        sum += table[i];
    }
    loader->spare = sum;
    return 0;
}

static void loader_swap(struct service_self *self)
{
    struct loader *loader = self->state;
    uint32_t former = loader->in_force;
    loader->in_force = loader->spare;
    loader->spare = former;
}

static const struct service_setting loader_settings[] = {
    SERVICE_NUMBER("table", loader, in_force, 0, UINT32_MAX, 0, "which table is in force"),
    {0},
};

const struct service test_loader = {
    .name = "loader",
    .help = "no settings",
    .state_bytes = sizeof(struct loader),
    .settings = loader_settings,
    .table_max = TEST_TABLE_MAX,
    .load = loader_load,
    .swap = loader_swap,
};
