# SPDX-License-Identifier: BSD-2-Clause
# Weft. `make help` lists the targets. Everything is built below $(BUILD), and nothing is written outside it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
# V=1 shows whole command lines.
Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)	$(2)')

# One job per processor unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
MAKEFLAGS += --no-print-directory
# Every output is made under another name and then renamed, so that a build that was killed leaves nothing half-made.
put = mv -f $@.part $@

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 18

# --- set-up: packages and flags; remade when the list of packages changes --------------------------------------------
NO_SETUP := help clean bench-report bench-compare %.json
ifneq ($(filter-out $(NO_SETUP),$(MAKECMDGOALS)),)
include $(BUILD)/config.mk
endif
PKGS := libndpi libmagic libseccomp libsodium libprotobuf-c jansson yaml-0.1 cmocka
$(BUILD)/config.mk: .ci/packages .ci/setup
	@mkdir -p $(@D)
	@.ci/setup
	@pkg-config --exists --print-errors libdpdk re2 $(PKGS)
	@{ echo "DPDK_CFLAGS := $$(pkg-config --cflags libdpdk | sed 's/-I/-isystem /g')"; \
	   echo "DPDK_LIBS := $$(pkg-config --libs libdpdk)"; \
	   echo "LIB_CFLAGS := $$(pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g')"; \
	   echo "HOST_LIBS := $$(pkg-config --libs libndpi libmagic libseccomp libsodium libprotobuf-c jansson yaml-0.1 re2) -lIPSec_MB -lstdc++ -lm -lpthread"; \
	   echo "CMOCKA_LIBS := $$(pkg-config --libs cmocka)"; } > $@.part
	@$(put)

# --- flags ------------------------------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef
OPT ?= -O2 -g
SAN ?=
# ThreadSanitizer does not see fences; here they order a word that a guest shares, never data between our threads.
# Warnings that follow values through a function are for the build without them. SANITIZED: so is the sandbox, in which nobody
# could report anything.
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DSANITIZED \
	-Wno-format-truncation -Wno-maybe-uninitialized) \
	$(if $(filter thread,$(SAN)),-Wno-tsan)
FORTIFY := $(if $(SAN),,-D_FORTIFY_SOURCE=2)
# weftd is optimised as a whole when it is linked, by gcc; the same objects serve all others as they are, which gcc has to be told.
LTO ?= $(if $(SAN),,$(if $(filter gcc gcc-% cc,$(notdir $(CC))),-flto=auto))
override CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE
# Frame pointers, so that `perf record -g` names who called whom (docs/operations.md).
override CFLAGS += -std=gnu11 $(OPT) $(WARN) -fno-omit-frame-pointer -fno-common -fstack-protector-strong $(FORTIFY) $(SAN_FLAGS)
# C++ only where a library needs it; the same warnings, but for those that C alone has.
CXX_WARN := $(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(WARN)) -Wmissing-declarations
override CXXFLAGS += -std=gnu++17 $(OPT) $(CXX_WARN) -fno-common -fstack-protector-strong $(FORTIFY) $(SAN_FLAGS)
override LDFLAGS += -Wl,-z,relro,-z,now,--as-needed $(SAN_FLAGS) $(if $(LTO),-fno-lto)
# compile: $(call compile,COMPILER AND FLAGS) makes $@ of $< and notes the headers that it needed.
compile = $(Q)$(1) -MMD -MP -MF $@.d -MT $@ -c $< -o $@.part && mv -f $@.d $(@:.o=.d) && $(put)
# Objects are remade when the flags that made them were others.
FLAGS := $(BUILD)/flags
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(LDFLAGS) $(LTO) $(UK_CFLAGS)' | cmp -s - $@ || \
		{ echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(LDFLAGS) $(LTO) $(UK_CFLAGS)' > $@.part; $(put); }
.PHONY: FORCE

