PYTHON ?= /usr/bin/python3
PYTEST_ARGS ?=
SECONDS ?= 60

BIN := .venv/bin

# to build and run the gateway
PACKAGES := build-essential iproute2 iptables kmod libnetfilter-queue-dev python3 python3-dev python3-venv
# to run the Vagrant lab in software emulation
VAGRANT_PACKAGES := dnsmasq-base libvirt-clients libvirt-daemon-system mmdebstrap openssh-client qemu-system-x86 qemu-utils \
	rsync vagrant vagrant-libvirt
# to try it
LAB_PACKAGES := baresip-core conntrack ipset kamailio nftables procps sip-tester

.PHONY: help setup setup-dev setup-lab demo test fuzz run lint bench vagrant-lab

help:
	@echo 'sudo make demo       show a call through the gateway, from the first message to the last rule'
	@echo 'sudo make test       run all tests'
	@echo 'sudo make run INSIDE=lan0 OUTSIDE=wan0'
	@echo '                     run the gateway on this router'
	@echo 'sudo make setup      install what the gateway needs, and .venv/bin/sipmasq'
	@echo 'sudo make setup-lab  also what demo and tests need; no server is started or enabled'
	@echo 'sudo make bench      measure speed and memory'
	@echo 'sudo make vagrant-lab'
	@echo '                     run the scenarios of vagrant/ on emulated machines, on a host that can do no better'
	@echo 'make fuzz SECONDS=60 look for a message that breaks what must hold for all'
	@echo 'make lint            check style, types and import directions'

setup:
	@.ci/install-packages $(PACKAGES)
	@.ci/install-python $(PYTHON)

setup-dev: setup
	@.ci/install-python $(PYTHON) dev

setup-lab: setup-dev
	@.ci/install-packages $(LAB_PACKAGES)

demo: setup-lab
	@$(BIN)/python -m tests.lab.demo

test: setup-lab
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

fuzz: setup-dev
	@$(BIN)/python -m tests.fuzz $(SECONDS) $(FUZZ_ARGS)

run: setup
	@test -n '$(INSIDE)' && test -n '$(OUTSIDE)' || { echo 'say which interfaces: make run INSIDE=lan0 OUTSIDE=wan0' >&2; exit 2; }
	@$(BIN)/sipmasq run --inside $(INSIDE) --outside $(OUTSIDE)

lint: setup-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup-lab
	@$(BIN)/python -m tests.bench

vagrant-lab: setup
	@.ci/install-packages $(VAGRANT_PACKAGES)
	@vagrant/local-lab/run
