/* requests: the chains in a window, decoded. The window may be another client's and change while it
 * is read: everything is looked at in a copy, and nothing in it is believed. */
#define _GNU_SOURCE
#include "tools/pigctl/pigctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOOK_S = 1,
    WAIT_US = 5000000,
    CHAINS_SHOWN = 64, /* as many as lie in the post ring of any window so far */
    REQUEST_TEXT_ROOM = 256,
    DEMO_PAGES = 12,
};

/* A window's parts that are not data. */
struct snapshot {
    uint8_t *memory;
    size_t bytes;
    const struct piglet_window *window;
    const struct piglet_request *post, *request;
    const struct piglet_event *event;
    uint32_t ended; /* the last chain whose event is there; 0: none */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- taking a snapshot ------------------------------------------------------------------------- */

static const void *part(const struct snapshot *snapshot, uint32_t offset, uint32_t count,
                        size_t size)
{
    if (count == 0 || count & (count - 1) || offset % size ||
        offset + (uint64_t)count * size > snapshot->bytes)
        return NULL;
    return snapshot->memory + offset;
}

/* Finds the parts in what was copied. */
static int snapshot_divide(struct snapshot *snapshot)
{
    const struct piglet_window *window = snapshot->window =
        (const struct piglet_window *)(const void *)snapshot->memory;
    if (window->magic != PIGLET_MAGIC)
        return ERR_INVALID;
    if (window->abi_major != PIGLET_ABI_MAJOR)
        return ERR_UNSUPPORTED;
    snapshot->post = part(snapshot, window->post_offset, window->post_count, 64);
    snapshot->request = part(snapshot, window->request_offset, window->request_count, 64);
    snapshot->event = part(snapshot, window->event_offset, window->event_count, 32);
    if (!snapshot->post || !snapshot->request || !snapshot->event)
        return ERR_INVALID;
    snapshot->ended = 0;
    for (uint32_t i = 0; i < window->event_count; i++) {
        const struct piglet_event *event = &snapshot->event[i];
        if (event->number && event->type == PIGLET_EVENT_CHAIN &&
            (!snapshot->ended || event->chain - snapshot->ended < UINT32_MAX / 2))
            snapshot->ended = event->chain;
    }
    return 0;
}

/* A file is read, not mapped: it may shrink at any time. */
static int snapshot_read(struct snapshot *snapshot, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size < PIGLET_WINDOW_BYTES_MIN)
        return ERR_INVALID;
    size_t room = (size_t)status.st_size < PIGLET_WINDOW_BYTES_MAX ? (size_t)status.st_size
                                                                   : PIGLET_WINDOW_BYTES_MAX;
    free(snapshot->memory);
    snapshot->memory = calloc(1, room);
    if (!snapshot->memory)
        return ERR_NO_MEMORY;
    /* Data is not looked at, and may be large. */
    if (pread(fd, snapshot->memory, PIGLET_PAGE, 0) != PIGLET_PAGE)
        return ERR_INVALID;
    snapshot->bytes = ((const struct piglet_window *)(const void *)snapshot->memory)->data_offset;
    if (snapshot->bytes < PIGLET_PAGE || snapshot->bytes > room)
        snapshot->bytes = room;
    if (pread(fd, snapshot->memory, snapshot->bytes, 0) != (ssize_t)snapshot->bytes)
        return ERR_INVALID;
    return snapshot_divide(snapshot);
}

static int snapshot_own(struct snapshot *snapshot, struct piglet *piglet)
{
    const struct piglet_window *window = piglet_window(piglet);
    snapshot->bytes = window->data_offset > PIGLET_PAGE ? window->data_offset : PIGLET_PAGE;
    snapshot->memory = malloc(snapshot->bytes);
    if (!snapshot->memory)
        return ERR_NO_MEMORY;
    memcpy(snapshot->memory, window, snapshot->bytes);
    return snapshot_divide(snapshot);
}

/* ---- printing one ------------------------------------------------------------------------------- */

/* Serial numbers: whether chain a ended with or before chain b. */
static bool chain_ended(const struct snapshot *snapshot, uint32_t chain)
{
    return snapshot->ended && snapshot->ended - chain < UINT32_MAX / 2;
}

/* Two blanks stand between what was asked and what became of it. */
static void put_request(struct output *output, const char *text)
{
    const char *outcome = strstr(text, "  ");
    if (!outcome)
        outcome = text + strlen(text);
    put_text(output, "request", text, (size_t)(outcome - text));
    put_word(output, "outcome", outcome + strspn(outcome, " "));
}

/* Its requests, as far as they are still those of this chain. */
static void chain_show(const struct snapshot *snapshot, const struct piglet_request *first,
                       struct output *output)
{
    struct piglet_request request = *first;
    uint32_t chain = first->post;
    bool ended = chain_ended(snapshot, chain);
    for (unsigned at = 1; at <= PIGLET_CHAIN_MAX; at++) {
        char text[REQUEST_TEXT_ROOM];
        bool ours = request.status.state && request.status.sequence == (uint8_t)chain;
        if (ended && !ours)
            break; /* its place was used again */
        if (!ours)
            memset(&request.status, 0, sizeof request.status);
        piglet_request_text(&request, text, sizeof text);
        output_row(output);
        put_count(output, "chain", chain);
        put_count(output, "at", at);
        put_word(output, "flags", at == 1 && request.flags & PIGLET_ATOMIC ? "atomic" : "");
        put_request(output, text);
        if (request.next >= snapshot->window->request_count)
            break;
        request = snapshot->request[request.next];
    }
}

