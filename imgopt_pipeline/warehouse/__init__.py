"""The DuckDB file: its schema, its views, and how it is published and read.

Knows tables and columns, never images or layers: what is stored comes in as tables of rows.
"""
