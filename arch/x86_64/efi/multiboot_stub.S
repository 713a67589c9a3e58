/* The first page of piglet.mb, before the kernel's: Multiboot's header with addresses, as the loader is not asked to
 * read ELF, and the way to the kernel's PVH entry. QEMU would prefer such a header in piglet.elf to PVH. */
#include "../multiboot.h"

#define HEADER_MAGIC 0x1badb002
#define HEADER_FLAGS 0x10003 /* modules on pages, a memory map, the addresses below */

        .text
        .code32
        .globl stub
header:
        .long HEADER_MAGIC, HEADER_FLAGS, -(HEADER_MAGIC + HEADER_FLAGS)
        .long header, header, 0 /* up to the file's end */
        .long kernel_end, stub

stub:
        movl    %ebx, handed + 4
        movl    $handed, %ebx
        movl    $kernel_entry, %eax
        jmp     *%eax

handed: .long MULTIBOOT_LOADED, 0
        .balign 4096
