# athena-query: one Makefile, not recursive. `make help` lists what it can do.
#
# VARIANT keeps builds apart: empty gives build/bin, any other word gives build/VARIANT/bin.
# A name with `asan` in it adds ASan and UBSan, one with `tsan` TSan.

ifeq ($(origin CC),default)
CC := gcc
endif
VARIANT ?=
WERROR ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

# V=1 shows whole commands.
V ?=
Q := $(if $(filter-out 0,$(V)),,@)
say = $(if $(Q),@echo '$(1) $@')
MAKEFLAGS += --no-print-directory

B := $(if $(VARIANT),build/$(VARIANT),build)
O := $(B)/obj

# --- Flags --------------------------------------------------------------------------------------

LIBRARIES := rdkafka libmicrohttpd libcurl libcjson libcrypto gnutls
CFLAGS ?= $(if $(findstring san,$(VARIANT)),-O1,-O2) -g
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
  $(if $(filter-out 0,$(WERROR)),-Werror)
HARDENING := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
ifneq ($(findstring asan,$(VARIANT)),)
HARDENING := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifneq ($(findstring tsan,$(VARIANT)),)
HARDENING := -fsanitize=thread -fno-omit-frame-pointer
endif

ifeq ($(filter clean deb deploy-tools deps format format-check help lint demo run test test-compose test-system test-unit uninstall,$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell for l in $(LIBRARIES); do pkg-config --exists $$l || printf '%s ' $$l; done)
ifneq ($(MISSING),)
$(error missing: $(MISSING)- `make deps` installs what the build needs)
endif
endif
LIB_CFLAGS = $(shell pkg-config --cflags $(LIBRARIES))
LIB_LIBS = $(shell pkg-config --libs $(LIBRARIES))
LIB_CFLAGS := $(LIB_CFLAGS)
LIB_LIBS := $(LIB_LIBS)

# These builds abort at a transition of a query's state that is not allowed; others log an error.
CHECKS := $(if $(or $(findstring san,$(VARIANT)),$(findstring debug,$(VARIANT))),-DDEBUG_CHECKS)

COMPILE = $(CC) -std=c11 -D_GNU_SOURCE -I. -I$(O) $(LIB_CFLAGS) $(WARNINGS) -ffunction-sections \
  -fdata-sections -fPIE -pthread $(HARDENING) $(CHECKS) $(CPPFLAGS) $(CFLAGS)
# A program carries only the objects of an archive that it calls, and only the libraries these call.
LINK = $(CC) $(HARDENING) $(CFLAGS) -pie -pthread -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro \
  -Wl,-z,now $(LDFLAGS)

# --- Sources ------------------------------------------------------------------------------------

sources = $(sort $(shell find $(1) -name '*.c'))
COMMON_SRC := $(call sources,common)
RECEIVER_SRC := $(call sources,receiver)
EXECUTOR_SRC := $(call sources,executor)
REDRIVER_SRC := $(call sources,redriver)
SIM_SRC := $(call sources,standins/athena_sim)
DEV_BROKER_SRC := $(call sources,standins/dev_broker)
UNIT_SRC := $(call sources,tests/unit)
TOOL_SRC := $(call sources,tests/tools)
TSAN_SRC := $(call sources,tests/tsan)
ALL_SRC := $(COMMON_SRC) $(RECEIVER_SRC) $(EXECUTOR_SRC) $(REDRIVER_SRC) $(SIM_SRC) \
  $(DEV_BROKER_SRC) $(UNIT_SRC) $(TOOL_SRC) $(TSAN_SRC)

objects = $(patsubst %.c,$(O)/%.o,$(1))
not_main = $(filter-out %/main.c,$(1))

COMMON_LIB := $(B)/lib/libcommon.a
# What unit tests link besides: every object of the programs but those with a main() in them.
PARTS_LIB := $(B)/lib/libparts.a
PARTS_SRC := $(call not_main,$(RECEIVER_SRC) $(EXECUTOR_SRC) $(REDRIVER_SRC) $(SIM_SRC))

# What each binary links besides in a build with TSan, which does not know librdkafka's C11 threads.
TSAN_OBJECTS := $(if $(findstring tsan,$(VARIANT)),$(call objects,$(TSAN_SRC)))

BIN := $(B)/bin
PROGRAMS := athena-query-receiver athena-query-executor athena-query-redriver
STANDINS := athena-sim dev-broker
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(UNIT_SRC))
MAN_PAGES := $(PROGRAMS:%=$(B)/man/%.8)
MAN_DATE = $(shell LC_ALL=C date -u $(if $(SOURCE_DATE_EPOCH),-d @$(SOURCE_DATE_EPOCH)) '+%B %-d, %Y')
UNITS := $(PROGRAMS:%=$(B)/systemd/%.service)
ENV_FILES := $(wildcard deploy/systemd/*.env)
TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(TOOL_SRC))

all: $(PROGRAMS:%=$(BIN)/%) $(STANDINS:%=$(BIN)/%) ## build the programs and stand-ins into build/bin (VARIANT=asan|tsan, WERROR=1, CC=clang)

# --- Rules --------------------------------------------------------------------------------------

$(BIN)/athena-query-receiver: $(call objects,$(RECEIVER_SRC))
$(BIN)/athena-query-executor: $(call objects,$(EXECUTOR_SRC))
$(BIN)/athena-query-redriver: $(call objects,$(REDRIVER_SRC))
$(BIN)/athena-sim: $(call objects,$(SIM_SRC))
$(BIN)/dev-broker: $(call objects,$(DEV_BROKER_SRC))

$(PROGRAMS:%=$(BIN)/%) $(STANDINS:%=$(BIN)/%): $(COMMON_LIB) $(TSAN_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(COMMON_LIB) $(LIB_LIBS) -lm

$(UNIT_TESTS): $(B)/tests/unit/%: $(O)/tests/unit/%.o $(PARTS_LIB) $(COMMON_LIB) $(TSAN_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(PARTS_LIB) $(COMMON_LIB) -lcmocka $(LIB_LIBS) -lm

$(TOOLS): $(B)/tests/tools/%: $(O)/tests/tools/%.o $(PARTS_LIB) $(COMMON_LIB) $(TSAN_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(PARTS_LIB) $(COMMON_LIB) $(LIB_LIBS) -lm

$(COMMON_LIB): $(call objects,$(COMMON_SRC))
$(PARTS_LIB): $(call objects,$(PARTS_SRC))
$(COMMON_LIB) $(PARTS_LIB):
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) qcs $@ $(filter %.o,$^)

$(O)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(COMPILE) -DVERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

# A file that a program carries: FILE's bytes as `#include "FILE.inc"` within a list of bytes.
$(O)/%.inc: %
	@mkdir -p $(@D)
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' > $@
$(O)/receiver/api/openapi.o: $(O)/receiver/api/openapi.json.inc

# Other flags make other objects; another version only those that name it.
FORCE:
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK)' | cmp -s - $@ || echo '$(COMPILE) $(LINK)' > $@
$(B)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(call objects,$(shell grep -lw VERSION $(ALL_SRC) /dev/null)): $(B)/version

-include $(patsubst %.o,%.d,$(call objects,$(ALL_SRC)))

# --- Install ------------------------------------------------------------------------------------

deps: ## install what the build needs from the system's package manager
	deploy/install-packages build

install: $(PROGRAMS:%=$(BIN)/%) $(MAN_PAGES) ## install the programs and their manual pages under $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 0755 $(PROGRAMS:%=$(BIN)/%) $(DESTDIR)$(PREFIX)/bin
	install -m 0644 $(MAN_PAGES) $(DESTDIR)$(PREFIX)/share/man/man8

install-standins: $(STANDINS:%=$(BIN)/%) ## install athena-sim and dev-broker beside them, to try things out
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $^ $(DESTDIR)$(PREFIX)/bin

# Files of the configuration that exist stay as they are.
install-systemd: $(UNITS) ## install the units, user and configuration files for systemd
	install -d $(addprefix $(DESTDIR)$(PREFIX)/lib/,systemd/system sysusers.d tmpfiles.d) \
	  $(DESTDIR)$(SYSCONFDIR)/athena-query
	install -m 0644 $(UNITS) $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0644 -T deploy/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/athena-query.conf
	install -m 0644 -T deploy/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/athena-query.conf
	@for f in $(ENV_FILES); do to=$(DESTDIR)$(SYSCONFDIR)/athena-query/$${f##*/}; \
	  [ -e "$$to" ] || install -m 0640 "$$f" "$$to"; done

