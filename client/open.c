/* Attaching to a kernel: finding it, the handshake, the heartbeat, and starting again. */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_US = 3000000, /* for a kernel that is starting */
    SEARCH_US = 500000,    /* for each of those that may be one: five heartbeats */
    ATTACH_US = 2000000,   /* a kernel that beats and does not answer */
    LOOK_US = 100,
    STALE_US =
        3 * PIGLET_HEARTBEAT_MS * 1000, /* an error older than our attachment is gone by then */
    REQUESTS_MAX = 1 << 15,             /* `next` has 16 bits, and a value for none */
};

/* ---- the heartbeat --------------------------------------------------------------------------- */

static void *beat(void *context)
{
    struct piglet *piglet = (struct piglet *)context;
    uint32_t count = piglet->window->client_heartbeat;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&piglet->beating_lock);
    while (piglet->beating) {
        __atomic_store_n(&piglet->window->client_heartbeat, ++count, __ATOMIC_RELAXED);
        next.tv_nsec += PIGLET_HEARTBEAT_MS * 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        pthread_cond_timedwait(&piglet->beating_stop, &piglet->beating_lock, &next);
    }
    pthread_mutex_unlock(&piglet->beating_lock);
    return NULL;
}

/* The program's signals are not for this thread. */
static int beat_start(struct piglet *piglet)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    piglet->beating = true;
    if (pthread_create(&piglet->beating_thread, NULL, beat, piglet) != 0)
        piglet->beating = false;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return piglet->beating ? 0 : ERR_NO_MEMORY;
}

