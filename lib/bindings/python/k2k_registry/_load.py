# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds libk2k-registry and gives its functions their prototypes."""
import ctypes
import os
import pathlib
import subprocess
from typing import Iterator, List

from . import _abi

SONAME = f"libk2k-registry.so.{_abi.K2K_VERSION_MAJOR}"


def _candidates() -> Iterator[str]:
    """Only the directory K2K_REGISTRY_LIB_DIR, if it is set; else pkg-config's, and then where the loader looks."""
    directory = os.environ.get("K2K_REGISTRY_LIB_DIR")
    if directory:
        yield str(pathlib.Path(directory) / SONAME)
        return
    try:
        found = subprocess.run(["pkg-config", "--variable=libdir", "k2k-registry"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=True, text=True).stdout.strip()
        yield str(pathlib.Path(found) / SONAME)
    except (OSError, subprocess.CalledProcessError):
        pass
    yield SONAME


def load() -> ctypes.CDLL:
    errors: List[str] = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            break
        except OSError as error:
            errors.append(str(error))
    else:
        raise ImportError("libk2k-registry was not found: " + "; ".join(errors))
    for name, (result, arguments) in _abi.PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{path} has no {name}: it is of another version") from None
        function.restype, function.argtypes = result, arguments
    version = library.k2k_version().decode()
    ours = f"{_abi.K2K_VERSION_MAJOR}.{_abi.K2K_VERSION_MINOR}."
    if not version.startswith(ours):
        raise ImportError(f"{path} has version {version}; this module needs {ours}x")
    return library