uninstall: ## remove what these three have installed, but for $(SYSCONFDIR)/athena-query
	rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%) $(STANDINS:%=$(DESTDIR)$(PREFIX)/bin/%) \
	  $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/share/man/man8/%.8) \
	  $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/lib/systemd/system/%.service) \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/athena-query.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/athena-query.conf

man: $(MAN_PAGES) ## make the manual pages, build/man
units: $(UNITS)

$(MAN_PAGES): $(B)/man/%.8: $(BIN)/% deploy/man/%.8.in deploy/man/from-help.awk
	@mkdir -p $(@D)
	$(call say,MAN )
	$(Q)$< --help > $@.help
	$(Q)awk -v page=deploy/man/$*.8.in -v date='$(MAN_DATE)' -f deploy/man/from-help.awk < $@.help > $@

$(UNITS): $(B)/systemd/%: deploy/systemd/%.in FORCE
	@mkdir -p $(@D)
	$(Q)sed 's,@BINDIR@,$(PREFIX)/bin,; s,@SYSCONFDIR@,$(SYSCONFDIR),' $< > $@

deb: ## make a Debian package of HEAD, build/deb (DEB_VERSION); needs debhelper
	deploy/debian/make-deb '$(DEB_VERSION)'

# --- Try and test -------------------------------------------------------------------------------

