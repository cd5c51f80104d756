"""The extension by cffi: our declarations, and those of jsonrpcc included."""

from pathlib import Path

import cffi

import jsonrpcc.capi

ffibuilder = cffi.FFI()
ffibuilder.include(jsonrpcc.capi.ffibuilder())
ffibuilder.cdef(
    """
    typedef struct { int64_t sum; int32_t results, errors; } adding;

    adding add_all(const jsonrpcc_capi *rpc, jsonrpcc_client *client, int count);
    int64_t elapsed_us(const jsonrpcc_outcome *outcome);
    """
)
ffibuilder.set_source(
    "consumer._cffi",
    """
    #include "adding.h"

    static int64_t elapsed_us(const jsonrpcc_outcome *outcome)
    {
        return (int64_t)outcome->elapsed_us;
    }
    """,
    include_dirs=[jsonrpcc.get_include(), str(Path(__file__).parent / "consumer")],
)
