/* Where things are in the kernel's address space, for C, assembly and the linker script's reader.
 */
#ifndef X86_64_LAYOUT_H
#define X86_64_LAYOUT_H

/* The image is linked here and loaded at physical 2 MiB: code model "kernel" needs the top 2 GiB.
 */
#define KERNEL_BASE 0xffffffff80000000
/* All RAM, and memory behind PCI BARs: readable and writable, never executable. */
#define DIRECT_BASE 0xffff800000000000
/* Device registers, uncached: at this base plus their bus address. */
#define DEVICE_BASE 0xffffc00000000000

#define PAGE_BYTES  4096
#define STACK_BYTES (16 * PAGE_BYTES)
#define IST_BYTES   (2 * PAGE_BYTES)

/* QEMU's isa-debug-exit, where it is there: ends QEMU with status value * 2 + 1. */
#define DEBUG_EXIT_PORT   0xf4
#define DEBUG_EXIT_FAILED 0x10

#define SEGMENT_CODE 0x08
#define SEGMENT_DATA 0x10
#define SEGMENT_TSS  0x18

/* Interrupt vectors: 0 to 31 are the processor's exceptions. */
#define VECTOR_PIC      0x20 /* to 0x2f */
#define VECTOR_TIMER    0x40
#define VECTOR_MSI      0x50 /* to 0x5f */
#define VECTOR_SPURIOUS 0xff

#endif