# --- generated code and descriptor sets -------------------------------------------------------------------------------
GEN := $(BUILD)/gen
# What the schema compiler reads: protobuf's own descriptors, and the options of buf.validate with what they hold.
DESC_C := $(patsubst %,$(GEN)/google/protobuf/%.pb-c.c,descriptor duration field_mask timestamp)
RULES_C := $(GEN)/buf/validate/validate.pb-c.c
# Weft's own option: messages beside a method that has it include its header; nobody needs its code.
OPTIONS_C := $(GEN)/weft/options.pb-c.c
PLUGIN_PB_C := $(GEN)/google/protobuf/compiler/plugin.pb-c.c
DEMO_PROTO := $(wildcard schemas/demo/*.proto)
# Test schemas that tests hold against protobuf-c. (The others use what protobuf-c cannot.)
TEST_PROTO := $(addprefix tests/schemas/,strict.proto differ.proto differ2.proto)
DEMO_PB_C := $(patsubst %.proto,$(GEN)/%.pb-c.c,$(DEMO_PROTO)) $(GEN)/google/protobuf/empty.pb-c.c
DEMO_WEFT_C := $(patsubst %.proto,$(GEN)/%.weft.c,$(DEMO_PROTO))
DEMO_SET := $(BUILD)/schemas/demo.binpb
# Whatever is compiled waits for all generated headers; what it really includes it names itself, in its .d file.
GEN_H := $(patsubst %.c,%.h,$(DESC_C) $(RULES_C) $(OPTIONS_C) $(PLUGIN_PB_C) $(DEMO_PB_C)) \
	$(patsubst %.proto,$(GEN)/%.pb-c.h,$(TEST_PROTO) bench/order/order.proto)
# generate: $(call generate,INCLUDE FOLDER,FILE) makes FILE's .pb-c.c and .pb-c.h below $(GEN).
define generate
	@mkdir -p $(GEN)/$(basename $(2)).part $(GEN)/$(dir $(2))
	$(call say,PROTOC,$(2))
	$(Q)protoc --c_out=$(GEN)/$(basename $(2)).part -I$(1) $(2)
	@mv -f $(addprefix $(GEN)/$(basename $(2)).part/$(basename $(2)).pb-c,.c .h) $(GEN)/$(dir $(2))
	@rm -rf $(GEN)/$(basename $(2)).part
endef
$(GEN)/google/protobuf/%.pb-c.c $(GEN)/google/protobuf/%.pb-c.h: $(BUILD)/config.mk
	$(call generate,/usr/include,google/protobuf/$*.proto)
$(RULES_C) $(RULES_C:.c=.h) &: schemas/buf/validate/validate.proto $(BUILD)/config.mk
	$(call generate,schemas,buf/validate/validate.proto)
$(OPTIONS_C) $(OPTIONS_C:.c=.h) &: schemas/weft/options.proto $(BUILD)/config.mk
	$(call generate,schemas,weft/options.proto)
$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: %.proto $(BUILD)/config.mk
	$(call generate,. -Ischemas,$<)
# Services as C, by the plugin of ours. Only those who name a NAME.weft.h wait for it: the plugin is compiled before.
PLUGIN := $(BUILD)/bin/protoc-gen-weft
generate_weft = protoc --plugin=protoc-gen-weft=$(PLUGIN) --weft_out=include=guest-lib/method.h:$(1)
$(GEN)/%.weft.c $(GEN)/%.weft.h: %.proto $(PLUGIN)
	@mkdir -p $(GEN)/$*.typed
	$(call say,PROTOC,$< (services))
	$(Q)$(call generate_weft,$(GEN)/$*.typed) -I. -Ischemas $<
	@mv -f $(addprefix $(GEN)/$*.typed/$*.weft,.c .h) $(@D)
	@rm -rf $(GEN)/$*.typed
# descriptor_set: $(call descriptor_set,OPTIONS) makes $@ of the .proto files among the prerequisites.
define descriptor_set
	@mkdir -p $(@D)
	$(call say,PROTOC,$@)
	$(Q)protoc --descriptor_set_out=$@.part --include_imports $(1) $(filter %.proto,$^)
	@$(put)
endef
$(DEMO_SET): $(DEMO_PROTO) $(OPTIONS_C) $(RULES_C) $(BUILD)/config.mk
	$(call descriptor_set,--include_source_info -I. -Ischemas)

# --- objects ----------------------------------------------------------------------------------------------------------
OBJ := $(BUILD)/obj
obj = $(patsubst %,$(OBJ)/%.o,$(basename $(1)))
DPDK_SRCS := fabric/weftd.c fabric/vhost.c
CLI_SRCS := $(wildcard fabric/cli/*.c fabric/cli/*.cc)
FABRIC_SRCS := $(filter-out $(DPDK_SRCS),$(wildcard fabric/*.c))
GUEST_SRCS := $(wildcard guest-lib/*.c)
# What a unikernel gets: all but the Linux process port.
GUEST_CORE_SRCS := $(filter-out %_linux.c,$(GUEST_SRCS))
SCH_SRCS := $(wildcard schemas/*.c schemas/*.cc)
POL_SRCS := $(wildcard policy/*.c)
DPI_SRCS := $(filter-out dpi/weft_dpi.c,$(wildcard dpi/*.c))
LIB_SRCS := $(FABRIC_SRCS) $(POL_SRCS) $(DPI_SRCS) $(SCH_SRCS) $(GUEST_SRCS)

$(OBJ)/%.o: %.c $(BUILD)/config.mk $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) $(XCFLAGS))
$(call obj,$(DPDK_SRCS)): XCFLAGS = $(DPDK_CFLAGS)
# guest-lib is installed as a library: its objects are plain ones.
$(call obj,$(DPDK_SRCS) $(filter-out $(GUEST_SRCS),$(LIB_SRCS))): XCFLAGS += $(if $(LTO),$(LTO) -ffat-lto-objects)
$(OBJ)/schemas/%.o: schemas/%.cc $(BUILD)/config.mk $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(call compile,$(CXX) $(CPPFLAGS) $(CXXFLAGS))
# What needs Google's library is for tools only.
$(OBJ)/fabric/%.o: fabric/%.cc $(BUILD)/config.mk $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(call compile,$(CXX) $(CPPFLAGS) $(CXXFLAGS))
# Generated code is not ours to lint.
$(OBJ)/gen/%.o: $(GEN)/%.c $(BUILD)/config.mk $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) -std=gnu11 $(OPT) $(SAN_FLAGS))
# Ours is.
$(OBJ)/gen/%.weft.o: $(GEN)/%.weft.c $(GEN)/%.weft.h $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS))
GEN_OBJS := $(patsubst $(GEN)/%.c,$(OBJ)/gen/%.o,$(DESC_C) $(RULES_C))
DEMO_GEN_OBJS := $(patsubst $(GEN)/%.c,$(OBJ)/gen/%.o,$(DEMO_PB_C) $(DEMO_WEFT_C))
PLUGIN_SRCS := $(wildcard schemas/plugin/*.c)
$(PLUGIN): $(call obj,$(PLUGIN_SRCS) schemas/precheck.c schemas/oneway.c) \
	$(patsubst $(GEN)/%.c,$(OBJ)/gen/%.o,$(PLUGIN_PB_C) $(GEN)/google/protobuf/descriptor.pb-c.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -lprotobuf-c -o $@.part && $(put)

LIB := $(BUILD)/libweft.a
GUEST_LIB := $(BUILD)/libweft-guest.a
$(LIB): $(call obj,$(LIB_SRCS)) $(GEN_OBJS)
	@rm -f $@.part
	$(call say,AR,$@)
	$(Q)ar rcsP $@.part $^ && $(put)
$(GUEST_LIB): $(call obj,$(GUEST_SRCS))
	@rm -f $@.part
	$(call say,AR,$@)
	$(Q)ar rcsP $@.part $^ && $(put)

WEFTD := $(BUILD)/bin/weftd
WEFT := $(BUILD)/bin/weft
WEFT_DPI := $(BUILD)/bin/weft-dpi
$(WEFTD): $(call obj,$(DPDK_SRCS)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(if $(LTO),$(LTO) $(OPT)) $(filter-out -fno-lto,$(LDFLAGS)) $^ $(DPDK_LIBS) $(HOST_LIBS) -o $@.part && $(put)
$(WEFT_DPI): $(call obj,dpi/weft_dpi.c) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(HOST_LIBS) -o $@.part && $(put)
$(WEFT): $(call obj,$(CLI_SRCS)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) $^ $(HOST_LIBS) -lprotobuf -lpcap -o $@.part && $(put)

# --- unikernel: images of the services ---------------------------------------------------------------------------------
# A service NAME is unikernel/demo/NAME.c or tests/unikernel/service_NAME.c, with what lies in a folder NAME beside it. A
# guest test tests/unikernel/guest_NAME.c brings its own uk_main(). Everything in an image is compiled for it: no
# position independence, frame pointers for the crash report, stack probes because the guard is one page.
UK := $(BUILD)/uk
UK_CFLAGS := -std=gnu11 -O2 -g $(WARN) -fno-common -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	-fno-pic -fno-pie -fno-omit-frame-pointer -fstack-clash-protection -fcf-protection=none \
	-fno-asynchronous-unwind-tables
UK_LIBS := -l:libsodium.a -l:libprotobuf-c.a
UK_KERNEL_SRCS := $(filter-out unikernel/main.c unikernel/process_main.c,$(wildcard unikernel/*.c)) \
	$(wildcard unikernel/*.S)
UK_GUEST_SRCS := $(filter-out guest-lib/%_linux.c,$(GUEST_SRCS))
UK_DEMO_OBJS := $(patsubst $(GEN)/%.c,$(UK)/gen/%.o,$(DEMO_PB_C) $(DEMO_WEFT_C))
uk_obj = $(patsubst %,$(UK)/%.o,$(basename $(1)))
service_srcs = $(1).c $(wildcard $(1)/*.c)
SERVICES := $(basename $(wildcard unikernel/demo/*.c tests/unikernel/service_*.c))
GUEST_TESTS := $(basename $(wildcard tests/unikernel/guest_*.c))
SERVICE_SRCS := $(foreach s,$(SERVICES),$(call service_srcs,$(s)))
$(call obj,$(SERVICE_SRCS)) $(call uk_obj,$(SERVICE_SRCS)): | $(DEMO_WEFT_C:.c=.h)
IMAGES := $(foreach s,$(SERVICES) $(GUEST_TESTS),$(BUILD)/images/$(notdir $(s)).elf)

$(UK)/%.o: %.c $(BUILD)/config.mk $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(UK_CFLAGS) $(XCFLAGS))
$(UK)/%.o: %.S $(BUILD)/config.mk $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(CPPFLAGS))
$(UK)/gen/%.o: $(GEN)/%.c $(BUILD)/config.mk $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(filter-out $(WARN),$(UK_CFLAGS)))
$(UK)/gen/%.weft.o: $(GEN)/%.weft.c $(GEN)/%.weft.h $(FLAGS) | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(CPPFLAGS) $(LIB_CFLAGS) $(UK_CFLAGS))
# Runs as an interrupt handler, which saves no vector registers; and the string functions must not call themselves.
$(UK)/unikernel/apic.o: XCFLAGS = -mgeneral-regs-only
$(UK)/unikernel/mem.o: XCFLAGS = -fno-builtin -U_FORTIFY_SOURCE
UK_LINK = $(CC) -nostdlib -static -Wl,-T,unikernel/image.ld -Wl,-z,max-page-size=4096 -Wl,--build-id=none \
	-Wl,--no-warn-rwx-segments -Wl,--gc-sections $(filter %.o,$^) -Wl,--start-group $(UK_LIBS) -Wl,--end-group -o $@.part && $(put)
define uk_image
$(BUILD)/images/$(notdir $(1)).elf: $(call uk_obj,$(call service_srcs,$(1)) $(2) $(UK_KERNEL_SRCS) $(UK_GUEST_SRCS)) \
	$$(UK_DEMO_OBJS) unikernel/image.ld
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(UK_LINK)
endef
$(foreach s,$(SERVICES),$(eval $(call uk_image,$(s),unikernel/main.c)))
$(foreach s,$(GUEST_TESTS),$(eval $(call uk_image,$(s),)))
images: $(IMAGES) ## the unikernel image of each service
# Guests as tests: scripts that print TAP, and what they need.
GUEST_SCRIPTS := tests/unikernel/test_guests.py tests/unikernel/test_soak.py
GUEST_SCRIPTS_NEED := $(IMAGES) $(WEFTD) $(WEFT_DPI) $(WEFT) $(DEMO_SET)
.PHONY: images
# The parts that are pure are unit tested on the host.
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/unikernel/test_*.c)): \
	$(call obj,unikernel/format.c unikernel/heap.c unikernel/cmdline.c)

# --- process endpoints: the same services as Linux processes -----------------------------------------------------------
SERVICE_BINS := $(foreach s,$(SERVICES),$(BUILD)/services/$(notdir $(s)))
# All that guest-lib and its services need; the installed weft-guest.pc names the same.
GUEST_LIBS := -lsodium -lprotobuf-c
define process_service
$(BUILD)/services/$(notdir $(1)): $(call obj,$(call service_srcs,$(1)) unikernel/process_main.c unikernel/format.c) \
	$$(DEMO_GEN_OBJS) $$(GUEST_LIB)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) $$(filter %.o %.a,$$^) $$(GUEST_LIBS) -o $$@.part && $$(put)
endef
$(foreach s,$(SERVICES),$(eval $(call process_service,$(s))))

# --- services outside this tree --------------------------------------------------------------------------------------
.PHONY: service
service: ## services in a folder of your own: make service DIR=FOLDER; docs/services.md
ifneq ($(filter service,$(MAKECMDGOALS)),)
include unikernel/service.mk
endif

# --- demo -------------------------------------------------------------------------------------------------------------
DEMO_IMAGES := $(foreach s,valve hub meter camera,$(BUILD)/images/$(s).elf)
DEMO_NEEDS := $(WEFTD) $(WEFT_DPI) $(WEFT) $(DEMO_SET) $(DEMO_IMAGES)
.PHONY: demo
demo: $(DEMO_NEEDS) ## four unikernels, one of them taken over: what it tries, and what becomes of it
	unikernel/demo/demo.py --build $(BUILD)

# --- tests ------------------------------------------------------------------------------------------------------------
UNIT_SRCS := $(wildcard tests/guest-lib/test_*.c tests/schemas/test_*.c tests/policy/test_*.c tests/dpi/test_*.c \
	tests/fabric/test_*.c tests/unikernel/test_*.c tests/bench/test_*.c)
UNITS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRCS))
# Tests and fuzzers run from the top of the tree and find what was built for them through this.
$(OBJ)/tests/%.o: XCFLAGS += -DBUILD_DIR='"$(BUILD)"'
ROAD_SETS := $(patsubst tests/fabric/%.proto,$(BUILD)/tests/%.binpb,$(wildcard tests/fabric/*.proto))
$(ROAD_SETS): $(BUILD)/tests/%.binpb: tests/fabric/%.proto $(BUILD)/config.mk
	$(call descriptor_set,--include_source_info -Itests/fabric -Ischemas)
PAIRS_SET := $(BUILD)/tests/pairs.binpb
$(PAIRS_SET): tests/policy/pairs.proto $(BUILD)/config.mk
	$(call descriptor_set,-Itests/policy)
# Services for the tests of generated code.
TEST_WEFT := tests/schemas/plugin
TEST_WEFT_OBJS := $(patsubst %,$(OBJ)/gen/%.pb-c.o,$(TEST_WEFT)) $(patsubst %,$(OBJ)/gen/%.weft.o,$(TEST_WEFT))
TEST_WEFT_SET := $(BUILD)/tests/plugin.binpb
$(TEST_WEFT_SET): tests/schemas/plugin.proto $(OPTIONS_C) $(BUILD)/config.mk
	$(call descriptor_set,-I. -Ischemas)
$(BUILD)/tests/guest-lib/test_method: $(TEST_WEFT_OBJS)
$(OBJ)/tests/guest-lib/test_method.o: | $(GEN)/$(TEST_WEFT).pb-c.h $(GEN)/$(TEST_WEFT).weft.h
$(BUILD)/tests/schemas/test_plugin: $(PLUGIN_PB_C:$(GEN)/%.c=$(OBJ)/gen/%.o) | $(PLUGIN) $(GEN)/$(TEST_WEFT).pb-c.h
$(BUILD)/tests/%: $(OBJ)/tests/%.o $(DEMO_GEN_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(CMOCKA_LIBS) $(HOST_LIBS) -o $@.part && $(put)
# Programs that tests and people run: tests/tools/NAME.c becomes $(BUILD)/tests/NAME.
FRAGILE := $(addprefix $(BUILD)/tests/weft-dpi-,fragile hostile)
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(filter-out %/fragile.c %/hostile.c,$(wildcard tests/tools/*.c)))
$(TOOLS): $(BUILD)/tests/%: $(OBJ)/tests/tools/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(HOST_LIBS) -o $@.part && $(put)

# weft-dpi that does, on a word, what one bug or another would make it do; and one in the hands of who sends to it.
$(BUILD)/tests/weft-dpi-fragile: WRAPPED := -Wl,--wrap=dpi_lane_serve,--wrap=dpi_message_inspect,--wrap=dpi_frame_look
$(BUILD)/tests/weft-dpi-hostile: WRAPPED := -Wl,--wrap=dpi_worker_run
$(FRAGILE): $(BUILD)/tests/weft-dpi-%: $(OBJ)/tests/tools/%.o $(call obj,dpi/weft_dpi.c) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(WRAPPED) $^ $(HOST_LIBS) -o $@.part && $(put)

# --- detection rates: real programs over loopback, and attacks ---------------------------------------------------------------
CUTS ?= 50
RATES_PAGE ?= docs/detection.md
.PHONY: dpi-rates
dpi-rates: $(BUILD)/tests/dpi_payloads $(WEFT_DPI) ## detection rates of real programs and attacks: remakes docs/detection.md; CUTS, RATES_PAGE
	@.ci/setup packages-rates
	tests/rates/rates.py --build $(BUILD) --cuts $(CUTS) --write $(RATES_PAGE)

# --- fuzzers: clang's libFuzzer with ASan and UBSan; the library is built again with coverage -----------------------------
FUZZ := $(BUILD)/fuzz
FUZZ_CC := clang
FUZZ_FLAGS := -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SRCS := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(FUZZ_SRCS))
FUZZ_LIB := $(FUZZ)/libweft.a
$(FUZZ)/obj/gen/%.o: $(GEN)/%.c $(BUILD)/config.mk | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (fuzz))
	$(call compile,$(FUZZ_CC) $(CPPFLAGS) $(LIB_CFLAGS) -std=gnu11 $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link)
$(FUZZ)/obj/%.o: %.c $(BUILD)/config.mk | $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (fuzz))
	$(call compile,$(FUZZ_CC) $(CPPFLAGS) $(LIB_CFLAGS) -std=gnu11 $(WARN) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link)
$(FUZZ)/obj/%.o: %.cc $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(call say,CXX,$< (fuzz))
	$(call compile,$(FUZZ_CC)++ $(CPPFLAGS) -std=gnu++17 $(CXX_WARN) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link)
$(FUZZ_LIB): $(patsubst %,$(FUZZ)/obj/%.o,$(basename $(LIB_SRCS))) $(GEN_OBJS:$(OBJ)/%=$(FUZZ)/obj/%)
	@rm -f $@.part
	$(call say,AR,$@)
	$(Q)ar rcsP $@.part $^ && $(put)
$(FUZZ)/fuzz_plugin: $(patsubst %.c,$(FUZZ)/obj/%.o,$(filter-out %/main.c,$(PLUGIN_SRCS))) \
	$(PLUGIN_PB_C:$(GEN)/%.c=$(FUZZ)/obj/gen/%.o)
# The validator's fuzzer holds its answers against code that protobuf-c generates.
$(FUZZ)/fuzz_validate: $(FUZZ)/obj/gen/tests/schemas/strict.pb-c.o
# Readers of the command line's own.
$(FUZZ)/fuzz_cases: $(FUZZ)/obj/fabric/cli/policy_cases.o
$(FUZZ)/fuzz_decision_log: $(patsubst %,$(FUZZ)/obj/fabric/cli/%.o,policy_learn_log content_detail explain_find answer common)
$(FUZZERS): $(FUZZ)/%: $(FUZZ)/obj/tests/fuzz/%.o $(FUZZ_LIB)
	$(call say,LD,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) $(HOST_LIBS) -o $@.part && $(put)

# --- bench: the fabric's speed, measured -----------------------------------------------------------------------------
BENCH_SET := $(BUILD)/bench/bench.binpb
BENCH_BINS := $(addprefix $(BUILD)/bench/,blast pauses micro scale inspect backlog)
$(BENCH_SET): bench/bench.proto bench/order/ruled.proto $(RULES_C) $(BUILD)/config.mk
	$(call descriptor_set,-I. -Ischemas)
$(BUILD)/bench/blast $(BUILD)/bench/backlog: $(call obj,bench/lane.c bench/end.c bench/vport.c)
$(BENCH_BINS): $(BUILD)/bench/%: $(call obj,bench/messages.c bench/order/pool.c) $(OBJ)/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(filter %.o,$^) $(LIB) $(HOST_LIBS) -o $@.part && $(put)
# --- other parsers: Google's C++ code, as Debian has it, for the comparison of speed and the differential test -----------
CPP_FLAGS := -std=gnu++17 -O2 -g -DNDEBUG -Wall -Wextra
$(GEN)/%.pb.cc $(GEN)/%.pb.h: %.proto $(BUILD)/config.mk
	@mkdir -p $(GEN)/$(basename $<).cpp $(GEN)/$(dir $<)
	$(call say,PROTOC,$< (C++))
	$(Q)protoc --cpp_out=$(GEN)/$(basename $<).cpp -I. $<
	@mv -f $(addprefix $(GEN)/$(basename $<).cpp/$(basename $<).pb,.cc .h) $(GEN)/$(dir $<)
	@rm -rf $(GEN)/$(basename $<).cpp
CPP_PROTO := bench/order/order.proto $(addprefix tests/schemas/,$(addsuffix .proto,differ differ2 differ_group differ_optional))
CPP_H := $(patsubst %.proto,$(GEN)/%.pb.h,$(CPP_PROTO))
$(OBJ)/gen/%.pb.o: $(GEN)/%.pb.cc $(FLAGS) | $(CPP_H)
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(call compile,$(CXX) -I$(GEN) $(CPP_FLAGS))
$(OBJ)/bench/%.o $(OBJ)/tests/%.o: CPP_FLAGS += -Werror
$(OBJ)/bench/%.o: bench/%.cc $(BUILD)/config.mk $(FLAGS) | $(CPP_H)
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(call compile,$(CXX) $(CPPFLAGS) $(CPP_FLAGS) $(XCFLAGS))
$(OBJ)/tests/%.o: tests/%.cc $(BUILD)/config.mk $(FLAGS) | $(CPP_H) $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(call compile,$(CXX) $(CPPFLAGS) $(CPP_FLAGS) $(XCFLAGS))
BENCH_RULED := $(BUILD)/bench/ruled.binpb
DIFFERENTIAL := $(BUILD)/tests/differential
DIFFERENTIAL_OBJS := $(call obj,$(wildcard tests/differential/*.cc) bench/order/pool.c) $(patsubst %.proto,$(OBJ)/gen/%.pb.o,$(CPP_PROTO)) \
	$(patsubst %,$(OBJ)/gen/%.pb-c.o,tests/schemas/differ tests/schemas/differ2 bench/order/order)
$(DIFFERENTIAL): $(DIFFERENTIAL_OBJS) $(filter %.pb-c.o,$(DEMO_GEN_OBJS)) $(call obj,$(SCH_SRCS)) $(GEN_OBJS) | $(DEMO_SET) $(BENCH_RULED)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) $^ $(HOST_LIBS) -lprotobuf -o $@.part && $(put)
COUNT ?= 10000000
SEED ?= 1
.PHONY: differential
differential: $(DIFFERENTIAL) ## strict mode against protobuf-c and Google's parser; COUNT, SEED
	$(DIFFERENTIAL) --count $(COUNT) --seed $(SEED)

# --- captures against nDPI's own reader -----------------------------------------------------------------------------------
CAPTURES ?= 500
.PHONY: dpi-differential
dpi-differential: $(WEFT) ## weft dpi classify against ndpiReader on changed captures; CAPTURES, SEED
	tests/system/dpi_differential.py --count $(CAPTURES) --seed $(SEED)

# --- policies against a reference that is plain and slow ------------------------------------------------------------------
PAIRS ?= 10000000
.PHONY: policy-pairs
policy-pairs: $(BUILD)/tests/policy/test_reference $(PAIRS_SET) ## random policies and messages against the reference; PAIRS, SEED
	WEFT_PAIRS=$(PAIRS) WEFT_PAIRS_SEED=$(SEED) $<

# --- inspectors killed at random under load --------------------------------------------------------------------------------
KILLS ?= 1000
.PHONY: dpi-kills
dpi-kills: $(WEFTD) $(WEFT_DPI) $(WEFT) $(TOOLS) $(DEMO_SET) ## inspectors killed at random under load, 1,000 times; KILLS, SEED
	WEFT_KILLS=$(KILLS) WEFT_KILLS_SEED=$(SEED) tests/system/test_inspectors.py --build $(BUILD)

# --- the validator's speed beside them ---------------------------------------------------------------------------------
BENCH_RULES_SETS := $(BENCH_RULED) $(BUILD)/bench/rules.binpb
$(BENCH_RULES_SETS): $(BUILD)/bench/%.binpb: bench/order/%.proto $(RULES_C) $(BUILD)/config.mk
	$(call descriptor_set,-I. -Ischemas)
$(call obj,bench/order/order.c bench/order/rules.c): XCFLAGS += -DBUILD_DIR='"$(BUILD)"'
BENCH_ORDER := $(BUILD)/bench/order $(BUILD)/bench/rules
$(BUILD)/bench/order: $(call obj,bench/order/pool.c bench/order/peer.cc) $(OBJ)/gen/bench/order/order.pb-c.o \
	$(OBJ)/gen/bench/order/order.pb.o
$(BENCH_ORDER): $(BUILD)/bench/%: $(OBJ)/bench/order/%.o $(call obj,$(SCH_SRCS)) $(GEN_OBJS) | $(BENCH_RULES_SETS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) $^ $(HOST_LIBS) -lprotobuf -o $@.part && $(put)
# Ends of brokers' conversations, and relays: each where its libraries are, which `make bench-peers` installs.
library_at = $(wildcard /usr/include/$(1) /usr/include/*/$(1) /usr/local/include/$(1))
PEER_DIR := $(BUILD)/bench/peers
PEER_C := unix $(if $(call library_at,openssl/ssl.h),nats_tls $(if $(call library_at,mosquitto.h),mosquitto_tls)) \
	$(if $(call library_at,zmq.h),zmq_curve)
