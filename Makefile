# rhnas: plain make, a C++17 compiler and nothing else. `make help` lists the targets.
#
# Settings: CXX, CXXFLAGS_EXTRA, BUILD (folder), SAN=address|undefined|thread, FILTER (gtest filter),
# ROOM (one folder's tests: engine nn hw rl search).

BUILD ?= build
# Optimisation and warnings. -ffp-contract=off: the same bits everywhere; fused multiply-add only where a
# kernel asks for it.
OPT ?= -O2 -g1
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion
BASE_FLAGS = -std=c++17 $(OPT) -ffp-contract=off -pthread -I. $(WARN) $(CXXFLAGS_EXTRA)
LIB_FLAGS = $(BASE_FLAGS) -fno-exceptions -fno-rtti -fvisibility=hidden
TEST_FLAGS = $(BASE_FLAGS)
LINK_FLAGS = -pthread $(LDFLAGS_EXTRA)
ifdef SAN
  BASE_FLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
  LINK_FLAGS += -fsanitize=$(SAN)
  BUILD := $(BUILD)-$(SAN)
endif

ROOMS = engine nn hw rl search
SOURCES_engine = $(wildcard engine/*.cc engine/simd/*.cc)
SOURCES_nn = $(wildcard nn/*.cc)
SOURCES_hw = $(wildcard hw/*.cc)
SOURCES_rl = $(wildcard rl/*.cc)
SOURCES_search = $(filter-out search/main.cc,$(wildcard search/*.cc))
SOURCES = $(foreach room,$(ROOMS),$(SOURCES_$(room)))
objects = $(patsubst %.cc,$(BUILD)/obj/%.o,$(1))
TEST_SOURCES = $(wildcard tests/*_test.cc)
# What a room's tests may link: the picture of who knows whom, enforced by the linker.
NEEDS_engine = engine
NEEDS_nn = nn engine
NEEDS_hw = hw
NEEDS_rl = rl engine
NEEDS_search = search nn hw rl engine

all: $(BUILD)/rhnas $(BUILD)/librhnas.a

$(BUILD)/librhnas.a: $(call objects,$(SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/rhnas: $(call objects,search/main.cc) $(BUILD)/librhnas.a
	$(CXX) -o $@ $^ $(LINK_FLAGS)

$(BUILD)/obj/tests/%.o: tests/%.cc
	@mkdir -p $(dir $@)
	$(CXX) $(TEST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(dir $@)
	$(CXX) $(LIB_FLAGS) -MMD -MP -c -o $@ $<

# Tests of all rooms in one program; of one room, linked only with the rooms it may know.
$(BUILD)/rhnas_tests: $(call objects,$(TEST_SOURCES)) $(BUILD)/librhnas.a
	$(CXX) -o $@ $^ -lgtest -lgtest_main $(LINK_FLAGS)

$(BUILD)/$(ROOM)_tests: $(call objects,$(wildcard tests/$(ROOM)_*_test.cc)) $(call objects,$(foreach room,$(NEEDS_$(ROOM)),$(SOURCES_$(room))))
	$(CXX) -o $@ $^ -lgtest -lgtest_main $(LINK_FLAGS)

test-room: $(BUILD)/$(ROOM)_tests
	$(BUILD)/$(ROOM)_tests --gtest_brief=1 $(if $(FILTER),--gtest_filter='$(FILTER)')

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

clean:
	rm -rf $(BUILD)

.PHONY: all test-room clean
