# rhnas: plain make, a C++17 compiler and nothing else. `make help` lists the targets.

BUILD ?= build
CXX ?= g++
# -ffp-contract=off: the same bits everywhere; fused multiply-add only where a kernel asks for it.
OPT ?= -O2
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
BASE_FLAGS = -std=c++17 $(OPT) -ffp-contract=off -pthread -I. $(WARN) $(EXTRA)
# Nothing is thrown, so nothing is unwound: the tables would be a twentieth of the program.
LIB_FLAGS = $(BASE_FLAGS) -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables
# A program takes of the library what it calls.
DROP_UNUSED = $(if $(filter Darwin,$(shell uname -s)),-Wl$(comma)-dead_strip,-Wl$(comma)--gc-sections)
comma = ,
# The program alone: at a fixed address it needs no table of relocations, in one segment no padding
# (35 KB).
SMALL_PROGRAM = $(if $(SAN),,$(if $(filter Linux,$(shell uname -s)),-no-pie -Wl$(comma)-z$(comma)noseparate-code))
LINK_FLAGS = -pthread $(DROP_UNUSED) $(EXTRA_LINK)
ifneq ($(SAN),)
  OPT = -O1 -g -fno-omit-frame-pointer
  # vptr needs run-time type information, which the library is built without.
  BASE_FLAGS += -fsanitize=$(SAN) -fno-sanitize=vptr -fno-sanitize-recover=all
  LINK_FLAGS += -fsanitize=$(SAN)
  override BUILD := $(BUILD)-$(SAN)
endif

