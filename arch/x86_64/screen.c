/* Text on a framebuffer. Its memory is uncached, so nothing is read back and nothing scrolls: behind the last
 * row comes the first one again, and the row behind the newest is empty. */
#include "screen.h"

#include "font.h"

enum {
    SCREEN_MIN = 64,
    SCREEN_MAX = 16384,
    CELL_WIDTH = FONT_WIDTH + 1,
    CELL_HEIGHT = FONT_HEIGHT + 1,
    SCALE_WIDTH = 640, /* so many pixels give a letter one pixel more: a hundred letters in a row */
    PIXEL_BYTES = 4,
    PIXEL_ON = 0x00ffffff, /* white, whichever order the colours have */
};

static struct {
    volatile uint8_t *pixels; /* NULL: none */
    uint32_t stride, scale, columns, rows;
    uint32_t column, row; /* of the next letter */
} screen;

bool screen_good(const struct loader_screen *from)
{
    return from->address && from->address % PIXEL_BYTES == 0 && from->width >= SCREEN_MIN &&
           from->height >= SCREEN_MIN && from->width <= SCREEN_MAX && from->height <= SCREEN_MAX &&
           from->stride % PIXEL_BYTES == 0 && from->stride >= from->width * PIXEL_BYTES &&
           from->stride <= SCREEN_MAX * PIXEL_BYTES &&
           from->address + screen_bytes(from) > from->address;
}

uint64_t screen_bytes(const struct loader_screen *from)
{
    return (uint64_t)from->stride * from->height;
}

static void screen_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour)
{
    for (uint32_t row = y; row < y + height; row++) {
        volatile uint32_t *to =
            (volatile uint32_t *)(screen.pixels + (uint64_t)row * screen.stride) + x;
        for (uint32_t i = 0; i < width; i++)
            to[i] = colour;
    }
}

static void screen_letter(char letter)
{
    bool known = letter >= FONT_FIRST && letter <= FONT_LAST;
    uint64_t rows = font[(known ? letter : '?') - FONT_FIRST];
    uint32_t x = screen.column * CELL_WIDTH * screen.scale;
    uint32_t y = screen.row * CELL_HEIGHT * screen.scale;
    for (uint32_t row = 0; row < FONT_HEIGHT; row++)
        for (uint32_t column = 0; column < FONT_WIDTH; column++)
            if (rows >> ((FONT_HEIGHT - 1 - row) * 8 + FONT_WIDTH - 1 - column) & 1)
                screen_fill(x + column * screen.scale, y + row * screen.scale, screen.scale,
                            screen.scale, PIXEL_ON);
}

static void screen_clear_row(uint32_t row)
{
    uint32_t cell = CELL_HEIGHT * screen.scale;
    screen_fill(0, row * cell, screen.columns * CELL_WIDTH * screen.scale, cell, 0);
}

static void screen_next_row(void)
{
    screen.column = 0;
    screen.row = (screen.row + 1) % screen.rows;
    screen_clear_row((screen.row + 1) % screen.rows);
}

void screen_start(const struct loader_screen *from, volatile void *pixels)
{
    screen.pixels = pixels;
    if (!pixels)
        return;
    screen.stride = from->stride;
    screen.scale = from->width / SCALE_WIDTH ? from->width / SCALE_WIDTH : 1;
    screen.columns = from->width / (CELL_WIDTH * screen.scale);
    screen.rows = from->height / (CELL_HEIGHT * screen.scale);
    screen.column = screen.row = 0;
    screen_fill(0, 0, from->width, from->height, 0);
}

void screen_write(const char *text, size_t bytes)
{
    for (size_t i = 0; screen.pixels && i < bytes; i++) {
        if (text[i] == '\n') {
            screen_next_row();
            continue;
        }
        if (screen.column == screen.columns)
            screen_next_row();
        screen_letter(text[i]);
        screen.column++;
    }
}
