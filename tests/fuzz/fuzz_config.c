/* Fuzzes the command line: any bytes must give a running core, or words refused in the log. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *line = malloc(bytes + 1);
    memcpy(line, data, bytes);
    line[bytes] = 0;
    struct core *core = sim_start(2, line);
    sim_advance_us(core, 1000);
    if (!core || sim_stop(core) != 0)
        abort();
    free(line);
    return 0;
}
