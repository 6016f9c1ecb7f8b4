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
# Every core, unless the caller said -j; V=1 shows the commands.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
# `make clean all` cleans first.
ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
Q := $(if $(V),,@)
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
LDLIBS := -lfcgi -ljansson -lsqlite3 -lcurl -lssl -lcrypto -lopus -logg -lpthread -lm
ifeq ($(MODE),release)
CFLAGS += -O2
CPPFLAGS += -D_FORTIFY_SOURCE=3
else ifeq ($(MODE),asan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),tsan)
CFLAGS += -O1 -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(MODE),coverage)
CFLAGS += -O0 --coverage -fprofile-update=atomic
LDFLAGS += --coverage -Wl,-u,__gcov_dump
else
$(error MODE is release, asan, tsan or coverage)
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

# A program whose source is gone would still be served.
all: $(ENDPOINTS) $(COMMAND)
	@find $(BUILD)/cgi-bin -type f $(foreach endpoint,$(ENDPOINTS),! -path $(endpoint)) -delete

# What no time stamp of a source tells: objects of another version or prefix are made anew.
MADE_FOR := $(BUILD)/made-for
ifneq ($(file <$(MADE_FOR)),$(VERSION) $(PREFIX))
$(shell mkdir -p $(BUILD))$(file >$(MADE_FOR),$(VERSION) $(PREFIX))
endif
$(MADE_FOR):
	@mkdir -p $(@D) && echo '$(VERSION) $(PREFIX)' > $@

$(BUILD)/obj/%.o: %.c $(MADE_FOR)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	@echo "  AR    $@"
	$(Q)ar rcs $@ $^

$(ENDPOINTS): $(BUILD)/%: $(BUILD)/obj/%.o $(ENDPOINT_MAIN) $(LIB)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@.new
	@mv $@.new $@

$(COMMAND): $(BIN_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@.new
	@mv $@.new $@

# A unit test below tests/unit/cgi-bin/ or tests/unit/bin/ also links the file of its name.
$(UNITS): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_SUPPORT) $(LIB)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) -lcriterion $(LIB) $(LDLIBS) -ldl -o $@
$(foreach unit,$(filter $(BUILD)/tests/unit/cgi-bin/% $(BUILD)/tests/unit/bin/%,$(UNITS)),\
  $(eval $(unit): $(patsubst $(BUILD)/tests/unit/%,$(BUILD)/obj/%.o,$(unit))))

$(REPLAYS): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o \
            $(BUILD)/obj/tests/fuzz/support/replay.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Preloaded into the programs under torture.
FAULTS := $(BUILD)/tests/torture/faults.so
$(FAULTS): tests/torture/faults.c tests/torture/faults.h
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -g -O2 -fPIC -shared -ftls-model=initial-exec \
	    $(if $(filter asan,$(MODE)),-DSB_SANITIZED) $(WARNINGS) $< -o $@

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- What the machine must have ------------------------------------------------------------------

PACKAGES_BUILD := gcc libc6-dev libfcgi-dev libjansson-dev libsqlite3-dev libssl-dev libcurl4-openssl-dev \
                  libopus-dev libogg-dev
PACKAGES_RUN := ca-certificates lighttpd curl jq acl procps
PACKAGES_TEST := apache2 libapache2-mod-fcgid nginx-light spawn-fcgi libcriterion-dev clang-format \
                 clang-tidy shellcheck logrotate nodejs node-ajv python3 psmisc sqlite3 \
                 openssl libasan8 libubsan1 git jose faketime prometheus chromium
# npm comes with some builds of Node.js, and is a package of its own for Debian's.
PACKAGES_TEST += $(if $(shell command -v npm),,npm)
# What hears and speaks without a cloud.
PACKAGES_VOICE := ffmpeg flite pocketsphinx pocketsphinx-en-us
PACKAGES_TEST += $(PACKAGES_VOICE)
PACKAGES_BENCH := wrk php-fpm php-sqlite3 golang-go golang-github-mattn-go-sqlite3-dev g++
# The headers come with some builds of Node.js as well.
PACKAGES_BENCH += $(if $(wildcard /usr/include/node/node.h),,libnode-dev)
PACKAGES_FUZZ := clang libclang-rt-14-dev
PACKAGES_COVERAGE := gcovr

