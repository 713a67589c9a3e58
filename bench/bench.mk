# What `make bench` runs.

BENCH_CFLAGS = $(CSTD) -O2 -g $(WARNINGS) -Iinclude -Ibench

$(BUILD)/bench/insn_plugin.so: bench/insn_plugin.c bench/qemu_plugin_api.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -shared -fPIC -o $@ $<

$(BUILD)/bench/traffic: bench/traffic.c $(wildcard include/wire/*.h) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $<

BOUNCE_SOURCES = bench/bounce_main.c bench/bounce.c bench/measure.c

$(BUILD)/bench/bounce: $(BOUNCE_SOURCES) bench/bounce.h bench/measure.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -pthread -o $@ $(BOUNCE_SOURCES) -luring

bench: $(BUILD)/x86_64/piglet.elf $(BUILD)/hosted/piglet $(BUILD)/bench/insn_plugin.so $(BUILD)/bench/traffic $(BUILD)/bench/requests
	@$(PYTHON) bench/run --build $(BUILD)

$(BUILD)/bench/requests: bench/requests.c bench/bounce.c bench/measure.c $(wildcard bench/*.h) $(BUILD)/client/libpiglet.a | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ bench/requests.c bench/bounce.c bench/measure.c $(BUILD)/client/libpiglet.a -luring -pthread
