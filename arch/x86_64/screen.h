/* The console's other half: text on the screen that the loader has found, for machines without a serial port. */
#ifndef X86_64_SCREEN_H
#define X86_64_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader_note.h"

/* Whether it can be one, its bytes and the last of its rows counted: for foreign numbers. */
bool screen_good(const struct loader_screen *screen);
uint64_t screen_bytes(const struct loader_screen *screen);

/* From now on text goes to these pixels; NULL: to none. */
void screen_start(const struct loader_screen *screen, volatile void *pixels);
void screen_write(const char *text, size_t bytes);

#endif
