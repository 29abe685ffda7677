# The everyday commands. Each is a line or two around CMake, CTest and the scripts in deploy/.
# JOBS=4 and PRESET=asan|tsan|release change how, e.g. `make test PRESET=asan`.
PRESET ?= dev
JOBS ?= $(shell nproc)
TEST_JOBS ?= 2
TARGETS ?= all
BUILD := $(if $(filter dev,$(PRESET)),build,build/$(PRESET))

# Debian's gRPC and Abseil are not instrumented (docs/TESTING.md, "Sanitizers").
export ASAN_OPTIONS ?= detect_container_overflow=0
export TSAN_OPTIONS ?= ignore_noninstrumented_modules=1

.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench bench-full bench-memory bench-micro fuzz lint format image compose-test clean

help: ## Shows this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## Installs the Debian packages that are missing (needs root or sudo only if some are)
	@deploy/install-deps.sh

build: setup ## Builds everything; binaries land in build/bin
	@test -f $(BUILD)/build.ninja || cmake --preset $(PRESET)
	@ninja -C $(BUILD) -j $(JOBS) $(TARGETS)

demo: ## Runs a cluster, real SQL, and the loss of an availability zone; cleans up after itself
	@deploy/demo.sh

test: build ## Runs every test (unit, integration, lint)
	@ctest --test-dir $(BUILD) -j $(TEST_JOBS) --output-on-failure

BENCH_TARGETS := sextant sextant-storage-node sextant-compute-node sextant-bench-floor sextant-bench-cluster sextant-bench-sql
BENCH_OPTIONS = --build $(BUILD) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

bench: ## Measures speed: one short round (3 minutes); PRESET=release, ONLY=append,sql
	@$(MAKE) --no-print-directory build TARGETS="$(BENCH_TARGETS)"
	@bench/suite/run.py --short $(BENCH_OPTIONS)

bench-full: ## The same beside PostgreSQL, MariaDB and etcd (installs them; 40 minutes); writes bench/results. ROUNDS=3
	@deploy/install-deps.sh --peers
	@cmake --preset $(PRESET) >/dev/null
	@$(MAKE) --no-print-directory build TARGETS="$(BENCH_TARGETS) sextant-bench-load"
	@bench/suite/run.py $(BENCH_OPTIONS)

bench-memory: ## Watches memory under a steady load for MINUTES=60; writes bench/results/memory.json
	@$(MAKE) --no-print-directory build TARGETS="$(BENCH_TARGETS)"
	@bench/suite/memory.py --build $(BUILD) --minutes $(or $(MINUTES),60)

bench-micro: build ## Runs the micro benchmarks
	@for b in $(filter-out %-floor,$(wildcard $(BUILD)/bench-bin/*)); do echo "== $$b"; "$$b" --benchmark_min_time=0.2 || exit 1; done

fuzz: ## Fuzzes TARGET=record|batch|page_delta|... for SECONDS=60 (tests/fuzz/README.md)
	@tests/fuzz/run.sh "$(TARGET)" "$(or $(SECONDS),60)"

lint: setup ## Checks the repository's rules and the format
	@python3 tests/lint/check.py
	@deploy/format.sh --check

format: setup ## Formats every source file
	@deploy/format.sh

image: build ## Makes the Docker image sextant:local from the binaries in build/bin
	@deploy/docker/build-image.sh

compose-test: image ## Brings deploy/docker-compose.yml up, uses it, stops a zone, takes it down
	@deploy/compose-test.sh

clean: ## Removes what was built
	rm -rf build
