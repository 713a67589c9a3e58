# A Debian package of the tools and the hosted kernel.

DEB = $(BUILD)/piglet_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb

.PHONY: deb
deb: hosted tools
	@rm -rf $(BUILD)/deb
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(BUILD))/deb/root PREFIX=/usr >/dev/null
	$(QUIET)SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) tools/deb $(BUILD)/deb $(VERSION) $(DEB)
	@if command -v lintian >/dev/null; then lintian --fail-on error,warning $(DEB); fi
	@stat -c '  %n: %s bytes' $(DEB)
