# Thin: each target sets up what it needs and runs one command. ARGS='…' passes arguments on.
BIN := .venv/bin
ARGS ?=
NAME ?=
CLIENT_JAR := groovy/target/agentbroker-client.jar
CLIENT_SOURCES := $(shell find groovy proto -path groovy/target -prune -o \( -name '*.java' -o -name '*.proto' -o -name pom.xml \) -print 2>/dev/null)

.PHONY: help demo test test-jenkins check bench jar lock proto docs fmt setup setup-demo
help:
	@echo "demo  test  test-jenkins  check  bench [NAME=…]  jar  proto  docs  fmt  lock        (ARGS='…' passes arguments on)"

demo: setup-demo
	@$(BIN)/agentbroker dev --builds 12 --exit $(ARGS)

test: check
	$(BIN)/pytest $(ARGS)

test-jenkins: setup
	$(BIN)/pytest -m jenkins $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	.ci/proto --check
	.ci/docs --check

bench: setup
	@$(BIN)/python -m tests.benchmarks $(NAME) $(ARGS)

fmt: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

proto: setup
	.ci/proto

docs: setup
	.ci/docs

# The client jar, and with it everything that `agentbroker init jenkins` installs, copied to where the wheel takes it from.
jar: $(if $(wildcard groovy/pom.xml),$(CLIENT_JAR))
	@.ci/jenkins-home

$(CLIENT_JAR): $(CLIENT_SOURCES)
	@cd groovy && mvn -q -B -Dstyle.color=never -DskipTests package
	@touch $@

# The requirement files: every version with its hashes, no registry host, no path. ARGS=--upgrade takes newer versions.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS)
lock: setup
	$(LOCK) --group boot -o requirements/boot.txt
	$(LOCK) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt

setup:
	@.ci/setup test

setup-demo:
	@.ci/setup demo
