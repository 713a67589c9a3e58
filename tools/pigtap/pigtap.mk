# pigtap: a Piglet's nic as an Ethernet device of Linux.

.PHONY: pigtap
pigtap: $(BUILD)/tools/pigtap

$(BUILD)/tools/pigtap: tools/pigtap/pigtap.c $(BUILD)/client/libpiglet.a $(CLIENT_STAGED)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) -I$(BUILD)/client/include -o $@ $< \
		$(BUILD)/client/libpiglet.a -pthread

# Into $(DESTDIR), for packages.
.PHONY: install-pigtap
install: install-pigtap
install-pigtap: $(BUILD)/tools/pigtap
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(MANDIR)/man8
	install -m 755 $< $(DESTDIR)$(PREFIX)/sbin
	install -m 644 tools/pigtap/pigtap.8 $(DESTDIR)$(MANDIR)/man8
