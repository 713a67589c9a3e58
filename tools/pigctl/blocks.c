/* Nouns with blocks: `firewall { ... }` in a file is a table of the service of that name. */
#include "tools/pigctl/language.h"

const struct block blocks[] = {
    {NULL, NULL},
};
