"""The build that is measured: optimised, without sanitizers, with the bench's own programs."""
import os
import re
import subprocess

from .room import BenchError

PROGRAMS = ("scepterd", "scepter", "scepter-worker", "scepter-parse", "scepter-apply", "bench-sign-raw", "bench-sign-ksp",
            "bench-sign-evp", "bench-documents")


def _run(command, root):
    result = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{result.stdout[-3000:]}")


def _check(folder):
    try:
        with open(os.path.join(folder, "CMakeCache.txt"), encoding="utf-8") as file:
            cache = dict(re.findall(r"^(\w+):\w+=(.*)$", file.read(), re.MULTILINE))
    except FileNotFoundError:
        raise BenchError(f"{folder} is no build directory") from None
    if cache.get("SCEPTER_SANITIZE") == "ON" or cache.get("CMAKE_BUILD_TYPE") not in ("Release", "RelWithDebInfo"):
        raise BenchError(f"{folder} is no optimised build without sanitizers: its figures would say nothing; "
                         "leave --build out, or make one with 'cmake --preset release'")
    for name in PROGRAMS:
        if not os.access(os.path.join(folder, "bin", name), os.X_OK):
            raise BenchError(f"{folder}/bin/{name} is missing; build everything there first")


def ready(root, given):
    """The build directory: the one named, as it is, or build/, brought up to date."""
    folder = os.path.abspath(given or os.path.join(root, "build"))
    if not given:
        if not os.path.exists(os.path.join(folder, "CMakeCache.txt")):
            _run(["cmake", "--preset", "release"], root)
        _run(["cmake", "--build", "--preset", "release"], root)
    _check(folder)
    return folder
