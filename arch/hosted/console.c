/* The console: stderr or stdout, written without ever waiting for a reader. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "hosted.h"

static struct {
    int fd;   /* -1: none */
    bool own; /* non-blocking and ours alone, not the shell's */
    bool socket;
} console = {.fd = -1};

static void console_close(void)
{
    if (console.own)
        close(console.fd);
    console.fd = -1;
    console.own = console.socket = false;
}

/* O_NONBLOCK belongs to the open file, which we share with the shell and everything in its
 * pipeline: setting it there would break them. Opening the terminal or pipe once more gives an open
 * file of our own. Where that is not permitted, poll has to do. */
static void console_open(int fd)
{
    struct stat status;
    console_close();
    console.fd = fd;
    if (fstat(fd, &status) != 0)
        return;
    console.socket = S_ISSOCK(status.st_mode);
    if (!S_ISCHR(status.st_mode) && !S_ISFIFO(status.st_mode))
        return;
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (again >= 0) {
        console.fd = again;
        console.own = true;
    }
}

void hosted_console_start(void)
{
    console_open(STDERR_FILENO);
}

/* A pipe that polls writable takes PIPE_BUF bytes at once (POSIX, write). */
static ssize_t console_put(const char *text, size_t bytes)
{
    if (console.socket)
        return send(console.fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!console.own) {
        struct pollfd ready = {.fd = console.fd, .events = POLLOUT};
        if (poll(&ready, 1, 0) <= 0 || !(ready.revents & POLLOUT))
            return 0;
        if (bytes > PIPE_BUF)
            bytes = PIPE_BUF;
    }
    return write(console.fd, text, bytes);
}

void arch_console_write(const char *text, size_t bytes)
{
    int saved_errno = errno;
    while (bytes > 0 && console.fd >= 0) {
        ssize_t put = console_put(text, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        text += put;
        bytes -= (size_t)put;
    }
    errno = saved_errno;
}

int arch_console_select(const char *value)
{
    if (strcmp(value, "none") == 0)
        console_close();
    else if (strcmp(value, "stderr") == 0)
        console_open(STDERR_FILENO);
    else if (strcmp(value, "stdout") == 0)
        console_open(STDOUT_FILENO);
    else
        return strncmp(value, "tty", 3) == 0 ? ERR_UNSUPPORTED : ERR_INVALID;
    return 0;
}
