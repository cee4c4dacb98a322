# Everything that a newcomer needs: `make run`, `make test`. Each does its own set-up.
VENV := .venv
PYTHON := python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Tests start hundreds of processes, each in two thirds of the time where it finds its modules compiled.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help env run chromium promtool haproxy dovecot npm bullmq test test-compose test-upgrade lint format bench chaos failovers recount soak fuzz bench-campaign bench-million bench-living bench-lateness bench-compare bench-intake bench-resets bench-hostile bench-webhooks bench-growth bench-start lock clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local,test,dev]'
	@touch $@

run: $(STAMP)  ## bring everything up on this machine: three senders, the pages, the API, the simulator
	$(BIN)/mailroom up --senders 3

env:  ## write a .env with random keys, for trying it with Docker Compose
	$(PYTHON) -m config.dev_env

# Install a command's Debian packages, unless the command is there: command, packages, what needs it.
define debian
	@PATH="$$PATH:/usr/sbin" command -v $(1) >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $(2) >/dev/null; } || \
	  { echo "$(1) is needed for $(3): apt-get install $(2) (as root)"; exit 1; }
endef

chromium:
	$(call debian,chromium,chromium fonts-dejavu-core,the tests of the pages)

promtool:
	$(call debian,promtool,prometheus,the tests of the alerts)

haproxy:
	$(call debian,haproxy,haproxy,the tests of the edge)

dovecot:
	$(call debian,dovecot,dovecot-imapd,the tests of the mailboxes of bounces)

npm:
	$(call debian,npm,nodejs npm,BullMQ in make bench)

test: $(STAMP) chromium promtool haproxy dovecot  ## run all checks and tests, on real servers and a real browser; report the coverage
	$(BIN)/python -m pytest tests/unit -n 2 -p tests.support.measured --cov --cov-report=term:skip-covered
	$(BIN)/python -m pytest -n 4 --dist loadgroup --ignore=tests/unit --durations=40

test-compose: $(STAMP)  ## run the Compose files for real, by podman, on stand-ins for their images; needs root
	@command -v podman >/dev/null && command -v debootstrap >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends podman runc netavark \
	  aardvark-dns uidmap iptables debootstrap >/dev/null; }
	$(BIN)/python -m pip install --quiet 'podman-compose>=1.6'
	$(BIN)/python -m tests.compose.images
	$(BIN)/python -m tests.compose

test-upgrade: $(STAMP)  ## replace every process of an earlier version in mid-campaign, and go back; by SIGTERM, then by SIGKILL; then a negative control
	$(BIN)/python -m tests.upgrade --back
	$(BIN)/python -m tests.upgrade --back --kill --json data/upgrade-kill.json
	$(BIN)/python -m tests.upgrade --control --json data/upgrade-control.json

lint: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.benching: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local,test,bench]'
	@touch $@

# What npm writes last. The versions are those of package-lock.json; no script of a package runs.
NODE_MODULES := benchmarks/peers/node_modules/.package-lock.json
$(NODE_MODULES): benchmarks/peers/package.json benchmarks/peers/package-lock.json | npm
	cd benchmarks/peers && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

bullmq: npm $(NODE_MODULES)

bench: $(VENV)/.benching bullmq  ## one mail a call, beside bare requests, BullMQ, Celery and dramatiq; writes docs/figures
	$(BIN)/python -m benchmarks

chaos: $(STAMP) dovecot  ## break the whole system for minutes, and count: doubled, lost, unknown, undrained; clusters too; then the negative controls
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos --second smtp --schedules 25 --recipients 60 --mails 500 --faults 150 --hits 0 --json data/chaos-smtp.json
	$(BIN)/python -m tests.chaos --clusters 10 --schedules 45 --recipients 420 --mails 1000 --json data/chaos-clusters.json
	$(BIN)/python -m tests.chaos.controls

failovers: $(STAMP)  ## fail Redis, etcd and MongoDB over ten times each under load: doubled, lost, seconds until all is whole again
	$(BIN)/python -m tests.failovers

recount: $(STAMP)  ## a campaign of 100,000 that six providers carry in turn: each recipient's own link, in header and bodies
	$(BIN)/python -m tests.recount

soak: $(STAMP) promtool  ## an hour's steady load at 70 % of the peak: memory and latency flat, no alert; Prometheus evaluates
	$(BIN)/python -m benchmarks.soak --minutes 60 --load 0.7

fuzz: $(STAMP)  ## schemathesis over all operations of the API: 20,000 cases, a table of what each answered
	$(BIN)/python -m tests.fuzz

bench-campaign: $(STAMP)  ## 20,000 recipients every minute for five minutes, 3 senders, counted by the simulator
	$(BIN)/python -m benchmarks.campaign

bench-million: $(STAMP)  ## a campaign of a million recipients: pace, and a sender's peak memory
	$(BIN)/python -m benchmarks.million

bench-living: $(STAMP)  ## a million rows by CSV, a segment, a feed and links of one's own, recounted; beside a plain campaign
	$(BIN)/python -m benchmarks.living

bench-hostile: $(STAMP)  ## requests that are made to cost much: alone, and ten at a time beside password resets
	$(BIN)/python -m benchmarks.hostile

bench-lateness: $(STAMP)  ## 1,000 schedules due in the same second among 100,000
	$(BIN)/python -m benchmarks.lateness

bench-compare: $(VENV)/.benching  ## this checkout beside another one, in turn: make bench-compare OLD=folder
	$(BIN)/python -m benchmarks.compare $(OLD)

bench-intake: $(VENV)/.benching  ## POST /v1/emails beside a bare Flask route that inserts one document
	$(BIN)/python -m benchmarks.intake

bench-resets: $(VENV)/.benching  ## password resets while a campaign of a million goes out, and while none does
	$(BIN)/python -m benchmarks.resets

bench-webhooks: $(VENV)/.benching  ## signed webhooks beside a bare Flask route that verifies them and inserts one document
	$(BIN)/python -m benchmarks.webhooks

bench-growth: $(VENV)/.benching  ## what a mail, a due instant, a page and a webhook cost against 10,000 to a million stored mails; writes docs/figures
	$(BIN)/python -m benchmarks.growth

bench-start: $(STAMP)  ## from `mailroom up` to the first mail in the inbox: median, least and most
	$(BIN)/python -m benchmarks.start

lock: $(STAMP)  ## write the installed versions into constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:  ## remove the virtual environment and caches; data stays
	rm -rf $(VENV) benchmarks/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
