/* libpiglet and the kernel's socket: the hello, the bell, being woken, the kernel's end. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/client/fake.h"

enum { SECOND_US = 1000000, CLIENT = 130 };

/* One that says hello as it is told to. */
static struct {
    struct fake fake;
    struct piglet_hello hello;
    unsigned descriptors; /* how many of them it sends */
    char path[64], where[80];
    int listener, connection, bell_fd, kernel_fd, wake[2];
    struct piglet_bell *bell;
    pthread_t thread;
} server;

static struct piglet *piglet;

static void hello_send(void)
{
    int descriptor[PIGLET_HELLO_DESCRIPTORS] = {server.fake.fd, server.bell_fd, server.kernel_fd,
                                                server.wake[1]};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof descriptor)];
    } control;
    struct iovec piece = {&server.hello, sizeof server.hello};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(server.descriptors * sizeof(int));
    memcpy(CMSG_DATA(&control.header), descriptor, sizeof descriptor);
    if (server.descriptors) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(server.descriptors * sizeof(int));
    }
    if (sendmsg(server.connection, &message, MSG_NOSIGNAL) < 0)
        abort();
}

static void *serve(void *context)
{
    (void)context;
    server.connection = accept(server.listener, NULL, NULL);
    hello_send();
    return NULL;
}

/* Opens it while the server says hello once. */
static int open_served(void)
{
    int error;
    pthread_create(&server.thread, NULL, serve, NULL);
    piglet = piglet_open(server.where, NULL, &error);
    pthread_join(server.thread, NULL);
    return error;
}

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    memset(&server, 0, sizeof server);
    server.listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    snprintf(server.path, sizeof server.path, "/tmp/test-client-%d.sock", (int)getpid());
    snprintf(server.where, sizeof server.where, "unix:%s", server.path);
    strcpy(address.sun_path, server.path);
    unlink(server.path);
    server.bell_fd = memfd_create("bell", 0);
    server.kernel_fd = eventfd(0, EFD_NONBLOCK);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server.listener, 8) < 0 || ftruncate(server.bell_fd, PIGLET_PAGE) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, server.wake) < 0)
        return -1;
    server.bell = mmap(NULL, PIGLET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, server.bell_fd, 0);
    server.hello = (struct piglet_hello){
        .magic = PIGLET_MAGIC, .abi_major = PIGLET_ABI_MAJOR, .bytes = FAKE_BYTES};
    server.descriptors = PIGLET_HELLO_DESCRIPTORS;
    server.fake.features = PIGLET_FEATURE_BELL | PIGLET_FEATURE_WAKE;
    server.fake.wake = server.wake[0];
    fake_start(&server.fake);
    server.fake.window->client = CLIENT;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    piglet_close(piglet);
    piglet = NULL;
    fake_stop(&server.fake);
    fake_remove(&server.fake);
    munmap(server.bell, PIGLET_PAGE);
    int fds[] = {server.listener,  server.connection, server.bell_fd,
                 server.kernel_fd, server.wake[0],    server.wake[1]};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close(fds[i]);
    unlink(server.path);
    return 0;
}

static int64_t post_nop(void)
{
    struct piglet_chain chain;
    piglet_chain_begin(piglet, &chain, 0);
    piglet_chain_nop(&chain);
    return piglet_post(&chain);
}

/* ---- the hello -------------------------------------------------------------------------------- */

static void check_refused(struct piglet_hello hello, unsigned descriptors, int expected)
{
    server.hello = hello;
    server.descriptors = descriptors;
    assert_int_equal(open_served(), expected);
    assert_null(piglet);
    close(server.connection);
}

static void test_refusals(void **state)
{
    const struct piglet_hello good = server.hello;
    struct piglet_hello hello = good;
    (void)state;
    hello.error = ERR_FULL;
    check_refused(hello, 0, ERR_FULL);
    hello.error = 7; /* no error at all */
    check_refused(hello, 0, ERR_INVALID);
    check_refused(good, 0, ERR_INVALID);
    check_refused(good, PIGLET_HELLO_DESCRIPTORS - 1, ERR_INVALID);
    hello = good;
    hello.magic++;
    check_refused(hello, PIGLET_HELLO_DESCRIPTORS, ERR_INVALID);
    hello = good;
    hello.abi_major++;
    check_refused(hello, PIGLET_HELLO_DESCRIPTORS, ERR_UNSUPPORTED);
    hello = good;
    hello.bytes = FAKE_BYTES + 1; /* more than there is */
    check_refused(hello, PIGLET_HELLO_DESCRIPTORS, ERR_INVALID);
    hello.bytes = PIGLET_WINDOW_BYTES_MIN - 1;
    check_refused(hello, PIGLET_HELLO_DESCRIPTORS, ERR_INVALID);
    hello.bytes = UINT64_MAX;
    check_refused(hello, PIGLET_HELLO_DESCRIPTORS, ERR_INVALID);
    server.hello = good;
    server.descriptors = PIGLET_HELLO_DESCRIPTORS;
    assert_int_equal(open_served(), 0);
}

