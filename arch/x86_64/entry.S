/* Entry from a PVH loader (32-bit, paging off, ebx: start info), up to 64-bit C.
 * Source: Xen's docs/misc/pvh.pandoc, "PVH direct boot ABI". */
#include "layout.h"

#define LOW(symbol)   (symbol - KERNEL_BASE)
#define PAGE_PRESENT  0x001
#define PAGE_WRITE    0x002
#define PAGE_BIG      0x080
#define CR0_PG_WP_NE_MP_PE 0x80010023
#define CR4_PAE_MCE_OSFXSR_OSXMMEXCPT 0x660
#define MSR_EFER      0xc0000080
#define EFER_LME_NXE  0x900
#define CPUID_LM_NX   0x20100000
#define COM1          0x3f8

        .section .note.pvh, "a", @note
        .align 4
        .long 4, 8, 18                  /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad boot_entry

        .section .boot.text, "ax"
        .code32
        .globl boot_entry
boot_entry:
        cld
        cli
        movl    %ebx, %ebp              /* start info, kept over cpuid */
        movl    $LOW(boot_stack_top), %esp

        movl    $0x80000000, %eax
        cpuid
        cmpl    $0x80000001, %eax
        jb      boot_refuse
        movl    $0x80000001, %eax
        cpuid
        andl    $CPUID_LM_NX, %edx
        cmpl    $CPUID_LM_NX, %edx
        jne     boot_refuse

        /* The first GiB, at 0 and at KERNEL_BASE, in pages of 2 MiB. The tables are zero in .bss. */
        movl    $LOW(boot_pml4), %edi
        movl    $(LOW(boot_pdpt_low) + PAGE_PRESENT + PAGE_WRITE), (%edi)
        movl    $(LOW(boot_pdpt_high) + PAGE_PRESENT + PAGE_WRITE), 511 * 8(%edi)
        movl    $(LOW(boot_pd) + PAGE_PRESENT + PAGE_WRITE), LOW(boot_pdpt_low)
        movl    $(LOW(boot_pd) + PAGE_PRESENT + PAGE_WRITE), LOW(boot_pdpt_high) + 510 * 8
        movl    $LOW(boot_pd), %edi
        movl    $(PAGE_PRESENT + PAGE_WRITE + PAGE_BIG), %eax
        movl    $512, %ecx
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    1b

        movl    $LOW(boot_pml4), %eax
        movl    %eax, %cr3
        movl    $CR4_PAE_MCE_OSFXSR_OSXMMEXCPT, %eax
        movl    %eax, %cr4
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME_NXE, %eax
        wrmsr
        movl    $CR0_PG_WP_NE_MP_PE, %eax
        movl    %eax, %cr0
        lgdt    LOW(boot_gdt_pointer)
        ljmp    $SEGMENT_CODE, $boot_long

boot_refuse:
        movl    $boot_refuse_text, %esi
1:      lodsb
        testb   %al, %al
        jz      2f
        movw    $COM1, %dx
        outb    %al, %dx
        jmp     1b
2:      movb    $DEBUG_EXIT_FAILED, %al
        outb    %al, $DEBUG_EXIT_PORT
3:      hlt
        jmp     3b

boot_refuse_text:
        .asciz "PANIC: this processor has no 64-bit mode with no-execute pages\r\n"

        .code64
boot_long:
        movl    $SEGMENT_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movabsq $boot_high, %rax
        jmp     *%rax

        .text
boot_high:
        movq    $boot_stack_top, %rsp
        movl    %ebp, %edi              /* the physical address of the start info */
        xorl    %ebp, %ebp              /* where backtraces end */
        call    boot_main
        ud2

        .section .rodata
        .align 8
boot_gdt:
        .quad 0
        .quad 0x00af9a000000ffff        /* 64-bit code */
        .quad 0x00cf92000000ffff        /* data */
boot_gdt_pointer:
        .word . - boot_gdt - 1
        .long LOW(boot_gdt)

        .section .bss.tables, "aw", @nobits
        .align PAGE_BYTES
boot_pml4:      .skip PAGE_BYTES
boot_pdpt_low:  .skip PAGE_BYTES
boot_pdpt_high: .skip PAGE_BYTES
boot_pd:        .skip PAGE_BYTES

/* Stacks, each above a page that paging.c takes away. */
        .section .bss.stacks, "aw", @nobits
        .align PAGE_BYTES
        .globl boot_stack_guard, boot_stack_top, ist_guards, ist_end
boot_stack_guard:
        .skip PAGE_BYTES
        .skip STACK_BYTES
boot_stack_top:
ist_guards:
        .rept 3
        .skip PAGE_BYTES
        .skip IST_BYTES
        .endr
ist_end:

        .section .note.GNU-stack, "", @progbits
