# SPDX-License-Identifier: GPL-2.0
# The project's own front. The kernel's Makefile is another one, and stays.

VM := tools/testing/vm

# What a user may set, handed to the scripts as it was written: make would
# otherwise expand each $ in a command.
VARIABLES := IMPL IMPLS ARCH COMPILER CONFIG KERNEL_SRC KERNEL_IMAGE ACCEL SMP MEM APPEND TIMEOUT FILES ALLOW_WARN \
	BUILD DEBIAN_MIRROR SUITES RECORD OPERATIONS SEED MUTANTS \
	MINUTES ROUNDS SHRINK FUZZ_OPTIONS CELLS
$(foreach v,$(VARIABLES),$(if $(filter-out undefined,$(origin $(v))),$(eval export $(v))))
ifneq ($(origin CMD),undefined)
export VM_CMD := $(value CMD)
unexport CMD
endif

BUILD ?= build

.PHONY: help
help:
	@echo 'Targets:'
	@echo '  demo       Stream real events out of a Rust kernel that boots for it'
	@echo '  test       All tests, on the Rust kernel, the C kernel, and that with its fixes'
	@echo '  soak       A million random operations on both kernels, compared; goes on where it was'
	@echo '  mutants    The strength of the tests: does one fail when the code is changed?'
	@echo '  fuzz       Operations on one buffer from several threads at once, CONFIG=debug; goes on where it was'
	@echo '  matrix     Every kernel of tools/testing/matrix/kernels.txt: a table; goes on where it was'
	@echo '  vm         Boot a kernel and run CMD in it; a shell without CMD'
	@echo '  bench      What the mapping costs, in C and in Rust: a table and a picture'
	@echo '  kernel     Build a kernel, print its image last'
	@echo '  clients    Real programs from Debian on the mapping: libtracefs, rtla, trace-cmd, perfetto'
	@echo '  check      Formatting, lints, checkpatch, documentation: warnings are errors'
	@echo '  patches    The overlay as a series for git am, in build/patches, and in'
	@echo '             build/patches-fixes the fixes of the C implementation'
	@echo '  install    What the others need, from Debian (they do it by themselves)'
	@echo '  install-ringmap PREFIX=/usr/local DESTDIR='
	@echo '             Build ringmap, install it with its manual pages and completions'
	@echo '  clean      Delete what was built, keep what was downloaded'
	@echo '  distclean  Delete both'
	@echo
	@echo 'Variables (make vm IMPL=c CMD=...):'
	@echo '  IMPL=rust|c|c-fixed      the implementation of the mapping (rust); c-fixed: patches/fixes in C'
	@echo '  ARCH=x86_64|arm64|...    machine of kernel and guest, $(VM)/arch/*.sh'
	@echo '  COMPILER=clang|gcc|gcc-N compiler of the kernel (clang)'
	@echo '  CONFIG=default|...       kernel configuration, $(VM)/config/*.config'
	@echo '  KERNEL_SRC=/path         your own kernel tree; it is copied, not changed'
	@echo '  ACCEL=auto|kvm|tcg|mttcg|icount'
	@echo '                           emulation; icount: time is executed instructions'
	@echo '  SMP=n MEM=MiB            CPUs (2) and memory (1024) of the guest'
	@echo '  APPEND="..."             more words for the kernel command line'
	@echo '  TIMEOUT=s                after which a guest counts as hung (600)'
	@echo '  FILES="a b"              static programs or scripts, put into the /bin of the guest'
	@echo "  CMD='...'                what the guest runs, as root, with tracefs mounted"
	@echo '  ALLOW_WARN=1             a kernel warning is printed, but no error'
	@echo '  SUITES="host vm"         of make test, these only'
	@echo '  IMPLS="rust c"           of make test, these kernels only, where a suite allows it'
	@echo '  CELLS="arm64 gcc"        of make matrix, the kernels with one of these words only'
	@echo '  C_IMPL=c|c-fixed         of make bench: the C kernel without the fixes, or with them (c)'
	@echo '  RECORD=1                 of make bench: keep the figures, for the gate of make test'
	@echo '  OPERATIONS=n SEED=n      of make soak: how many, and to begin again with this seed'
	@echo '  MUTANTS=n|all SEED=n     of make mutants: how many changes of the kernel files, and which'
	@echo '  MINUTES=n SHRINK=n       of make fuzz: how long (30), and to make a failing round small (10)'
	@echo '  SEED=n ROUNDS=n          of make fuzz: this round only, so many times (10)'
	@echo '  FUZZ_OPTIONS="..."       of make fuzz: --without KINDS, --threads NUMBERS and the like'
	@echo '  BUILD=/folder            where to build (build)'
	@echo
	@echo 'make ends with 2 when a target fails. $(VM)/run.sh, which make vm calls,'
	@echo "ends with the status of the guest's command itself."

.PHONY: install
install:
	@$(VM)/install.sh

.PHONY: install-ringmap
install-ringmap:
	@set -e; ringmap=$$($(VM)/programs.sh ringmap); \
	$(MAKE) --no-print-directory -C tools/tracing/ringmap install RINGMAP="$$ringmap"

.PHONY: kernel
kernel: install
	@$(VM)/kernel.sh

.PHONY: vm
vm: install
	@$(VM)/run.sh

.PHONY: demo
demo: install
	@set -e; $(VM)/kernel.sh >/dev/null; ringmap=$$($(VM)/programs.sh ringmap); \
	FILES="$$ringmap $(VM)/demo.sh" VM_CMD=demo.sh SMP=$${SMP:-2} $(VM)/run.sh

.PHONY: test
test:
	@$(VM)/install.sh git python3-sphinx
	@$(VM)/test.sh

.PHONY: bench
bench: install
	@tools/testing/bench/bench.sh

.PHONY: soak
soak: install
	@tools/testing/differential/soak.sh

.PHONY: mutants
mutants: install
	@tools/testing/mutants/mutants.sh

.PHONY: matrix
matrix: install
	@tools/testing/matrix/matrix.sh

.PHONY: fuzz
fuzz: install
	@tools/testing/fuzz/fuzz.sh

.PHONY: check
check:
	@$(VM)/install.sh git python3-sphinx
	@$(VM)/check.sh

.PHONY: patches
patches:
	@$(VM)/install.sh git
	@$(VM)/patches.sh

.PHONY: clean
clean:
	@[ ! -d "$(BUILD)" ] || find "$(BUILD)" -mindepth 1 -maxdepth 1 ! -name download -exec rm -rf {} +

.PHONY: distclean
distclean:
	@rm -rf "$(BUILD)"

.PHONY: clients
clients:
	@$(VM)/install.sh mmdebstrap
	@tools/testing/clients/clients.sh
