# The UEFI program that carries the kernel (GNU-EFI).
#
#   $(BUILD)/piglet.elf   the kernel without names for debuggers: PVH, qemu-system-x86_64 -kernel
#   $(BUILD)/piglet.efi   what UEFI starts
#   $(BUILD)/piglet.mb    Multiboot, for iPXE and GRUB under a BIOS: a page of header, and the kernel as it lies in memory

EFI = $(BUILD)/x86_64/arch/x86_64/efi
EFI_OBJECTS = $(patsubst %.c,$(BUILD)/x86_64/%.o,$(sort $(wildcard arch/x86_64/efi/*.c))) \
	$(EFI)/trampoline.o $(EFI)/image.o
# GNU-EFI's headers come from before stricter warnings.
EFI_CFLAGS = $(CSTD) -O2 $(WARNINGS) $(DEFINES) -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-DGNU_EFI_USE_MS_ABI -fpic -ffreestanding -fno-stack-protector -fno-stack-check -fcf-protection=none \
	-fshort-wchar -mno-red-zone -mgeneral-regs-only -maccumulate-outgoing-args -fno-asynchronous-unwind-tables
EFI_LDFLAGS = -nostdlib -shared -Bsymbolic -znocombreloc -znoexecstack --build-id=none --no-undefined \
	--no-warn-rwx-segments -T /usr/lib/elf_x86_64_efi.lds

$(EFI)/%.o: arch/x86_64/efi/%.c arch/x86_64/efi/efi.mk | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(EFI_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/piglet.elf: $(BUILD)/x86_64/piglet.elf
	$(QUIET)objcopy --strip-all $< $@

$(EFI)/image.o: arch/x86_64/efi/image.S $(BUILD)/piglet.elf
	@mkdir -p $(@D)
	$(QUIET)$(CC) '-DKERNEL="$(BUILD)/piglet.elf"' -c -o $@ $<

$(EFI)/piglet.so: $(EFI_OBJECTS)
	$(QUIET)ld $(EFI_LDFLAGS) -o $@ /usr/lib/crt0-efi-x86_64.o $(EFI_OBJECTS) -L/usr/lib -lefi -lgnuefi

# objcopy writes the time of day into the header, unless told the time.
$(BUILD)/piglet.efi: $(EFI)/piglet.so
	$(QUIET)SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) objcopy -j .text -j .sdata -j .data -j .dynamic -j .rodata -j .rel -j .rela \
		-j .reloc --target=efi-app-x86_64 --subsystem=10 $< $@

# The lower half of a symbol's address: a shell's numbers have 63 bits.
KERNEL_SYMBOL = 0x$$(nm $(BUILD)/x86_64/piglet.elf | awk '$$3 == "$(1)" {print substr($$1, 9)}')
KERNEL_BASE = 0x80000000
# A page before link.ld's start.
STUB_START = 0x1ff000

$(BUILD)/piglet.mb: arch/x86_64/efi/multiboot_stub.S arch/x86_64/multiboot.h $(BUILD)/piglet.elf arch/x86_64/efi/efi.mk
	@mkdir -p $(EFI)
	$(QUIET)$(CC) -m32 -c -o $(EFI)/multiboot_stub.o $<
	@ld -m elf_i386 --build-id=none -e stub -Ttext $(STUB_START) \
		--defsym kernel_entry=$(call KERNEL_SYMBOL,boot_entry) \
		--defsym kernel_end=$$(printf %#x $$(($(call KERNEL_SYMBOL,image_end) - $(KERNEL_BASE)))) \
		-o $(EFI)/multiboot_stub.elf $(EFI)/multiboot_stub.o
	@objcopy -O binary -j .text $(EFI)/multiboot_stub.elf $@.stub
	@objcopy -O binary $(BUILD)/piglet.elf $@.kernel
	@cat $@.stub $@.kernel >$@ && rm $@.stub $@.kernel

-include $(EFI_OBJECTS:.o=.d)
