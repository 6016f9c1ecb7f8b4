# Switchboard. The two commands of the README are `make run` and `make check`.
#
# Nothing here lists source files: a .c dropped into lib/*/, cgi-bin/, bin/, tests/unit/ or
# tests/fuzz/ is built. MODE=asan builds the same tree with AddressSanitizer and UBSan below
# build/asan.

VERSION := 0.1.0
MODE ?= release
PREFIX ?= /usr/local
DESTDIR ?=
SERVER ?= lighttpd
PORT ?= 8080
ENV_FILE ?= /etc/switchboard/switchboard.env
SERVERS := lighttpd apache nginx

BUILD := build/$(MODE)
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

# --- Compiler ------------------------------------------------------------------------------------

CC := gcc
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings -Wvla -Wformat=2 -Werror
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
             -ftrivial-auto-var-init=zero
CPPFLAGS := -Ilib -D_GNU_SOURCE -DSB_VERSION='"$(VERSION)"' -DSB_PREFIX='"$(PREFIX)"'
CFLAGS := -std=gnu17 -g -fPIE -ffile-prefix-map=$(CURDIR)=. $(WARNINGS) $(HARDENING)
LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed
LDLIBS := -lfcgi -ljansson -lsqlite3 -lcrypto -lpthread
ifeq ($(MODE),release)
CFLAGS += -O2
CPPFLAGS += -D_FORTIFY_SOURCE=3
else ifeq ($(MODE),asan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),tsan)
CFLAGS += -O1 -fsanitize=thread
LDFLAGS += -fsanitize=thread
else
$(error MODE is release, asan or tsan)
endif

# --- What there is -------------------------------------------------------------------------------

ENDPOINT_MAIN := $(BUILD)/obj/lib/endpoint/main.o
LIB_OBJECTS := $(filter-out $(ENDPOINT_MAIN),$(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard lib/*/*.c)))
LIB := $(BUILD)/libswitchboard.a
ENDPOINTS := $(patsubst %.c,$(BUILD)/%,$(shell find cgi-bin -name '*.c'))
BIN_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bin/*.c))
COMMAND := $(BUILD)/bin/switchboard
UNIT_SOURCES := $(shell find tests/unit -name '*.c' -not -path 'tests/unit/support/*')
UNITS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
UNIT_SUPPORT := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/unit/support/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
REPLAYS := $(addprefix $(BUILD)/tests/fuzz/,$(FUZZERS))

all: $(ENDPOINTS) $(COMMAND)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(ENDPOINTS): $(BUILD)/%: $(BUILD)/obj/%.o $(ENDPOINT_MAIN) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@.new
	@mv $@.new $@

$(COMMAND): $(BIN_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@.new
	@mv $@.new $@

# A unit test below tests/unit/cgi-bin/ also links the endpoint of its name.
$(UNITS): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) -lcriterion $(LIB) $(LDLIBS) -ldl -o $@
$(foreach unit,$(filter $(BUILD)/tests/unit/cgi-bin/%,$(UNITS)),\
  $(eval $(unit): $(patsubst $(BUILD)/tests/unit/%,$(BUILD)/obj/%.o,$(unit))))

$(REPLAYS): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o \
            $(BUILD)/obj/tests/fuzz/support/replay.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

clean:
	rm -rf build

.PHONY: all clean
