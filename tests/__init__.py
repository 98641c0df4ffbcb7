"""Tests of posenc. A package only so that its modules can share truth.py, arrays.py and backends.py."""
