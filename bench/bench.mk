# What `make bench` runs.

BENCH_CFLAGS = $(CSTD) -O2 -g $(WARNINGS) -Iinclude -Ibench

$(BUILD)/bench/insn_plugin.so: bench/insn_plugin.c bench/qemu_plugin_api.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -shared -fPIC -o $@ $<

$(BUILD)/bench/traffic: bench/traffic.c $(wildcard include/wire/*.h) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $<

# What bench/contract counts with, and of.
CONTRACT_NEEDS = $(BUILD)/x86_64/piglet.elf $(BUILD)/tools/pigctl $(BUILD)/bench/insn_plugin.so $(BUILD)/tests/model/ixgbe-model

contract-record: $(CONTRACT_NEEDS)
	@CC='$(CC)' bench/contract --build $(BUILD) --record

BOUNCE_SOURCES = bench/bounce_main.c bench/bounce.c bench/measure.c

$(BUILD)/bench/bounce: $(BOUNCE_SOURCES) bench/bounce.h bench/measure.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -pthread -o $@ $(BOUNCE_SOURCES) -luring

BENCH_PROGRAMS = traffic requests rules path sender noise timers echo_client echo_server xdp_run
BENCH_DPDK_PROGRAMS = rules_acl sched timers_rte

.PHONY: bench-needs bench-native
bench-needs: $(BUILD)/hosted/piglet $(CONTRACT_NEEDS) $(BENCH_PROGRAMS:%=$(BUILD)/bench/%)
	@if pkg-config --exists libdpdk; then $(MAKE) --no-print-directory $(BENCH_DPDK_PROGRAMS:%=$(BUILD)/bench/%); fi

bench: image bench-needs
	@tools/linux-guest $(BUILD)/linux
	@$(PYTHON) bench/run --build $(BUILD)

# What is compared with Linux and DPDK alone: 2 minutes, as root on a machine that does nothing else.
bench-native: bench-needs
	@$(PYTHON) bench/run --build $(BUILD) --native

$(BUILD)/bench/requests: bench/requests.c bench/bounce.c bench/measure.c $(wildcard bench/*.h) $(BUILD)/client/libpiglet.a | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ bench/requests.c bench/bounce.c bench/measure.c $(BUILD)/client/libpiglet.a -luring -pthread

# The firewall's classifier, and DPDK's beside it where that is installed (apt: libdpdk-dev).
RULES_SOURCES = tests/model/rulegen.c services/firewall/rules.c services/firewall/bpf.c
RULES_HEADERS = bench/rules_sets.h $(wildcard services/firewall/*.h tests/model/rulegen.h include/piglet/firewall.h)

$(BUILD)/bench/rules: bench/rules.c services/firewall/classifier.c services/firewall/build.c services/firewall/lanes.c $(RULES_SOURCES) $(RULES_HEADERS) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ $(filter %.c,$^)

# DPDK's headers use what they call experimental of each other.
$(BUILD)/bench/sched: bench/sched.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) -std=gnu11 -O2 -Wall -Wno-deprecated-declarations $$(pkg-config --cflags libdpdk) -o $@ $< $$(pkg-config --libs libdpdk)

$(BUILD)/bench/sender: bench/sender.c $(wildcard include/wire/*.h) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $<

$(BUILD)/bench/rules_acl: bench/rules_acl.c $(RULES_SOURCES) $(RULES_HEADERS) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) -std=gnu11 -O2 -I. -Iinclude $$(pkg-config --cflags libdpdk) -o $@ $(filter %.c,$^) $$(pkg-config --libs libdpdk)

# The kernel on the simulated machine without sanitizers, between nics in memory.
BENCH_SIM_OBJECTS = $(filter-out %/tests/sim/drivers.o,$(SIM_SOURCES:%.c=$(BUILD)/bench/obj/%.o))

$(BUILD)/bench/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) $(INCLUDES) -Itests/sim $(DEFINES) -MMD -MP -c -o $@ $<

$(BUILD)/bench/path: $(BUILD)/bench/obj/bench/path.o $(BENCH_SIM_OBJECTS)
	@mkdir -p $(@D)
	$(QUIET)$(CC) -o $@ $^

-include $(BENCH_SIM_OBJECTS:.o=.d) $(BUILD)/bench/obj/bench/path.d

# UDP echo between namespaces: who asks, and the servers of Linux that Piglet's is measured against.
$(BUILD)/bench/echo_client: bench/echo_client.c bench/measure.c bench/measure.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/bench/echo_server: bench/echo_server.c bench/measure.c bench/measure.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) -lxdp -lbpf

# How much of a core others take meanwhile.
$(BUILD)/bench/noise: bench/noise.c bench/measure.c bench/measure.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^)

# The timer wheel, and DPDK's timers beside it.
$(BUILD)/bench/timers: bench/timers.c kernel/timer.c bench/timers.h kernel/timer.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -I. -o $@ $(filter %.c,$^)

$(BUILD)/bench/timers_rte: bench/timers_rte.c bench/timers.h | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) -std=gnu11 -O2 -Wall -Wno-deprecated-declarations -I. $$(pkg-config --cflags libdpdk) -o $@ $< $$(pkg-config --libs libdpdk)

# Forwarding by an XDP program: clang alone makes such programs.
$(BUILD)/bench/xdp_forward.o: bench/xdp_forward.bpf.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CLANG) -target bpf -O2 -g -Wall -I/usr/include/$$($(CC) -print-multiarch) -c -o $@ $<

$(BUILD)/bench/xdp_run: bench/xdp_run.c $(BUILD)/bench/xdp_forward.o $(wildcard include/wire/*.h) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(BENCH_CFLAGS) -o $@ $< -lbpf
