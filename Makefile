# Thin: each target sets up what it needs and runs one command. ARGS='…' passes arguments on.
BIN := .venv/bin
ARGS ?=
NAME ?=
CLIENT_JAR := groovy/target/agentbroker-client.jar
CLIENT_SOURCES := $(shell find groovy proto -path groovy/target -prune -o \( -name '*.java' -o -name '*.proto' -o -name pom.xml \) -print 2>/dev/null)

.PHONY: help demo test test-jenkins test-agent check bench mutants jar wheel lock proto docs fmt setup setup-demo
help:
	@echo "demo              runs a broker, a gateway, agents and a controller here, and twelve builds (JENKINS_WAR=… for a real one)"
	@echo "test              what CI runs: check, then all tests (ARGS='-k name' chooses)"
	@echo "test-jenkins      the tests on a real controller; needs JENKINS_WAR"
	@echo "test-agent        the real agent through the gateway; needs AGENT_JAR, and JENKINS_WAR for all of them"
	@echo "check             style, types, imports, generated files"
	@echo "bench [NAME=…]    measures; without a name: lists what can be measured"
	@echo "mutants           removes one guard at a time and sees a test fail (ARGS=word: guards with that word)"
	@echo "jar               the client jar, and the files for Jenkins in broker/jenkins/"
	@echo "wheel             dist/*.whl, with the files for Jenkins in it"
	@echo "proto  docs       the stubs of proto/; docs/reference/ and openapi.json, which are made from code"
	@echo "fmt  lock         formats the source; renews requirements/ (ARGS=--upgrade: to newer versions)"
	@echo "ARGS='…' passes arguments on. Each target first sets up what it needs."

demo: setup-demo
	@$(BIN)/agentbroker dev --builds 12 --exit $(ARGS)

test: check
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

test-jenkins: setup
	$(BIN)/pytest -m jenkins $(ARGS)

test-agent: setup
	$(BIN)/pytest -m agentjar $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	.ci/proto --check
	.ci/docs --check

bench: setup
	@$(BIN)/python -m tests.benchmarks $(NAME) $(ARGS)

mutants: setup
	@$(BIN)/python -m tests.mutants $(ARGS)

fmt: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

proto: setup
	.ci/proto

docs: setup
	.ci/docs

# The client jar, and all files for Jenkins with its SHA-256 in broker/jenkins/, where the wheel takes them from.
jar: $(if $(wildcard groovy/pom.xml),$(CLIENT_JAR))
	@.ci/jenkins-files

$(CLIENT_JAR): $(CLIENT_SOURCES)
	@cd groovy && mvn -q -B -Dstyle.color=never -DskipTests package
	@touch $@

wheel: setup
	.ci/wheel

# The requirement files: every version with its hashes, no registry host, no path. ARGS=--upgrade takes newer versions.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS)
lock: setup
	$(LOCK) --group boot -o requirements/boot.txt
	$(LOCK) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra aws --extra alibaba -c requirements/dev.txt -o requirements/runtime.txt
	for name in moto ministack microburst; do $(LOCK) --group $$name -o requirements/$$name.txt || exit; done

setup:
	@.ci/setup test

setup-demo:
	@.ci/setup demo