static int chain_order(const void *left, const void *right)
{
    uint32_t a = (*(const struct piglet_request *const *)left)->post;
    uint32_t b = (*(const struct piglet_request *const *)right)->post;
    return a == b ? 0 : a - b < UINT32_MAX / 2 ? 1 : -1;
}

static void snapshot_show(const struct snapshot *snapshot, const struct session *session)
{
    const struct piglet_window *window = snapshot->window;
    const struct piglet_request *chains[CHAINS_SHOWN] = {NULL};
    char name[PIGLET_NAME_MAX + 1];
    struct output output;
    unsigned count = 0;
    for (uint32_t i = 0; i < window->post_count && count < CHAINS_SHOWN; i++)
        if (snapshot->post[i].post && (snapshot->post[i].post - 1) % window->post_count == i)
            chains[count++] = &snapshot->post[i];
    qsort(chains, count, sizeof chains[0], chain_order);
    output_begin(&output, session->json, OUTPUT_TABLE);
    for (unsigned i = 0; i < count; i++)
        chain_show(snapshot, chains[i], &output);
    if (!session->json) {
        text_clean(name, sizeof name, window->name, sizeof window->name);
        printf("client %" PRIu32 " (%s, pid %" PRIu32 ")%s: %" PRIu64 " chains, %" PRIu64
               " requests, %" PRIu64 " failed, %" PRIu64 " undone, %" PRIu64 " events",
               window->client, name, window->pid, window->attached ? "" : " is not attached",
               window->chains, window->requests, window->failed, window->undone, window->events);
        if (window->waiting)
            printf("; chain %" PRIu32 " waits for events to be taken", window->waiting);
        puts("");
    }
    output_end(&output, "nothing was posted");
}

/* ---- the commands --------------------------------------------------------------------------------- */

static int requests_file(struct session *session, const char *path)
{
    struct snapshot snapshot = {.memory = NULL};
    int code = PIGCTL_DONE;
    bool live = !session->json && isatty(STDOUT_FILENO);
    struct sigaction action = {.sa_handler = interrupt};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain(PIGCTL_NONE, "%s: %s; name the file of a window, as QEMU's mem-path does",
                        path, strerror(errno));
    sigaction(SIGINT, &action, NULL);
    do {
        int error = snapshot_read(&snapshot, fd);
        if (error) {
            code = complain(PIGCTL_NONE, "%s: %s; is a Piglet behind it, and of this version?",
                            path, error == ERR_INVALID ? "not a window" : piglet_error_text(error));
            break;
        }
        if (live)
            fputs("\033[H\033[J", stdout);
        snapshot_show(&snapshot, session);
        fflush(stdout);
        if (live)
            sleep(LOOK_S);
    } while (live && !interrupted);
    free(snapshot.memory);
    close(fd);
    return code;
}

/* The reference chain: DESIGN.md, "Posted service requests". */
static int demo(struct session *session)
{
    struct piglet_chain chain;
    piglet_chain_begin(session->piglet, &chain, 0);
    int transmit = piglet_chain_alloc_mem(&chain, DEMO_PAGES);
    int receive = piglet_chain_alloc_mem(&chain, DEMO_PAGES);
    int frameset =
        piglet_chain_make_frameset(&chain, piglet_reference(transmit), piglet_reference(receive));
    piglet_chain_set_peer(&chain, piglet_reference(frameset), PIGLET_IPV4(192, 168, 0, 1), 0, 0);
    return piglet_wait(session->piglet, piglet_post(&chain), WAIT_US, NULL);
}

static int nothing(const void *entry, void *context)
{
    (void)entry, (void)context;
    return 0;
}

static int requests_own(struct session *session, bool demonstrate)
{
    struct snapshot snapshot = {.memory = NULL};
    int code = session_open(session);
    if (code != PIGCTL_DONE)
        return code;
    int failure = demonstrate
                      ? demo(session)
                      : piglet_read_table(session->piglet, PIGLET_OP_STATUS_READ, 0, nothing, NULL);
    /* The account in the window's header is brought up to date with the heartbeat. */
    usleep(2 * PIGLET_HEARTBEAT_MS * 1000);
    int error = snapshot_own(&snapshot, session->piglet);
    if (!error)
        snapshot_show(&snapshot, session);
    free(snapshot.memory);
    if (!error)
        error = failure;
    return error ? complain_error(demonstrate ? "the reference chain" : "requests", error)
                 : PIGCTL_DONE;
}

int requests(struct session *session, int count, char **words)
{
    if (count > 1)
        return complain_word(session, words[1]);
    if (count == 1 && strncmp(words[0], "shm:", 4) == 0)
        return requests_file(session, words[0] + 4);
    if (count == 1 && strncmp(words[0], "unix:", 5) == 0)
        return complain(PIGCTL_USAGE, "requests: a window that a socket hands out is seen by its "
                                      "client alone; give shm:FILE, or demo");
    if (count == 1 && strcmp(words[0], "demo") != 0)
        return complain_word(session, words[0]);
    return requests_own(session, count == 1);
}