# Installs those of the packages in $(1) that are missing. While it does, policy-rc.d keeps packaged
# services from starting: a web server on port 80 is not what was asked for.
define install
missing="$$(dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | \
    awk '$$1 == "ii" { print $$2 }' | sort | comm -13 - <(printf '%s\n' $(1) | sort))"; \
[ -z "$$missing" ] && exit 0; \
echo "installing:" $$missing; \
root=; [ "$$(id -u)" = 0 ] || root=sudo; \
policy=/usr/sbin/policy-rc.d; \
if [ ! -e $$policy ]; then \
    trap "$$root rm -f $$policy" EXIT; \
    printf '#!/bin/sh\nexit 101\n' | $$root tee $$policy >/dev/null; $$root chmod 755 $$policy; \
fi; \
export DEBIAN_FRONTEND=noninteractive; \
{ $$root apt-get install -qq -y --no-install-recommends $$missing >/dev/null 2>&1 || \
  { $$root apt-get update -qq && $$root -E apt-get install -qq -y --no-install-recommends $$missing; }; } \
    || { echo "these packages could not be installed:" $$missing >&2; exit 1; }
endef

# What building and an installed tree need; the web server is the administrator's.
deps:
	@$(call install,$(PACKAGES_BUILD) ca-certificates)

deps-demo:
	@$(call install,$(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_VOICE))

deps-check:
	@$(call install,$(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_TEST))

# What tests and bench take from npm, at the versions of the lock files. The bench's is compiled, which
# takes a minute.
NODE_MODULES := tests/node_modules/.package-lock.json
$(NODE_MODULES): tests/package-lock.json
	@npm ci --prefix tests --loglevel=error --no-audit --no-fund
	@touch $@

BENCH_MODULES := tests/bench/node_modules/.package-lock.json
$(BENCH_MODULES): tests/bench/package-lock.json
	@npm_config_nodedir=/usr npm ci --prefix tests/bench --build-from-source --loglevel=error --no-audit --no-fund
	@touch $@

deps-bench:
	@$(call install,$(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_TEST) $(PACKAGES_BENCH))

deps-fuzz:
	@$(call install,$(PACKAGES_BUILD) $(PACKAGES_FUZZ))

deps-coverage:
	@$(call install,$(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_TEST) $(PACKAGES_COVERAGE))

# --- Serving -------------------------------------------------------------------------------------

# A demo that needs no configuration: everything it makes lies below build/demo.
run: deps-demo
	@$(MAKE) all
	@etc/demo.sh $(PORT) $(BUILD)

serve: all
	@exec env --default-signal=INT,TERM etc/serve.sh $(SERVER) $(PORT) $(ENV_FILE) $(BUILD)/cgi-bin

# --- Documentation -------------------------------------------------------------------------------

# Joins what the endpoints say of themselves; the configuration documents come from its table.
docs: all
	@for endpoint in $(sort $(ENDPOINTS)); do $$endpoint --describe || exit 1; done | \
	    jq --slurp --slurpfile base docs/openapi.base.json --arg version $(VERSION) \
	    '$$base[0] * {info: {version: $$version}, paths: (map(.paths) | add)}' \
	    > $(BUILD)/openapi.json
	@$(COMMAND) config --markdown > $(BUILD)/CONFIGURATION.md
	@$(COMMAND) config --example > $(BUILD)/switchboard.env.example
	@install -m 644 $(BUILD)/openapi.json $(BUILD)/CONFIGURATION.md docs/
	@install -m 644 $(BUILD)/switchboard.env.example etc/

# --- Tests ---------------------------------------------------------------------------------------

units: $(UNITS)

unit: units
	@tests/run-units $(UNITS)

replay: $(REPLAYS)
	@for fuzzer in $(FUZZERS); do \
	    $(BUILD)/tests/fuzz/$$fuzzer tests/fuzz/corpus/$$fuzzer || exit 1; done

# The black-box suite, once for each web server. FILES narrows it.
FILES ?=
http: all docs $(NODE_MODULES)
	@tests/http/run "$(BUILD)" "$(SERVERS)" $(FILES)

# What the JSDoc of www/ promises, by TypeScript's compiler.
typecheck: $(NODE_MODULES)
	@tests/node_modules/.bin/tsc --project tests/browser/tsconfig.json
	@echo "typecheck: www/ is as it says"

