/* The kernel's command line: piglet.txt beside this program, then the boot option's words. */
#include "loader.h"

enum { TEXT_BYTES_MAX = 64 << 10 };

struct line {
    CHAR8 *words;
    UINTN used;
    BOOLEAN cut;
};

static void words_add(struct line *line, CHAR8 byte)
{
    if (byte == '\t' || byte == '\r' || byte == '\n')
        byte = ' ';
    if (byte == ' ' && (line->used == 0 || line->words[line->used - 1] == ' '))
        return;
    if (line->used == WORDS_MAX)
        line->cut = TRUE;
    else
        line->words[line->used++] = byte;
}

/* Lines of words; '#' begins a comment. Editors may put a byte order mark in front of UTF-8. */
static void words_text(struct line *line, const struct file *file)
{
    UINTN at = 0;
    if (file->bytes >= 3 && CompareMem(file->data, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    for (UINTN i = at; i < file->bytes; i++)
        if (file->data[i] == 0) {
            Print(L"piglet: piglet.txt is no plain text (a zero byte at %ld); left out\n",
                  (UINT64)i);
            return;
        }
    BOOLEAN comment = FALSE;
    for (; at < file->bytes; at++) {
        if (file->data[at] == '#')
            comment = TRUE;
        if (file->data[at] == '\n')
            comment = FALSE;
        if (!comment)
            words_add(line, (CHAR8)file->data[at]);
    }
    words_add(line, ' ');
}

/* Firmware may put anything of its own there: taken only if it is text throughout. The shell and iPXE
 * begin it with the program's name, which has no '='. */
static void words_option(struct line *line, const CHAR16 *option, UINTN bytes)
{
    UINTN count = bytes / sizeof *option, at = 0, end = 0;
    while (count && option[count - 1] == 0)
        count--;
    for (UINTN i = 0; i < count; i++)
        if (option[i] < ' ' || option[i] > '~')
            return;
    while (end < count && option[end] != ' ' && option[end] != '=')
        end++;
    if (end == count || option[end] == ' ')
        at = end;
    for (; at < count; at++)
        words_add(line, (CHAR8)option[at]);
}

void words_gather(EFI_LOADED_IMAGE *self, CHAR8 *words)
{
    struct line line = {words, 0, FALSE};
    struct file file = {NULL, 0};
    if (file_read(self, L"piglet.txt", TEXT_BYTES_MAX, &file) == EFI_SUCCESS)
        words_text(&line, &file);
    else
        Print(L"piglet: no words from piglet.txt\n");
    file_free(&file);
    words_option(&line, self->LoadOptions, self->LoadOptions ? self->LoadOptionsSize : 0);
    words[line.used] = 0;
    if (line.cut)
        Print(L"piglet: the command line is longer than %d bytes; the rest is left out\n",
              WORDS_MAX);
    Print(L"piglet: words: %a\n", words);
}
