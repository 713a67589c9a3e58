/* window:PATH, a unix socket that gives each client which connects a window of its own.
 *
 * Clients are not trusted with anything they share with us. Memory is sealed, so that a client
 * that truncates it does not fault us. O_NONBLOCK belongs to the open file, which a client has too
 * and may change; so what reads and writes here says each time that it does not wait. There is no
 * such write to an eventfd, so a client is woken through a socket instead, for 1.6 us more. */
#define _GNU_SOURCE /* memfd_create, accept4, preadv2 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "kernel/core.h"
#include "kernel/window.h"
#include "linux.h"
#include "piglet/window.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* since Linux 6.3, where a sysctl can demand it */
#endif

enum {
    COME_AND_GO_MAX = 16, /* clients in one call: 25 us to come, 200 us to go from 1 MiB used */
    BACKLOG = 128,        /* clients that wait to be let in */
    DESCRIPTORS_OF_CLIENT = 2,  /* its connection, and what wakes it */
    DESCRIPTORS_OF_OTHERS = 64, /* nics, console, and what a client on its way in needs */
    REST_NS = 100000000,        /* before another try when Linux lets nobody in */
    BELL_BYTES = (sizeof(struct piglet_bell) + PIGLET_PAGE - 1) / PIGLET_PAGE * PIGLET_PAGE,
};

struct socket_client {
    struct window window; /* first: wake knows the client by it */
    int connection;       /* -1: nobody */
    int wake;
    struct socket_client *next_free;
};

/* What the driver keeps of a core. Epoll knows the listener by this struct's address, the event
 * descriptor by that of `ring`, and clients by theirs. */
struct socket_windows {
    int epoll, listener, bell;
    int ring; /* clients write here to wake us */
    struct sockaddr_un address;
    uint64_t rest_until_ns; /* 0: letting clients in */
    bool rest_said;
    unsigned limit;
    struct socket_client *free;
    struct socket_client client[];
};

extern const struct window_driver linux_window_driver;

static int window_failed(struct core *core, const char *what, int error_number)
{
    log_write(&core->log, LOG_ERROR, "window", "%s: %s", what, strerror(error_number));
    return linux_error(error_number);
}

/* Memory that nobody can make smaller, mapped at *map, and its descriptor; -1: there is errno. */
static int memory_new(const char *name, size_t bytes, void **map)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0) {
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED) {
            *map = memory;
            return fd;
        }
    }
    int error_number = errno;
    close(fd);
    errno = error_number;
    return -1;
}

static bool watch(const struct socket_windows *self, int how, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    return epoll_ctl(self->epoll, how, fd, &event) == 0;
}

/* ---- clients that come --------------------------------------------------------------------- */

/* A pair of sockets of which the client gets the second. Ours has the smallest buffer there is, so
 * that only a few wake-ups wait to be taken, and reads nothing. */
static bool wake_new(int pair[2])
{
    const int bytes = 1;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0 &&
           setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0 &&
           shutdown(pair[0], SHUT_RD) == 0;
}

/* The message and, where it is no refusal, its descriptors. Nothing was sent to this socket before,
 * so that there is room. */
static bool hello_send(int connection, int error, size_t bytes, const int *descriptor)
{
    struct piglet_hello hello = {.magic = PIGLET_MAGIC,
                                 .abi_major = PIGLET_ABI_MAJOR,
                                 .abi_minor = PIGLET_ABI_MINOR,
                                 .error = error,
                                 .bytes = bytes};
    struct iovec piece = {&hello, sizeof(hello)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(PIGLET_HELLO_DESCRIPTORS * sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(PIGLET_HELLO_DESCRIPTORS * sizeof(int))}};
    if (descriptor) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        memcpy(CMSG_DATA(&control.header), descriptor, PIGLET_HELLO_DESCRIPTORS * sizeof(int));
    }
    return sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(hello);
}

static void descriptor_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void client_memory_free(struct socket_client *client)
{
    if (client->window.memory)
        munmap(client->window.memory, client->window.bytes);
    client->window.memory = NULL;
}

/* Opens the window and sends it, with the descriptors. */
static int client_introduce(struct core *core, struct socket_windows *self,
                            struct socket_client *client, const int *descriptor)
{
    int error = window_open(core, &client->window);
    if (error < 0)
        return error;
    if (watch(self, EPOLL_CTL_ADD, client->connection, EPOLLIN | EPOLLRDHUP, client) &&
        hello_send(client->connection, 0, client->window.bytes, descriptor))
        return 0;
    int error_number = errno;
    window_close(core, &client->window);
    return window_failed(core, "introducing a client", error_number);
}

