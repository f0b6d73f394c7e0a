# make demo    see it work: the bundled detector over a real clip, in a virtual environment of its own
# make app     open the desktop app
# make test    run the tests, or some: make test ARGS='tests/app -x'
# make test-rtsp  run the tests against a real RTSP server, which is installed on Debian or Ubuntu
# make check   the linters and the tests: what CI does
# make bench   run the benchmarks
# make screenshots  take the README's pictures of the window anew, on a virtual screen
# make clean   remove the virtual environments and everything that was built
#
# Each target installs what it needs, and does so again only after pyproject.toml changed.

# The first interpreter that is new enough and can make virtual environments; `make PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python; do \
	$$each -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)

DEMO_VENV := .venv-demo
APP_VENV  := .venv-app
VENV      := .venv
BIN       := $(VENV)/bin

# Torch comes first and pinned: left to itself, pip takes the newest build with several gigabytes of CUDA.
TORCH := torch==2.13.0

# What benchmarks run that compare themselves with others; left out where the recorded test data is absent.
DATA        := $(or $(FRAMEHOOK_TEST_DATA),../shared/data)
BENCH_MODEL ?= $(wildcard $(DATA)/models/yolox_nano_416.onnx)
BENCH_CLIP  ?= $(wildcard $(DATA)/clips/vtest.avi)
BENCH_EXPORT ?= $(wildcard $(DATA)/checkpoints/yolo11n_vtest.pt)

# All tests are run on two cores at once; `make test ARGS=...` runs what is named, one test after the other.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile

# A real RTSP server for the tests, which run it with the system's own Python.
RTSP_PACKAGES := gir1.2-gst-rtsp-server-1.0 python3-gi
SUDO          := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo app screenshots test test-rtsp check lint bench clean

help:
	@sed -n 's/^# make /make /p' Makefile

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/framehook demo

app: $(APP_VENV)/.installed
	@$(APP_VENV)/bin/framehook gui $(ARGS)

screenshots: $(VENV)/.installed
	$(BIN)/python docs/screenshots.py

test: $(VENV)/.installed
	$(BIN)/pytest $(or $(ARGS),$(SIDE_BY_SIDE))

test-rtsp: $(VENV)/.installed
	@/usr/bin/python3 -c "import gi; gi.require_version('GstRtspServer', '1.0')" 2>/dev/null || \
	{ command -v apt-get >/dev/null && $(SUDO) apt-get update -qq && \
		$(SUDO) apt-get install -y -qq --no-install-recommends $(RTSP_PACKAGES); } || \
	{ echo "error: an RTSP server is needed; on Debian: sudo apt-get install $(RTSP_PACKAGES)" >&2; exit 1; }
	FRAMEHOOK_TEST_RTSP=1 $(BIN)/pytest tests/rtsp $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache  # its cache goes by the names of folders, which are links here

check: lint test

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/dispatch.py
	$(BIN)/python benchmarks/endurance.py
	$(BIN)/python benchmarks/app.py live slow start
	$(BIN)/python benchmarks/training.py speed
	$(BIN)/python benchmarks/remote.py
	$(BIN)/python benchmarks/live.py $(if $(BENCH_MODEL),--model $(BENCH_MODEL))
	$(if $(BENCH_CLIP),$(BIN)/python benchmarks/peers.py --clip $(BENCH_CLIP),@echo "left out: peers.py; name BENCH_CLIP=clip.mp4")
	$(if $(and $(BENCH_MODEL),$(BENCH_CLIP)),$(BIN)/python benchmarks/throughput.py --model $(BENCH_MODEL) --clip $(BENCH_CLIP),\
	@echo "left out: throughput.py; name BENCH_MODEL=model.onnx BENCH_CLIP=clip.mp4")
	$(if $(and $(BENCH_EXPORT),$(BENCH_CLIP)),$(BIN)/python benchmarks/export.py --model $(BENCH_EXPORT) --clip $(BENCH_CLIP),\
	@echo "left out: export.py; name BENCH_EXPORT=model.pt BENCH_CLIP=clip.mp4")
	$(if $(wildcard $(DATA)/clips/vtest_gt.txt),$(BIN)/python benchmarks/accuracy.py --model $(BENCH_MODEL),\
	@echo "left out: accuracy.py; it needs a clip with ground truth")
	$(if $(wildcard $(DATA)/coco_train),$(BIN)/python benchmarks/validate.py && \
	$(BIN)/python benchmarks/training.py overfit --data $(DATA) && $(BIN)/python benchmarks/training.py pedestrians --data $(DATA),\
	@echo "left out: validate.py, training.py overfit and pedestrians; they need labelled pictures")

clean:
	rm -rf $(DEMO_VENV) $(APP_VENV) $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call make_venv,folder): a virtual environment, or one line that says what is missing.
define make_venv
@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer with venv is needed and was not found;" \
	"on Debian: sudo apt-get install python3 python3-venv; or name one: make PYTHON=/path/to/python" >&2; exit 1; }
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

# $(call check_system,folder): OpenCV's wheel brings everything but these two libraries of the system.
define check_system
@$(1)/bin/python -c 'import cv2' 2>/dev/null || { \
	echo "error: OpenCV cannot be loaded; on Debian: sudo apt-get install libgl1 libglib2.0-0" >&2; exit 1; }
endef

$(DEMO_VENV)/.installed: pyproject.toml
	$(call make_venv,$(DEMO_VENV))
	@echo "Installing Framehook into $(DEMO_VENV) (once; about a minute) ..."
	@$(DEMO_VENV)/bin/pip install -qq --editable '.[demo]'
	$(call check_system,$(DEMO_VENV))
	@touch $@

$(APP_VENV)/.installed: pyproject.toml
	$(call make_venv,$(APP_VENV))
	@echo "Installing Framehook and its desktop app into $(APP_VENV) (once; some minutes) ..."
	@$(APP_VENV)/bin/pip install -qq --editable '.[demo,export,gui,screen]'
	$(call check_system,$(APP_VENV))
	@touch $@

$(VENV)/.installed: pyproject.toml
	$(call make_venv,$(VENV))
	@echo "Installing Framehook and everything its tests want into $(VENV) (once; some minutes) ..."
	@$(BIN)/pip install -qq '$(TORCH)'
	@$(BIN)/pip install -qq --editable '.[all,dev]'
	$(call check_system,$(VENV))
	@touch $@
