# make up      a cluster with the tutorial's pod, from a fresh machine on     make test    everything that is checked
# make install what both need, down to .venv/bin/podkeeper                    make down    stop the cluster
# make lock    resolve the dependencies anew                                  make reset   remove every trace of it

PYTHON      ?= python3
VENV        := .venv
BIN         := $(VENV)/bin
DATA_DIR    ?= /var/lib/podkeeper
CLIENTS     := .cache/clients
PODKEEPER   := $(BIN)/podkeeper
# pip's own advice about its version is no news to anyone here
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: up down reset root install test lint unit e2e lock test-tools

up: root install
	@$(PODKEEPER) up --detach --data-dir $(DATA_DIR)
	@$(PODKEEPER) demo --data-dir $(DATA_DIR)

down: root install
	@$(PODKEEPER) down --data-dir $(DATA_DIR)

reset: root install
	@$(PODKEEPER) reset --yes --data-dir $(DATA_DIR)

root:
	@tools/require-root "make $(MAKECMDGOALS)"

install:
	@tools/install-packages crun runc conmon nftables ca-certificates
	@tools/install-venv $(PYTHON) $(VENV) requirements.lock
	@examples/images/prepare nginx .cache/contexts/nginx

test-tools: install
	@tools/install-packages iproute2 busybox-static docker-registry skopeo binutils
	@tools/install-venv $(PYTHON) $(VENV) requirements-dev.lock
	@$(BIN)/python tools/fetch_clients.py $(CLIENTS)
	@examples/images/prepare busybox .cache/contexts/busybox

test: test-tools lint unit e2e

lint:
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/contract tests/conformance tests/fuzz

e2e:
	$(BIN)/pytest tests/e2e

lock:
	$(BIN)/pip install --quiet 'pip-tools>=7.6,<8'
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra dev --output-file requirements-dev.lock pyproject.toml
