/* Changes on the command line: a line of them is one ATOMIC chain. */
#include "tools/pigctl/language.h"

#include <stdlib.h>
#include <string.h>

const struct piglet_service_entry *service_find(struct session *session, const char *name,
                                                struct piglet_service_entry **list)
{
    void *entries = NULL;
    int count = piglet_load_table(session->piglet, PIGLET_OP_SERVICE_LIST, 0, &entries);
    *list = entries;
    if (count < 0) {
        complain_error("asking for the services", count);
        return NULL;
    }
    for (int i = 0; i < count; i++)
        if (strncmp((*list)[i].name, name, sizeof(*list)[i].name) == 0)
            return &(*list)[i];
    complain(PIGCTL_REFUSED, "no service \"%s\"; see `pigctl services`", name);
    return NULL;
}

static int line_of_words(int count, char **words, struct words *line)
{
    *line = (struct words){.word = calloc((size_t)count + 1, sizeof *line->word)};
    if (!line->word)
        return complain(PIGCTL_REFUSED, "no memory; end other programs");
    for (; line->count < (unsigned)count; line->count++)
        line->word[line->count].text = words[line->count];
    return PIGCTL_DONE;
}

int change(struct session *session, int count, char **words)
{
    struct changes changes = {.count = 0};
    struct program program = {.requests = 0};
    struct words line;
    unsigned done;
    int code = line_of_words(count, words, &line);
    if (code == PIGCTL_DONE)
        code = line_read(&line, session->noun, &changes);
    if (code == PIGCTL_DONE)
        code = program_compile(&changes, &program);
    if (code == PIGCTL_DONE && program.chains > 1)
        code = complain(PIGCTL_USAGE, "too many changes for one chain; use several lines, or "
                                      "`pigctl apply`");
    if (code == PIGCTL_DONE)
        code = program_post(session, &program, &done);
    if (code == PIGCTL_DONE && session->json)
        printf("{\"changes\": %u}\n", changes.count);
    free(line.word);
    program_free(&program);
    changes_free(&changes);
    return code;
}
