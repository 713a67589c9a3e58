/* Text on a screen: letters are where they should be, and nothing is written outside. */
#include "arch/x86_64/screen.h"
#include "tests/unit/test.h"

enum {
    WIDTH = 70,
    HEIGHT = 64,
    STRIDE = 80,
    GUARD = 16,
    SCREEN_COLUMNS = WIDTH / 6,
    SCREEN_ROWS = HEIGHT / 9
};

static uint32_t pixels[GUARD + STRIDE * HEIGHT + GUARD];

static const struct loader_screen screen = {0x80000000, WIDTH, HEIGHT, STRIDE * 4, 0};

static void begin(void)
{
    for (unsigned i = 0; i < COUNT_OF(pixels); i++)
        pixels[i] = 0x55555555;
    screen_start(&screen, pixels + GUARD);
}

/* How many pixels of a letter's place are on. */
static unsigned lit(unsigned column, unsigned row)
{
    unsigned count = 0;
    for (unsigned y = row * 9; y < row * 9 + 9; y++)
        for (unsigned x = column * 6; x < column * 6 + 6; x++)
            count += pixels[GUARD + y * STRIDE + x] == 0x00ffffff;
    return count;
}

static void check_outside(void)
{
    for (unsigned i = 0; i < GUARD; i++) {
        assert_int_equal(pixels[i], 0x55555555);
        assert_int_equal(pixels[GUARD + STRIDE * HEIGHT + i], 0x55555555);
    }
    for (unsigned y = 0; y < HEIGHT; y++)
        for (unsigned x = WIDTH; x < STRIDE; x++)
            assert_int_equal(pixels[GUARD + y * STRIDE + x], 0x55555555);
}

static void screen_01_letters(void **state)
{
    (void)state;
    begin();
    screen_write("T \n-\x01\xff", 6);
    assert_int_equal(lit(0, 0), 5 + 6); /* T: its bar and what hangs from it */
    assert_int_equal(lit(1, 0), 0);
    assert_int_equal(lit(0, 1), 5);
    assert_int_equal(lit(1, 1), lit(2, 1)); /* what is no letter is a question mark */
    assert_int_not_equal(lit(1, 1), 0);
    check_outside();
}

/* Long lines go on in the next row; behind the last row comes the first, and one empty row is ahead. */
static void screen_02_wraps(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < SCREEN_COLUMNS * SCREEN_ROWS; i++)
        screen_write("T", 1);
    assert_int_equal(lit(SCREEN_COLUMNS - 1, SCREEN_ROWS - 1), 11);
    assert_int_equal(lit(0, 0), 0);
    assert_int_equal(lit(0, 1), 11);
    screen_write("-", 1);
    assert_int_equal(lit(0, 0), 5);
    assert_int_equal(lit(0, 1), 0);
    assert_int_equal(lit(0, 2), 11);
    check_outside();
}

static void screen_03_numbers(void **state)
{
    (void)state;
    assert_true(screen_good(&screen));
    struct loader_screen bad[] = {screen, screen, screen, screen, screen,
                                  screen, screen, screen, screen};
    bad[0].address = 0;
    bad[1].address = 0x80000001;
    bad[2].address = UINT64_MAX - 3;
    bad[3].width = 0;
    bad[4].width = UINT32_MAX;
    bad[5].height = 0;
    bad[6].height = UINT32_MAX;
    bad[7].stride = WIDTH * 4 - 4;
    bad[8].stride = UINT32_MAX - 3;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_false(screen_good(&bad[i]));
    screen_start(NULL, NULL);
    screen_write("nowhere", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(screen_01_letters),
        cmocka_unit_test(screen_02_wraps),
        cmocka_unit_test(screen_03_numbers),
    };
    return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
