/* What newlib asks of a system. There are no files and no processes: all that works is the heap,
 * for what in newlib allocates at start-up, and writing to the console. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "x86.h"

#undef errno
extern int errno;

enum { HEAP_BYTES = 128 << 10 };

void *sbrk(ptrdiff_t change);
int write(int file, const char *text, int bytes);
int read(int file, char *text, int bytes);
int close(int file);
int lseek(int file, int offset, int whence);
int fstat(int file, struct stat *status);
int isatty(int file);
int getpid(void);
int kill(int process, int signal);
_Noreturn void _exit(int status);

void *sbrk(ptrdiff_t change)
{
    static uint8_t *heap;
    static ptrdiff_t used;
    if (!heap)
        heap = arch_memory_take(HEAP_BYTES, PAGE_BYTES);
    if (!heap || used + change < 0 || used + change > HEAP_BYTES) {
        errno = ENOMEM;
        return (void *)-1;
    }
    used += change;
    return heap + used - change;
}

int write(int file, const char *text, int bytes)
{
    (void)file;
    if (bytes > 0)
        arch_console_write(text, (size_t)bytes);
    return bytes;
}

int read(int file, char *text, int bytes)
{
    (void)file, (void)text, (void)bytes;
    return 0;
}

int close(int file)
{
    (void)file;
    return -1;
}

int lseek(int file, int offset, int whence)
{
    (void)file, (void)offset, (void)whence;
    return 0;
}

int fstat(int file, struct stat *status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int isatty(int file)
{
    (void)file;
    return 1;
}

int getpid(void)
{
    return 1;
}

int kill(int process, int signal)
{
    (void)process, (void)signal;
    errno = EINVAL;
    return -1;
}

_Noreturn void _exit(int status)
{
    (void)status;
    arch_panic("the C library gave up (abort, assert or exit)");
}