/* Makes what the client gets, and closes it when it has it. */
static int client_open(struct core *core, struct socket_windows *self, struct socket_client *client)
{
    void *map = NULL;
    int error, wake[2] = {-1, -1};
    int memory = memory_new("piglet-window", core->window_bytes, &map);
    client->window = (struct window){
        .driver = &linux_window_driver, .memory = map, .bytes = core->window_bytes, .belled = true};
    if (memory < 0 || !wake_new(wake))
        error = window_failed(core, "a client's memory or socket", errno);
    else
        error =
            client_introduce(core, self, client, (int[]){memory, self->bell, self->ring, wake[1]});
    descriptor_close(memory);
    descriptor_close(wake[1]);
    client->wake = wake[0];
    if (error < 0) {
        descriptor_close(wake[0]);
        client_memory_free(client);
    }
    return error;
}

static void client_come(struct core *core, struct socket_windows *self, int connection)
{
    struct socket_client *client = self->free;
    struct ucred peer = {0};
    socklen_t bytes = sizeof(peer);
    int error = ERR_FULL;
    getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
    if (client) {
        client->connection = connection;
        error = client_open(core, self, client);
    }
    if (error == 0) {
        self->free = client->next_free;
        log_write(&core->log, LOG_DEBUG, "window", "client %u came, process %d",
                  window_number(&client->window), (int)peer.pid);
        return;
    }
    log_write(&core->log, LOG_DEBUG, "window", "process %d refused: %s", (int)peer.pid,
              piglet_error_text(error));
    hello_send(connection, error, 0, NULL); /* gone already? Then it need not know */
    close(connection);
    if (client)
        client->connection = -1;
}

static void client_go(struct core *core, struct socket_windows *self, struct socket_client *client)
{
    log_write(&core->log, LOG_DEBUG, "window", "client %u went", window_number(&client->window));
    window_close(core, &client->window);
    client_memory_free(client);
    close(client->connection); /* which ends watching it: nobody else has this end */
    close(client->wake);
    client->connection = -1;
    client->next_free = self->free;
    self->free = client;
}

/* ---- the loop's calls ----------------------------------------------------------------------- */

/* Linux lets nobody in, for want of descriptors or memory; the listener would stay readable and
 * never let us sleep. */
static void listener_rest(struct core *core, struct socket_windows *self, int error_number)
{
    watch(self, EPOLL_CTL_MOD, self->listener, 0, self);
    self->rest_until_ns = arch_clock_ns() + REST_NS;
    if (!self->rest_said)
        window_failed(core, "clients cannot connect", error_number);
    self->rest_said = true;
}

static void listener_work_again(struct socket_windows *self)
{
    if (arch_clock_ns() >= self->rest_until_ns &&
        watch(self, EPOLL_CTL_MOD, self->listener, EPOLLIN, self))
        self->rest_until_ns = 0;
}

static void listener_accept(struct core *core, struct socket_windows *self, unsigned max)
{
    for (unsigned i = 0; i < max; i++) {
        int connection = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection >= 0) {
            self->rest_said = false;
            client_come(core, self, connection);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            listener_rest(core, self, errno);
            return;
        }
    }
}

/* Watched edge-triggered, so that a Linux without RWF_NOWAIT for this does not keep us awake; but a
 * counter that some client filled would stop the others' writes. */
static void ring_drain(const struct socket_windows *self)
{
    uint64_t count;
    struct iovec piece = {&count, sizeof(count)};
    if (preadv2(self->ring, &piece, 1, -1, RWF_NOWAIT) < 0) {
        /* Taken by a client, which has the descriptor too. */
    }
}

static void socket_attend(struct core *core)
{
    struct socket_windows *self = *window_state(core, &linux_window_driver);
    struct epoll_event event[COME_AND_GO_MAX];
    unsigned went = 0;
    bool waiting = false;
    if (!self)
        return;
    int count = epoll_wait(self->epoll, event, COME_AND_GO_MAX, 0);
    for (int i = 0; i < count; i++) {
        void *what = event[i].data.ptr;
        if (what == self) {
            waiting = true;
        } else if (what == &self->ring) {
            ring_drain(self);
        } else {
            client_go(core, self, what); /* it closed, or sent what it should not */
            went++;
        }
    }
    if (waiting)
        listener_accept(core, self, COME_AND_GO_MAX - went);
    if (self->rest_until_ns != 0)
        listener_work_again(self);
}

static void socket_wake(struct window *window)
{
    const struct socket_client *client = (const struct socket_client *)window;
    static const uint64_t one = 1;
    if (send(client->wake, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        /* It has wake-ups enough that it did not take, or is gone, which epoll will tell. */
    }
}

/* ---- start and stop ------------------------------------------------------------------------- */

static bool socket_match(const struct arch_device *device)
{
    return linux_name(device, "window") != NULL;
}

/* How many of `wanted` clients Linux gives this process descriptors for. */
static unsigned clients_possible(struct core *core, unsigned wanted)
{
    const rlim_t needed = (rlim_t)wanted * DESCRIPTORS_OF_CLIENT + DESCRIPTORS_OF_OTHERS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return wanted;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed)
        return wanted;
    unsigned possible = 0;
    if (limit.rlim_cur > DESCRIPTORS_OF_OTHERS)
        possible = (unsigned)(limit.rlim_cur - DESCRIPTORS_OF_OTHERS) / DESCRIPTORS_OF_CLIENT;
    log_write(&core->log, LOG_WARNING, "window",
              "room for %u of %u clients, for want of descriptors; ulimit -n %lu", possible, wanted,
              (unsigned long)needed);
    return possible;
}

