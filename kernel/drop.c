/* What the reasons for drops are called. */
#include "kernel/drop.h"

const struct drop_text drop_text[DROP_REASON_COUNT] = {
#define DROP_TEXT(name, text, sentence) {text, sentence},
    DROP_REASONS(DROP_TEXT)
#undef DROP_TEXT
};
