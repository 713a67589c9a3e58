# What machines start from. WORDS='ip=10.0.0.2/24' is their command line, CONFIG=site.conf their configuration.
#
#   $(BUILD)/piglet.img    a disk: USB stick, cloud, libvirt       $(BUILD)/piglet.ipxe   a network boot's script
#   $(BUILD)/piglet.iso    a CD, real or a management board's

IMAGES = $(BUILD)/piglet.elf $(BUILD)/piglet.efi $(BUILD)/piglet.mb $(BUILD)/piglet.img $(BUILD)/piglet.iso $(BUILD)/piglet.ipxe
IMAGE_BYTES_MAX = 4194304
KERNEL_BYTES_MAX = 262144
IMAGE_WORDS = $(or $(WORDS),ip=dhcp)
IMAGE_CONFIG = $(if $(CONFIG),$(BUILD)/image.psr)
MAKE_IMAGE = SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) tools/image --efi $(BUILD)/piglet.efi --words '$(IMAGE_WORDS)' \
	$(addprefix --config ,$(IMAGE_CONFIG))

.PHONY: image image-always
image: $(IMAGES)
	@for file in $(IMAGES); do test $$(stat -c %s $$file) -le $(IMAGE_BYTES_MAX) || \
		{ echo "$$file is larger than $(IMAGE_BYTES_MAX) bytes" >&2; exit 1; }; done
	@test $$(stat -c %s $(BUILD)/piglet.elf) -le $(KERNEL_BYTES_MAX) || \
		{ echo "$(BUILD)/piglet.elf is larger than $(KERNEL_BYTES_MAX) bytes" >&2; exit 1; }
	@cd $(BUILD) && stat -c '  %n: %s bytes' $(notdir $(IMAGES))

# Made each time: words and configuration may be others than the last time.
$(BUILD)/image.psr: image-always $(BUILD)/tools/pigctl
	@$(BUILD)/tools/pigctl compile '$(CONFIG)' -o $@

$(BUILD)/piglet.img: $(BUILD)/piglet.efi tools/image $(IMAGE_CONFIG) image-always
	$(QUIET)$(MAKE_IMAGE) disk $@

$(BUILD)/piglet.iso: $(BUILD)/piglet.efi tools/image $(IMAGE_CONFIG) image-always
	$(QUIET)$(MAKE_IMAGE) iso $@

$(BUILD)/piglet.ipxe: tools/image image-always
	$(QUIET)$(MAKE_IMAGE) ipxe $@
