# Unit and service tests (cmocka) and fuzzers (libFuzzer), on the simulated machine, with sanitizers.

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
TEST_CFLAGS = $(CSTD) -O1 -g $(WARNINGS) $(INCLUDES) -Itests/sim $(DEFINES) -fno-omit-frame-pointer

SIM_SOURCES = $(KERNEL_SOURCES) $(PCI_DRIVER_SOURCES) $(wildcard tests/sim/*.c tests/model/*.c)

# What of the machines can be tested on any.
SIM_SOURCES += arch/x86_64/acpi.c arch/x86_64/acpi_power.c arch/x86_64/start_info.c arch/x86_64/multiboot.c arch/x86_64/screen.c services/TEMPLATE.c

# What fuzzers share.
FUZZ_SHARED = tests/psr/invariants.c tests/fuzz/guess.c tests/fuzz/recipes.c tests/fuzz/sample.c \
	tests/fuzz/produce.c tests/fuzz/mutate.c

SIM_OBJECTS  = $(SIM_SOURCES:%.c=$(BUILD)/test/obj/%.o)
FUZZ_OBJECTS = $(SIM_SOURCES:%.c=$(BUILD)/fuzz/obj/%.o) $(FUZZ_SHARED:%.c=$(BUILD)/fuzz/obj/%.o)

UNIT_TESTS    = $(patsubst tests/unit/%.c,$(BUILD)/test/unit/%,$(wildcard tests/unit/test_*.c))
PSR_TESTS     = $(patsubst tests/psr/%.c,$(BUILD)/test/psr/%,$(wildcard tests/psr/test_*.c))
SERVICE_TESTS = $(patsubst tests/service/%.c,$(BUILD)/test/service/%,$(wildcard tests/service/test_*.c))
FUZZERS       = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

$(BUILD)/test/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(TEST_CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CLANG) $(TEST_CFLAGS) $(SANITIZE) $(FUZZ_COVERAGE) -MMD -MP -c -o $@ $<

FUZZ_COVERAGE = -fsanitize=fuzzer-no-link
$(FUZZ_SHARED:%.c=$(BUILD)/fuzz/obj/%.o): FUZZ_COVERAGE = # checks are no code to be explored

$(BUILD)/test/libsim.a: $(SIM_OBJECTS)
	$(QUIET)rm -f $@; ar rcs $@ $^

$(BUILD)/fuzz/libsim.a: $(FUZZ_OBJECTS)
	$(QUIET)rm -f $@; ar rcs $@ $^

$(BUILD)/test/unit/%: $(BUILD)/test/obj/tests/unit/%.o $(BUILD)/test/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(SANITIZE) -o $@ $< $(BUILD)/test/libsim.a -lcmocka

$(BUILD)/test/service/%: $(BUILD)/test/obj/tests/service/%.o $(BUILD)/test/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(SANITIZE) -o $@ $< $(BUILD)/test/libsim.a -lcmocka

# They share a client, which only they link with: it fails tests, so it needs cmocka.
PSR_SHARED = $(patsubst %.c,$(BUILD)/test/obj/%.o,$(filter-out tests/psr/test_%,$(wildcard tests/psr/*.c)))

$(BUILD)/test/psr/%: $(BUILD)/test/obj/tests/psr/%.o $(PSR_SHARED) $(BUILD)/test/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(SANITIZE) -o $@ $< $(PSR_SHARED) $(BUILD)/test/libsim.a -lcmocka

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CLANG) $(SANITIZE) -fsanitize=fuzzer $(FUZZ_LINK) -o $@ $< $(BUILD)/fuzz/libsim.a

$(BUILD)/fuzz/fuzz_chain: FUZZ_LINK = -Wl,-u,LLVMFuzzerCustomMutator # mutate.c

# A pigctl whose block is bytes.
$(BUILD)/test/pigctl_raw: tests/client/raw_block.c $(filter-out %/blocks.o,$(PIGCTL_OBJECTS)) $(BUILD)/client/libpiglet.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -g $(WARNINGS) $(INCLUDES) $(DEFINES) -o $@ $^ $(PIGCTL_LIBRARIES)

# The 82599 model behind QEMU's proxy device. Its sources are those of the unit tests, without the simulated machine.
IXGBE_MODEL_SOURCES = $(filter-out %/ixgbe_sim.c,$(sort $(wildcard tests/model/ixgbe_*.c tests/model/proxy/*.c)))
IXGBE_MODEL_OBJECTS = $(IXGBE_MODEL_SOURCES:%.c=$(BUILD)/model/obj/%.o)

$(BUILD)/model/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/tests/model/ixgbe-model: $(IXGBE_MODEL_OBJECTS)
	@mkdir -p $(@D)
	$(QUIET)$(CC) -o $@ $^ -lpcap

-include $(IXGBE_MODEL_OBJECTS:.o=.d)

# A client for tests to kill.
$(BUILD)/test/victim: tests/client/victim.c $(BUILD)/client/libpiglet.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CLIENT_CFLAGS) -Iclient -o $@ $^

# A kernel whose windows are rewritten while it runs, with ASan and UBSan, and with TSan.
RACE_SOURCES = tests/fuzz/race_window.c tests/fuzz/guess.c tests/fuzz/recipes.c tests/psr/invariants.c

RACE_WRAPPED = memcpy memset $(addprefix __tsan_,write1 write2 write4 write8 write16 \
	unaligned_write2 unaligned_write4 unaligned_write8 write_range)

$(BUILD)/tsan/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(TEST_CFLAGS) -fsanitize=thread -Wno-tsan -MMD -MP -c -o $@ $<

$(BUILD)/race/race_window: $(RACE_SOURCES:%.c=$(BUILD)/test/obj/%.o) $(BUILD)/test/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(SANITIZE) -pthread -o $@ $^

$(BUILD)/race/race_window_tsan: $(RACE_SOURCES:%.c=$(BUILD)/tsan/obj/%.o) $(SIM_SOURCES:%.c=$(BUILD)/tsan/obj/%.o)
	@mkdir -p $(@D)
	$(QUIET)$(CC) -fsanitize=thread -pthread $(RACE_WRAPPED:%=-Wl,--wrap=%) -o $@ $^

races: $(BUILD)/race/race_window $(BUILD)/race/race_window_tsan

# AFL++ on the same, which goes other ways. Not in `make test`: package afl++ is for those who want it.
AFL = $(BUILD)/afl
AFL_SEED = \0\4\3\0\0\1\0\0\3\0\0\2\0\0\10\0\0\1\0\0\14\0\0\4\0\0\12\0\1\0\0\0\5\3

.PHONY: fuzz-afl
fuzz-afl:
	@command -v afl-fuzz >/dev/null || { echo "fuzz-afl: no afl-fuzz; cure: sudo apt-get install afl++"; exit 1; }
	@$(MAKE) --no-print-directory BUILD=$(AFL) CLANG=afl-clang-fast FUZZ_COVERAGE= FUZZ_LINK= $(AFL)/fuzz/fuzz_chain
	@rm -rf $(AFL)/found; mkdir -p $(AFL)/seeds; printf '$(AFL_SEED)' >$(AFL)/seeds/port
	AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 ASAN_OPTIONS=abort_on_error=1:symbolize=0 \
		afl-fuzz -i $(AFL)/seeds -o $(AFL)/found -V $(or $(FUZZ_SECONDS),600) -- $(AFL)/fuzz/fuzz_chain >$(AFL)/log
	@tail -3 $(AFL)/log; ! ls $(AFL)/found/default/crashes/id* 2>/dev/null

.PHONY: tests fuzzers races
tests: $(UNIT_TESTS) $(SERVICE_TESTS) $(PSR_TESTS) $(CLIENT_TESTS) $(BUILD)/test/victim $(BUILD)/test/pigctl_raw \
	$(BUILD)/tests/model/ixgbe-model
fuzzers: $(FUZZERS)
.SECONDARY: $(UNIT_TESTS:$(BUILD)/test/%=$(BUILD)/test/obj/tests/%.o) $(SERVICE_TESTS:$(BUILD)/test/%=$(BUILD)/test/obj/tests/%.o) \
	$(PSR_TESTS:$(BUILD)/test/%=$(BUILD)/test/obj/tests/%.o) $(PSR_SHARED) \
	$(FUZZERS:$(BUILD)/fuzz/%=$(BUILD)/fuzz/obj/tests/fuzz/%.o)

-include $(SIM_OBJECTS:.o=.d) $(FUZZ_OBJECTS:.o=.d) $(SIM_SOURCES:%.c=$(BUILD)/tsan/obj/%.d) $(wildcard $(BUILD)/*/obj/tests/*/*.d)
