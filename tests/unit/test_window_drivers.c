/* The windows of the hosted machine, over real sockets: who gets what, that nothing shared with a
 * client can be turned against the kernel, and that everything is given back. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/hosted/hosted.h"
#include "drivers/linux/linux.h"
#include "kernel/start.h"
#include "psr/client.h"
#include "tests/unit/visitor.h"

enum {
    MEMORY_BYTES = 64 << 20,
    CLIENTS = 8,
    WINDOW_BYTES = 128 << 10,
    ATTEND_MAX = 16, /* clients that come or go in one call */
    CROWD = 100,
    HANG_S = 60, /* a test that waits this long waits for ever */
    DESCRIPTORS_MAX = 256,
};

static char folder[32], path[64], host[80];

static struct core *start(void)
{
    struct arch_boot boot = {.command_line = "clients=8 window=128K log=error", .machine = "test"};
    struct core *core = core_start(&boot);
    assert_non_null(core);
    assert_non_null(core->clients);
    return core;
}

static void stop(struct core *core)
{
    assert_int_equal(core_stop(core), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(hosted_memory_start(MEMORY_BYTES), 0);
    strcpy(folder, "/tmp/piglet-window-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    snprintf(host, sizeof(host), "window:%s", path);
    alarm(HANG_S);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    alarm(0);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    arch_idle(0); /* forgets descriptors that were closed */
    return 0;
}

static int visit(struct core *core, struct visitor *visitor)
{
    int connection = knock(path);
    linux_window_driver.attend(core);
    return hear(visitor, connection);
}

/* ---- what the kernel holds ------------------------------------------------------------------- */

static unsigned descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static unsigned windows_mapped(void)
{
    char line[512];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        count += strstr(line, "piglet-window") && strstr(line, "memfd");
    fclose(maps);
    return count;
}

static struct window *window_of(struct core *core, unsigned client)
{
    return core->clients->client[client].window;
}

static bool readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void window_01_hello_has_all_four(void **state)
{
    struct visitor visitor;
    struct stat status;
    struct core *core = start();
    (void)state;
    assert_int_equal(visit(core, &visitor), 0);
    assert_int_equal(visitor.hello.bytes, WINDOW_BYTES);
    assert_int_equal(fstat(visitor.descriptor[WINDOW], &status), 0);
    assert_int_equal(status.st_size, WINDOW_BYTES);
    const struct piglet_window *header =
        mmap(NULL, WINDOW_BYTES, PROT_READ, MAP_SHARED, visitor.descriptor[WINDOW], 0);
    assert_true(header != MAP_FAILED);
    assert_true(header->magic == PIGLET_MAGIC);
    assert_int_equal(header->bytes, WINDOW_BYTES);
    assert_int_equal(header->features, PIGLET_FEATURE_BELL | PIGLET_FEATURE_WAKE);
    assert_int_equal(header->client, window_number(window_of(core, header->client)));
    assert_int_equal(fstat(visitor.descriptor[BELL], &status), 0);
    assert_true(status.st_size >= (off_t)sizeof(struct piglet_bell));
    munmap((void *)header, WINDOW_BYTES);
    leave(&visitor);
    stop(core);
}

/* A window that its client made smaller would fault the kernel that looks at it. */
static void window_02_memory_keeps_its_size(void **state)
{
    struct visitor visitor;
    struct core *core = start();
    (void)state;
    assert_int_equal(visit(core, &visitor), 0);
    for (unsigned i = WINDOW; i <= BELL; i++) {
        assert_int_equal(ftruncate(visitor.descriptor[i], 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(visitor.descriptor[i], 1 << 20), -1);
        assert_int_equal(fcntl(visitor.descriptor[i], F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    }
    leave(&visitor);
    stop(core);
}

static void window_03_full_is_said(void **state)
{
    struct visitor visitor[CLIENTS], late, next;
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(visit(core, &visitor[i]), 0);
    unsigned before = descriptors();
    assert_int_equal(visit(core, &late), ERR_FULL);
    assert_int_equal(recv(late.connection, &late.hello, 1, 0), 0); /* and the line is closed */
    leave(&late);
    assert_int_equal(descriptors(), before);
    assert_int_equal(windows_mapped(), CLIENTS);
    leave(&visitor[3]);
    linux_window_driver.attend(core);
    assert_int_equal(visit(core, &next), 0);
    leave(&next);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (i != 3)
            leave(&visitor[i]);
    stop(core);
}

static void window_04_all_is_given_back(void **state)
{
    struct visitor visitor;
    unsigned before = descriptors();
    struct core *core = start();
    unsigned running = descriptors();
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(visit(core, &visitor), 0);
        assert_int_equal(windows_mapped(), 1);
        leave(&visitor);
        linux_window_driver.attend(core);
        assert_int_equal(windows_mapped(), 0);
        assert_int_equal(descriptors(), running);
    }
    /* A client that stays until the end: its line is closed. */
    assert_int_equal(visit(core, &visitor), 0);
    stop(core);
    assert_int_equal(windows_mapped(), 0);
    assert_int_equal(recv(visitor.connection, &visitor.hello, 1, 0), 0);
    leave(&visitor);
    assert_int_equal(descriptors(), before);
}

static void window_05_killed_client_is_noticed(void **state)
{
    struct core *core = start();
    int ready[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        knock(path);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    uint64_t begin_ns = arch_clock_ns();
    arch_idle(begin_ns + 10000000000u);
    assert_true(arch_clock_ns() - begin_ns < 5000000000u);
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 0);
    close(ready[0]);
    close(ready[1]);
    stop(core);
}

/* Between knocking and the hello, too. */
static void window_06_client_that_speaks_or_runs_is_dropped(void **state)
{
    struct visitor visitor;
    struct core *core = start();
    (void)state;
    assert_int_equal(visit(core, &visitor), 0);
    assert_int_equal(send(visitor.connection, "please", 6, MSG_NOSIGNAL), 6);
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 0);
    leave(&visitor);
    close(knock(path));
    linux_window_driver.attend(core);
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 0);
    assert_int_equal(visit(core, &visitor), 0);
    leave(&visitor);
    stop(core);
}

static void window_07_attend_is_bounded(void **state)
{
    struct visitor visitor[CROWD];
    int connection[CROWD];
    unsigned in = 0, refused = 0;
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < CROWD; i++)
        connection[i] = knock(path);
    linux_window_driver.attend(core);
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(readable(connection[i]), i < ATTEND_MAX);
    for (unsigned i = 0; i < CROWD / ATTEND_MAX; i++)
        linux_window_driver.attend(core);
    for (unsigned i = 0; i < CROWD; i++) {
        int error = hear(&visitor[i], connection[i]);
        in += error == 0;
        refused += error == ERR_FULL;
    }
    assert_int_equal(in, CLIENTS);
    assert_int_equal(refused, CROWD - CLIENTS);
    for (unsigned i = 0; i < CROWD; i++)
        leave(&visitor[i]);
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 0);
    stop(core);
}

