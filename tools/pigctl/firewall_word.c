/* Words of a firewall block: names, numbers, and lists of them in one word. */
#include <string.h>

#include "tools/pigctl/firewall.h"

/* ---- words, and pieces of them -------------------------------------------------------------------- */

const struct word *firewall_peek(const struct firewall_reader *reader)
{
    return reader->at < reader->words->count ? &reader->words->word[reader->at] : NULL;
}

/* The next word is not what is expected, or there is none. */
int firewall_wrong(const struct firewall_reader *reader, const char *expected)
{
    const struct word *word = firewall_peek(reader);
    if (!word)
        return complain_at(reader->words->end, PIGCTL_USAGE, "firewall: expected %s", expected);
    return complain_at(word->place, PIGCTL_USAGE, "firewall: \"%s\" is not understood; expected %s",
                       word->text, expected);
}

bool firewall_piece(const struct firewall_reader *reader, struct piece *piece,
                    const char *separators)
{
    const struct word *word = firewall_peek(reader);
    if (word)
        piece_first(word, piece, separators);
    return word;
}

int firewall_piece_wrong(const struct piece *piece, const char *expected)
{
    return complain_at(piece->place, PIGCTL_USAGE,
                       "firewall: \"%s\" is not understood; expected %s", piece->text, expected);
}

const struct firewall_name *firewall_name_find(const struct firewall_name *names, const char *text)
{
    for (; names->name; names++)
        if (strcmp(names->name, text) == 0)
            return names;
    return NULL;
}

/* "a state, of new, established, related, invalid" */
const char *firewall_names_text(const struct firewall_name *names, const char *what, char *text)
{
    size_t used = (size_t)snprintf(text, FIREWALL_NAMES_ROOM, "%s, of ", what);
    for (; names->name && used < FIREWALL_NAMES_ROOM; names++)
        used += (size_t)snprintf(text + used, FIREWALL_NAMES_ROOM - used, "%s%s", names->name,
                                 names[1].name ? ", " : "");
    return text;
}

int firewall_name_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, unsigned *value)
{
    char text[FIREWALL_NAMES_ROOM];
    const struct firewall_name *name =
        firewall_peek(reader) ? firewall_name_find(names, firewall_peek(reader)->text) : NULL;
    if (!name)
        return firewall_wrong(reader, firewall_names_text(names, what, text));
    *value = name->value;
    reader->at++;
    return PIGCTL_DONE;
}

/* A name, or a number up to 255. */
bool firewall_number(const char *text, const struct firewall_name *names, uint64_t *number)
{
    const struct firewall_name *name = firewall_name_find(names, text);
    if (name)
        *number = name->value;
    return name || parse_number(text, UINT8_MAX, number);
}

/* "new,established" as bits. */
int firewall_mask_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, uint8_t *mask)
{
    char text[FIREWALL_NAMES_ROOM];
    struct piece piece;
    if (!firewall_piece(reader, &piece, ","))
        return firewall_wrong(reader, firewall_names_text(names, what, text));
    do {
        const struct firewall_name *name = firewall_name_find(names, piece.text);
        if (!name)
            return firewall_piece_wrong(&piece, firewall_names_text(names, what, text));
        *mask |= (uint8_t)name->value;
    } while (piece_next(&piece, ","));
    reader->at++;
    return PIGCTL_DONE;
}

/* The items of a list. */
int firewall_list_read(struct firewall_reader *reader, unsigned part)
{
    const struct word *word = firewall_peek(reader);
    if (!word)
        return firewall_wrong(reader, list_expected(part));
    reader->line->said[part] = word->place;
    int code = list_read("firewall", word, part, &reader->line->list[part]);
    reader->at += code == PIGCTL_DONE;
    return code;
}
