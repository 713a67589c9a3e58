/* The kernel's counters, those that are not 0. `counters [unix:PATH | shm:FILE]` */
#include <inttypes.h>
#include <piglet/piglet.h>
#include <stdio.h>

static int print(const void *entry, void *context)
{
    const struct piglet_counter_entry *counter = entry;
    (void)context;
    if (counter->value)
        printf("%-32.40s %12" PRIu64 "  %.80s\n", counter->name, counter->value, counter->help);
    return 0;
}

int main(int argc, char **argv)
{
    int error;
    struct piglet *piglet = piglet_open(argc > 1 ? argv[1] : NULL, "counters", &error);
    if (piglet)
        error = piglet_read_table(piglet, PIGLET_OP_COUNTER_READ, 0, print, NULL);
    if (error)
        fprintf(stderr, "counters: %s\n", piglet_error_text(error));
    piglet_close(piglet);
    return error ? 1 : 0;
}
