"""
Build on jsonrpcc from C: where its headers are, and its core for cffi.

An extension in plain C needs only `get_include`; see ``jsonrpcc_capi.h`` there.
One made with cffi includes `ffibuilder` when it is built::

    ffibuilder = cffi.FFI()
    ffibuilder.include(jsonrpcc.capi.ffibuilder())
    ffibuilder.cdef("int start(const jsonrpcc_capi *, jsonrpcc_client *);")
    ffibuilder.set_source(
        "mine._c",
        '#include "jsonrpcc_capi.h" ...',
        include_dirs=[jsonrpcc.get_include()],
    )

and, when it runs, passes `table` and `client_pointer` to its C code::

    lib.start(jsonrpcc.capi.table(), jsonrpcc.capi.client_pointer(client))

For CMake and pkg-config the package is called ``jsonrpcc-capi``.  scikit-build-core
and the pkgconf of PyPI find it by themselves; for others, `get_cmake_dir` and
`get_pkgconfig_dir` return where it is.
"""

from __future__ import annotations

from typing import Any

from jsonrpcc import _capsule
from jsonrpcc._base import handle_of
from jsonrpcc._jsonrpcc import ffi, lib

__all__ = [
    "client_pointer",
    "ffibuilder",
    "get_cmake_dir",
    "get_include",
    "get_pkgconfig_dir",
    "table",
]

_PACKAGE = __file__.rpartition("/")[0]


def get_include() -> str:
    """Return the directory of ``jsonrpcc.h`` and ``jsonrpcc_capi.h``."""
    return f"{_PACKAGE}/include"


def get_cmake_dir() -> str:
    """Return the directory of the CMake package ``jsonrpcc-capi``."""
    return f"{_PACKAGE}/share/cmake/jsonrpcc-capi"


def get_pkgconfig_dir() -> str:
    """Return the directory of ``jsonrpcc-capi.pc``."""
    return f"{_PACKAGE}/share/pkgconfig"


def ffibuilder() -> Any:
    """Return a `cffi.FFI` with the declarations of ``jsonrpcc.h``, to be included."""
    # Only builds need these.
    from importlib import resources  # noqa: PLC0415

    from cffi import FFI  # type: ignore[import-untyped]  # noqa: PLC0415

    header = (resources.files("jsonrpcc") / "include/jsonrpcc.h").read_text("utf-8")
    builder: Any = FFI()
    builder.cdef(header.partition("/* cffi: begin */")[2].partition("/* cffi: end")[0])
    builder.cdef("typedef struct jsonrpcc_capi jsonrpcc_capi;")
    builder.set_source("jsonrpcc._jsonrpcc", "")  # where they are at run time
    return builder


def table() -> Any:
    """Return the table of ``jsonrpcc_capi.h`` as cffi's ``jsonrpcc_capi *``."""
    return lib.jrc_capi()


def client_pointer(client: Any) -> Any:
    """
    Return the C client inside a `Client` or `AsyncClient`, as a cffi pointer.

    It is owned by *client*, which must outlive every use of the pointer.

    Raises:
        TypeError: *client* is neither.
    """
    return handle_of(client)


def _address_of(client: Any) -> int:
    return int(ffi.cast("uintptr_t", client_pointer(client)))


_capi = _capsule.capsule(int(ffi.cast("uintptr_t", table())), _address_of)
