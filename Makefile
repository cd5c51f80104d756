# Everything a developer runs; "make help" lists it.  What is missing on the
# machine (Debian packages, .venv, the built extension) is set up on the way.

Q = $(if $(V),,@)
PY = .venv/bin/python
# JSONRPCC_SAN=address,undefined or thread builds the extension with sanitizers,
# whose runtime has to be the first library that Python loads.
RUN = $(if $(JSONRPCC_SAN),ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$(shell $(CC) \
      -print-file-name=lib$(if $(filter thread,$(JSONRPCC_SAN)),t,a)san.so)) $(PY)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
FUZZ_SECONDS ?= 60
OBJCOPY ?= objcopy
SAN ?= address,undefined

# Asked when a recipe runs, so that set-up can come first.
SONAME = libjsonrpcc.so.0
FILL = sed -e 's|@VERSION@|$(VERSION)|' -e 's|@SONAME@|$(SONAME)|' -e 's|@PREFIX@|$(PREFIX)|' \
       -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
       -e 's|@TLS_REQUIRES@|$(TLS_REQUIRES)|' -e 's|@TLS_MODULES@|$(TLS_MODULES)|' \
       -e "s|@INCLUDE_FROM_LIB@|$$(realpath -m --relative-to='$(LIBDIR)' '$(INCLUDEDIR)')|"
VERSION = $(shell sed -n 's/^.define JSONRPCC_VERSION "\(.*\)"/\1/p' csrc/jsonrpcc.h)
PY_INCLUDE = $(shell $(PY) -c 'import sysconfig; print(sysconfig.get_path("include"))')
# With TLS if there is OpenSSL; JSONRPCC_TLS=no leaves it out, yes insists on it.
TLS = $(if $(filter no,$(JSONRPCC_TLS)),,$(shell pkg-config --exists 'libssl >= 3.0' && echo libssl libcrypto))
PKGS = libevent_core json-c $(or $(TLS),$(if $(filter yes,$(JSONRPCC_TLS)),libssl libcrypto))
PKG_CFLAGS = $(if $(filter libssl,$(PKGS)),-DJRC_TLS) $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS))
TLS_REQUIRES = $(if $(filter libssl,$(PKGS)),$(comma) libssl >= 3.0$(comma) libcrypto >= 3.0)
TLS_MODULES = $(if $(filter libssl,$(PKGS)), "libssl>=3.0" "libcrypto>=3.0")

STD = -std=gnu11 -pthread -fvisibility=hidden -Icsrc -Werror=implicit-function-declaration
# Inlining across files saves a tenth of a call's instructions.
LTO = $(if $(findstring clang,$(CC)),,-flto=auto)
HARDEN = -O2 $(LTO) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
WARN = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
       -Wmissing-prototypes -Wundef -Wvla -Werror
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:suppressions=$(CURDIR)/tests/tsan.supp:suppressions=$(CURDIR)/tests/tsan.supp
SAN_FLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all) -fno-omit-frame-pointer -O1 -g

