/* Configuration files: compile, apply, diff, show config. */
#include "tools/pigctl/language.h"

#include <stdlib.h>
#include <string.h>

#include "tools/pigctl/confirm.h"

/* A file on its way to a kernel. */
struct application {
    struct session *session;
    const char *file;
    struct changes said; /* by the file */
    struct config wanted, former;
    struct changes changes; /* from the former to the wanted */
};

static void application_free(struct application *application)
{
    config_free(&application->wanted);
    config_free(&application->former);
    changes_free(&application->changes);
    changes_free(&application->said);
}

/* Reads the file. */
static int application_read(struct application *application, const char *file)
{
    application->file = file;
    int code = source_read(file, &application->said);
    if (code == PIGCTL_DONE)
        code = config_of_changes(&application->said, &application->wanted);
    return code;
}

/* Finds out what is to be done. */
static int application_compare(struct application *application)
{
    int code = config_of_kernel(application->session->piglet, &application->former);
    if (code == PIGCTL_DONE)
        config_difference(&application->former, &application->wanted, &application->changes);
    return code;
}

/* Addresses and routes first: that is what one looks for. */
static bool change_is_first(const struct change *change)
{
    return *change->service == 0;
}

static void changes_print(const struct session *session, const struct changes *changes, bool sorted)
{
    if (session->json)
        printf("{\"changes\": %u, \"lines\": [", changes->count);
    for (unsigned pass = 0, printed = 0; pass < (sorted ? 2 : 1); pass++)
        for (unsigned i = 0; i < changes->count; i++) {
            const struct change *change = &changes->change[i];
            if (sorted && change_is_first(change) != (pass == 0))
                continue;
            if (session->json) {
                fputs(printed++ ? ", " : "", stdout);
                json_string(stdout, change->text, sizeof change->text);
            } else {
                puts(change->text);
            }
        }
    if (session->json)
        puts("]}");
}

static void changes_say(const struct session *session, const struct changes *changes)
{
    if (changes->count == 0 && !session->json)
        puts("nothing to do");
    else
        changes_print(session, changes, false);
}

/* ---- compile -------------------------------------------------------------------------------------------- */

int compile(struct session *session, int count, char **words)
{
    struct application application = {.session = session};
    struct program program = {.requests = 0};
    if (count != 3 || strcmp(words[1], "-o") != 0)
        return complain(PIGCTL_USAGE, "compile: expected FILE -o OUT; see `pigctl help compile`");
    int code = application_read(&application, words[0]);
    if (code == PIGCTL_DONE) {
        config_difference(NULL, &application.wanted, &application.changes);
        if (application.changes.count == 0)
            code = complain(PIGCTL_USAGE, "%s: there is nothing in it to compile", words[0]);
    }
    if (code == PIGCTL_DONE)
        code = program_compile(&application.changes, &program);
    if (code == PIGCTL_DONE)
        code = program_write(&program, words[0], words[2]);
    if (code == PIGCTL_DONE && session->json)
        printf("{\"changes\": %u, \"requests\": %u, \"chains\": %u}\n", application.changes.count,
               program.requests, program.chains);
    program_free(&program);
    application_free(&application);
    return code;
}

/* ---- apply ------------------------------------------------------------------------------------------------ */

/* Does the changes; what was done before one failed is taken back. */
static int changes_post(struct session *session, const struct changes *changes,
                        const struct config *former)
{
    struct program program;
    unsigned done;
    int code = program_compile(changes, &program);
    if (code != PIGCTL_DONE)
        return code;
    code = program_post(session, &program, &done);
    program_free(&program);
    if (code != PIGCTL_DONE && done && config_return(session, former, changes, done) != PIGCTL_DONE)
        complain(PIGCTL_REFUSED, "and what was done before that could not be taken back; see "
                                 "`pigctl diff`");
    return code;
}

static int changes_run(struct session *session, struct changes *changes)
{
    struct program program;
    unsigned done;
    int code = program_compile(changes, &program);
    if (code == PIGCTL_DONE)
        code = program_post(session, &program, &done);
    program_free(&program);
    changes_free(changes);
    return code;
}

/* Puts former tables in force again. Where others were loaded since, there are none. */
static int tables_return(struct session *session, const struct changes *changes, unsigned done)
{
    struct changes back = {.count = 0};
    for (unsigned i = 0; i < done; i++) {
        if (changes->change[i].opcode != PIGLET_OP_SERVICE_SWAP)
            continue;
        struct change *change = changes_add(&back); /* without a table: the former one */
        change->opcode = PIGLET_OP_SERVICE_SWAP;
        memcpy(change->service, changes->change[i].service, sizeof change->service);
        change_say(change);
    }
    return changes_run(session, &back);
}

