# Piglet: `make run` shows it working, `make test` checks all of it. `make help` lists the rest.
#
# One list of kernel sources, built for two machines (arch/*/machine.mk) and for the simulated one
# that tests run on. Everything made goes to $(BUILD).

BUILD ?= build
CC     = gcc
CLANG  = clang
PYTHON = /usr/bin/python3
VERSION = 0.1.0

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

WARNINGS = -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Werror
INCLUDES = -I. -Iinclude
CSTD     = -std=c11
DEFINES  = -DPIGLET_VERSION='"$(VERSION)"'

# ---- sources: the same for every machine ---------------------------------------------------------

KERNEL_SOURCES := $(sort $(wildcard kernel/*.c)) \
	services/services.c services/arp.c services/echo.c services/forward.c services/icmp.c
PCI_DRIVER_SOURCES := $(sort $(wildcard drivers/intel/*.c drivers/e1000/*.c))

# `make V=1` shows commands.
QUIET = $(if $(V),,@echo "  $(@F)";)

.PHONY: all help packages run test unit check-boot fuzz bench check format clean soak
all: x86_64 hosted

-include arch/x86_64/machine.mk
-include arch/hosted/machine.mk
include tests/tests.mk
-include bench/bench.mk

.PHONY: x86_64 hosted
x86_64: $(BUILD)/x86_64/piglet.elf
hosted: $(BUILD)/hosted/piglet

# ---- set-up -------------------------------------------------------------------------------------

# Installs what packages.debian names and this machine lacks.
packages:
	@tools/packages packages.debian

clean:
	rm -rf $(BUILD)