comma = ,
OUT = build/$(if $(SAN),$(subst $(comma),-,$(subst address$(comma)undefined,asan,$(SAN))),plain)
LAYERS = wire engine io client api
CORE = $(patsubst csrc/%.c,%,$(wildcard $(LAYERS:%=csrc/%/*.c)))
# In tests/c, what needs OpenSSL as well.
TLS_TESTS = $(if $(filter libssl,$(PKGS)),,$(wildcard tests/c/test_tls*.c tests/c/tls_*.c tests/c/certificates.c))
C_TESTS = $(filter-out $(TLS_TESTS),$(wildcard tests/c/*.c))
C_FILES = $(wildcard csrc/*.[ch] $(LAYERS:%=csrc/%/*.[ch]) tests/c/*.h) $(C_TESTS) $(wildcard tests/programs/adding.c tests/programs/grown.c examples/c/*.[ch] examples/cluster/*.[ch])
PY_C_FILES = $(wildcard csrc/python/*.[ch] tests/consumer/consumer/*.[ch])

# Programs in tests/c: test_*.c, fuzz_*.c with fuzz_driver.c, jsontestsuite.c.
# What else lies there is for them to use; an archive gives each what it needs.
TESTS = $(sort $(patsubst tests/c/%.c,%,$(filter tests/c/test_%.c,$(C_TESTS))))
FUZZERS = $(filter-out fuzz_driver,$(sort $(patsubst tests/c/%.c,%,$(wildcard tests/c/fuzz_*.c))))
SUITE = $(patsubst tests/c/%.c,%,$(wildcard tests/c/jsontestsuite.c))
# Those that need neither a socket nor a library, and what they are linked with.
PURE = $(filter wire/% engine/%,$(CORE))
PURE_TESTS = test_decimal test_netstring test_json_scan test_json_short test_json_members test_json_scan_portable test_request \
             test_response test_inbox test_outbox test_call_table test_servers test_servers_doubt test_proof \
             test_server_states test_servers_parse test_servers_set test_changes test_balance test_subset test_spares \
             test_engine test_engine_output test_engine_servers test_suspect
# Those that also run with clients that share one event thread.
SHARED_TESTS = test_api test_api_queue test_bulk test_callback_time test_close test_close_trouble test_corked test_deadlines \
               test_descriptors test_events test_fork test_fork_callback test_given test_hello_calls test_host test_host_chaos \
               test_host_end test_host_events test_list_changes test_one_consumer test_ready test_room test_stack \
               test_starvation test_stats test_threads test_torture_fork
PROGRAMS = $(TESTS) $(FUZZERS) $(SUITE)
HELPERS = $(filter-out $(PROGRAMS) fuzz_driver,$(C_TESTS:tests/c/%.c=%))

help: ## list these targets (the default)
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo "Variables: PYTHON=python3.12  ARGS='-k name' (to pytest)  SAN=thread  PREFIX=/usr  DESTDIR=/tmp/x  V=1"

dev: venv-dev ## set up everything: .venv, the built package, tools to test, lint, document

demo: venv ## real requests to three servers, with failover before your eyes
	@$(RUN) examples/demo.py

test: $(if $(ARGS),,test-c) venv ## all tests: C under sanitizers, then pytest; with ARGS pytest alone
	$(RUN) -m pytest $(ARGS)

test-c: $(addprefix run-,$(TESTS) $(FUZZERS) $(SHARED_TESTS:%=shared_%)) run-jsontestsuite ## only the C tests; SAN=thread for TSan

test-c32: $(PURE_TESTS:%=run32-%) ## the C tests of bytes and state for 32 bits; needs gcc-multilib
	$(CC) -m32 $(STD) -O2 $(WARN) -Wno-psabi $(filter-out -DJRC_TLS,$(PKG_CFLAGS)) -fsyntax-only $(CORE:%=csrc/%.c)

lint: venv-lint ## ruff, mypy --strict, clang-format, compiler warnings as errors
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy --strict jsonrpcc pytest_jsonrpcc.py bench
	.venv/bin/clang-format --dry-run --Werror $(C_FILES) $(PY_C_FILES)
	$(CC) $(STD) -O2 $(WARN) $(PKG_CFLAGS) -fsyntax-only $(filter-out %/loop_uv.c %/loop_glib.c,$(filter %.c,$(C_FILES)))
	$(CC) $(STD) -O2 $(filter-out -Wmissing-prototypes,$(WARN)) $(PKG_CFLAGS) -Icsrc/python -isystem $(PY_INCLUDE) -fsyntax-only $(filter %.c,$(PY_C_FILES))

fmt: venv-lint ## format Python and C, mend what ruff can mend
	$(PY) -m ruff check --fix-only
	$(PY) -m ruff format
	.venv/bin/clang-format -i $(C_FILES) $(PY_C_FILES)

lib: build/libjsonrpcc.a build/libjsonrpcc.so ## the C library in build/, static and shared

install: lib ## header, libraries, .pc and CMake files to PREFIX (under DESTDIR)
	install -d $(addprefix $(DESTDIR),$(INCLUDEDIR) $(LIBDIR)/pkgconfig $(LIBDIR)/cmake/jsonrpcc)
	install -m 644 csrc/jsonrpcc.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 build/libjsonrpcc.a $(DESTDIR)$(LIBDIR)
	install -m 755 build/$(SONAME) $(DESTDIR)$(LIBDIR)/libjsonrpcc.so.$(VERSION)
	ln -sf libjsonrpcc.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libjsonrpcc.so
	$(FILL) csrc/jsonrpcc.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/jsonrpcc.pc
	$(FILL) csrc/jsonrpcc-config.cmake.in >$(DESTDIR)$(LIBDIR)/cmake/jsonrpcc/jsonrpcc-config.cmake
	$(FILL) csrc/config-version.cmake.in >$(DESTDIR)$(LIBDIR)/cmake/jsonrpcc/jsonrpcc-config-version.cmake
	$(if $(DESTDIR),,@echo "installed; ldconfig, as root, tells the dynamic linker of $(LIBDIR)")

abi: venv ## whether programs built on the last release still run
	@scripts/setup.sh command abidiff abigail-tools
	$(PY) scripts/abi.py check $(SONAME)

abi-update: venv ## describe the ABI anew, when a release is made
	@scripts/setup.sh command abidw abigail-tools
	$(PY) scripts/abi.py update $(SONAME)

fuzz: system ## fuzz each target for FUZZ_SECONDS, by libFuzzer where clang has it
	scripts/fuzz.sh '$(FUZZ_SECONDS)' $(FUZZERS)

coverage: venv-coverage ## what the tests run of csrc/; what they do not needs a reason
	$(PY) scripts/coverage.py $(ARGS)

mutate: venv ## break the core in small ways, and see that its tests notice
	$(PY) scripts/mutate.py $(ARGS)

bench: venv-bench ## measure against rivals
	$(PY) -m bench $(ARGS)

growth: venv-bench ## measure how the cost of a call grows: calls in flight, servers, sizes
	$(PY) -m bench.growth $(ARGS)

instructions: venv-bench ## count the instructions of a call, by valgrind, against bench/instructions.json
	@scripts/setup.sh command valgrind valgrind
	$(PY) -m bench.instructions $(ARGS)

cluster: venv-cluster ## 24 workers and servers that come, go and die, in namespaces; four minutes
	@scripts/setup.sh cluster
	$(RUN) examples/cluster

soak: soak-tools ## the long tests in stages; writes docs/reliability.md
	JSONRPCC_PEERS=required $(RUN) -m tests.soak $(ARGS)

docs: venv-docs ## the documentation site, in build/docs
	$(PY) -m sphinx -E -W --keep-going -b html docs build/docs

dist: venv-dist ## sdist, and the wheel built from it, repaired and checked, in dist/
	rm -rf dist build/dist
	JSONRPCC_TLS=static $(PY) -m build --outdir build/dist
	rm -rf *.egg-info # stale metadata beside the sources would be found first
	PATH="$(CURDIR)/.venv/bin:$$PATH" && auditwheel repair --only-plat -w build/dist/repaired build/dist/*.whl && \
	    python scripts/finish_wheel.py build/dist/repaired/*.whl dist
	cp build/dist/*.tar.gz dist
	$(PY) -m twine check --strict dist/*
	.venv/bin/abi3audit --strict dist/*.whl

test-dist: dist venv ## the wheel in empty environments, and packages built on it
	JSONRPCC_WHEEL="$$(ls $(CURDIR)/dist/*.whl)" $(PY) -m pytest tests/packaging/test_wheel.py tests/packaging/test_consumer.py $(ARGS)

clean: ## remove all that make made, .venv included
	rm -rf build dist .venv *.egg-info .*_cache .hypothesis .eggs jsonrpcc/_*.so jsonrpcc/include jsonrpcc/share
	find . -name __pycache__ -prune -exec rm -rf {} +

# --- set-up

system:
	@scripts/setup.sh system
print-%: # for scripts and tests: the value of a variable
	@echo $($*)
library: # what make lib needs is asked for, and not installed
	@scripts/setup.sh library
soak-tools: peers venv-docs
	@scripts/setup.sh soak
peers: venv
	@scripts/setup.sh peers
venv: venv-test
venv-%: system
	@scripts/setup.sh venv $*

# --- the library

define compile
@mkdir -p $(@D)
@echo "  CC  $@"
$(Q)$(CC) $(STD) $1 -MMD -MP $(PKG_CFLAGS) -c $< -o $@
endef

build/lib/%.o: csrc/%.c Makefile | library
	$(call compile,$(HARDEN) -DNDEBUG -fPIC $(CFLAGS))

# One object: optimized here and not by those who link it, and what is hidden
# is out of their sight as well.
build/lib/all.o: $(CORE:%=build/lib/%.o)
	@echo "  LD  $@"
	$(Q)$(CC) -O2 $(LTO) $(if $(LTO),-flinker-output=nolto-rel) -r -nostdlib $^ -o $@
	$(Q)$(OBJCOPY) --localize-hidden $@

build/libjsonrpcc.a: build/lib/all.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# -Bsymbolic: a copy in the host program, of any version, is not called instead.
build/$(SONAME): $(CORE:%=build/lib/%.o)
	@echo "  LD  $@"
	$(Q)$(CC) -O2 $(LTO) -shared -pthread -Wl,-soname,$(@F),-Bsymbolic,-z,relro,-z,now,-z,defs $(LDFLAGS) $^ $(PKG_LIBS) -o $@

build/libjsonrpcc.so: build/$(SONAME)
	ln -sf $(<F) $@

# --- C tests, once per SAN

$(OUT)/%.o: csrc/%.c Makefile | system
	$(call compile,$(SAN_FLAGS))

$(OUT)/c/%.o: tests/c/%.c Makefile | system
	$(call compile,$(SAN_FLAGS))

$(OUT)/used.a: $(CORE:%=$(OUT)/%.o) $(HELPERS:%=$(OUT)/c/%.o)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(addprefix $(OUT)/,$(FUZZERS)): $(OUT)/c/fuzz_driver.o
$(addprefix $(OUT)/,$(PROGRAMS)): $(OUT)/%: $(OUT)/c/%.o $(OUT)/used.a
	@echo "  LD  $@"
	$(Q)$(CC) -pthread $(SAN_FLAGS) $(filter %.o,$^) $(OUT)/used.a $(PKG_LIBS) -o $@

$(addprefix $(OUT)/shared_,$(TESTS)): $(OUT)/shared_%: $(OUT)/c/%.o $(OUT)/used.a
	@echo "  LD  $@"
	$(Q)$(CC) -pthread $(SAN_FLAGS) $< $(OUT)/used.a -Wl,--wrap=jsonrpcc_client_new $(PKG_LIBS) -o $@

run-%: $(OUT)/%
	$<

# Without sanitizers, and without the libraries, of which few have 32 bits.
build/m32/%.o: csrc/%.c Makefile | system
	$(call compile,-m32 $(WARN) -Wno-psabi -O1 -g)

build/m32/c/%.o: tests/c/%.c Makefile | system
	$(call compile,-m32 -O1 -g)

build/m32/pure.a: $(PURE:%=build/m32/%.o) build/m32/c/rig.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(PURE_TESTS:%=build/m32/%): build/m32/%: build/m32/c/%.o build/m32/pure.a
	@echo "  LD  $@"
	$(Q)$(CC) -m32 -pthread $^ -o $@

run32-%: build/m32/%
	$<

run-jsontestsuite: $(SUITE:%=$(OUT)/%)
	@if [ -z "$<" ] || [ ! -d ../shared/jsontestsuite/test_parsing ]; then \
	    echo "jsontestsuite: skipped, no ../shared/jsontestsuite/test_parsing"; \
	else $< ../shared/jsontestsuite/test_parsing; fi

-include $(wildcard build/m32/*.d build/m32/*/*.d build/lib/*.d build/lib/*/*.d $(OUT)/*.d $(OUT)/*/*.d)

.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: help dev demo test test-c test-c32 lint fmt lib install abi abi-update fuzz coverage mutate bench growth instructions cluster soak soak-tools peers docs dist test-dist clean system library venv
