/* A pigctl for tests: its block `shaper { ... }` is the bytes of a table, in hexadecimal. So the way of a
 * block into a kernel and back is tested whatever the blocks there are say. */
#include "tools/pigctl/language.h"

#include "piglet/shaper.h"

static int raw_compile(const struct block_lines *lines, struct bytes *table)
{
    for (unsigned i = 0; i < lines->count; i++)
        for (unsigned j = 0; j < lines->line[i].count; j++) {
            const struct word *word = &lines->line[i].word[j];
            unsigned byte;
            char more;
            if (sscanf(word->text, "%2x%c", &byte, &more) != 1)
                return complain_at(word->place, PIGCTL_USAGE, "\"%s\" is no byte; for instance 7f",
                                   word->text);
            *(uint8_t *)bytes_add(table, 1) = (uint8_t)byte;
        }
    if (lines->count)
        return PIGCTL_DONE;
    struct piglet_shaper_table *none = bytes_add(table, sizeof *none);
    none->magic = PIGLET_SHAPER_MAGIC;
    none->version = PIGLET_SHAPER_VERSION;
    none->bytes = sizeof *none;
    return PIGCTL_DONE;
}

const struct block blocks[] = {
    {"shaper", raw_compile},
    {NULL, NULL},
};
