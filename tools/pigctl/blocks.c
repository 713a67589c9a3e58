/* Nouns with blocks: `firewall { ... }` in a file is a table of the service of that name. */
#include "tools/pigctl/firewall.h"
#include "tools/pigctl/shaper.h"

const struct block blocks[] = {
    {"firewall", firewall_compile},
    {"shaper", shaper_compile},
    {NULL, NULL},
};