static void beat_stop(struct piglet *piglet)
{
    if (!piglet->beating)
        return;
    pthread_mutex_lock(&piglet->beating_lock);
    piglet->beating = false;
    pthread_cond_signal(&piglet->beating_stop);
    pthread_mutex_unlock(&piglet->beating_lock);
    pthread_join(piglet->beating_thread, NULL);
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Writes `attach` and waits for the kernel to follow. */
static int attach_await(struct piglet *piglet, uint32_t number, uint64_t patience_us)
{
    struct piglet_window *window = piglet->window;
    uint64_t start_us = piglet_now_us();
    bool stale = window->attach_error != 0;
    __atomic_store_n(&window->attach, number, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    piglet_ring(piglet);
    while (__atomic_load_n(&window->attached, __ATOMIC_ACQUIRE) != number) {
        uint64_t spent_us = piglet_now_us() - start_us;
        int error = __atomic_load_n(&window->attach_error, __ATOMIC_ACQUIRE);
        if (error < 0 && number && (!stale || spent_us > STALE_US))
            return error;
        if (spent_us > patience_us)
            return ERR_TIMEOUT;
        usleep(LOOK_US);
    }
    return 0;
}

/* Where a part lies, if it lies in the window and holds a power of two of things; else NULL. */
static void *window_part(const struct piglet *piglet, uint32_t offset, uint32_t count, size_t size)
{
    uint64_t bytes = (uint64_t)count * size;
    if (count == 0 || (count & (count - 1)) || offset % size ||
        offset < sizeof(struct piglet_window) || offset + bytes > piglet->bytes)
        return NULL;
    return (uint8_t *)piglet->window + offset;
}

/* The layout is read once, checked, and kept: afterwards nothing in the header can mislead us. */
static int attach_layout(struct piglet *piglet)
{
    const struct piglet_window *window = piglet->window;
    piglet->post_count = window->post_count;
    piglet->request_count = window->request_count;
    piglet->event_count = window->event_count;
    piglet->data_offset = window->data_offset;
    piglet->data_bytes = (uint64_t)window->data_pages * PIGLET_PAGE;
    piglet->post = (struct piglet_request *)window_part(piglet, window->post_offset,
                                                        piglet->post_count, sizeof *piglet->post);
    piglet->request = (struct piglet_request *)window_part(
        piglet, window->request_offset, piglet->request_count, sizeof *piglet->request);
    piglet->event = (const struct piglet_event *)window_part(
        piglet, window->event_offset, piglet->event_count, sizeof *piglet->event);
    if (!piglet->post || !piglet->request || !piglet->event ||
        piglet->request_count > REQUESTS_MAX || piglet->data_offset % PIGLET_PAGE ||
        piglet->data_offset + piglet->data_bytes > piglet->bytes)
        return ERR_INVALID;
    piglet->queue_room = 2 * piglet->event_count;
    piglet->chain = (struct posted *)calloc(piglet->post_count, sizeof *piglet->chain);
    piglet->queue = (struct piglet_event *)calloc(piglet->queue_room, sizeof *piglet->queue);
    if (!piglet->chain || !piglet->queue)
        return ERR_NO_MEMORY;
    piglet->posted = piglet->head = piglet->tail = piglet->written = piglet->taken = 0;
    piglet->queue_head = piglet->queue_tail = 0;
    piglet->oldest = 1;
    piglet->turn++; /* a chain that is being built is over */
    piglet->table_memory = 0;
    return 0;
}

static int attach(struct piglet *piglet)
{
    struct piglet_window *window = piglet->window;
    if (window->abi_major != PIGLET_ABI_MAJOR)
        return ERR_UNSUPPORTED;
    piglet->client = window->client;
    if (piglet->client >= PIGLET_CLIENTS_MAX || window->bytes > piglet->bytes)
        return ERR_INVALID;
    if (!(window->features & PIGLET_FEATURE_BELL) != !piglet->bell)
        return ERR_INVALID;
    /* One that died here is let go first; the kernel may also have started after it did. */
    uint32_t last = window->attached ? window->attached : window->attach;
    if (window->attached)
        attach_await(piglet, 0, STALE_US);
    memcpy(window->name, piglet->name, sizeof window->name);
    window->pid = (uint32_t)getpid();
    window->events_taken = 0;
    window->sleeping = 0;
    window->cancel = 0;
    piglet->attach = last + 1 ? last + 1 : 1;
    int error = attach_await(piglet, piglet->attach, ATTACH_US);
    if (error)
        return error;
    piglet->boot = window->boot;
    piglet->beat = __atomic_load_n(&window->heartbeat, __ATOMIC_RELAXED);
    piglet->beat_time_us = piglet_now_us();
    error = attach_layout(piglet);
    if (!error && window->features & PIGLET_FEATURE_HEARTBEAT)
        error = beat_start(piglet);
    return error;
}

static void detach(struct piglet *piglet)
{
    beat_stop(piglet);
    if (piglet->window && __atomic_load_n(&piglet->window->attach, __ATOMIC_RELAXED)) {
        __atomic_store_n(&piglet->window->attach, 0, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        piglet_ring(piglet);
    }
    piglet_disconnect(piglet);
    free(piglet->chain);
    free(piglet->queue);
    piglet->chain = NULL;
    piglet->queue = NULL;
}

static int attach_to(struct piglet *piglet, const char *where, uint64_t patience_us)
{
    int error = piglet_connect(piglet, where, patience_us);
    if (!error)
        error = attach(piglet);
    if (error)
        detach(piglet);
    return error;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Tries what matches; 0: attached to one, and `where` says which. `error` before stays if nothing
 * matched. */
static int find_matching(struct piglet *piglet, const char *kind, const char *pattern, int error)
{
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return error;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *where;
        if (asprintf(&where, "%s:%s", kind, found.gl_pathv[i]) < 0)
            break;
        int failure = attach_to(piglet, where, SEARCH_US);
        if (failure == 0) {
            piglet->where = where;
            error = 0;
            break;
        }
        free(where);
        /* What says most: a socket nobody listens to any longer is like none. */
        if (failure != ERR_NOT_FOUND)
            error = failure;
    }
    globfree(&found);
    return error;
}

static int find(struct piglet *piglet)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    char *own = NULL;
    int error = ERR_NOT_FOUND;
    if (run && *run && asprintf(&own, "%s/piglet*.sock", run) >= 0) {
        error = find_matching(piglet, "unix", own, error);
        free(own);
    }
    if (error)
        error = find_matching(piglet, "unix", "/run/piglet*.sock", error);
    if (error)
        error = find_matching(piglet, "unix", "/tmp/piglet*.sock", error);
    if (error)
        error = find_matching(piglet, "shm", "/dev/shm/piglet*", error);
    return error;
}

/* ---- what callers call ----------------------------------------------------------------------- */

/* A name that the kernel can show as it is. */
static void name_set(struct piglet *piglet, const char *name)
{
    size_t length = 0;
    for (; length < sizeof piglet->name - 1 && name[length]; length++)
        piglet->name[length] = name[length] > ' ' && name[length] <= '~' ? name[length] : '_';
}

static struct piglet *piglet_make(const char *name)
{
    struct piglet *piglet = (struct piglet *)calloc(1, sizeof *piglet);
    pthread_condattr_t monotonic;
    if (!piglet)
        return NULL;
    piglet->window_fd = piglet->bell_fd = piglet->kernel_fd = -1;
    piglet->wake_fd = piglet->socket_fd = -1;
    pthread_mutex_init(&piglet->beating_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&piglet->beating_stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    name_set(piglet, name ? name : program_invocation_short_name);
    return piglet;
}

struct piglet *piglet_open(const char *where, const char *name, int *error)
{
    struct piglet *piglet = piglet_make(name);
    int failure = piglet ? 0 : ERR_NO_MEMORY;
    if (!where)
        where = getenv("PIGLET");
    if (piglet && where && *where) {
        piglet->where = strdup(where);
        failure = piglet->where ? attach_to(piglet, where, PATIENCE_US) : ERR_NO_MEMORY;
    } else if (piglet) {
        failure = find(piglet);
    }
    if (error)
        *error = failure;
    if (!failure)
        return piglet;
    piglet_close(piglet);
    return NULL;
}

void piglet_close(struct piglet *piglet)
{
    if (!piglet)
        return;
    detach(piglet);
    pthread_cond_destroy(&piglet->beating_stop);
    pthread_mutex_destroy(&piglet->beating_lock);
    free(piglet->where);
    free(piglet);
}

int piglet_reopen(struct piglet *piglet)
{
    detach(piglet);
    return attach_to(piglet, piglet->where, PATIENCE_US);
}

bool piglet_alive(struct piglet *piglet)
{
    const struct piglet_window *window = piglet->window;
    struct pollfd socket = {.fd = piglet->socket_fd, .events = POLLRDHUP};
    if (!window || __atomic_load_n(&window->boot, __ATOMIC_RELAXED) != piglet->boot ||
        __atomic_load_n(&window->attached, __ATOMIC_RELAXED) != piglet->attach)
        return false;
    /* The kernel says nothing after its hello, so the socket only ever reports its end. */
    if (piglet->socket_fd >= 0 && poll(&socket, 1, 0) > 0)
        return false;
    uint32_t beat_now = __atomic_load_n(&window->heartbeat, __ATOMIC_RELAXED);
    uint64_t now_us = piglet_now_us();
    if (beat_now != piglet->beat) {
        piglet->beat = beat_now;
        piglet->beat_time_us = now_us;
    }
    return now_us - piglet->beat_time_us <= PIGLET_HEARTBEAT_LOST_MS * 1000;
}

const struct piglet_window *piglet_window(const struct piglet *piglet)
{
    return piglet->window;
}

const char *piglet_where(const struct piglet *piglet)
{
    return piglet->where;
}

void *piglet_memory(const struct piglet *piglet, uint64_t offset, size_t bytes)
{
    if (!piglet->window || offset < piglet->data_offset)
        return NULL;
    uint64_t at = offset - piglet->data_offset;
    if (at > piglet->data_bytes || bytes > piglet->data_bytes - at)
        return NULL;
    return (uint8_t *)piglet->window + offset;
}
