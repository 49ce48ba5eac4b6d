"""The command line: one module per group of commands, on top of everything and used by nothing.

Commands that only read must not import dagster or pandas; what starts them imports late.
"""
