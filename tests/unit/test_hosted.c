/* The hosted machine itself: clock, memory, console, devices. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "arch/hosted/hosted.h"

enum { MS = 1000000 };

static void hosted_01_clock_keeps_linux_time(void **state)
{
    (void)state;
    for (int pinned = 0; pinned < 2; pinned++) {
        hosted_clock_start(pinned);
        uint64_t linux_ns = hosted_monotonic_ns(), ns = arch_clock_ns();
        assert_true(ns < 1000u * MS);
        arch_delay_us(50000);
        linux_ns = hosted_monotonic_ns() - linux_ns;
        ns = arch_clock_ns() - ns;
        assert_true(ns >= 50u * MS);
        /* Reading the two at either end may be torn apart by another process, rarely for long. */
        assert_in_range(ns, linux_ns - 5 * MS, linux_ns + 5 * MS);
        uint64_t last_ns = arch_clock_ns();
        for (unsigned i = 0; i < 100000; i++) {
            uint64_t now_ns = arch_clock_ns();
            assert_true(now_ns >= last_ns);
            last_ns = now_ns;
        }
    }
}

static void hosted_02_memory_runs_out_cleanly(void **state)
{
    (void)state;
    assert_int_equal(hosted_memory_start(1 << 20), 0);
    assert_int_equal(arch_memory_left(), 1 << 20);
    uint8_t *a = arch_memory_take(100, 64), *b = arch_memory_take(4096, 4096);
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal((uintptr_t)b % 4096, 0);
    assert_true(b >= a + 100);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(arch_dma_address(b), (uintptr_t)b);
    assert_null(arch_memory_take(1 << 20, 1));
    assert_null(arch_memory_take(SIZE_MAX, 1));
    size_t left = arch_memory_left();
    assert_true(left < (1 << 20) - 4096 && left > (1 << 20) - 3 * 4096);
    assert_non_null(arch_memory_take(left, 1));
    assert_int_equal(arch_memory_left(), 0);
    assert_null(arch_memory_take(1, 1));
}

/* stdout becomes a pipe that nobody reads: writing more than it holds returns, and the pipe's other
 * users still find it as it was. */
static void hosted_03_console_never_waits(void **state)
{
    (void)state;
    char text[4096], first[4];
    int pipe_fd[2], saved = dup(STDOUT_FILENO);
    memset(text, 'x', sizeof(text));
    assert_int_equal(pipe(pipe_fd), 0);
    dup2(pipe_fd[1], STDOUT_FILENO);
    int selected = arch_console_select("stdout");
    arch_console_write("one", 3);
    for (unsigned i = 0; i < 100; i++)
        arch_console_write(text, sizeof(text));
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    ssize_t got = read(pipe_fd[0], first, 3);
    int silenced = arch_console_select("none");
    arch_console_write("two", 3);
    dup2(saved, STDOUT_FILENO);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    close(saved);
    assert_int_equal(selected, 0);
    assert_int_equal(silenced, 0);
    assert_int_equal(got, 3);
    assert_memory_equal(first, "one", 3);
    assert_false(flags & O_NONBLOCK);
    assert_int_equal(arch_console_select("ttyS0"), ERR_UNSUPPORTED);
    assert_int_equal(arch_console_select("ttyS1,115200n8"), ERR_UNSUPPORTED);
    assert_int_equal(arch_console_select(""), ERR_INVALID);
    assert_int_equal(arch_console_select("stderr2"), ERR_INVALID);
}

static void hosted_04_devices_in_order(void **state)
{
    (void)state;
    struct arch_device table[HOSTED_DEVICES_MAX];
    assert_int_equal(arch_devices(table, HOSTED_DEVICES_MAX), 0);
    assert_true(hosted_device_add("tap:pig0"));
    assert_true(hosted_device_add("pair:/a/path/that/is/too/long/for/people"));
    assert_int_equal(arch_devices(table, 1), 1);
    assert_int_equal(arch_devices(table, HOSTED_DEVICES_MAX), 2);
    assert_int_equal(table[0].bus, ARCH_BUS_HOST);
    assert_string_equal(table[0].name, "tap:pig0");
    assert_string_equal(table[0].host, "tap:pig0");
    assert_string_equal(table[1].name, ".../too/long/for/people");
    for (unsigned i = 2; i < HOSTED_DEVICES_MAX; i++)
        assert_true(hosted_device_add("tap:x"));
    assert_false(hosted_device_add("tap:x"));
    assert_int_equal(arch_device_config_read(&table[0], 0), UINT32_MAX);
    assert_null(arch_device_memory(&table[0], 0, &(size_t){0}));
}

/* A signal before the sleep ends it, like a frame does, and every later one. */
static void hosted_05_signals_ask_to_stop(void **state)
{
    (void)state;
    hosted_stop_start();
    assert_false(arch_stop_wanted());
    raise(SIGTERM);
    assert_true(arch_stop_wanted());
    for (unsigned i = 0; i < 2; i++) {
        uint64_t begin_ns = arch_clock_ns();
        arch_idle(begin_ns + 10000ull * MS);
        assert_true(arch_clock_ns() - begin_ns < 5000ull * MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosted_01_clock_keeps_linux_time),
        cmocka_unit_test(hosted_02_memory_runs_out_cleanly),
        cmocka_unit_test(hosted_03_console_never_waits),
        cmocka_unit_test(hosted_04_devices_in_order),
        cmocka_unit_test(hosted_05_signals_ask_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
