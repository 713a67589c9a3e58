/* Exceptions and interrupts: 256 entries that save everything and call trap_taken. */
#include "layout.h"

        .text
        .globl trap_entries
        .align 16
trap_entries:                           /* 16 bytes each */
        .set vector, 0
        .rept 256
        .align 16
        /* The processor pushes an error code for these; for the others we do (SDM vol. 3, 6.13). */
        .if (vector != 8) && (vector != 10) && (vector != 11) && (vector != 12) && (vector != 13) && \
            (vector != 14) && (vector != 17) && (vector != 21)
        pushq   $0
        .endif
        pushq   $vector
        jmp     trap_save
        .set vector, vector + 1
        .endr

trap_save:
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        cld
        call    trap_taken              /* returns from interrupts only */
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
