# Kiln. `make test` is the one that matters; both set the machine up themselves.

# Every build uses the same flags, so that nothing is compiled twice.
SWIFT_FLAGS = --explicit-target-dependency-import-check error
PREFIX ?= /usr/local
SOURCES = Package.swift Sources Tests

.PHONY: all build test format check-format install clean setup

all: build

setup:
	scripts/setup

build: setup
	swift build -c release --static-swift-stdlib $(SWIFT_FLAGS) --product kiln
	install -D -s "$$(swift build -c release --static-swift-stdlib $(SWIFT_FLAGS) --show-bin-path)/kiln" build/kiln

test: setup
	swift build --build-tests $(SWIFT_FLAGS)
	swift test --skip-build $(SWIFT_FLAGS)
	Tests/command

format:
	swift format format -i -r $(SOURCES)

check-format:
	swift format lint -s -r $(SOURCES)

install: build
	install -D build/kiln "$(DESTDIR)$(PREFIX)/bin/kiln"

clean:
	rm -rf .build build
