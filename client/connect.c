/* From a name to a mapped window, and back: unix sockets and shared files. */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOOK_US = 1000 }; /* between looks at what a kernel that starts does to its window */

static int connect_error(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case EAGAIN:
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return ERR_NO_MEMORY;
    default:
        return ERR_NOT_FOUND;
    }
}

static int map_window(struct piglet *piglet, uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, piglet->window_fd, 0);
    if (memory == MAP_FAILED)
        return connect_error(errno);
    piglet->window = (struct piglet_window *)memory;
    piglet->bytes = bytes;
    return 0;
}

/* How much of the descriptor can be mapped. */
static uint64_t mappable(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size < 0)
        return 0;
    return (uint64_t)status.st_size;
}

/* ---- a unix socket --------------------------------------------------------------------------- */

/* The hello and its descriptors; those that came are the piglet's, even when it fails. */
static int hello_receive(struct piglet *piglet, struct piglet_hello *hello)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(PIGLET_HELLO_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = hello, .iov_len = sizeof *hello};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t length;
    do
        length = recvmsg(piglet->socket_fd, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return connect_error(errno);
    int fds[PIGLET_HELLO_DESCRIPTORS] = {-1, -1, -1, -1};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    piglet->window_fd = fds[0];
    piglet->bell_fd = fds[1];
    piglet->kernel_fd = fds[2];
    piglet->wake_fd = fds[3];
    if (length != sizeof *hello || hello->magic != PIGLET_MAGIC)
        return length == 0 ? ERR_NOT_FOUND : ERR_INVALID;
    if (hello->abi_major != PIGLET_ABI_MAJOR)
        return ERR_UNSUPPORTED;
    if (hello->error)
        return hello->error < 0 ? hello->error : ERR_INVALID;
    return fds[PIGLET_HELLO_DESCRIPTORS - 1] < 0 ? ERR_INVALID : 0;
}

static int connect_unix(struct piglet *piglet, const char *path, uint64_t patience_us)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = (time_t)(patience_us / 1000000),
                               .tv_usec = (suseconds_t)(patience_us % 1000000)};
    struct piglet_hello hello = {.magic = 0};
    if (strlen(path) >= sizeof address.sun_path)
        return ERR_RANGE;
    strcpy(address.sun_path, path);
    piglet->socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (piglet->socket_fd < 0)
        return connect_error(errno);
    setsockopt(piglet->socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(piglet->socket_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (connect(piglet->socket_fd, (const struct sockaddr *)&address, sizeof address) < 0)
        if (errno != EINTR)
            return connect_error(errno);
    int error = hello_receive(piglet, &hello);
    if (error)
        return error;
    if (hello.bytes < PIGLET_WINDOW_BYTES_MIN || hello.bytes > PIGLET_WINDOW_BYTES_MAX ||
        mappable(piglet->window_fd) < hello.bytes ||
        mappable(piglet->bell_fd) < sizeof(struct piglet_bell))
        return ERR_INVALID;
    void *bell = mmap(NULL, sizeof(struct piglet_bell), PROT_READ | PROT_WRITE, MAP_SHARED,
                      piglet->bell_fd, 0);
    if (bell == MAP_FAILED)
        return connect_error(errno);
    piglet->bell = (struct piglet_bell *)bell;
    /* piglet_sleep_end empties it without asking whether there is something in it. */
    fcntl(piglet->wake_fd, F_SETFL, fcntl(piglet->wake_fd, F_GETFL) | O_NONBLOCK);
    return map_window(piglet, hello.bytes);
}

/* ---- a shared file --------------------------------------------------------------------------- */

/* Waits for a kernel to be behind the file: the magic, and a heart that beats. One that ended may
 * have left its header, which the next one wipes: that is no beat, hence the second look. */
static int window_await(const struct piglet *piglet, uint64_t until_us)
{
    const struct piglet_window *window = piglet->window;
    uint64_t boot = 0;
    uint32_t beat = 0;
    for (bool first = true; piglet_now_us() <= until_us; usleep(LOOK_US)) {
        if (__atomic_load_n(&window->magic, __ATOMIC_ACQUIRE) != PIGLET_MAGIC)
            continue;
        uint64_t boot_now = __atomic_load_n(&window->boot, __ATOMIC_RELAXED);
        uint32_t beat_now = __atomic_load_n(&window->heartbeat, __ATOMIC_ACQUIRE);
        if (!first && boot_now == boot && beat_now != beat &&
            __atomic_load_n(&window->magic, __ATOMIC_ACQUIRE) == PIGLET_MAGIC)
            return 0;
        if (first || boot_now != boot)
            beat = beat_now;
        boot = boot_now;
        first = false;
    }
    return window->magic && window->magic != PIGLET_MAGIC ? ERR_INVALID : ERR_TIMEOUT;
}

static int connect_shm(struct piglet *piglet, const char *path, uint64_t patience_us)
{
    uint64_t until_us = piglet_now_us() + patience_us, bytes;
    piglet->window_fd = open(path, O_RDWR | O_CLOEXEC);
    if (piglet->window_fd < 0)
        return connect_error(errno);
    /* Nothing in the window could tell two clients apart. The lock goes with its holder. */
    if (flock(piglet->window_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? ERR_BUSY : connect_error(errno);
    while ((bytes = mappable(piglet->window_fd)) < PIGLET_WINDOW_BYTES_MIN) {
        if (piglet_now_us() > until_us)
            return ERR_INVALID;
        usleep(LOOK_US);
    }
    int error =
        map_window(piglet, bytes < PIGLET_WINDOW_BYTES_MAX ? bytes : PIGLET_WINDOW_BYTES_MAX);
    return error ? error : window_await(piglet, until_us);
}

/* ---- either ---------------------------------------------------------------------------------- */

int piglet_connect(struct piglet *piglet, const char *where, uint64_t patience_us)
{
    struct stat status;
    piglet_disconnect(piglet);
    if (strncmp(where, "unix:", 5) == 0)
        return connect_unix(piglet, where + 5, patience_us);
    if (strncmp(where, "shm:", 4) == 0)
        return connect_shm(piglet, where + 4, patience_us);
    /* A bare path: what it is says which. */
    if (stat(where, &status) < 0)
        return connect_error(errno);
    if (S_ISSOCK(status.st_mode))
        return connect_unix(piglet, where, patience_us);
    return S_ISREG(status.st_mode) ? connect_shm(piglet, where, patience_us) : ERR_INVALID;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void piglet_disconnect(struct piglet *piglet)
{
    if (piglet->window)
        munmap(piglet->window, piglet->bytes);
    if (piglet->bell)
        munmap(piglet->bell, sizeof(struct piglet_bell));
    piglet->window = NULL;
    piglet->bell = NULL;
    close_fd(&piglet->socket_fd);
    close_fd(&piglet->window_fd);
    close_fd(&piglet->bell_fd);
    close_fd(&piglet->kernel_fd);
    close_fd(&piglet->wake_fd);
}
