# make demo    alerts from real footage on the terminal, out of a real broker (Ctrl-C ends it)
# make test    everything that must hold before a change goes in
# make lint    formatting, clippy, dependencies' licences and sources
# make parity  imported models against the reference implementation (half an hour, 20 GB)
# make bench   seewhen beside its peers, on this machine: docs/benchmarks.md (some gigabytes)
# make chaos   cameras that fail, for minutes on end: docs/reliability.md
# make homeassistant  entities, states and commands in a real Home Assistant (needs root)
# make fuzz    the HTTP API, with all that fits its document and much that does not (some minutes)
# make page    the page in a real browser, and its screenshots: docs/page.md
# make fmt     formats the sources

# What scripts/setup builds lies here, after anything that the user has.
export PATH := $(PATH):$(CURDIR)/.runtime/tools/bin
# Found by itself too, but for a build that goes elsewhere (CARGO_TARGET_DIR).
export ORT_DYLIB_PATH ?= $(CURDIR)/.runtime/libonnxruntime.so

# Nine full-size CLIPs against the reference implementation: docs/parity.md. Half an hour, 20 GB.
parity:
	scripts/setup
	cargo build --release --bin seewhen
	scripts/parity

bench:
	scripts/setup demo
	cargo build --release --bin seewhen
	scripts/peers

# A first run sets Home Assistant up: ten minutes, 1.5 GB.
homeassistant:
	@test "$$(id -u)" = 0 || { echo "homeassistant: needs root, to enter a folder with chroot"; exit 1; }
	scripts/setup test
	cargo build --release --bin seewhen
	scripts/homeassistant

fuzz:
	scripts/setup demo
	cargo build --release --bin seewhen
	scripts/api-fuzz

.PHONY: demo test lint fmt parity chaos bench homeassistant page fuzz clean-runtime

demo:
	scripts/setup demo
	cargo build --release --bin seewhen --example camera
	scripts/demo

page:
	scripts/setup page
	cargo build --release --bin seewhen
	scripts/page

test: lint
	cargo test

chaos:
	scripts/setup test
	cargo build --release --example camera
	SEEWHEN_CHAOS=1 cargo test --release --test faults --test endurance --test outbox -- --nocapture --test-threads 1

lint:
	scripts/setup test
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo deny --log-level error check licenses bans sources
	@# The advisory database is fetched from its git host, which not every network lets through.
	@if cargo deny --log-level off fetch db; then cargo deny check --disable-fetch advisories; \
	else echo "lint: advisories not checked, their database cannot be fetched"; fi

fmt:
	cargo fmt

# Throws away what scripts/setup fetched; the next make fetches it again.
clean-runtime:
	rm -rf .runtime
