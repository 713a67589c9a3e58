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

bench: $(BUILD)/x86_64/piglet.elf $(BUILD)/hosted/piglet $(BUILD)/bench/insn_plugin.so $(BUILD)/bench/traffic $(BUILD)/bench/requests $(BUILD)/bench/rules \
		$(BUILD)/tests/model/ixgbe-model
	@if pkg-config --exists libdpdk; then $(MAKE) --no-print-directory $(BUILD)/bench/rules_acl; fi
	@$(PYTHON) bench/run --build $(BUILD)

$(BUILD)/bench/requests: bench/requests.c bench/bounce.c bench/measure.c $(wildcard bench/*.h) $(BUILD)/client/libpiglet.a | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ bench/requests.c bench/bounce.c bench/measure.c $(BUILD)/client/libpiglet.a -luring -pthread

# The firewall's classifier, and DPDK's beside it where that is installed (apt: libdpdk-dev).
RULES_SOURCES = tests/model/rulegen.c services/firewall/rules.c services/firewall/bpf.c
RULES_HEADERS = bench/rules_sets.h $(wildcard services/firewall/*.h tests/model/rulegen.h include/piglet/firewall.h)

$(BUILD)/bench/rules: bench/rules.c services/firewall/classifier.c services/firewall/build.c $(RULES_SOURCES) $(RULES_HEADERS) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ $(filter %.c,$^)

$(BUILD)/bench/rules_acl: bench/rules_acl.c $(RULES_SOURCES) $(RULES_HEADERS) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) -std=gnu11 -O2 -I. -Iinclude $$(pkg-config --cflags libdpdk) -o $@ $(filter %.c,$^) $$(pkg-config --libs libdpdk)
