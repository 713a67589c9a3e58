# The hosted machine: KERNEL_SOURCES, this folder, drivers/linux and the PCI nics' drivers as one Linux program.
#
#   $(BUILD)/hosted/piglet       what `make hosted` builds
#   $(BUILD)/hosted-san/piglet   the same under ASan and UBSan; `make hosted SAN=1` builds it too

HOSTED_SOURCES := $(sort $(wildcard arch/hosted/*.c drivers/linux/*.c drivers/intel/*.c drivers/e1000/*.c drivers/ixgbe/*.c)) \
	$(KERNEL_SOURCES)
# -rdynamic and frame pointers: names in fault reports, and stacks that profilers can walk.
HOSTED_CFLAGS  := $(CSTD) -O2 -g -fno-omit-frame-pointer $(WARNINGS) $(INCLUDES) -Iarch/hosted $(DEFINES)
HOSTED_LDFLAGS := -rdynamic
HOSTED_LIBS    := -lxdp -lbpf
HOSTED_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

# $(1): folder below $(BUILD); $(2): flags of its own
define HOSTED_RULES
$(BUILD)/$(1)/piglet: $(HOSTED_SOURCES:%.c=$(BUILD)/$(1)/%.o)
	@mkdir -p $$(@D)
	$$(QUIET)$$(CC) $(2) $$(HOSTED_LDFLAGS) -o $$@ $$^ $$(HOSTED_LIBS)

$(BUILD)/$(1)/%.o: %.c arch/hosted/machine.mk | packages
	@mkdir -p $$(@D)
	$$(QUIET)$$(CC) $$(HOSTED_CFLAGS) $(2) -MMD -MP -c -o $$@ $$<

-include $(HOSTED_SOURCES:%.c=$(BUILD)/$(1)/%.d)
endef
$(eval $(call HOSTED_RULES,hosted,))
$(eval $(call HOSTED_RULES,hosted-san,$(HOSTED_SANITIZE)))

# Tests of this machine itself and its drivers: everything but main.c, instead of the simulated machine.
HOSTED_TESTS := $(addprefix $(BUILD)/test/unit/,test_hosted test_linux_drivers test_linux_packet test_vfio \
	test_window_drivers)
$(HOSTED_TESTS): $(BUILD)/test/unit/%: $(BUILD)/hosted-san/tests/unit/%.o \
		$(patsubst %.c,$(BUILD)/hosted-san/%.o,$(filter-out arch/hosted/main.c,$(HOSTED_SOURCES)))
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(HOSTED_SANITIZE) -o $@ $^ -lcmocka $(HOSTED_LIBS)
# VFIO's system calls end in a fake of it, and the device is the 82599 model.
VFIO_FAKE := tests/unit/vfio_fake.c tests/sim/packet.c $(filter-out %/ixgbe_sim.c,$(wildcard tests/model/ixgbe_*.c))
VFIO_WRAPPED := open ioctl pread pwrite mmap access readlink arch_device_map
$(BUILD)/test/unit/test_vfio: $(VFIO_FAKE:%.c=$(BUILD)/hosted-san/%.o)
$(BUILD)/test/unit/test_vfio: HOSTED_LIBS += $(VFIO_WRAPPED:%=-Wl,--wrap=%)
-include $(VFIO_FAKE:%.c=$(BUILD)/hosted-san/%.d)
-include $(HOSTED_TESTS:$(BUILD)/test/%=$(BUILD)/hosted-san/tests/%.d)

ifdef SAN
hosted: $(BUILD)/hosted-san/piglet
endif

# Into $(DESTDIR), for packages; the unit with it.
UNITDIR ?= $(PREFIX)/lib/systemd/system

.PHONY: install-hosted
install: install-hosted
install-hosted: $(BUILD)/hosted/piglet
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(UNITDIR)
	install -m 755 $< $(DESTDIR)$(PREFIX)/sbin
	install -m 644 arch/hosted/piglet.8 $(DESTDIR)$(MANDIR)/man8
	sed 's|@PREFIX@|$(PREFIX)|' arch/hosted/piglet@.service >$(DESTDIR)$(UNITDIR)/piglet@.service
