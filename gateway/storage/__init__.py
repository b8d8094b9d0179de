"""Adapter of disk and SQL: the journal that a call reaches first, and the ledger that it ends in.

Takes and returns values of the core; no mapped row, file handle or frame leaves this package.
"""
