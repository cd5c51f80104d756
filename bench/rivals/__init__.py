"""The clients that are measured, one module or C file each."""
