# libpiglet, static and shared, its examples, and what `make install` puts where.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man

CLIENT_SOURCES = $(sort $(wildcard client/*.c))
CLIENT_OBJECTS = $(CLIENT_SOURCES:%.c=$(BUILD)/%.o)
CLIENT_CFLAGS  = $(CSTD) -O2 -g $(WARNINGS) $(INCLUDES) -fPIC -fvisibility=hidden -pthread
CLIENT_LIBS    = $(BUILD)/client/libpiglet.a $(BUILD)/client/libpiglet.so.1

# The headers as they are installed; the examples see nothing else.
CLIENT_HEADERS = client/piglet.h client/requests.h $(sort $(wildcard include/piglet/*.h))
CLIENT_STAGED  = $(addprefix $(BUILD)/client/include/piglet/,$(notdir $(CLIENT_HEADERS)))

CLIENT_EXAMPLES = $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard client/examples/*.c)))

.PHONY: client install
client: $(CLIENT_LIBS) $(CLIENT_EXAMPLES)

$(BUILD)/client/%.o: client/%.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CLIENT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/client/libpiglet.a: $(CLIENT_OBJECTS)
	$(QUIET)rm -f $@; ar rcs $@ $^

$(BUILD)/client/libpiglet.so.1: $(CLIENT_OBJECTS) client/libpiglet.map
	$(QUIET)$(CC) -shared -pthread -Wl,-soname,libpiglet.so.1 -Wl,-z,defs \
		-Wl,--version-script=client/libpiglet.map -o $@ $(CLIENT_OBJECTS)

vpath %.h client include/piglet
$(CLIENT_STAGED): $(BUILD)/client/include/piglet/%.h: %.h
	@mkdir -p $(@D)
	$(QUIET)cp $< $@

$(BUILD)/client/examples/%: client/examples/%.c $(BUILD)/client/libpiglet.a $(CLIENT_STAGED)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) -I$(BUILD)/client/include -o $@ $< \
		$(BUILD)/client/libpiglet.a -pthread

# Into $(DESTDIR), for packages.
install: $(CLIENT_LIBS) $(CLIENT_STAGED) client/piglet.pc.in
	install -d $(DESTDIR)$(PREFIX)/include/piglet $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man7
	install -m 644 $(CLIENT_HEADERS) $(DESTDIR)$(PREFIX)/include/piglet
	install -m 644 $(BUILD)/client/libpiglet.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(BUILD)/client/libpiglet.so.1 $(DESTDIR)$(LIBDIR)
	ln -sf libpiglet.so.1 $(DESTDIR)$(LIBDIR)/libpiglet.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		client/piglet.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/piglet.pc
	install -m 644 client/man/*.3 $(DESTDIR)$(MANDIR)/man3
	install -m 644 client/man/*.7 $(DESTDIR)$(MANDIR)/man7

-include $(CLIENT_OBJECTS:.o=.d)

# Tests against a fake kernel, with sanitizers; objects by the rule in tests/tests.mk.
CLIENT_TESTS = $(patsubst tests/client/%.c,$(BUILD)/test/client/%,$(sort $(wildcard tests/client/test_*.c)))
CLIENT_TEST_OBJECTS = $(patsubst %.c,$(BUILD)/test/obj/%.o,$(CLIENT_SOURCES) tests/client/fake.c)

$(CLIENT_TESTS): $(BUILD)/test/client/%: $(BUILD)/test/obj/tests/client/%.o $(CLIENT_TEST_OBJECTS)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(SANITIZE) -pthread -o $@ $^ -lcmocka

-include $(CLIENT_TEST_OBJECTS:.o=.d)

# Cases for two clients against real kernels (tests/boot/test_clients.py). SAN=1: with sanitizers.
LIVE_SOURCES = $(sort $(wildcard tests/client/live*.c))

$(BUILD)/test/live: $(LIVE_SOURCES) tests/client/live.h $(BUILD)/client/libpiglet.a $(CLIENT_STAGED)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -D_GNU_SOURCE -O2 -g $(WARNINGS) $(if $(SAN),$(SANITIZE)) -I. -I$(BUILD)/client/include \
		-o $@ $(LIVE_SOURCES) $(BUILD)/client/libpiglet.a -pthread
