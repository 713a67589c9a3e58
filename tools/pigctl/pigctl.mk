# pigctl: the command line tool.

PIGCTL_SOURCES = $(sort $(wildcard tools/pigctl/*.c))
PIGCTL_LIBRARIES = -lncurses -ltinfo -lpcap -lm -pthread
PIGCTL_OBJECTS = $(PIGCTL_SOURCES:tools/pigctl/%.c=$(BUILD)/pigctl/%.o)

.PHONY: pigctl install-pigctl
pigctl: $(BUILD)/tools/pigctl

$(BUILD)/pigctl/%.o: tools/pigctl/%.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) $(INCLUDES) $(DEFINES) -MMD -MP -c -o $@ $<

$(BUILD)/tools/pigctl: $(PIGCTL_OBJECTS) $(BUILD)/client/libpiglet.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) -o $@ $^ $(PIGCTL_LIBRARIES)

# Into $(DESTDIR), for packages.
install: install-pigctl
install-pigctl: $(BUILD)/tools/pigctl
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR)/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $< $(DESTDIR)$(PREFIX)/bin
	install -m 644 tools/pigctl/pigctl.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 tools/pigctl/pigctl.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pigctl

-include $(PIGCTL_OBJECTS:.o=.d)