static struct socket_windows *socket_state(struct core *core)
{
    unsigned limit = clients_possible(core, core->client_limit);
    struct socket_windows *self =
        arch_memory_take(sizeof(*self) + limit * sizeof(self->client[0]), 64 /* a cache line */);
    if (!self)
        return NULL;
    self->epoll = self->listener = self->bell = self->ring = -1;
    self->limit = limit;
    for (unsigned i = limit; i-- > 0;) {
        self->client[i].connection = -1;
        self->client[i].next_free = self->free;
        self->free = &self->client[i];
    }
    return self;
}

/* Only the owner may connect; in a set-group-ID folder its group may, too. Nobody can connect
 * before listen, so the mode is right in time. */
static bool listener_open(struct socket_windows *self)
{
    struct sockaddr_un folder = self->address;
    struct stat status;
    self->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->listener < 0 || stat(dirname(folder.sun_path), &status) != 0)
        return false;
    linux_remove_stale(&self->address, SOCK_SEQPACKET);
    if (bind(self->listener, (struct sockaddr *)&self->address, sizeof(self->address)) != 0)
        return false;
    if (chmod(self->address.sun_path, status.st_mode & S_ISGID ? 0660 : 0600) == 0 &&
        listen(self->listener, BACKLOG) == 0)
        return true;
    int error_number = errno;
    unlink(self->address.sun_path);
    errno = error_number;
    return false;
}

static int listener_failed(struct core *core, const struct socket_windows *self, int error_number)
{
    const char *cure = "";
    if (error_number == EADDRINUSE)
        cure = "; another kernel has it, or it is no socket: give another path";
    if (error_number == ENOENT)
        cure = "; make its folder first";
    log_write(&core->log, LOG_ERROR, "window", "%s: %s%s", self->address.sun_path,
              strerror(error_number), cure);
    return linux_error(error_number);
}

static void socket_close(struct socket_windows *self)
{
    descriptor_close(self->epoll);
    descriptor_close(self->listener);
    descriptor_close(self->bell);
    descriptor_close(self->ring);
}

/* What all clients share, and what we sleep on. */
static int socket_open(struct core *core, struct socket_windows *self, void **bell)
{
    self->bell = memory_new("piglet-bell", BELL_BYTES, bell);
    if (self->bell < 0)
        return window_failed(core, "memory for the bell", errno);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->ring = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->epoll < 0 || self->ring < 0 ||
        !watch(self, EPOLL_CTL_ADD, self->ring, EPOLLIN | EPOLLET, &self->ring))
        return window_failed(core, "event descriptors", errno);
    if (!listener_open(self))
        return listener_failed(core, self, errno);
    errno = EMFILE; /* what arch_idle_watch means when it refuses */
    if (watch(self, EPOLL_CTL_ADD, self->listener, EPOLLIN, self) &&
        arch_idle_watch(self->epoll) == 0)
        return 0;
    int error = window_failed(core, "watching the socket", errno);
    unlink(self->address.sun_path);
    return error;
}

static int socket_probe(struct core *core, const struct arch_device *device)
{
    const char *path = linux_name(device, "window");
    struct sockaddr_un address;
    void *bell = NULL;
    if (*window_state(core, &linux_window_driver)) {
        log_write(&core->log, LOG_ERROR, "window", "one socket is for all clients; leave out %s",
                  path);
        return ERR_EXISTS;
    }
    if (!linux_address(&address, path, strlen(path), "")) {
        log_write(&core->log, LOG_ERROR, "window", "give a path below %zu bytes",
                  sizeof(address.sun_path));
        return ERR_INVALID;
    }
    struct socket_windows *self = socket_state(core);
    if (!self)
        return ERR_NO_MEMORY;
    self->address = address;
    int error = socket_open(core, self, &bell);
    if (error < 0) {
        socket_close(self);
        if (bell)
            munmap(bell, BELL_BYTES);
        return error;
    }
    *window_state(core, &linux_window_driver) = self;
    window_bell(core, bell);
    log_write(&core->log, LOG_INFO, "window", "clients connect to %s, %u at most", path,
              self->limit);
    return 0;
}

/* The bell's memory stays: the kernel may look at it until it ends. */
static void socket_stop(struct core *core)
{
    struct socket_windows *self = *window_state(core, &linux_window_driver);
    if (!self)
        return;
    for (unsigned i = 0; i < self->limit; i++)
        if (self->client[i].connection >= 0)
            client_go(core, self, &self->client[i]);
    unlink(self->address.sun_path);
    socket_close(self);
    *window_state(core, &linux_window_driver) = NULL;
}

const struct window_driver linux_window_driver = {
    .name = "window",
    .match = socket_match,
    .probe = socket_probe,
    .attend = socket_attend,
    .wake = socket_wake,
    .stop = socket_stop,
};