ROOMS = engine nn hw rl search
SOURCES_engine = $(wildcard engine/*.cc engine/simd/*.cc)
SOURCES_nn = $(wildcard nn/*.cc)
SOURCES_hw = $(wildcard hw/*.cc)
SOURCES_rl = $(wildcard rl/*.cc)
SOURCES_search = $(filter-out search/main.cc,$(wildcard search/*.cc))
SOURCES = $(foreach room,$(ROOMS),$(SOURCES_$(room)))
TEST_SOURCES = $(wildcard tests/*_test.cc)
objects = $(patsubst %.cc,$(BUILD)/obj/%.o,$(1))
# What a room's tests may link: who knows whom, enforced by the linker.
NEEDS_engine = engine
NEEDS_nn = nn engine
NEEDS_hw = hw
NEEDS_rl = rl engine
NEEDS_search = search nn hw rl engine

all: $(BUILD)/rhnas $(BUILD)/librhnas.a ## build the program and the library

$(BUILD)/librhnas.a: $(call objects,$(SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/rhnas: $(call objects,search/main.cc) $(BUILD)/librhnas.a
	$(CXX) -o $@ $^ $(LINK_FLAGS) $(SMALL_PROGRAM) $(PROGRAM_LTO)

$(BUILD)/obj/tests/%.o: tests/%.cc
	@mkdir -p $(@D)
	$(CXX) $(BASE_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/bench/%.o: bench/%.cc
	@mkdir -p $(@D)
	$(CXX) $(BASE_FLAGS) -MMD -MP -c -o $@ $<

# The wiring, the command line and what reads, writes and describes compute next to nothing: half the
# size. (Not where a sanitizer or the caller chose another level.) CMakeLists.txt has the same list of
# what is hot.
HOT = $(addsuffix .cc,$(addprefix engine/,conv_block \
  conv_depthwise conv_depthwise_filter conv_depthwise_rows ops_pool \
  optimizer random small_product threads simd/conv_kernels simd/outer_kernels simd/small_product) \
  $(addprefix nn/,fine_tune graph_kernels int_program loader) \
  $(addprefix hw/,energy schedule schedule_fit schedule_pixels schedule_sum \
  schedule_time tiling_activity tiling_search timing unit_timing))
COLD = $(filter-out $(HOT),$(SOURCES)) search/main.cc
ifeq ($(OPT),-O2)
$(call objects,$(COLD)): OPT = -Os
# The same code is optimised once more over all files when the program is linked, for another 100 KB.
# Kernels stay out: they are compiled for several instruction sets, and what they are should not
# depend on a linker. `make LTO=` links in a second instead of half a minute; `make test` always does.
LTO ?= $(if $(findstring clang,$(CXX))$(filter Darwin,$(shell uname -s)),,-flto=auto)
endif
ifneq ($(LTO),)
$(call objects,$(filter-out engine/simd/%,$(COLD))): \
  EXTRA += -flto -ffat-lto-objects
PROGRAM_LTO = $(LTO) -flto-partition=one -Os
NO_LTO = -fno-lto
endif

# Register tiles are long: room between their loops is only length.
ifeq ($(findstring clang,$(CXX)),)
$(call objects,$(wildcard engine/simd/*.cc)): \
  EXTRA += -fno-align-jumps -fno-align-labels -fno-align-loops
endif

# The commit stands in one object, rebuilt when it changes.
$(BUILD)/obj/search/version.o: EXTRA += $(if $(COMMIT),-DRHNAS_COMMIT='"$(COMMIT)"')
$(BUILD)/obj/search/version.o: $(BUILD)/commit
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
FORCE:

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(LIB_FLAGS) -MMD -MP -c -o $@ $<

run: $(BUILD)/rhnas ## the main job: a joint search on the embedded default, under 2 minutes on 2 cores
	$(BUILD)/rhnas search

deps: ## install what the tests need (GoogleTest), if it is missing
	@sh tests/install_deps.sh $(CXX)

# --- Tests ---

# `make -j deps test`: nothing of the tests is compiled before deps is done.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
$(call objects,$(TEST_SOURCES)): | deps
endif

RHNAS_TESTS = RHNAS_PROGRAM=$(BUILD)/rhnas $(BUILD)/rhnas_tests

$(BUILD)/rhnas_tests: $(call objects,$(TEST_SOURCES)) $(BUILD)/librhnas.a
	$(CXX) -o $@ $^ -lgtest -lgtest_main $(LINK_FLAGS) $(NO_LTO)

test: $(BUILD)/rhnas_tests $(BUILD)/rhnas ## all quick tests; FILTER=pattern narrows them
	$(RHNAS_TESTS) --gtest_brief=1 --gtest_filter='$(or $(FILTER),*):-Slow*'

test-slow: $(BUILD)/rhnas_tests $(BUILD)/rhnas ## the tests that take over 10 s each
	$(RHNAS_TESTS) --gtest_brief=1 --gtest_filter='Slow*'

$(BUILD)/$(ROOM)_tests: $(call objects,$(wildcard tests/$(ROOM)_*_test.cc $(if $(filter search,$(ROOM)),tests/program_*_test.cc))) $(call objects,$(foreach room,$(NEEDS_$(ROOM)),$(SOURCES_$(room))))
	$(CXX) -o $@ $^ -lgtest -lgtest_main $(LINK_FLAGS) $(NO_LTO)

test-room: $(BUILD)/$(ROOM)_tests ## tests of one folder: make test-room ROOM=hw; links only what it may know
	RHNAS_PROGRAM=$(BUILD)/rhnas $(BUILD)/$(ROOM)_tests --gtest_brief=1 $(if $(FILTER),--gtest_filter='$(FILTER)')

# --- Benchmarks ---

BENCHES = $(patsubst bench/%.cc,$(BUILD)/%,$(wildcard bench/bench_*.cc))
# These use Google Benchmark. The others, which bench/compare runs beside the peers, need nothing.
GOOGLE_BENCHES = $(patsubst %,$(BUILD)/bench_%,agents hw ops)
PLAIN_BENCHES = $(filter-out $(GOOGLE_BENCHES),$(BENCHES))
$(GOOGLE_BENCHES): BENCH_LIBRARY = -lbenchmark
$(BENCHES): $(BUILD)/bench_%: $(BUILD)/obj/bench/bench_%.o $(BUILD)/librhnas.a
	$(CXX) -o $@ $^ $(BENCH_LIBRARY) $(LINK_FLAGS) $(NO_LTO)

bench: $(PLAIN_BENCHES) $(BUILD)/rhnas ## build the benchmarks; bench/compare runs them beside their peers
	@printf '#include <benchmark/benchmark.h>\n' | $(CXX) -E -x c++ - >/dev/null 2>&1 || \
	  { echo "built: $(PLAIN_BENCHES:$(BUILD)/%=%)"; \
	    echo "not built: $(GOOGLE_BENCHES:$(BUILD)/%=%): they need Google Benchmark; install libbenchmark-dev (or your system's name for it)"; exit 1; }
	$(MAKE) $(GOOGLE_BENCHES)

# --- House-keeping ---

format: ## format all sources
	clang-format -i $$(git ls-files '*.cc' '*.h' '*.inl')

check-format: ## fail if a file is not formatted
	@clang-format --dry-run -Werror $$(git ls-files '*.cc' '*.h' '*.inl')

PREFIX ?= /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share
install: all ## install program, library, headers, manual page and completions under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(SHARE)/man/man1 \
	  $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	install -m 755 $(BUILD)/rhnas $(DESTDIR)$(PREFIX)/bin/
	$(BUILD)/rhnas help --man >$(SHARE)/man/man1/rhnas.1
	$(BUILD)/rhnas help --completion bash >$(SHARE)/bash-completion/completions/rhnas
	$(BUILD)/rhnas help --completion zsh >$(SHARE)/zsh/site-functions/_rhnas
	$(BUILD)/rhnas help --completion fish >$(SHARE)/fish/vendor_completions.d/rhnas.fish
	install -m 644 $(BUILD)/librhnas.a $(DESTDIR)$(PREFIX)/lib/
	for file in $$(ls $(ROOMS:%=%/*.h) engine/simd/*.h engine/simd/*.inl | grep -v _internal.h); do \
	  install -d $(DESTDIR)$(PREFIX)/include/rhnas/$$(dirname $$file) && \
	  install -m 644 $$file $(DESTDIR)$(PREFIX)/include/rhnas/$$file || exit 1; done

clean: ## remove the build folder
	rm -rf $(BUILD)

help: ## this list
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16
	@echo "Settings: CXX=clang++  BUILD=folder  OPT='-O2'  SAN=address|undefined|thread  FILTER=pattern  ROOM=folder"

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: all run deps test test-slow test-room bench format check-format install clean help FORCE
