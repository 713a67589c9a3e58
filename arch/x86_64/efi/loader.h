/* The UEFI program that carries the kernel: what its files share.
 *
 * It gathers words and configurations, finds memory, ACPI's root and a screen, writes all of that down as
 * PVH's start info, leaves the firmware's services and enters the kernel where a PVH loader would. */
#ifndef X86_64_EFI_LOADER_H
#define X86_64_EFI_LOADER_H

#include <efi.h>
#include <efilib.h>

#include "../loader_note.h"
#include "../pvh.h"

enum {
    WORDS_MAX = 2048, /* the kernel's command line, without its NUL */
    RANGES_MAX = 128, /* as the kernel's START_RANGES_MAX */
    MODULES_MAX = 2,  /* the note, and piglet.psr */
};

#define BELOW_1G 0x3fffffffull /* the kernel's first page tables reach so far */

/* All that the kernel is told, in pages below 1 GiB. */
struct handover {
    struct pvh_info info;
    struct pvh_module module[MODULES_MAX];
    struct pvh_range range[RANGES_MAX];
    struct loader_note note;
    CHAR8 words[WORDS_MAX + 1];
};

struct file {
    UINT8 *data; /* pages below 1 GiB; NULL: there is none */
    UINTN bytes;
};

/* Where the kernel goes, and a copy of it as it will lie there. */
struct kernel {
    UINT64 first, end; /* whole pages */
    UINT64 entry;
    UINT8 *copy;
};

/* Pages below 1 GiB, zeroed; NULL: there are none. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

void *loader_pages(UINTN bytes);

/* files.c: reads a file that lies beside this program: on its volume, or on the server it came from.
 * EFI_NOT_FOUND: there is none; other errors were said. */
EFI_STATUS file_read(EFI_LOADED_IMAGE *self, const CHAR16 *name, UINTN bytes_max,
                     struct file *file);
void file_free(struct file *file);

/* words.c: the command line: what piglet.txt says, then what the boot option says. */
void words_gather(EFI_LOADED_IMAGE *self, CHAR8 *words);

/* kernel.c: claims the kernel's place, before anything else is allocated, and lays the kernel out. */
EFI_STATUS kernel_claim(struct kernel *kernel);
EFI_STATUS kernel_lay_out(struct kernel *kernel);

/* leave.c: ends the firmware's services and enters the kernel. Returns only why it could not, said. */
EFI_STATUS leave(EFI_HANDLE image, const struct kernel *kernel, struct handover *handover);

#endif
