# Bare metal: KERNEL_SOURCES, the PCI drivers and this folder as one ELF image, linked twice: the second time
# with the names of its own functions in it.
#
#   $(BUILD)/x86_64/piglet.elf   boots by PVH: qemu-system-x86_64 -kernel

X86_64_SOURCES := $(sort $(wildcard arch/x86_64/*.c)) drivers/drivers.c $(KERNEL_SOURCES) $(PCI_DRIVER_SOURCES)
X86_64_OBJECTS := $(X86_64_SOURCES:%.c=$(BUILD)/x86_64/%.o) \
	$(patsubst %.S,$(BUILD)/x86_64/%.o,$(sort $(wildcard arch/x86_64/*.S)))
X86_64_NEWLIB := $(BUILD)/newlib/lib/libc.a

X86_64_CFLAGS = $(CSTD) -O2 -g $(WARNINGS) $(INCLUDES) -Iarch/x86_64 $(DEFINES) \
	-mcmodel=kernel -mno-red-zone -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	-nostdinc -isystem $(shell $(CC) -print-file-name=include) -isystem $(BUILD)/newlib/include \
	-U__linux__ -U__linux -Ulinux -U__unix__ -U__unix -Uunix -U__gnu_linux__
X86_64_LDFLAGS = -nostdlib -static -Wl,-T,link.ld -Wl,--gc-sections -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

$(X86_64_NEWLIB): tools/build-newlib | packages
	@mkdir -p $(BUILD)/newlib
	@tools/build-newlib $(BUILD)/newlib

# Whatever an exception interrupted may be using vector registers.
$(BUILD)/x86_64/arch/x86_64/trap.o $(BUILD)/x86_64/arch/x86_64/irq.o: X86_64_CFLAGS += -mgeneral-regs-only

$(BUILD)/x86_64/%.o: %.c arch/x86_64/machine.mk | $(X86_64_NEWLIB)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(X86_64_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/x86_64/%.o: %.S arch/x86_64/machine.mk | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) -Iarch/x86_64 -MMD -MP -c -o $@ $<

X86_64_LINK = $(CC) $(X86_64_LDFLAGS) -o $@ $(X86_64_OBJECTS)

$(BUILD)/x86_64/nameless.elf: $(X86_64_OBJECTS) link.ld $(X86_64_NEWLIB)
	$(QUIET)$(X86_64_LINK) $(X86_64_NEWLIB) $(shell $(CC) -print-libgcc-file-name)

$(BUILD)/x86_64/piglet.elf: $(BUILD)/x86_64/nameless.elf tools/symbols
	$(QUIET)tools/symbols $< >$(BUILD)/x86_64/symbols.S
	@$(CC) -c -o $(BUILD)/x86_64/symbols.o $(BUILD)/x86_64/symbols.S
	@$(X86_64_LINK) $(BUILD)/x86_64/symbols.o $(X86_64_NEWLIB) $(shell $(CC) -print-libgcc-file-name) \
		-Wl,-Map,$(BUILD)/x86_64/piglet.map
	@tools/symbols $@ | cmp -s - $(BUILD)/x86_64/symbols.S || { echo "$@: its symbol table moved its code" >&2; exit 1; }
	@size $@ | awk 'NR == 2 {printf "  piglet.elf: %d bytes of image, %d of zeroed memory\n", $$1 + $$2, $$3}'

-include $(X86_64_OBJECTS:.o=.d)
