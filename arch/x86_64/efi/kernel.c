/* The kernel that this program carries: its place, and how it will lie there. */
#include "loader.h"

#include <elf.h>

extern const UINT8 kernel_image[] __attribute__((visibility("hidden")));
extern const UINT8 kernel_image_end[] __attribute__((visibility("hidden")));

static const Elf64_Phdr *kernel_parts(unsigned *count)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)kernel_image;
    *count = head->e_phnum;
    return (const Elf64_Phdr *)(const void *)(kernel_image + head->e_phoff);
}

/* Page by page, and some may be the firmware's until it is left (leave.c looks): what is allocated from
 * now on lies elsewhere. */
EFI_STATUS kernel_claim(struct kernel *kernel)
{
    unsigned count;
    const Elf64_Phdr *part = kernel_parts(&count);
    kernel->first = ~0ull;
    for (unsigned i = 0; i < count; i++) {
        if (part[i].p_type != PT_LOAD)
            continue;
        if (part[i].p_paddr < kernel->first)
            kernel->first = part[i].p_paddr & ~(UINT64)EFI_PAGE_MASK;
        if (part[i].p_paddr + part[i].p_memsz > kernel->end)
            kernel->end =
                (part[i].p_paddr + part[i].p_memsz + EFI_PAGE_MASK) & ~(UINT64)EFI_PAGE_MASK;
    }
    for (UINT64 page = kernel->first; page < kernel->end; page += EFI_PAGE_SIZE) {
        EFI_PHYSICAL_ADDRESS address = page;
        BS->AllocatePages(AllocateAddress, EfiLoaderData, 1, &address);
    }
    kernel->entry = ((const Elf64_Ehdr *)(const void *)kernel_image)->e_entry;
    return EFI_SUCCESS;
}

EFI_STATUS kernel_lay_out(struct kernel *kernel)
{
    unsigned count;
    const Elf64_Phdr *part = kernel_parts(&count);
    kernel->copy = loader_pages(kernel->end - kernel->first);
    if (!kernel->copy) {
        Print(L"piglet: no memory below 1 GiB for the kernel\n");
        return EFI_OUT_OF_RESOURCES;
    }
    for (unsigned i = 0; i < count; i++)
        if (part[i].p_type == PT_LOAD)
            CopyMem(kernel->copy + (part[i].p_paddr - kernel->first),
                    kernel_image + part[i].p_offset, part[i].p_filesz);
    return EFI_SUCCESS;
}