# The browser's side: its types, its modules in Node.js, then the page in Chromium.
browser: all docs typecheck
	@command -v chromium >/dev/null || { echo "no program chromium: apt-get install chromium" >&2; exit 1; }
	@node --test --test-reporter=spec tests/browser/unit/*.test.mjs
	@tests/http/run "$(BUILD)" "lighttpd apache" tests/browser/*.test.mjs

# Faults and attacks: on the programs directly, and on each web server.
robust: all $(NODE_MODULES)
	@tests/http/robust/run "$(BUILD)" "$(SERVERS) apache-proxy"

# Allocations, SQLite's steps, files and connections, made to fail one by one.
torture: all $(FAULTS)
	@tests/torture/run "$(BUILD)"

lint: all
	@tests/lint $(BUILD)

# The compiler's own paths through the code. (Those of clang's analyzer are part of lint.)
ANALYZED := $(patsubst %.c,build/analyze/%.o,$(wildcard lib/*/*.c bin/*.c) $(shell find cgi-bin -name '*.c'))
analyze: $(ANALYZED)
	@echo "analyze: $(words $(ANALYZED)) files, nothing found"
$(ANALYZED): build/analyze/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu17 $(WARNINGS) -O1 -fanalyzer -MMD -MP -c $< -o $@
-include $(shell find build/analyze -name '*.d' 2>/dev/null)

# The alert rules for Prometheus.
rules:
	@tests/ops/rules

check: deps-check
	@[ "$$(id -u)" = 0 ] || { echo "make check serves as other users: run it as root" >&2; exit 1; }
	@$(MAKE) all
	@$(MAKE) lint analyze rules
	@$(MAKE) unit replay
	@$(MAKE) MODE=asan unit replay
	@$(MAKE) http robust
	@$(MAKE) browser
	@$(MAKE) torture
	@echo "make check: all passed"

# The lines of lib/ that tests run, and a floor below them.
coverage: deps-coverage
	@$(MAKE) MODE=coverage all units
	+@tests/ops/coverage build/coverage

fuzz: deps-fuzz
	@tests/fuzz/run $(or $(SECONDS),60) $(FUZZERS)

# Load for MINUTES, after which nothing may have grown or failed.
MINUTES ?= 15
soak: deps-check $(NODE_MODULES)
	@$(MAKE) all docs
	@tests/ops/soak/run $(BUILD) $(SERVER) $(MINUTES)

# ONLY=voice measures the spoken turn alone.
bench: deps-bench
	@$(MAKE) all $(NODE_MODULES) $(if $(ONLY),,$(BENCH_MODULES))
	@ONLY=$(ONLY) tests/bench/run $(BUILD)

# A run whose figures become those of docs/PERFORMANCE.md.
bench-doc: $(if $(ONLY),$(if $(filter bench-doc,$(MAKECMDGOALS)),$(error bench-doc takes a whole run, without ONLY))) bench
	@tests/bench/document docs/PERFORMANCE.md build/bench/report.md

# --- Installing ----------------------------------------------------------------------------------

LIBEXEC := $(DESTDIR)$(PREFIX)/lib/switchboard
SHARE := $(DESTDIR)$(PREFIX)/share/switchboard

install: all
	install -d $(LIBEXEC) $(SHARE) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/switchboard
	$(foreach endpoint,$(ENDPOINTS),install -D -m 755 $(endpoint) $(LIBEXEC)/$(endpoint:$(BUILD)/%=%) &&) :
	install -m 755 $(COMMAND) $(DESTDIR)$(PREFIX)/bin/
	cp -R etc/. $(SHARE)/etc
	cp -R cron logrotate docs www $(SHARE)/
	chmod -R u=rwX,go=rX $(SHARE)
	[ -e $(DESTDIR)/etc/switchboard/switchboard.env ] || \
	    install -m 640 $(if $(DESTDIR),,-g www-data) etc/switchboard.env.example \
	        $(DESTDIR)/etc/switchboard/switchboard.env

clean:
	rm -rf build tests/node_modules tests/bench/node_modules

.PHONY: all deps deps-demo deps-check deps-bench deps-fuzz deps-coverage run serve docs units unit \
        replay http typecheck browser robust torture lint analyze rules check coverage fuzz bench bench-doc soak \
        install clean
