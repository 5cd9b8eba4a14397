# `make` lists the targets. `make demo` and `make test` need Rust and nothing else: `setup` does the rest.
# ARGS goes to the tests and benches: make test ARGS="--test gpu -- conv2d"

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-fast validation bench lint formatting words features rust-version scripts msrv audit asan doc shaders-foreign gpu-stats

# Read from Cargo.toml, so that a new feature or a new minimum is checked without a change here.
FEATURES := $(shell sed -n '/^\[features\]/,/^\[/s/^\([a-z0-9_-]*\) *=.*/\1/p' Cargo.toml | grep -v '^default$$')
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RUST_VERSION := $(shell sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## Install a software Vulkan driver if this machine has no adapter at all
	@sh tools/setup.sh

demo: setup ## Classify the bundled digits on the GPU that is there
	cargo run --release --features cli -- classify --model digits assets/digits/*.png

test: setup ## All tests, on every adapter found
	cargo test --all-features --no-fail-fast $(ARGS)

check: formatting ## What needs no GPU: formatting, clippy, unit tests and the tests of tests/host
	cargo clippy --all-features --all-targets -- -D warnings
	cargo test --all-features --lib --test host

# The kernels on one adapter, without whole networks, files, faults and tuning.
test-fast: setup ## The kernels' tests on Vulkan
	EXCITE_DEVICE=vulkan cargo test --all-features --test gpu -- --skip golden/ --skip onnx --skip faults/ --skip tuning/ \
	    --skip random --skip /large $(ARGS)

validation: setup ## Some GPU tests under Vulkan's validation layer (Debian: vulkan-validationlayers)
	sh tools/validation.sh

# SAMPLE=1, as in CI: tuned plans of some networks only, and DXC for as many pipelines as have every constant's values.
FOREIGN := $(CURDIR)/target/shaders_foreign
shaders-foreign: ## All pipelines through Tint, spirv-val, DXC and FXC (tools/shaders_foreign/install.sh installs them)
	rm -rf $(FOREIGN)/wgsl $(FOREIGN)/spv $(FOREIGN)/hlsl $(FOREIGN)/*.json
	EXCITE_FOREIGN=$(FOREIGN) $(if $(SAMPLE),EXCITE_FOREIGN_SAMPLE=1) \
	    cargo test --all-features --test host shaders::foreign -- --ignored
	python3 tools/shaders_foreign/check.py $(FOREIGN) $(if $(SAMPLE),--sample)

# CHECK=1, as in CI, compares with the file and writes nothing.
GPU_STATS := $(CURDIR)/target/gpu_stats
gpu-stats: ## What AMD's compilers make of the kernels, into docs/gpu_stats.csv (tools/gpu_stats/install.sh installs them)
	rm -rf $(GPU_STATS)
	EXCITE_FOREIGN=$(GPU_STATS) EXCITE_FOREIGN_NETWORKS=seresnet50,efficientnet_b0,senet154,seresnext50_32x4d EXCITE_FOREIGN_SAMPLE=1 \
	    cargo test --all-features --test host shaders::foreign -- --ignored
	CARGO_TARGET_DIR=target/tools cargo build --locked --manifest-path tools/gpu_stats/Cargo.toml
	python3 tools/gpu_stats/stats.py target/tools/debug/excite-gpu-stats $(GPU_STATS) $(if $(CHECK),--check)

bench: setup ## All benchmarks; each checks its answer before it times
	cargo bench --features cli $(ARGS)

lint: formatting words features rust-version scripts ## Formatting, retired words, clippy for each feature set, docs; warnings are errors
	cargo clippy --all-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

formatting:
	cargo fmt --check

words: ## No retired word of docs/glossary.md (needs python3)
	@python3 tools/words.py

# Clippy does all that `cargo check` does, so this also proves that each feature builds alone.
features: ## Each feature alone, and none, through clippy
	cargo clippy --no-default-features -- -D warnings
	cargo clippy --no-default-features --all-targets -- -D warnings
	set -e; for feature in $(FEATURES); do \
	    echo "cargo clippy --no-default-features --features $$feature"; \
	    cargo clippy --no-default-features --features $$feature -- -D warnings; \
	done

rust-version: ## No dependency wants a newer Rust than Cargo.toml promises (needs python3)
	@python3 -c "$$RUST_VERSION_CHECK"

scripts: ## The Python scripts parse (needs python3)
	@python3 -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]' tools/*.py tools/*/*.py benches/peers/*.py

msrv: ## Build with the oldest Rust that Cargo.toml promises (needs rustup and that toolchain)
	cargo +$(RUST_VERSION) check --no-default-features
	cargo +$(RUST_VERSION) check --all-features

audit: ## Sources, licences and duplicates of all dependencies; advisories where cargo-audit is installed (needs python3)
	@python3 tools/audit.py

# Only with a nightly compiler, and with a target named, so that build scripts and macros are not instrumented. What a
# sanitizer takes of memory and time says nothing of bombs.
asan: ## The loaders' tests under the address sanitizer, where a nightly Rust is installed
	@if rustc +nightly --version >/dev/null 2>&1; then \
	    export RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/asan; set -ex; \
	    cargo +nightly test --features image --target $(HOST) --lib -- files:: import:: weights:: labels:: zoo::config image::; \
	    cargo +nightly test --features image --target $(HOST) --test host -- weights:: onnx_bad:: --skip bombs_are; \
	else \
	    echo "asan: not run, for want of a nightly Rust (rustup toolchain install nightly)"; \
	fi

doc: ## The library's documentation, in target/doc/excite
	cargo doc --no-deps --all-features

# Walks what a user of the crate compiles, on any platform: all dependencies but the ones for tests and benches.
define RUST_VERSION_CHECK
import json, subprocess, sys

metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--all-features"]))
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

def version(text):
    return tuple(int(part) for part in (text + ".0.0").split(".")[:3])

root = metadata["resolve"]["root"]
promised = packages[root]["rust_version"]
reached, todo = {root}, [root]
while todo:
    for edge in nodes[todo.pop()]["deps"]:
        if edge["pkg"] not in reached and any(kind["kind"] != "dev" for kind in edge["dep_kinds"]):
            reached.add(edge["pkg"])
            todo.append(edge["pkg"])
wants = [packages[id] for id in reached if packages[id]["rust_version"]]
newer = [package for package in wants if version(package["rust_version"]) > version(promised)]
for package in newer:
    print("{name} {version} wants Rust {rust_version}".format(**package), "and Cargo.toml promises", promised)
print("rust-version", promised, "holds for", len(wants) - len(newer), "of", len(wants), "packages that name theirs;",
      len(reached) - len(wants), "name none")
sys.exit(bool(newer))
endef
export RUST_VERSION_CHECK