/* ---- the bell --------------------------------------------------------------------------------- */

static bool kernel_rung(void)
{
    uint64_t count;
    return read(server.kernel_fd, &count, sizeof count) == sizeof count;
}

static void test_bell(void **state)
{
    (void)state;
    assert_int_equal(open_served(), 0);
    server.bell->summary = server.bell->word[2] = 0;
    server.fake.window->polled = 1;
    assert_int_equal(piglet_wait(piglet, post_nop(), SECOND_US, NULL), 0);
    assert_int_equal(server.bell->summary, 0);
    server.fake.window->polled = 0;
    assert_int_equal(piglet_wait(piglet, post_nop(), SECOND_US, NULL), 0);
    assert_int_equal(server.bell->summary, 1ull << (CLIENT / 64));
    assert_int_equal(server.bell->word[CLIENT / 64], 1ull << (CLIENT % 64));
    assert_false(kernel_rung()); /* it was awake */
    server.bell->asleep = 1;
    assert_int_equal(piglet_wait(piglet, post_nop(), SECOND_US, NULL), 0);
    assert_true(kernel_rung());
}

/* ---- sleeping --------------------------------------------------------------------------------- */

static void *release_later(void *context)
{
    usleep(20000);
    __atomic_store_n(&server.fake.hold, false, __ATOMIC_RELEASE);
    return context;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Asleep it looks by itself every half second only: sooner means that it was woken. */
static void test_woken(void **state)
{
    pthread_t later;
    (void)state;
    assert_int_equal(open_served(), 0);
    for (int i = 0; i < 5; i++) {
        server.fake.hold = true;
        uint64_t start_us = now_us();
        int64_t number = post_nop();
        pthread_create(&later, NULL, release_later, NULL);
        assert_int_equal(piglet_wait(piglet, number, PIGLET_FOREVER, NULL), 0);
        assert_in_range(now_us() - start_us, 20000, 450000);
        pthread_join(later, NULL);
        assert_int_equal(server.fake.window->sleeping, 0);
    }
}

static void test_own_loop(void **state)
{
    struct piglet_event event;
    (void)state;
    assert_int_equal(open_served(), 0);
    struct pollfd fd = {.fd = piglet_fd(piglet), .events = POLLIN};
    assert_true(fd.fd >= 0);
    server.fake.hold = true;
    post_nop();
    piglet_sleep_begin(piglet);
    assert_int_equal(piglet_next_event(piglet, 0, &event), ERR_TIMEOUT);
    __atomic_store_n(&server.fake.hold, false, __ATOMIC_RELEASE);
    assert_int_equal(poll(&fd, 1, 1000), 1);
    piglet_sleep_end(piglet);
    assert_int_equal(piglet_next_event(piglet, 0, &event), 0);
    assert_int_equal(poll(&fd, 1, 0), 0); /* emptied */
}

/* The kernel ends while its client sleeps. */
static void *close_later(void *context)
{
    usleep(20000);
    shutdown(server.connection, SHUT_RDWR);
    return context;
}

static void test_kernel_ends(void **state)
{
    pthread_t later;
    (void)state;
    assert_int_equal(open_served(), 0);
    assert_true(piglet_alive(piglet));
    server.fake.hold = true;
    int64_t number = post_nop();
    uint64_t start_us = now_us();
    pthread_create(&later, NULL, close_later, NULL);
    assert_int_equal(piglet_wait(piglet, number, PIGLET_FOREVER, NULL), ERR_CANCELLED);
    assert_in_range(now_us() - start_us, 20000, 450000);
    pthread_join(later, NULL);
    assert_false(piglet_alive(piglet));
    close(server.listener);
    assert_int_equal(piglet_reopen(piglet), ERR_NOT_FOUND);
    assert_false(piglet_alive(piglet));
    assert_null(piglet_window(piglet));
    assert_int_equal(post_nop(), ERR_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals), TEST(test_bell),        TEST(test_woken),
        TEST(test_own_loop), TEST(test_kernel_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