int config_return(struct session *session, const struct config *former,
                  const struct changes *changes, unsigned done)
{
    struct config now, now_rest, former_rest = *former;
    struct changes back = {.count = 0};
    int tables = tables_return(session, changes, done);
    int code = config_of_kernel(session->piglet, &now);
    if (code != PIGCTL_DONE)
        return code;
    now_rest = now;
    now_rest.tables = former_rest.tables = 0;
    config_difference(&now_rest, &former_rest, &back);
    code = changes_run(session, &back);
    config_free(&now);
    return code == PIGCTL_DONE ? tables : code;
}

static int application_run(struct application *application, unsigned *changes)
{
    int code = application_compare(application);
    if (code == PIGCTL_DONE && application->changes.count)
        code = changes_post(application->session, &application->changes, &application->former);
    *changes = application->changes.count;
    if (code == PIGCTL_DONE)
        changes_say(application->session, &application->changes);
    return code;
}

/* In the process that stays: applies, tells the other one, and waits. */
static int apply_watched(struct application *application, struct confirmation *confirmation)
{
    unsigned changes = 0;
    int code = session_open(application->session);
    if (code == PIGCTL_DONE)
        code = confirmation_listen(confirmation, piglet_where(application->session->piglet));
    if (code == PIGCTL_DONE)
        code = application_run(application, &changes);
    if (code != PIGCTL_DONE || changes == 0) {
        confirmation_end(confirmation);
        return confirmation_tell(confirmation, code);
    }
    if (!application->session->json)
        printf(
            "confirm within %u s with `pigctl confirm`, or the former configuration comes back\n",
            confirmation->seconds);
    confirmation_tell(confirmation, code);
    if (!confirmation_wait(confirmation, application->session->piglet))
        confirmation_said(config_return(application->session, &application->former,
                                        &application->changes, application->changes.count));
    confirmation_end(confirmation);
    return code;
}

static int apply_now(struct application *application)
{
    unsigned changes = 0;
    int code = session_open(application->session);
    if (code == PIGCTL_DONE)
        code = confirmation_none(piglet_where(application->session->piglet));
    return code == PIGCTL_DONE ? application_run(application, &changes) : code;
}

int apply(struct session *session, int count, char **words)
{
    struct application application = {.session = session};
    struct confirmation confirmation = {.listener = -1};
    uint64_t seconds = 0;
    if (count == 3 && strcmp(words[0], "--confirm") == 0) {
        if (!parse_number(words[1], CONFIRM_S_MAX, &seconds) || seconds == 0)
            return complain(PIGCTL_USAGE,
                            "apply --confirm: \"%s\" is no number of seconds up to %d", words[1],
                            CONFIRM_S_MAX);
        words += 2;
        count -= 2;
    }
    if (count != 1 || (words[0][0] == '-' && words[0][1]))
        return complain(PIGCTL_USAGE, "apply: expected [--confirm SECONDS] FILE; see `pigctl help "
                                      "apply`");
    confirmation.seconds = (unsigned)seconds;
    int code = application_read(&application, words[0]);
    if (code == PIGCTL_DONE && seconds == 0)
        code = apply_now(&application);
    else if (code == PIGCTL_DONE && confirmation_fork(&confirmation, &code))
        code = apply_watched(&application, &confirmation);
    application_free(&application);
    return code;
}

/* ---- looking ----------------------------------------------------------------------------------------------- */

int diff(struct session *session, int count, char **words)
{
    struct application application = {.session = session};
    if (count != 1)
        return complain(PIGCTL_USAGE, "diff: expected FILE; see `pigctl help diff`");
    int code = application_read(&application, words[0]);
    if (code == PIGCTL_DONE)
        code = session_open(session);
    if (code == PIGCTL_DONE)
        code = application_compare(&application);
    if (code == PIGCTL_DONE) {
        changes_say(session, &application.changes);
        code = application.changes.count ? PIGCTL_REFUSED : PIGCTL_DONE;
    }
    application_free(&application);
    return code;
}

/* What runs is what it differs in from the defaults. */
int show(struct session *session, int count, char **words)
{
    struct config now, defaults;
    struct changes changes = {.count = 0};
    if (count != 1 || strcmp(words[0], "config") != 0)
        return complain_word(session, count ? words[count - 1] : NULL);
    int code = config_of_kernel(session->piglet, &now);
    if (code != PIGCTL_DONE)
        return code;
    defaults = (struct config){.settings = now.settings};
    defaults.setting = calloc(now.settings + 1, sizeof *defaults.setting);
    if (!defaults.setting)
        return complain(PIGCTL_REFUSED, "no memory; end other programs");
    for (unsigned i = 0; i < now.settings; i++) {
        defaults.setting[i] = now.setting[i];
        snprintf(defaults.setting[i].value, sizeof defaults.setting[i].value, "%s",
                 now.setting[i].initial);
    }
    struct config plain = now;
    plain.tables = 0;
    config_difference(&defaults, &plain, &changes);
    changes_print(session, &changes, true);
    if (!session->json)
        config_print_tables(&now);
    changes_free(&changes);
    config_free(&defaults);
    config_free(&now);
    return PIGCTL_DONE;
}
