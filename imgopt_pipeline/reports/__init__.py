"""What people read: views of images and audits, as tables for a terminal and as documents for programs.

Only shaping belongs here. Numbers come from the domain packages or from the warehouse.
"""
