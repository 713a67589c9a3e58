# Piglet: `make run` shows it working, `make test` checks all of it. `make help` lists the rest.
#
# One list of kernel sources, built for two machines (arch/*/machine.mk) and for the simulated one
# that tests run on. Everything made goes to $(BUILD).

BUILD ?= build
CC     = gcc
CLANG  = clang
PYTHON = /usr/bin/python3
VERSION = 0.1.0

# The time that images say they are made at: the same sources give the same bytes.
SOURCE_DATE_EPOCH ?= 1735689600

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

WARNINGS = -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Werror
INCLUDES = -I. -Iinclude
CSTD     = -std=c11
DEFINES  = -DPIGLET_VERSION='"$(VERSION)"'

# ---- sources: the same for every machine ---------------------------------------------------------

KERNEL_SOURCES := $(sort $(wildcard kernel/*.c psr/*.c services/*/*.c)) \
	$(filter-out services/TEMPLATE.c,$(sort $(wildcard services/*.c)))
PCI_DRIVER_SOURCES := $(sort $(wildcard drivers/intel/*.c drivers/e1000/*.c drivers/ixgbe/*.c drivers/ivshmem/*.c))

# `make V=1` shows commands.
QUIET = $(if $(V),,@echo "  $(@F)";)

.PHONY: all help packages run test unit check-boot fuzz bench contract-record check format clean soak
all: x86_64 hosted tools

include arch/x86_64/machine.mk
include arch/x86_64/efi/efi.mk
include arch/hosted/machine.mk
include client/client.mk
include tools/pigctl/pigctl.mk
include tools/pigtap/pigtap.mk
include tools/psr-doc.mk
include tools/image.mk
include tools/deb.mk
include tests/tests.mk
include bench/bench.mk

.PHONY: x86_64 hosted
x86_64: $(BUILD)/x86_64/piglet.elf
hosted: $(BUILD)/hosted/piglet

.PHONY: tools
tools: pigctl pigtap client $(BUILD)/tests/model/ixgbe-model

# ---- what people type ----------------------------------------------------------------------------

# Boots it with a Linux host on the same wire, and pings. APPEND='words' adds to the command line.
run: $(BUILD)/x86_64/piglet.elf $(BUILD)/tools/pigctl
	@tools/run-qemu --demo --append "$(APPEND)"

UNIT_SUITES = $(foreach suite,unit service psr client,--unit '$(BUILD)/test/$(suite)/test_*')

# Everything: hosted with and without sanitizers, bare metal in QEMU, real traffic, fuzzers.
test: x86_64 hosted image $(BUILD)/hosted-san/piglet tools tests $(BUILD)/test/live races fuzzers linux-guest $(CONTRACT_NEEDS)
	@tests/run $(UNIT_SUITES) --race '$(BUILD)/race/*' --pytest tests/client --pytest tests/contract --boot \
		--fuzz '$(BUILD)/fuzz/fuzz_*' --fuzz-seconds $(or $(FUZZ_SECONDS),30)

# A Linux kernel to boot in QEMU, for the tests of VFIO; where it cannot be fetched those are skipped.
.PHONY: linux-guest
linux-guest:
	@tools/linux-guest $(BUILD)/linux

# The quick part: a few seconds.
unit: tests
	@tests/run $(UNIT_SUITES)

fuzz: fuzzers
	@tests/run --fuzz '$(BUILD)/fuzz/fuzz_*' --fuzz-seconds $(or $(FUZZ_SECONDS),600)

soak: x86_64 hosted tools races fuzzers
	@RELOADS=20000 tests/run --boot hosted-tap --pytest-args '-k test_reload'
	@tests/run --race '$(BUILD)/race/*' --race tests/client/nftables.py --race-seconds 600 --fuzz '$(BUILD)/fuzz/fuzz_*' --fuzz-seconds 3600

SOURCES_ALL = $(shell git ls-files '*.c' '*.h' 2>/dev/null)

format:
	clang-format -i $(SOURCES_ALL)

# What clang-tidy reads: all that sees foreign bytes.
TIDY_SOURCES := $(filter-out drivers/drivers.c,$(KERNEL_SOURCES) $(PCI_DRIVER_SOURCES) $(wildcard drivers/linux/*.c client/*.c))
CLANG_PROGRAMS = $(patsubst bench/%.c,$(BUILD)/clang/bench/%,bench/bounce.c bench/path.c bench/requests.c bench/rules.c \
	bench/sender.c bench/traffic.c)

# The rules of the tree, the format, both compilers over everything, and two static checkers: four minutes.
check: x86_64 hosted | packages
	@tools/check-tree $(BUILD)
	@clang-format --dry-run -Werror $(SOURCES_ALL)
	@cppcheck --quiet -j 2 --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 $(INCLUDES) -Itests/sim \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches $(filter-out bench/xdp_%,$(filter %.c,$(SOURCES_ALL)))
	@mkdir -p $(BUILD)/clang && ln -sfn ../newlib $(BUILD)/clang/newlib
	@$(MAKE) --no-print-directory CC=$(CLANG) BUILD=$(BUILD)/clang all tests $(CLANG_PROGRAMS)
	@printf '%s\n' $(TIDY_SOURCES) | xargs -P 2 -I FILE \
		clang-tidy --quiet FILE -- $(CSTD) $(INCLUDES) -Iarch/hosted -DPIGLET_VERSION=0 2>$(BUILD)/tidy.log

help:
	@echo "make image   what machines start from, in $(BUILD)/: piglet.efi, .img (disk), .iso, .elf (PVH), .ipxe;"
	@echo "             WORDS='ip=10.0.0.2/24' CONFIG=site.conf: with these words and that configuration"
	@echo "make run     boot it in QEMU and ping it (stop with Ctrl-C)"
	@echo "make test    all tests; the last line says how many passed"
	@echo "make unit    the quick part of them"
	@echo "make bench   instructions per packet, start, size, idle, beside the budgets"
	@echo "make bench-native  the part of it that compares with Linux and DPDK in one run"
	@echo "make contract-record   writes bench/contract.txt anew: instructions a frame, which \`make test\` holds us to"
	@echo "make fuzz    the fuzzers for 10 minutes each (FUZZ_SECONDS=N); make soak: an hour each"
	@echo "make check   the tree's own rules, clang, cppcheck and clang-tidy over everything; make format: clang-format"
	@echo "make docs    writes the reference of opcodes in docs/PSR.md from include/piglet/opcode.h"
	@echo "make install libpiglet, pigctl, pigtap, the hosted kernel, its unit and manual pages to PREFIX ($(PREFIX)), below DESTDIR"
	@echo "make         the two kernels: $(BUILD)/x86_64/piglet.elf, $(BUILD)/hosted/piglet (SAN=1: with sanitizers),"
	@echo "             libpiglet, pigctl and pigtap"
	@echo "make deb     a Debian package of the tools and the hosted kernel, in $(BUILD)/"
	@echo "V=1 shows commands, BUILD=DIR builds elsewhere, CC=clang takes the other compiler"

# ---- set-up -------------------------------------------------------------------------------------

# Installs what packages.debian names and this machine lacks.
packages:
	@tools/packages packages.debian

clean:
	rm -rf $(BUILD)
