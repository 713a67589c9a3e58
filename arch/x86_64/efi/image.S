/* The kernel, as a part of the loader. The build names the file. */
        .section .rodata
        .globl  kernel_image, kernel_image_end
        .align  16
kernel_image:
        .incbin KERNEL
kernel_image_end:

        .section .note.GNU-stack, "", @progbits
