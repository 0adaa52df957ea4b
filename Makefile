# The doors to the course. What they do is Python: install.py, and `python -m grading`.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: help install lab test execute gpu bare site release update progress workshop hub data lint lock clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

install: ## install what the course needs into .venv
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo "$(PYTHON) was not found: install Python 3.11, 3.12 or 3.13, or name yours with \`make PYTHON=/path/to/python3\`." >&2; exit 1; }
	@"$(PYTHON)" install.py

lab: install ## open the course in JupyterLab (ARGS="--no-browser --port 8899" for a server)
	@$(RUN) -m grading lab $(ARGS)

test: install ## run every test (ARGS="-k perceptron" for some); the last lines say what did not run
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile $(ARGS)

execute: install ## run every lab, solved and untouched, through papermill (LAB=02 for one)
	@$(RUN) -m grading execute $(LAB) $(ARGS)

gpu: install ## try all that this machine's GPUs allow, in 6 minutes (ARGS="--minutes 20" for more)
	@$(RUN) -m grading gpu $(ARGS)

bare: install ## build/bare: Python 3.12 with what tests/bare.txt lists alone, for a test of `make gpu` (6 GB)
	@.venv/bin/uv venv -q --allow-existing --python 3.12 build/bare
	@.venv/bin/uv pip install -q --python build/bare/bin/python -r tests/bare.txt

site: install ## build the course's site in build/site, from the labs as they run (LAB=02 for one)
	@$(RUN) -m grading site $(LAB) $(ARGS)

release: install ## make labs/ and the nbgrader course in course/ from solutions/
	@$(RUN) -m grading release $(ARGS)

update: install ## carry your answers in my_labs/ over into labs that have changed (LAB=02 for one)
	@$(RUN) -m grading update $(LAB) $(ARGS)

progress: install ## your points so far
	@$(RUN) -m grading progress $(ARGS)

workshop: install ## open the board for a class in one room (ARGS="--port 8301")
	@$(RUN) -m grading workshop $(ARGS)

hub: install ## serve everybody from this machine: seats, and the board (ARGS="--port 8080")
	@$(RUN) -m grading hub $(ARGS)

data: install ## download MNIST, Shakespeare and CIFAR-10 (12, 1, 170 MB) into data/, and check them
	@$(RUN) -m utils.data.digits mnist $(ARGS)
	@$(RUN) -m utils.data.text shakespeare $(ARGS)
	@$(RUN) -m utils.data.images cifar10 $(ARGS)

lint: install ## ruff and basedpyright
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m basedpyright

# `--no-deps` with the lock as constraints leaves the course's own dependencies at their locked versions.
COMPILE = .venv/bin/uv pip compile -q --no-emit-index-url pyproject.toml
lock: install ## write requirements.txt and environment.yml from pyproject.toml (ARGS=--upgrade)
	@$(COMPILE) --universal --python-version 3.11 --generate-hashes --all-extras \
	  --custom-compile-command "make lock" -o requirements.txt $(ARGS)
	@mkdir -p build
	@$(COMPILE) --no-deps --no-header --no-annotate -c requirements.txt \
	  --universal --python-version 3.12 -o build/environment.txt
	@{ sed -n '1,/pip:/p' environment.yml; sed 's/^/      - /' build/environment.txt; } > build/environment.yml
	@mv build/environment.yml environment.yml

# my_labs/ is the learner's work: nothing here deletes it.
clean: ## delete what was generated (build/ and caches), never my_labs/ nor .venv
	@rm -rf build .pytest_cache .ruff_cache .hypothesis
	@find . \( -path ./.venv -o -path ./.git -o -path ./my_labs \) -prune -o -type d \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## as clean, and .venv too
	@rm -rf .venv
