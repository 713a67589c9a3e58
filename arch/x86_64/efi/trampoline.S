/* From UEFI's 64-bit mode to the kernel's PVH entry (32-bit, paging off), by a copy of this below 4 GiB.
 *
 * The kernel is copied to its place only when paging is off: what lies there until then is the firmware's,
 * and may be its page tables. trampoline(from, to, bytes, entry, start info), System V's convention.
 * Source: SDM vol. 3, 9.8.5.4 "Switching Out of IA-32e Mode Operation". */
#define CODE_32       0x08
#define DATA_32       0x10
#define CR0_PE_ET     0x11
#define CR0_PG        0x80000000
#define CR4_PAE_LA57  0x1020 /* what long mode needs to be left with; PCIDE and CET must be off before */
#define MSR_EFER      0xc0000080

        .text
        .globl  trampoline, trampoline_end
trampoline:
        cli
        cld
        movl    %r8d, %ebp              /* start info */
        movl    %ecx, %ebx              /* entry */
        movl    %edx, %ecx
        shrl    $2, %ecx
        xchgl   %edi, %esi
        movq    %cr4, %rax
        andl    $CR4_PAE_LA57, %eax
        movq    %rax, %cr4
        leaq    gdt(%rip), %rax
        movq    %rax, gdt_pointer + 2(%rip)
        lgdt    gdt_pointer(%rip)
        leaq    narrow(%rip), %rax
        movl    %eax, narrow_pointer(%rip)
        ljmp    *narrow_pointer(%rip)

        .code32
narrow:
        movl    $DATA_32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    %ecx, %esp              /* there is no stack: a register like others */
        xorl    %eax, %eax
        xorl    %edx, %edx
        movl    $MSR_EFER, %ecx
        wrmsr
        movl    %eax, %cr4
        movl    $CR0_PE_ET, %eax
        movl    %eax, %cr0
        movl    %esp, %ecx
        rep movsl
        movl    %ebx, %eax
        movl    %ebp, %ebx
        jmp     *%eax
        .code64

        .align  8
gdt:
        .quad   0
        .quad   0x00cf9a000000ffff      /* 32-bit code */
        .quad   0x00cf92000000ffff      /* data */
gdt_pointer:
        .word   . - gdt - 1
        .quad   0
narrow_pointer:
        .long   0
        .word   CODE_32
trampoline_end:

        .section .note.GNU-stack, "", @progbits
