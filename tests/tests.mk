# Unit and service tests (cmocka) and fuzzers (libFuzzer), on the simulated machine, with sanitizers.

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
TEST_CFLAGS = $(CSTD) -O1 -g $(WARNINGS) $(INCLUDES) -Itests/sim $(DEFINES) -fno-omit-frame-pointer

SIM_SOURCES = $(KERNEL_SOURCES) $(PCI_DRIVER_SOURCES) $(wildcard tests/sim/*.c tests/model/*.c)

# What of the machines can be tested on any.
SIM_SOURCES += arch/x86_64/acpi.c arch/x86_64/start_info.c services/TEMPLATE.c

SIM_OBJECTS  = $(SIM_SOURCES:%.c=$(BUILD)/test/obj/%.o)
FUZZ_OBJECTS = $(SIM_SOURCES:%.c=$(BUILD)/fuzz/obj/%.o)

UNIT_TESTS    = $(patsubst tests/unit/%.c,$(BUILD)/test/unit/%,$(wildcard tests/unit/test_*.c))
SERVICE_TESTS = $(patsubst tests/service/%.c,$(BUILD)/test/service/%,$(wildcard tests/service/test_*.c))
FUZZERS       = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

$(BUILD)/test/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(TEST_CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(QUIET)$(CLANG) $(TEST_CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

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

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libsim.a
	@mkdir -p $(@D)
	$(QUIET)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $< $(BUILD)/fuzz/libsim.a

.PHONY: tests fuzzers
tests: $(UNIT_TESTS) $(SERVICE_TESTS)
fuzzers: $(FUZZERS)
.SECONDARY: $(UNIT_TESTS:$(BUILD)/test/%=$(BUILD)/test/obj/tests/%.o) $(SERVICE_TESTS:$(BUILD)/test/%=$(BUILD)/test/obj/tests/%.o) \
	$(FUZZERS:$(BUILD)/fuzz/%=$(BUILD)/fuzz/obj/tests/fuzz/%.o)

-include $(SIM_OBJECTS:.o=.d) $(FUZZ_OBJECTS:.o=.d) $(wildcard $(BUILD)/*/obj/tests/*/*.d)
