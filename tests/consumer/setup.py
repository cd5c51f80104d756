"""What pyproject.toml cannot say: where jsonrpcc keeps its headers."""

from setuptools import Extension, setup

import jsonrpcc

FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]

setup(
    ext_modules=[
        Extension(
            "consumer._plain",
            ["consumer/_plain.c"],
            depends=["consumer/adding.h"],
            include_dirs=[jsonrpcc.get_include()],
            extra_compile_args=FLAGS,
            py_limited_api=True,
        )
    ],
    cffi_modules=["build_cffi.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