static void window_08_wakes_its_client(void **state)
{
    struct visitor visitor[2];
    uint64_t count;
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(visit(core, &visitor[i]), 0);
    int fd = visitor[1].descriptor[WAKE];
    assert_false(readable(fd));
    linux_window_driver.wake(window_of(core, 1));
    assert_true(readable(fd));
    assert_false(readable(visitor[0].descriptor[WAKE]));
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(read(fd, &count, sizeof(count)), -1);
    assert_int_equal(errno, EAGAIN);
    for (unsigned i = 0; i < 2; i++)
        leave(&visitor[i]);
    stop(core);
}

/* Thousands of wake-ups that it takes none of, and descriptors made to wait: HANG_S if we do. */
static void window_09_hostile_wake_does_not_hang(void **state)
{
    struct visitor visitor;
    uint64_t count, taken = 0;
    struct core *core = start();
    (void)state;
    assert_int_equal(visit(core, &visitor), 0);
    int fd = visitor.descriptor[WAKE];
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    assert_int_equal(fcntl(visitor.connection, F_SETFL, 0), 0);
    for (unsigned i = 0; i < 10000; i++)
        linux_window_driver.wake(window_of(core, 0));
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
    for (; readable(fd); taken++)
        assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_in_range(taken, 1, 16);
    shutdown(fd, SHUT_RDWR);
    linux_window_driver.wake(window_of(core, 0));
    leave(&visitor);
    linux_window_driver.wake(window_of(core, 0));
    linux_window_driver.attend(core);
    assert_int_equal(windows_mapped(), 0);
    stop(core);
}

