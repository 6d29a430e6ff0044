# Kiln. `make demo` shows it, `make test` tests it; both set the machine up themselves.

# Every build uses the same flags, so that nothing is compiled twice.
SWIFT_FLAGS = --explicit-target-dependency-import-check error
RELEASE = -c release --static-swift-stdlib $(SWIFT_FLAGS)
PREFIX ?= /usr/local
SOURCES = Package.swift Sources Tests Launcher/Package.swift Launcher/Sources/LauncherCore Launcher/Sources/kiln-launcher

.PHONY: all build launcher test isolation attacks mutate demo real bench evil faults format check-format install clean setup

all: build

setup:
	scripts/setup

launcher: setup
	scripts/build-launcher

build: launcher
	swift build $(RELEASE) --product kiln
	install -D -s "$$(swift build $(RELEASE) --show-bin-path)/kiln" build/kiln

test: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	install build/kiln-launcher "$$(swift build --show-bin-path)/kiln-launcher"
	swift test --skip-build $(SWIFT_FLAGS)
	Tests/command
	Tests/builds
	Tests/reload
	Tests/isolation --quick
	Tests/Attacks/run --quick

# Every case of the attack suite, with pools of one and of four users.
attacks: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	install build/kiln-launcher "$$(swift build --show-bin-path)/kiln-launcher"
	Tests/Attacks/run

# Removes one rule at a time; every mutant must be noticed.
mutate: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	install build/kiln-launcher "$$(swift build --show-bin-path)/kiln-launcher"
	scripts/mutate

# Another user's builds while a million files are taken and deleted, and while a fork bomb is killed.
isolation: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	Tests/isolation

# A library, a program and its test, built in sandboxes and registered in a store of their own.
demo: build
	scripts/demo

# GNU hello, zlib and Lua from their Debian source packages; takes minutes and needs Debian's mirror.
real: build
	scripts/real build/kiln

# Times of builds that do nothing; takes some minutes.
bench: build
	scripts/bench build/kiln

# Times of launches alone, against a minimal C program and bubblewrap; takes some minutes.
bench-launch: launcher
	swift build $(RELEASE) --product launch-bench
	scripts/bench-launch "$$(swift build $(RELEASE) --show-bin-path)/launch-bench"

# A million sequences of an engine that was taken over, a third of them from each of three seeds; takes hours.
evil: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	KILN_EVIL_SEQUENCES=333334 swift test --skip-build $(SWIFT_FLAGS) --filter EvilEngineTests

# Every system call of a launch fails once with each errno; takes an hour.
faults: launcher
	swift build --build-tests $(SWIFT_FLAGS)
	KILN_FAULTS=all swift test --skip-build $(SWIFT_FLAGS) --filter FaultTests

format:
	swift format format -i -r $(SOURCES)

check-format:
	swift format lint -s -r $(SOURCES)

install: build
	install -D build/kiln "$(DESTDIR)$(PREFIX)/bin/kiln"
	install -D build/kiln-launcher "$(DESTDIR)$(PREFIX)/libexec/kiln/kiln-launcher"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/kiln/policies" policies/*.toml policies/README.md
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/kiln/policies/tests" policies/tests/*

clean:
	rm -rf .build build Launcher/.build
