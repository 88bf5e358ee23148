# `make help` lists the targets. PYTHON chooses the Python that the environment is made from.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NOTEBOOKS := _build/notebooks
STUDENTS := _build/students
PROVED := _build/proved
OLDEST := _build/oldest
COLAB := _build/colab
COLAB_PYTHON ?= python3.12
PORT ?= 8000
# Each part of the tests keeps what came out of it, for the report at the end.
PYTEST := PYTHONPATH=tools $(BIN)/pytest -p report_tests --durations=10 --durations-min=2

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup book test forget-reports lint test-helpers test-notebooks test-running test-site test-students test-real test-oldest test-colab attack notebooks students bench serve classroom slides links pdf clean pins

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make or update the environment in .venv (the other targets do it by themselves)
	@$(PYTHON) tools/setup_env.py $(VENV)

book: setup ## execute the chapters and build the site into _build/html
	$(BIN)/python tools/build_book.py

test: forget-reports lint test-helpers test-notebooks test-running test-site ## everything: the next five
	@$(BIN)/python tools/report_tests.py

forget-reports:
	@rm -rf _build/test-report

# jactionlint is actionlint, made to work offline, and with more checks.
lint: notebooks students ## ruff on the code and the chapters, actionlint on the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/jactionlint --strict-exit --shellcheck= --pyflakes=
	$(BIN)/ruff check $(NOTEBOOKS)/*.ipynb
	$(BIN)/ruff format --check $(NOTEBOOKS)/*.ipynb
	$(BIN)/ruff check --ignore F401 $(STUDENTS)/*.ipynb  # imports that only solutions use

test-helpers: setup ## pytest on the helpers, doctests among them
	PART=helpers $(PYTEST) -n 2 -m "not site and not colab and not live"

# The site's pages, which the next parts open, come of the same run.
test-notebooks: setup ## execute every chapter, profile smoke, and build the site; name the slowest
	HELA_PROFILE=smoke PART=notebooks $(BIN)/python tools/build_book.py --output _build/smoke --test

test-running: setup ## chapters as on Colab, and their explorers in JupyterLab with a browser
	PART=running $(PYTEST) -n 2 --dist loadgroup -m "colab or live" tests/test_colab.py tests/test_live.py

test-site: test-notebooks ## open the pages of the smoke site in a browser
	PART=site $(PYTEST) -n 2 -m site

# Of each chapter as students get it; where they check an answer, the solution is run.
test-students: setup ## execute the students' notebooks, profile smoke, with the solutions as checks
	$(BIN)/python tools/convert_notebooks.py --students --prove $(PROVED)
	HELA_PROFILE=smoke PART=students $(PYTEST) --nbval-lax --nbval-current-env \
	  --nbval-cell-timeout=600 --override-ini=addopts= -n 2 --dist loadfile $(PROVED)

test-real: setup ## the tests of real data alone, on the files in HELA_DATA_DIR, and all that was told
	PART=$(or $(PART),real) $(PYTEST) -n 2 -m real
	@$(BIN)/python tools/report_tests.py

# A quarter of an hour at most. KEEP=1 puts the table that it prints onto the page of promises.
attack: setup ## kill runs, flip bits, break files and servers, and count what survives
	$(BIN)/python tests/attack/campaign.py $(if $(KEEP),--keep)

notebooks: setup ## make .ipynb files from the chapters, in _build/notebooks
	@$(BIN)/python tools/convert_notebooks.py $(NOTEBOOKS)

students: setup ## the same without the solutions, in _build/students
	@$(BIN)/python tools/convert_notebooks.py --students $(STUDENTS)

bench: setup ## run the benchmarks
	@set -e; for script in bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

serve: ## show the built book at http://localhost:8000 (PORT=...)
	@test -f _build/html/index.html || { echo "No book yet: run make book first."; exit 1; }
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

# WHEELS=1 adds the packages, for an installation without the internet; PLATFORM=win_amd64,
# linux_x86_64 or macosx_arm64 and STUDENTS_PYTHON=3.12 say for which computers.
classroom: notebooks students ## fill folders to hand out to a class: make classroom CLASSROOM=folder
	@test -n "$(CLASSROOM)" || { echo "Name the folder: make classroom CLASSROOM=/path"; exit 1; }
	@rm -f "$(CLASSROOM)"/for-students/helpers-*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation \
	  --wheel-dir "$(CLASSROOM)/for-students" .
	$(BIN)/python tools/fill_classroom.py "$(CLASSROOM)" --students $(STUDENTS) \
	  --teacher $(NOTEBOOKS) $(if $(WHEELS),--wheels) $(if $(PLATFORM),--platform $(PLATFORM)) \
	  $(if $(STUDENTS_PYTHON),--python $(STUDENTS_PYTHON))

slides: setup ## make slides of the two-hour course's chapters in _build/slides (after make book)
	$(BIN)/python tools/build_slides.py

links: setup ## ask every external address of the pages whether it still answers (needs the internet)
	$(BIN)/python tools/check_links.py

pdf: setup ## print the built book into _build/book.pdf (needs Chromium; after make book)
	$(BIN)/python tools/build_pdf.py

clean: ## remove what was built; the environment and downloaded data stay
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis notebooks/*.ipynb

# For maintainers and CI: the package alone, where the pins say nothing. New packages beside old ones
# deprecate much, so warnings are no errors here.
test-oldest: ## helpers on Python 3.10 and the lowest versions that pyproject.toml names (needs uv)
	uv venv --quiet --clear --python 3.10 $(OLDEST)
	uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
	  --requirements pyproject.toml --extra book --extra test
	PYTHONPATH=. $(OLDEST)/bin/python -m pytest -n 2 -m "not site and not colab and not live" \
	  --override-ini=filterwarnings=default --disable-warnings helpers tests

test-colab: setup ## every chapter with the versions that Google Colab has (needs COLAB_PYTHON)
	$(BIN)/python tools/run_colab.py --python $(COLAB_PYTHON) $(COLAB)

# For maintainers: resolve the pins anew (needs uv).
pins:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra book --extra test --extra networks --extra hed --extra formats \
	  --extra field --extra live --extra strokes \
	  --output-file requirements.txt pyproject.toml