PEER_GRPC := $(if $(call library_at,grpcpp/grpcpp.h),$(if $(wildcard /usr/bin/grpc_cpp_plugin),grpc_relay grpc_client))
PEER_BINS := $(addprefix $(PEER_DIR)/,$(PEER_C) $(PEER_GRPC))
$(PEER_DIR)/nats_tls: PEER_LIBS := -lssl -lcrypto
$(PEER_DIR)/mosquitto_tls: PEER_LIBS := -lmosquitto -lssl
$(PEER_DIR)/zmq_curve: PEER_LIBS := -lzmq -lpthread
$(addprefix $(PEER_DIR)/,$(PEER_C)): $(PEER_DIR)/%: $(OBJ)/bench/peers/%.o $(call obj,bench/peers/carry.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(PEER_LIBS) -o $@.part && $(put)
GRPC_GEN := $(GEN)/bench/peers/grpc_tls.grpc.pb
$(GRPC_GEN).cc $(GRPC_GEN).h &: bench/peers/grpc_tls.proto $(BUILD)/config.mk
	@mkdir -p $(GRPC_GEN).part
	$(call say,PROTOC,$< (gRPC))
	$(Q)protoc --grpc_out=$(GRPC_GEN).part --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin -I. $<
	@mv -f $(GRPC_GEN).part/bench/peers/grpc_tls.grpc.pb.* $(GEN)/bench/peers/
	@rm -rf $(GRPC_GEN).part
GRPC_OBJS := $(OBJ)/gen/bench/peers/grpc_tls.pb.o $(OBJ)/gen/bench/peers/grpc_tls.grpc.pb.o
$(GRPC_OBJS) $(call obj,bench/peers/grpc_relay.cc bench/peers/grpc_client.cc): $(GRPC_GEN).h $(GEN)/bench/peers/grpc_tls.pb.h
$(addprefix $(PEER_DIR)/,grpc_relay grpc_client): $(PEER_DIR)/%: $(OBJ)/bench/peers/%.o $(call obj,bench/peers/carry.c) $(GRPC_OBJS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) $^ $$(pkg-config --libs grpc++ protobuf) -o $@.part && $(put)
# Beside switches: what carries frames between vhost-user ports has a load of ours.
FRAMES := $(BUILD)/bench/frames
$(FRAMES): $(call obj,bench/frames.c bench/vport.c) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(HOST_LIBS) -o $@.part && $(put)
BENCH_RESULTS := $(BUILD)/bench/results.json
# show_results: tables, CSV and plots of what was measured; every target that measures the whole ends with it.
show_results = @bench/report.py $(BENCH_RESULTS) && bench/plots.py $(BENCH_RESULTS)
.PHONY: bench bench-report bench-plots bench-compare
bench: $(WEFTD) $(WEFT_DPI) $(WEFT) $(BENCH_SET) $(BENCH_BINS) $(BENCH_ORDER) ## messages/s, ns per stage, latency, scale: tables, build/bench/results.json, CSV, plots
	bench/run.py --build $(BUILD)
	$(show_results)
.PHONY: bench-overload
bench-overload: $(WEFTD) $(WEFT_DPI) $(WEFT) $(BENCH_SET) $(BENCH_BINS) ## a minute of twice what the fabric carries: nothing is lost in silence
	bench/run.py --build $(BUILD) --only overload-long
	$(show_results)
PEERS ?=
PEER_OPTS := --build $(BUILD) $(if $(PEERS),--only $(PEERS))
.PHONY: bench-peers peer-bins
bench-peers: $(WEFTD) $(WEFT_DPI) $(WEFT) $(BENCH_SET) $(BENCH_BINS) $(FRAMES) ## Weft beside switches and brokers from Debian, installed where they are missing; PEERS=a,b
	bench/run_peers.py $(PEER_OPTS) --install
	+@$(MAKE) -k peer-bins || :
	bench/run_peers.py $(PEER_OPTS); status=$$?; $(patsubst @%,%,$(show_results)); exit $$status
peer-bins: $(PEER_BINS)
bench-report: ## the tables and the CSV of the last results once more
	@bench/report.py $(BENCH_RESULTS)
bench-plots: ## the plots of the last results once more, as SVG and PNG, below build/bench/plots
	@bench/plots.py $(BENCH_RESULTS)
# `make bench-compare A.json B.json` or `A=... B=...`: the files are goals then, which there is nothing to do for.
COMPARED := $(filter %.json,$(MAKECMDGOALS))
bench-compare: ## what became slower or faster between two results: A.json B.json, or A=, B=
	@bench/compare.py $(or $(strip $(A) $(B)),$(COMPARED))
ifneq ($(filter bench-compare,$(MAKECMDGOALS)),)
.PHONY: $(COMPARED)
$(COMPARED): ; @:
endif

# --- lint -------------------------------------------------------------------------------------------------------------
# How sources are compiled, for the checks that compile them once more.
LINT_FLAGS := $(BUILD)/lint/flags
$(LINT_FLAGS): $(BUILD)/config.mk $(FLAGS) | $(GEN_H) $(DEMO_WEFT_C:.c=.h) $(GEN)/$(TEST_WEFT).weft.h $(GEN)/$(TEST_WEFT).pb-c.h
	@mkdir -p $(@D)
	@printf '%s\n' 'all $(CPPFLAGS) $(LIB_CFLAGS) -std=gnu11 -O2 $(WARN) -fno-common -DBUILD_DIR=BUILD' \
		'cxx $(CPPFLAGS) -std=gnu++17 -O2 $(CXX_WARN) -fno-common' 'dpdk $(DPDK_CFLAGS)' > $@.part
	@$(put)
LINTS := $(wildcard tests/lint/test_*.py)

# --- what a person asks for -------------------------------------------------------------------------------------------
# Scripts that print TAP, one after another: each measures or boots something and wants the machine for itself.
SYSTEM_TESTS := $(wildcard tests/system/test_*.py tests/unikernel/test_*.py)
TEST_DATA := $(DEMO_SET) $(ROAD_SETS) $(TEST_WEFT_SET) $(PAIRS_SET)
SYSTEM_NEEDS := $(WEFTD) $(WEFT_DPI) $(WEFT) $(TOOLS) $(FRAGILE) $(DIFFERENTIAL) $(IMAGES) $(SERVICE_BINS) $(TEST_DATA) \
	$(BENCH_SET) $(addprefix $(BUILD)/bench/,blast backlog pauses) $(FRAMES)
SMOKE_SECONDS ?= 5
# Tests find what was built through this, and leave no byte code in the tree.
export BUILD
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help all check test system lint tidy format asan ubsan tsan fuzz fuzz-smoke docs install clean
.SECONDARY:
all: $(WEFTD) $(WEFT_DPI) $(WEFT) $(PLUGIN) $(GUEST_LIB) $(DEMO_SET) $(TOOLS) $(FRAGILE) $(IMAGES) $(SERVICE_BINS) ## build everything that runs
test: $(UNITS) $(SYSTEM_NEEDS) $(LINT_FLAGS) $(FUZZERS) ## everything that a submission must pass
	@tests/run --timeout 600 $(UNITS) $(LINTS) $(SYSTEM_TESTS) \
		'tests/fuzz/run --seconds $(SMOKE_SECONDS) $(FUZZERS)'
check: $(UNITS) $(WEFT_DPI) $(TOOLS) $(FRAGILE) $(TEST_DATA) ## unit tests, without root, in a minute and a half
	@tests/run $(UNITS)
system: $(SYSTEM_NEEDS) ## tests of the whole: weftd, guests under QEMU, processes, the command line
	@tests/run --timeout 600 $(SYSTEM_TESTS)
lint: $(LINT_FLAGS) ## who includes whom, heads, sizes, words; headers alone; clang for every source
	@tests/run $(LINTS)
tidy: $(LINT_FLAGS) ## clang-tidy over the sources (slow; not part of test)
	@tests/lint/tidy
format: ## list the files that .clang-format would lay out differently
	@tests/lint/format
# The unit tests and the fabric, built again with a sanitizer in a folder of their own.
SANITIZED := asan ubsan tsan
asan: SAN_NAME := address
ubsan: SAN_NAME := undefined
tsan: SAN_NAME := thread
asan: ## unit tests and a soak under AddressSanitizer (memory)
ubsan: ## unit tests and a soak under UndefinedBehaviorSanitizer
tsan: ## unit tests and a soak under ThreadSanitizer (data races)
$(SANITIZED):
	+@$(MAKE) BUILD=$(BUILD)/$@ SAN=$(SAN_NAME) OPT='-O1 -g' sanitized
.PHONY: sanitized
# Processes that nobody waits for leave their reports here too.
SAN_REPORTS := $(abspath $(BUILD))/reports
SAN_SYSTEM := tests/system/test_soak.py tests/system/test_frontend.py tests/system/test_schema_live.py
sanitized: $(UNITS) $(WEFTD) $(WEFT_DPI) $(WEFT) $(TOOLS) $(FRAGILE) $(TEST_DATA)
	@rm -rf $(SAN_REPORTS) && mkdir -p $(SAN_REPORTS)
	@ASAN_OPTIONS=log_path=$(SAN_REPORTS)/asan:detect_leaks=1 UBSAN_OPTIONS=log_path=$(SAN_REPORTS)/ubsan:print_stacktrace=1 \
	TSAN_OPTIONS=log_path=$(SAN_REPORTS)/tsan:suppressions=$(CURDIR)/tests/tsan.supp \
		tests/run --timeout 600 $(UNITS) $(SAN_SYSTEM) 'tests/reports $(SAN_REPORTS)'
fuzz-smoke: $(FUZZERS) ## each fuzzer for some seconds
	@tests/run 'tests/fuzz/run --seconds $(SMOKE_SECONDS) $(FUZZERS)'
fuzz: $(FUZZERS) ## each fuzzer for ten million executions
	tests/fuzz/run --runs 10000000 $(FUZZERS)
# Where `make install` puts things; DESTDIR stands before them all when a package is made.
PREFIX ?= /usr/local
DESTDIR ?=
# weft.h and what it needs; method.h for generated code; port_linux.h for process endpoints.
PUBLIC_HEADERS := $(addprefix guest-lib/,weft.h method.h launch.h session.h noise.h wire.h port.h verdict.h port_linux.h)
VERSION := 0.1
install: $(WEFT) $(WEFTD) $(WEFT_DPI) $(PLUGIN) $(GUEST_LIB) ## weft, weftd, weft-dpi, protoc-gen-weft, libweft-guest, its headers, documents; PREFIX, DESTDIR
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include/weft lib/pkgconfig share/doc/weft)
	install -m 755 $(WEFT) $(WEFTD) $(WEFT_DPI) $(PLUGIN) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(PREFIX)/include/weft
	install -m 644 $(GUEST_LIB) $(DESTDIR)$(PREFIX)/lib
	printf '%s\n' 'Name: weft-guest' 'Description: Weft message library for Linux processes' 'Version: $(VERSION)' \
		'Requires: libsodium libprotobuf-c' 'Cflags: -I$(PREFIX)/include -I$(PREFIX)/include/weft' \
		'Libs: -L$(PREFIX)/lib -lweft-guest' \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/weft-guest.pc
	install -m 644 README.md $(wildcard docs/*) $(DESTDIR)$(PREFIX)/share/doc/weft
	install -D -m 644 schemas/buf/validate/validate.proto $(DESTDIR)$(PREFIX)/share/weft/proto/buf/validate/validate.proto
	install -D -m 644 schemas/weft/options.proto $(DESTDIR)$(PREFIX)/share/weft/proto/weft/options.proto
	install -D -m 644 policy/policy.schema.json $(DESTDIR)$(PREFIX)/share/weft/policy.schema.json
docs: $(BUILD)/tests/verdict_doc $(BUILD)/tests/policy_doc ## remake the pages that come from the sources
	$(BUILD)/tests/verdict_doc > docs/verdicts.md
	$(BUILD)/tests/policy_doc reference > docs/policy-reference.md
	$(BUILD)/tests/policy_doc schema > policy/policy.schema.json
clean: ## remove everything built
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -mindepth 1 -name '*san' -prune -o -name '*.d' -print 2>/dev/null)
