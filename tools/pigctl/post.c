/* Programs into a running kernel. What only prepares (finding services, loading tables) is done
 * first; so each chain is changes alone, and short. */
#include "tools/pigctl/language.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_US = 5000000 };

struct post {
    struct session *session;
    const struct program *program;
    uint64_t text_offset; /* in the window, for the data's offset 0 */
    uint32_t memory_at;   /* how much of the data was put into memory of its own */
    unsigned first;       /* the chain's first request, */
    unsigned length;      /* and how many it has */
    uint64_t result[PIGLET_CHAIN_MAX];
    unsigned number[PIGLET_CHAIN_MAX]; /* in the chain that is posted, from 1; 0: prepared */
    const struct change *posted[PIGLET_CHAIN_MAX];
    uint32_t memory[PIGLET_CHAIN_MAX]; /* to be freed */
    unsigned memories;
};

/* ---- what is said ------------------------------------------------------------------------------------ */

static bool what_is_named(int error)
{
    return error == ERR_NOT_FOUND || error == ERR_RANGE || error == ERR_INVALID;
}

/* Which change it was, and where to see what would have been right. */
static int post_failed(const struct change *change, int error)
{
    if (error == ERR_TIMEOUT)
        return complain(PIGCTL_REFUSED, "Piglet has not answered, and may change it yet; see "
                                        "`pigctl doctor`");
    if (change && what_is_named(error))
        return complain_at(change->place, PIGCTL_REFUSED,
                           "nothing was changed: %s: %s; see `pigctl %.*s`", change->text,
                           piglet_error_text(error), (int)strcspn(change->text, " "), change->text);
    struct place nowhere = {.file = NULL};
    return complain_at(change ? change->place : nowhere, PIGCTL_REFUSED,
                       "nothing was changed: %s: %s; %s", change ? change->text : "the chain",
                       piglet_error_text(error), error_cure(error));
}

/* The byte of a table that was refused. */
static int load_failed(const struct post *post, const struct change *change, int error)
{
    void *entries = NULL;
    int count = piglet_load_table(post->session->piglet, PIGLET_OP_SERVICE_LIST, 0, &entries);
    const struct piglet_service_entry *service = entries;
    unsigned at = 0, line = 0;
    for (int i = 0; i < count; i++)
        if (strncmp(service[i].name, change->service, sizeof service[i].name) == 0) {
            at = service[i].load_error_at;
            line = service[i].load_error_line;
        }
    free(entries);
    struct place place = change->place;
    if (line)
        place = (struct place){place.file, line, 1};
    return complain_at(place, PIGCTL_REFUSED,
                       "nothing was changed: %s: %s, at byte %u of its table; %s", change->text,
                       piglet_error_text(error), at, error_cure(error));
}

