# The UEFI program that carries the kernel (GNU-EFI).
#
#   $(BUILD)/piglet.elf   the kernel without names for debuggers: PVH, qemu-system-x86_64 -kernel
#   $(BUILD)/piglet.efi   what UEFI starts

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

-include $(EFI_OBJECTS:.o=.d)