test: ## install what is missing, build, and run every test against a real Apache Kafka
	@deploy/install-packages build test
	@+VARIANT='$(VARIANT)' MAKE='$(MAKE)' tests/run unit system

test-unit: ## the unit tests
	@+VARIANT='$(VARIANT)' MAKE='$(MAKE)' tests/run unit

test-system: ## the system tests only (PYTEST_ARGS='-k name')
	@+VARIANT='$(VARIANT)' MAKE='$(MAKE)' tests/run system

# What the tests run, built; tests/run asks for these.
unit-tests: $(UNIT_TESTS)
system-tests: all $(TOOLS) build/venv/ready build/kafka/ready

build/venv/ready: tests/requirements.txt
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

build/kafka/ready: tests/kafka/pom.xml
	rm -rf $(@D)
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)/libs
	@touch $@

deploy-tools: ## get what looks at deploy/ into build/tools: promtool, cfn-lint, helm (needs go, takes minutes)
	tests/deploy/tools

test-compose: ## docker compose up, a query through it, and down again
	tests/compose/run

demo: ## the pipeline on this machine, with a burst over the quota; ends by itself
	@deploy/install-packages build demo
	@+$(MAKE) -j"$$(nproc)" all
	@deploy/demo

run: ## the pipeline on this machine until Ctrl-C
	@deploy/install-packages build demo
	@+$(MAKE) -j"$$(nproc)" all
	@deploy/demo --run

chaos: system-tests ## faults on the whole pipeline (CHAOS_SEED, CHAOS_SECONDS=300, CHAOS_ROUNDS, CHAOS_DEPTH=2, CHAOS_FAULTS)
	@VARIANT='$(VARIANT)' tests/chaos/run $(CHAOS_ARGS)

SIGN_BENCH := $(B)/tests/tools/sign_bench

RECEIVER_PEERS := $(B)/tests/tools/http_peer $(B)/tests/tools/producer_peer

bench: all $(SIGN_BENCH) $(RECEIVER_PEERS) build/venv/ready build/kafka/ready ## measure throughput and latency on this machine
	@echo "signing: StartQueryExecution, ours beside curl's own"
	$(SIGN_BENCH)
	tests/bench/run burst --scenario wide wide-four wide-ten wide-rate four-even --runs 1 --no-peers
	tests/bench/run receiver $(if $(BENCH_JSON),--json $(BENCH_JSON))
	tests/bench/run redrive

instructions: all build/venv/ready build/kafka/ready ## fail where a request, a start or a redriven record takes over 5 % more instructions than tests/bench/instructions.json says
	tests/bench/instructions --check tests/bench/instructions.json

bench-burst: all build/venv/ready build/kafka/ready build/bench-venv/ready ## bursts over the quota, beside today's clients (BENCH_ARGS='--scale 0.2')
	tests/bench/run burst $(BENCH_ARGS)

STATUS_HISTORY := $(B)/tests/tools/status_history

bench-catch-up: all $(STATUS_HISTORY) build/venv/ready build/kafka/ready ## starts with a long past beside a bare consumer (BENCH_ARGS='--records 1000000 10000000')
	tests/bench/run catch_up $(BENCH_ARGS)

build/bench-venv/ready: tests/bench/requirements.txt
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

# --- Care ---------------------------------------------------------------------------------------

# The pinned one, where the tests' environment is there; else the system's.
CLANG_FORMAT ?= $(firstword $(wildcard build/venv/bin/clang-format) clang-format)
FORMATTED = $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)

format: ## clang-format every source
	$(CLANG_FORMAT) -i $(FORMATTED)

format-check: ## fail where clang-format would change something
	$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)

lint: ## the structure of the sources, and cppcheck where it is installed
	@tests/check-structure
	@if command -v cppcheck >/dev/null; then \
	  cppcheck --std=c11 --enable=warning,portability,performance --inline-suppr --quiet \
	    --suppress=missingIncludeSystem --error-exitcode=1 -I. -D_GNU_SOURCE \
	    common receiver executor redriver standins; \
	else echo 'lint: cppcheck is not installed, nothing was checked'; fi

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r t m; \
	  do printf '  make %-16s %s\n' "$$t" "$$m"; done

.PHONY: all bench bench-burst bench-catch-up chaos clean deb demo deploy-tools deps FORCE format format-check help install install-standins \
  install-systemd lint man run \
  system-tests test test-compose test-system test-unit uninstall unit-tests units
