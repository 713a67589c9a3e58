/* pigctl regs: the registers of nics, by the names that their datasheets give them.
 *
 * What they are for, and where the datasheet says so, comes from the tables of the drivers. */
#include "tools/pigctl/pigctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "drivers/e1000/registers.h"
#include "drivers/ixgbe/registers.h"

struct row {
    const char *name;
    uint32_t reset;
    const char *section, *help;
};

static const struct row e1000_rows[] = {
#define E1000_ROW(name, offset, count, stride, mode, section) {#name, 0, section, ""},
    E1000_REGISTERS(E1000_ROW)};

static const struct row ixgbe_rows[] = {
#define IXGBE_ROW(name, offset, count, stride, access, reset, writable, section, help)             \
    {#name, reset, section, help},
    IXGBE_REGISTERS(IXGBE_ROW)};

struct regs {
    struct output output;
    const struct piglet_nic_entry *nic;
    const char *name; /* the only ones wanted, or NULL */
    unsigned number, shown;
};

static struct row row_find(const char *driver, const char *name)
{
    bool ixgbe = strcmp(driver, "ixgbe") == 0, e1000 = strcmp(driver, "e1000") == 0;
    const struct row *rows = ixgbe ? ixgbe_rows : e1000_rows;
    size_t count = ixgbe   ? sizeof ixgbe_rows / sizeof ixgbe_rows[0]
                   : e1000 ? sizeof e1000_rows / sizeof e1000_rows[0]
                           : 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i];
    return (struct row){name, 0, "", ""};
}

/* Of arrays only what is not as after a reset, unless one of them was asked for by name. */
static int regs_row(const void *entry, void *context)
{
    const struct piglet_register_entry *at = entry;
    struct regs *regs = context;
    char name[sizeof at->name + 1], driver[sizeof regs->nic->driver + 1], text[64];
    text_clean(name, sizeof name, at->name, sizeof at->name);
    text_clean(driver, sizeof driver, regs->nic->driver, sizeof regs->nic->driver);
    struct row row = row_find(driver, name);
    if (regs->name ? strcasecmp(name, regs->name) != 0
                   : at->count > 1 && (at->value == 0 || at->value == row.reset))
        return 0;
    struct output *output = &regs->output;
    regs->shown++;
    if (at->count > 1)
        snprintf(text, sizeof text, "%s[%u]", name, at->index);
    else
        snprintf(text, sizeof text, "%s", name);
    output_row(output);
    put_count(output, "nic", regs->number);
    put_word(output, "name", text);
    snprintf(text, sizeof text, "%05" PRIx32, at->offset);
    put_word(output, "offset", text);
    snprintf(text, sizeof text, "%08" PRIx32, at->value);
    put_word(output, "value", text);
    put_word(output, "section", row.section);
    put_word(output, "what", row.help);
    return 0;
}

struct find {
    const char *name; /* NULL: the first that is there */
    struct piglet_nic_entry nic;
    unsigned number, at;
    bool found;
};

static int find_row(const void *entry, void *context)
{
    struct find *find = context;
    const struct piglet_nic_entry *nic = entry;
    unsigned number = find->at++;
    bool wanted = find->name ? strncmp(nic->name, find->name, sizeof nic->name) == 0 : nic->present;
    if (!wanted)
        return 0;
    find->nic = *nic;
    find->number = number;
    return find->found = true;
}

int regs(struct session *session, int count, char **words)
{
    struct find find = {.name = count && strncmp(words[0], "nic", 3) == 0 ? words[0] : NULL};
    struct regs regs = {.nic = &find.nic, .name = words[find.name ? 1 : 0]};
    if (count > 2 || (count == 2 && !find.name))
        return complain_word(session, words[find.name ? 2 : 1]);
    int error = piglet_read_table(session->piglet, PIGLET_OP_NIC_LIST, 0, find_row, &find);
    if (error < 0)
        return complain_error("regs", error);
    if (!find.found)
        return complain(PIGCTL_REFUSED, "regs: no nic \"%s\"; `pigctl nics` shows those there are",
                        find.name ? find.name : "");
    regs.number = find.number;
    output_begin(&regs.output, session->json, OUTPUT_TABLE);
    error = piglet_read_table(session->piglet, PIGLET_OP_REGISTER_READ, (uint64_t)find.number << 32,
                              regs_row, &regs);
    if (error < 0)
        return complain_error("regs", error);
    output_end(&regs.output, "no such register, or one that may not be read");
    return regs.shown ? PIGCTL_DONE : PIGCTL_REFUSED;
}