static void window_10_ring_ends_the_sleep_once(void **state)
{
    static const uint64_t most = UINT64_MAX - 1;
    struct visitor visitor;
    struct core *core = start();
    (void)state;
    assert_int_equal(visit(core, &visitor), 0);
    linux_window_driver.attend(core);
    int fd = visitor.descriptor[RING];
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* made to wait, by a hostile one */
    for (unsigned i = 0; i < 3; i++) {
        /* The counter is filled: was it not emptied, the next round would wait for ever. */
        assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
        uint64_t begin_ns = arch_clock_ns();
        arch_idle(begin_ns + 10000000000u);
        assert_true(arch_clock_ns() - begin_ns < 5000000000u);
        linux_window_driver.attend(core);
        uint64_t until_ns = arch_clock_ns() + 20000000;
        arch_idle(until_ns);
        assert_true(arch_clock_ns() >= until_ns);
    }
    leave(&visitor);
    stop(core);
}

/* No descriptor for whoever knocks: the kernel must not run in circles, and lets it in later. */
static void window_11_rests_without_descriptors(void **state)
{
    int filler[DESCRIPTORS_MAX];
    unsigned fillers = 0;
    struct rlimit limit, low;
    struct visitor visitor;
    struct core *core = start();
    (void)state;
    int connection = knock(path);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){.rlim_cur = 128, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while ((filler[fillers] = dup(connection)) >= 0)
        fillers++;
    linux_window_driver.attend(core);
    uint64_t until_ns = arch_clock_ns() + 20000000;
    arch_idle(until_ns);
    assert_true(arch_clock_ns() >= until_ns);
    assert_int_equal(hear(&visitor, connection), NOBODY);
    while (fillers > 0)
        close(filler[--fillers]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    usleep(110000);
    linux_window_driver.attend(core); /* listens again */
    linux_window_driver.attend(core);
    assert_int_equal(hear(&visitor, connection), 0);
    leave(&visitor);
    stop(core);
}

static int probe(struct core *core, const char *name)
{
    struct arch_device device = {.bus = ARCH_BUS_HOST, .host = name};
    assert_true(linux_window_driver.match(&device));
    return linux_window_driver.probe(core, &device);
}

static int listener(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* Somebody lives there; one who lets nobody in, too; and then nobody any more. */
static void window_12_stale_socket_is_replaced(void **state)
{
    struct visitor visitor;
    int other = listener();
    unsigned before = descriptors();
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(probe(core, host), ERR_BUSY);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(descriptors(), before);
    close(other);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(probe(core, host), 0);
    assert_int_equal(visit(core, &visitor), 0);
    leave(&visitor);
    stop(core);
}

static void window_13_what_cannot_be_a_socket(void **state)
{
    static char longer[256] = "window:/tmp/";
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    unsigned before = descriptors();
    struct core *core = start();
    (void)state;
    assert_int_equal(probe(core, host), ERR_BUSY);
    assert_int_equal(access(path, F_OK), 0); /* a foreign file is kept */
    close(file);
    unlink(path);
    memset(longer + 12, 'x', sizeof(longer) - 13);
    assert_int_equal(probe(core, longer), ERR_INVALID);
    assert_int_equal(probe(core, "window:"), ERR_INVALID);
    assert_int_equal(probe(core, "window:/nowhere/to/be/found"), ERR_NOT_FOUND);
    assert_int_equal(descriptors(), before - 1);
    assert_int_equal(probe(core, host), 0);
    assert_int_equal(probe(core, host), ERR_EXISTS);
    stop(core);
}

static void window_14_who_may_connect(void **state)
{
    static const mode_t of_folder[] = {0700, 0700 | S_ISGID}, of_socket[] = {0600, 0660};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct stat status;
        assert_int_equal(chmod(folder, of_folder[i]), 0);
        struct core *core = start();
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, of_socket[i]);
        stop(core);
    }
}

#define WINDOW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WINDOW_TEST(window_01_hello_has_all_four),
        WINDOW_TEST(window_02_memory_keeps_its_size),
        WINDOW_TEST(window_03_full_is_said),
        WINDOW_TEST(window_04_all_is_given_back),
        WINDOW_TEST(window_05_killed_client_is_noticed),
        WINDOW_TEST(window_06_client_that_speaks_or_runs_is_dropped),
        WINDOW_TEST(window_07_attend_is_bounded),
        WINDOW_TEST(window_08_wakes_its_client),
        WINDOW_TEST(window_09_hostile_wake_does_not_hang),
        WINDOW_TEST(window_10_ring_ends_the_sleep_once),
        WINDOW_TEST(window_11_rests_without_descriptors),
        WINDOW_TEST(window_12_stale_socket_is_replaced),
        WINDOW_TEST(window_13_what_cannot_be_a_socket),
        WINDOW_TEST(window_14_who_may_connect),
    };
    hosted_device_add(host); /* of which setup writes the path anew */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