static int prepare_failed(const struct post *post, unsigned opcode, const struct change *change,
                          int error)
{
    if (opcode == PIGLET_OP_SERVICE_FIND && error == ERR_NOT_FOUND)
        return complain_at(change->place, PIGCTL_REFUSED,
                           "nothing was changed: no service \"%s\"; see `pigctl services`",
                           change->service);
    if (opcode == PIGLET_OP_SERVICE_LOAD)
        return load_failed(post, change, error);
    return post_failed(change, error);
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static struct piglet_argument argument(const struct post *post,
                                       const struct piglet_request *request, unsigned index)
{
    const struct piglet_opcode_info *info = piglet_opcode(request->opcode);
    uint64_t value = request->argument[index];
    switch (request->tag[index]) {
    case PIGLET_TAG_CAPABILITY:
        return piglet_capability(value ? (uint32_t)value
                                       : piglet_window(post->session->piglet)->system);
    case PIGLET_TAG_OFFSET:
        return piglet_offset(post->text_offset + value);
    case PIGLET_TAG_REFERENCE:
        if (post->number[value - 1])
            return piglet_reference((int)post->number[value - 1]);
        if (info->want[index] >= PIGLET_WANT_ANY)
            return piglet_capability(piglet_result_capability(post->result[value - 1]));
        return piglet_number(post->result[value - 1]);
    default:
        return piglet_argument(request->tag[index], value);
    }
}

/* ---- preparing ------------------------------------------------------------------------------------------ */

static bool prepares(unsigned opcode)
{
    return opcode == PIGLET_OP_SERVICE_FIND || opcode == PIGLET_OP_ALLOC_MEM ||
           opcode == PIGLET_OP_SERVICE_LOAD;
}

static int memory_take(struct post *post, uint64_t pages, const uint8_t *data, uint64_t *result)
{
    struct piglet *piglet = post->session->piglet;
    int error = piglet_call(piglet, PIGLET_OP_ALLOC_MEM, piglet_new(), piglet_number(pages),
                            piglet_none(), piglet_none(), result);
    if (error < 0)
        return error;
    if (post->memories == PIGLET_CHAIN_MAX)
        return ERR_LIMIT;
    post->memory[post->memories++] = piglet_result_capability(*result);
    void *to = piglet_memory(piglet, piglet_result_offset(*result), pages * PIGLET_PAGE);
    if (!to)
        return ERR_RANGE;
    memcpy(to, data, pages * PIGLET_PAGE);
    return 0;
}

static int prepare(struct post *post, unsigned at)
{
    const struct program *program = post->program;
    const struct piglet_request *request = &program->request[post->first + at];
    int error;
    if (request->opcode == PIGLET_OP_ALLOC_MEM) {
        error = memory_take(post, request->argument[1], program->data.data + post->memory_at,
                            &post->result[at]);
        post->memory_at += (uint32_t)request->argument[1] * PIGLET_PAGE;
    } else {
        error = piglet_call(post->session->piglet, request->opcode, argument(post, request, 0),
                            argument(post, request, 1), argument(post, request, 2),
                            argument(post, request, 3), &post->result[at]);
    }
    if (error == 0)
        return PIGCTL_DONE;
    return prepare_failed(post, request->opcode, program->change[post->first + at], error);
}

/* ---- posting --------------------------------------------------------------------------------------------- */

static int chain_post(struct post *post)
{
    struct piglet *piglet = post->session->piglet;
    const struct program *program = post->program;
    struct piglet_chain chain;
    struct piglet_event event = {.root = 0};
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    for (unsigned i = 0; i < post->length; i++) {
        const struct piglet_request *request = &program->request[post->first + i];
        if (prepares(request->opcode))
            continue;
        int number = piglet_chain_add(&chain, request->opcode, argument(post, request, 0),
                                      argument(post, request, 1), argument(post, request, 2),
                                      argument(post, request, 3));
        if (number <= 0)
            break;
        post->number[i] = (unsigned)number;
        post->posted[number - 1] = program->change[post->first + i];
    }
    int error = piglet_wait(piglet, piglet_post(&chain), WAIT_US, &event);
    if (error == 0)
        return PIGCTL_DONE;
    return post_failed(event.root ? post->posted[event.root - 1] : NULL, error);
}

static int chain_run(struct post *post)
{
    memset(post->number, 0, sizeof post->number);
    for (unsigned i = 0; i < post->length; i++) {
        int code = prepares(post->program->request[post->first + i].opcode) ? prepare(post, i)
                                                                            : PIGCTL_DONE;
        if (code != PIGCTL_DONE)
            return code;
    }
    return chain_post(post);
}

/* Room in the window for the texts. */
static int texts_place(struct post *post)
{
    const struct program *program = post->program;
    size_t base = (size_t)program->memory_pages * PIGLET_PAGE;
    uint64_t result;
    if (program->data.count == base)
        return PIGCTL_DONE;
    int error = memory_take(post, (program->data.count - base) / PIGLET_PAGE,
                            program->data.data + base, &result);
    if (error < 0)
        return complain_error("nothing was changed: memory for texts", error);
    post->text_offset = piglet_result_offset(result) - base;
    return PIGCTL_DONE;
}

int program_post(struct session *session, const struct program *program, unsigned *done)
{
    struct post *post = calloc(1, sizeof *post);
    if (!post)
        return complain(PIGCTL_REFUSED, "no memory; end other programs");
    post->session = session;
    post->program = program;
    *done = 0;
    int code = texts_place(post);
    for (unsigned at = 0; at < program->requests && code == PIGCTL_DONE; at += post->length) {
        post->first = at;
        for (post->length = 1; program->request[at + post->length - 1].next; post->length++)
            ;
        code = chain_run(post);
        if (code == PIGCTL_DONE)
            *done = (unsigned)(program->change[at + post->length - 1] - program->change[0]) + 1;
    }
    for (unsigned i = 0; i < post->memories; i++)
        piglet_call(session->piglet, PIGLET_OP_FREE_MEM, piglet_capability(post->memory[i]),
                    piglet_none(), piglet_none(), piglet_none(), NULL);
    free(post);
    return code;
}
